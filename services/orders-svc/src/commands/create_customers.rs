use ids::CustomerId;
use log::{Cause, Log, NewEvent, RequestKey};
use proto::events::v1::CustomerChanged;

use crate::{OrdersError, domain::Customer, store};

#[derive(Debug)]
pub(crate) struct CreateCustomers {
    pub(crate) cause: Cause,
    pub(crate) customers: Vec<NewCustomer>,
}

#[derive(Debug, Clone)]
pub(crate) struct NewCustomer {
    pub(crate) id: CustomerId,
    pub(crate) name: String,
    pub(crate) email: String,
    pub(crate) phone: String,
    pub(crate) metadata: Option<serde_json::Value>,
}

/// Adds one customer, and refuses an e-mail address that is taken.
#[tracing::instrument(name = "orders.create_customer", skip_all)]
pub(crate) async fn create_customer(
    log: &Log,
    cause: &Cause,
    request_key: Option<RequestKey>,
    customer: NewCustomer,
) -> Result<Customer, OrdersError> {
    let mut tx = log.begin().await?;
    let request_key = request_key.as_ref();
    if let Some(earlier) = log::answered(&mut tx, store::SCHEMA, request_key, customer.id).await? {
        let earlier = earlier.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
        return store::customers::get(&mut tx, earlier).await;
    }
    let customers = std::slice::from_ref(&customer);
    let added = store::customers::insert(&mut tx, customers).await?;
    let found = store::customers::find_by_emails(&mut tx, &[customer.email]).await?;
    let found = found.into_iter().next().ok_or(sqlx::Error::RowNotFound)?;
    if added.is_empty() {
        return Err(OrdersError::EmailTaken { customer_id: found.id });
    }
    log.append(&mut tx, &[customer_event("customer.created", found.id, 1, cause)]).await?;
    log.commit(tx).await?;
    Ok(found)
}

/// Adds those whose e-mail address is new and answers with all, in the order of the request. Three statements however many.
#[tracing::instrument(name = "orders.create_customers", skip_all, fields(count = command.customers.len()))]
pub(crate) async fn create_customers(
    log: &Log,
    command: CreateCustomers,
) -> Result<Vec<Customer>, OrdersError> {
    let emails: Vec<String> = command.customers.iter().map(|c| c.email.clone()).collect();
    let mut tx = log.begin().await?;
    let added = store::customers::insert(&mut tx, &command.customers).await?;
    let created = |id| customer_event("customer.created", id, 1, &command.cause);
    log.append(&mut tx, &added.into_iter().map(created).collect::<Vec<_>>()).await?;
    let found = store::customers::find_by_emails(&mut tx, &emails).await?;
    if found.len() != emails.len() {
        return Err(sqlx::Error::RowNotFound.into());
    }
    log.commit(tx).await?;
    Ok(found)
}

/// Who, and no more: personal data is not published.
pub(super) fn customer_event(
    what: &'static str,
    id: CustomerId,
    version: i32,
    cause: &Cause,
) -> NewEvent {
    NewEvent::new(what, id, version, &CustomerChanged { customer_id: id.to_string() }, cause)
}
