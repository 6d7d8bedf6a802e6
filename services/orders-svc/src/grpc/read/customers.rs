use ids::CustomerId;
use log::{Cause, RequestKey};
use proto::orders::v1 as pb;
use rpc::{Fields, Page};
use tonic::Status;
use uuid::Uuid;

use super::BATCH_MAX;
use crate::{
    commands::{ArchiveCustomer, CreateCustomers, NewCustomer, UpdateCustomer},
    queries::{CustomerList, Customers},
};

const CHANGEABLE: [&str; 4] = ["name", "email", "phone", "metadata"];
const NAME_MAX: usize = 255;

/// One customer to be added, with the request's key.
pub(in crate::grpc) fn create_customer(
    request: pb::CreateCustomerRequest,
) -> Result<(Option<RequestKey>, Cause, NewCustomer), Status> {
    let mut fields = Fields::default();
    let request_id = fields.request_id(&request.request_id);
    let request_key = request_id.map(|id| RequestKey::new(id, "CreateCustomer", &request));
    let customer = customer(&mut fields, "", request);
    fields.done()?;
    Ok((request_key, Cause::of_call().with_request(request_id), customer))
}

/// `prefix` is where the customer stands in the request, such as `requests[3].`.
fn customer(fields: &mut Fields, prefix: &str, request: pb::CreateCustomerRequest) -> NewCustomer {
    NewCustomer {
        id: CustomerId::generate(),
        name: fields.text(&format!("{prefix}name"), request.name, 1, NAME_MAX),
        email: fields.email(&format!("{prefix}email"), request.email),
        phone: fields.text(&format!("{prefix}phone"), request.phone, 0, 50),
        metadata: fields.metadata(&format!("{prefix}metadata"), request.metadata),
    }
}

pub(in crate::grpc) fn create_customers(
    request: pb::BatchCreateCustomersRequest,
) -> Result<CreateCustomers, Status> {
    let mut fields = Fields::default();
    fields.count("requests", request.requests.len(), 1, BATCH_MAX);
    let mut customers = Vec::with_capacity(request.requests.len());
    for (index, one) in request.requests.into_iter().take(BATCH_MAX).enumerate() {
        let prefix = format!("requests[{index}].");
        if !one.request_id.is_empty() {
            fields.bad(format!("{prefix}request_id"), "must be empty within a batch");
        }
        customers.push(customer(&mut fields, &prefix, one));
    }
    fields.done()?;
    Ok(CreateCustomers { cause: Cause::of_call(), customers })
}

pub(in crate::grpc) fn update_customer(
    request: pb::UpdateCustomerRequest,
) -> Result<UpdateCustomer, Status> {
    let mut fields = Fields::default();
    let request_id = fields.request_id(&request.request_id);
    let request_key = request_id.map(|id| RequestKey::new(id, "UpdateCustomer", &request));
    let given = request.customer.unwrap_or_default();
    let id: Option<CustomerId> = fields.id("customer.customer_id", &given.customer_id);
    let mask = fields.update_mask(request.update_mask, &CHANGEABLE);
    let is_named = |field: &str| mask.iter().any(|path| path == field);
    let name = is_named("name").then(|| fields.text("customer.name", given.name, 1, NAME_MAX));
    let email = is_named("email").then(|| fields.email("customer.email", given.email));
    let phone = is_named("phone").then(|| fields.text("customer.phone", given.phone, 0, 50));
    let metadata =
        is_named("metadata").then(|| fields.metadata("customer.metadata", given.metadata));
    let Some(id) = id else { return Err(fields.refuse()) };
    fields.done()?;
    let (cause, etag) = (Cause::of_call().with_request(request_id), given.etag);
    Ok(UpdateCustomer { request_key, cause, id, etag, name, email, phone, metadata })
}

pub(in crate::grpc) fn archive_customer(
    request: pb::ArchiveCustomerRequest,
) -> Result<ArchiveCustomer, Status> {
    let mut fields = Fields::default();
    let request_id = fields.request_id(&request.request_id);
    let request_key = request_id.map(|id| RequestKey::new(id, "ArchiveCustomer", &request));
    let id: Option<CustomerId> = fields.id("customer_id", &request.customer_id);
    let Some(id) = id else { return Err(fields.refuse()) };
    fields.done()?;
    let cause = Cause::of_call().with_request(request_id);
    Ok(ArchiveCustomer { request_key, cause, id, etag: request.etag })
}

pub(in crate::grpc) fn restore_customer(
    request: pb::RestoreCustomerRequest,
) -> Result<ArchiveCustomer, Status> {
    let mut fields = Fields::default();
    let request_id = fields.request_id(&request.request_id);
    let request_key = request_id.map(|id| RequestKey::new(id, "RestoreCustomer", &request));
    let id: Option<CustomerId> = fields.id("customer_id", &request.customer_id);
    let Some(id) = id else { return Err(fields.refuse()) };
    fields.done()?;
    let cause = Cause::of_call().with_request(request_id);
    Ok(ArchiveCustomer { request_key, cause, id, etag: request.etag })
}

pub(in crate::grpc) fn list_customers(
    request: pb::ListCustomersRequest,
) -> Result<(Page, CustomerList), Status> {
    let mut fields = Fields::default();
    let (email, prefix, show_archived) =
        (request.email, request.name_prefix, request.show_archived);
    let filters = format!("{:?}", (&email, &prefix, show_archived));
    let page = Page::read(&mut fields, request.page_size, &request.page_token, &filters);
    let which = if !prefix.is_empty() {
        if !email.is_empty() {
            fields.bad("name_prefix", "is not possible together with email");
        }
        let prefix = fields.text("name_prefix", prefix, 1, NAME_MAX);
        Customers::Named { prefix, after: page.token.key(&mut fields) }
    } else if !email.is_empty() {
        // All of it is on the first page.
        let email = fields.email("email", email);
        page.token.key::<CustomerId>(&mut fields);
        Customers::WithEmail(email)
    } else {
        Customers::All { after: page.token.key(&mut fields) }
    };
    fields.done()?;
    Ok((page, CustomerList { which, show_archived }))
}

/// The one customer that a read is about.
pub(in crate::grpc) fn customer_id(customer_id: &str) -> Result<CustomerId, Status> {
    let mut fields = Fields::default();
    fields.id("customer_id", customer_id).ok_or_else(|| fields.refuse())
}

pub(in crate::grpc) fn batch_get_customers(
    request: &pb::BatchGetCustomersRequest,
) -> Result<Vec<Uuid>, Status> {
    let mut fields = Fields::default();
    let ids = super::ids(&mut fields, "customer_ids", &request.customer_ids);
    fields.done()?;
    Ok(ids)
}
