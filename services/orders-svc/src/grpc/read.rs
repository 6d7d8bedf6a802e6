//! Requests as commands: every field is looked at before a request is refused.

mod customers;
mod lines;

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use ids::{CustomerId, OrderId, OrderItemId};
use log::{Cause, RequestKey};
use money::Money;
use proto::orders::v1 as pb;
use rpc::{Fields, Page};
use tonic::Status;
use uuid::Uuid;

use crate::{
    OrdersError,
    commands::{
        CancelOrder, DeleteOrder, HoldOrder, NewDraft, ReleaseOrder, ReturnOrder, ShipOrder,
        UpdateOrder,
    },
    domain::{self, Order, OrderStatus},
    grpc::Orders,
    queries::OrderList,
    store::{self, TimeKey, orders::Times},
};

pub(super) use customers::{
    archive_customer, batch_get_customers, create_customer, create_customers, customer_id,
    list_customers, restore_customer, update_customer,
};

const LINES_MAX: usize = 500;
const BATCH_MAX: usize = 1000;
const BATCH_GET_MAX: usize = 100;
const QUANTITY_MAX: i32 = 1_000_000;
/// Shipments or returns of a page: each may have as many lines as the order.
const PARTS_DEFAULT: i32 = 50;
const PARTS_MAX: i32 = 100;
const REASON_MAX: usize = 255;
const CHANGEABLE: [&str; 3] = ["customer_id", "lines", "metadata"];

/// Reads an order and looks its SKUs up in the catalogue, so that an unknown one is named with all else that is wrong.
pub(super) async fn create_order(
    orders: &Orders,
    request: pb::CreateOrderRequest,
) -> Result<NewDraft, Status> {
    if request.place_time.is_some() {
        rpc::require("orders.import")?;
    }
    let mut fields = Fields::default();
    let request_id = fields.request_id(&request.request_id);
    let request_key = request_id.map(|id| RequestKey::new(id, "CreateOrder", &request));
    let customer_id: Option<CustomerId> = fields.id("customer_id", &request.customer_id);
    let placed_at = fields.optional_time("place_time", request.place_time);
    if placed_at.is_some() && !request.place {
        fields.bad("place_time", "is possible with `place` only");
    }
    let metadata = fields.metadata("metadata", request.metadata);
    let items = lines::lines(orders, &mut fields, request.lines).await?;
    if !fields.is_clean() {
        name_what_the_database_knows(orders, &mut fields, customer_id, placed_at).await?;
    }
    let Some(customer_id) = customer_id else { return Err(fields.refuse()) };
    fields.done()?;

    let (total_amount, tax_amount) = domain::totals(&items).map_err(OrdersError::from)?;
    let order = Order {
        id: OrderId::generate(),
        customer_id,
        status: OrderStatus::Draft,
        total_amount,
        tax_amount,
        returned_amount: Money::ZERO,
        returned_tax: Money::ZERO,
        created_at: DateTime::UNIX_EPOCH,
        placed_at: None,
        paid: false,
        cancel_reason: String::new(),
        held_at: None,
        hold_reason: String::new(),
        version: 1,
        metadata,
    };
    let cause = Cause::of_call().with_request(request_id);
    Ok(NewDraft { request_key, cause, order, items, place: request.place, placed_at })
}

/// An order that is refused anyway hears what would be refused next, too.
async fn name_what_the_database_knows(
    orders: &Orders,
    fields: &mut Fields,
    customer_id: Option<CustomerId>,
    placed_at: Option<DateTime<Utc>>,
) -> Result<(), OrdersError> {
    name_unknown(orders, fields, "customer_id", customer_id).await?;
    if let Some(placed_at) = placed_at
        && placed_at > store::orders::now(&mut *orders.db().await?).await?
    {
        fields.bad("place_time", OrdersError::PlacedInFuture.to_string());
    }
    Ok(())
}

/// Customers never go, so one that is known needs no second look.
async fn name_unknown(
    orders: &Orders,
    fields: &mut Fields,
    field: &str,
    id: Option<CustomerId>,
) -> Result<(), OrdersError> {
    if let Some(id) = id
        && store::customers::standing(&mut *orders.db().await?, &[id.0]).await?.is_empty()
    {
        fields.bad(field, OrdersError::UnknownCustomer(id).to_string());
    }
    Ok(())
}

pub(super) async fn update_order(
    orders: &Orders,
    request: pb::UpdateOrderRequest,
) -> Result<UpdateOrder, Status> {
    let mut fields = Fields::default();
    let request_id = fields.request_id(&request.request_id);
    let request_key = request_id.map(|id| RequestKey::new(id, "UpdateOrder", &request));
    let given = request.order.unwrap_or_default();
    let id: Option<OrderId> = fields.id("order.order_id", &given.order_id);
    let mask = fields.update_mask(request.update_mask, &CHANGEABLE);
    let is_named = |field: &str| mask.iter().any(|path| path == field);
    let mut customer_id = None;
    if is_named("customer_id") {
        customer_id = fields.id("order.customer_id", &given.customer_id);
        name_unknown(orders, &mut fields, "order.customer_id", customer_id).await?;
    }
    let mut items = None;
    if is_named("lines") {
        items = Some(lines::lines(orders, &mut fields, request.lines).await?);
    }
    let metadata = is_named("metadata").then(|| fields.metadata("order.metadata", given.metadata));
    let Some(id) = id else { return Err(fields.refuse()) };
    fields.done()?;
    let (cause, etag) = (Cause::of_call().with_request(request_id), given.etag);
    Ok(UpdateOrder { request_key, cause, id, etag, customer_id, items, metadata })
}

pub(super) fn delete_order(request: pb::DeleteOrderRequest) -> Result<DeleteOrder, Status> {
    let mut fields = Fields::default();
    let request_id = fields.request_id(&request.request_id);
    let request_key = request_id.map(|id| RequestKey::new(id, "DeleteOrder", &request));
    let id: Option<OrderId> = fields.id("order_id", &request.order_id);
    let Some(id) = id else { return Err(fields.refuse()) };
    fields.done()?;
    let cause = Cause::of_call().with_request(request_id);
    Ok(DeleteOrder { request_key, cause, id, etag: request.etag })
}

pub(super) fn place_order(
    request: &pb::PlaceOrderRequest,
) -> Result<(Option<RequestKey>, Cause, OrderId), Status> {
    let mut fields = Fields::default();
    let request_id = fields.request_id(&request.request_id);
    let request_key = request_id.map(|id| RequestKey::new(id, "PlaceOrder", request));
    let id: Option<OrderId> = fields.id("order_id", &request.order_id);
    let Some(id) = id else { return Err(fields.refuse()) };
    fields.done()?;
    Ok((request_key, Cause::of_call().with_request(request_id), id))
}

pub(super) fn hold_order(request: pb::HoldOrderRequest) -> Result<HoldOrder, Status> {
    let mut fields = Fields::default();
    let request_id = fields.request_id(&request.request_id);
    let request_key = request_id.map(|id| RequestKey::new(id, "HoldOrder", &request));
    let id: Option<OrderId> = fields.id("order_id", &request.order_id);
    let reason = fields.text("reason", request.reason, 0, REASON_MAX);
    let Some(id) = id else { return Err(fields.refuse()) };
    fields.done()?;
    let cause = Cause::of_call().with_request(request_id);
    Ok(HoldOrder { request_key, cause, id, reason })
}

pub(super) fn release_order(request: &pb::ReleaseOrderRequest) -> Result<ReleaseOrder, Status> {
    let mut fields = Fields::default();
    let request_id = fields.request_id(&request.request_id);
    let request_key = request_id.map(|id| RequestKey::new(id, "ReleaseOrder", request));
    let id: Option<OrderId> = fields.id("order_id", &request.order_id);
    let Some(id) = id else { return Err(fields.refuse()) };
    fields.done()?;
    Ok(ReleaseOrder { request_key, cause: Cause::of_call().with_request(request_id), id })
}

pub(super) fn ship_order(request: pb::ShipOrderRequest) -> Result<ShipOrder, Status> {
    let mut fields = Fields::default();
    let request_id = fields.request_id(&request.request_id);
    let request_key = request_id.map(|id| RequestKey::new(id, "ShipOrder", &request));
    let id: Option<OrderId> = fields.id("order_id", &request.order_id);
    fields.count("lines", request.lines.len(), 0, LINES_MAX);
    let mut lines = Vec::with_capacity(request.lines.len());
    let mut seen = BTreeSet::<Uuid>::new();
    for (index, line) in request.lines.into_iter().take(LINES_MAX).enumerate() {
        let field = format!("lines[{index}].line_id");
        let item: Option<OrderItemId> = fields.id(&field, &line.line_id);
        let quantity = format!("lines[{index}].quantity");
        let qty = fields.within(&quantity, line.quantity, 1, QUANTITY_MAX);
        if let Some(item) = item {
            if !seen.insert(item.0) {
                fields.bad(field, "is there twice");
            }
            lines.push((item, qty));
        }
    }
    let Some(id) = id else { return Err(fields.refuse()) };
    fields.done()?;
    Ok(ShipOrder { request_key, cause: Cause::of_call().with_request(request_id), id, lines })
}

pub(super) fn cancel_order(request: pb::CancelOrderRequest) -> Result<CancelOrder, Status> {
    let mut fields = Fields::default();
    let request_id = fields.request_id(&request.request_id);
    let request_key = request_id.map(|id| RequestKey::new(id, "CancelOrder", &request));
    let id: Option<OrderId> = fields.id("order_id", &request.order_id);
    let reason = fields.text("reason", request.reason, 0, REASON_MAX);
    let Some(id) = id else { return Err(fields.refuse()) };
    fields.done()?;
    let cause = Cause::of_call().with_request(request_id);
    Ok(CancelOrder { request_key, cause, id, reason })
}

pub(super) fn return_order(request: pb::ReturnOrderRequest) -> Result<ReturnOrder, Status> {
    let mut fields = Fields::default();
    let request_id = fields.request_id(&request.request_id);
    let request_key = request_id.map(|id| RequestKey::new(id, "ReturnOrder", &request));
    let id: Option<OrderId> = fields.id("order_id", &request.order_id);
    fields.count("lines", request.lines.len(), 1, LINES_MAX);
    let mut lines = Vec::with_capacity(request.lines.len());
    let mut seen = BTreeSet::<(Uuid, bool)>::new();
    for (index, line) in request.lines.into_iter().take(LINES_MAX).enumerate() {
        let field = |name: &str| format!("lines[{index}].{name}");
        let item: Option<OrderItemId> = fields.id(&field("line_id"), &line.line_id);
        let qty = fields.within(&field("quantity"), line.quantity, 1, QUANTITY_MAX);
        let restock = restock(&mut fields, &field("disposition"), line.disposition);
        if let (Some(item), Some(restock)) = (item, restock) {
            if !seen.insert((item.0, restock)) {
                fields.bad(field("line_id"), "is there twice with the same disposition");
            }
            lines.push((item, qty, restock));
        }
    }
    let reason = fields.text("reason", request.reason, 0, REASON_MAX);
    let Some(id) = id else { return Err(fields.refuse()) };
    fields.done()?;
    let cause = Cause::of_call().with_request(request_id);
    Ok(ReturnOrder { request_key, cause, id, lines, reason })
}

fn restock(fields: &mut Fields, field: &str, disposition: i32) -> Option<bool> {
    match pb::ReturnDisposition::try_from(disposition) {
        Ok(pb::ReturnDisposition::Restock) => Some(true),
        Ok(pb::ReturnDisposition::Scrap) => Some(false),
        Ok(pb::ReturnDisposition::Unspecified) | Err(_) => {
            fields.bad(field, "is neither RETURN_DISPOSITION_RESTOCK nor RETURN_DISPOSITION_SCRAP");
            None
        }
    }
}

/// The one order that a read is about.
pub(super) fn order_id(order_id: &str) -> Result<OrderId, Status> {
    let mut fields = Fields::default();
    fields.id("order_id", order_id).ok_or_else(|| fields.refuse())
}

pub(super) fn batch_get_orders(request: &pb::BatchGetOrdersRequest) -> Result<Vec<Uuid>, Status> {
    let mut fields = Fields::default();
    let ids = ids(&mut fields, "order_ids", &request.order_ids);
    fields.done()?;
    Ok(ids)
}

/// Keys of what is to be read together.
fn ids(fields: &mut Fields, field: &str, ids: &[String]) -> Vec<Uuid> {
    fields.count(field, ids.len(), 1, BATCH_GET_MAX);
    let ids = ids.iter().take(BATCH_GET_MAX).enumerate();
    ids.filter_map(|(index, id)| fields.id(&format!("{field}[{index}]"), id)).collect()
}

pub(super) fn list_orders(
    request: &pb::ListOrdersRequest,
) -> Result<(Page, OrderList, Option<TimeKey>), Status> {
    let mut fields = Fields::default();
    let unpaged =
        pb::ListOrdersRequest { page_size: 0, page_token: String::new(), ..request.clone() };
    let filters = format!("{unpaged:?}");
    let page = Page::read(&mut fields, request.page_size, &request.page_token, &filters);
    let before: Option<TimeKey> = page.token.key(&mut fields);
    let customer_id = fields.optional_id("customer_id", &request.customer_id);
    let status = status(&mut fields, request.status);
    let mut time = |field: &str, time| fields.optional_time(field, time);
    let placed: Times = time("place_time_from", request.place_time_from)
        ..time("place_time_before", request.place_time_before);
    let created: Times = time("create_time_from", request.create_time_from)
        ..time("create_time_before", request.create_time_before);
    if request.customer_id.is_empty() && created != (None..None) {
        let field = if created.start.is_some() { "create_time_from" } else { "create_time_before" };
        fields.bad(field, "is possible with customer_id only");
    }
    fields.done()?;
    let list = match customer_id {
        Some(id) => OrderList::OfCustomer { id, created, placed, status },
        None if placed != (None..None) => OrderList::Placed { placed, status },
        None => OrderList::All { status },
    };
    Ok((page, list, before))
}

/// A page of what belongs to an order.
pub(super) fn page_of_order(
    order_id: &str,
    page_size: i32,
    page_token: &str,
) -> Result<(OrderId, Page, Option<TimeKey>), Status> {
    let mut fields = Fields::default();
    let id: Option<OrderId> = fields.id("order_id", order_id);
    let (default, max) = (PARTS_DEFAULT, PARTS_MAX);
    let page = Page::read_up_to(&mut fields, page_size, page_token, order_id, default, max);
    let after: Option<TimeKey> = page.token.key(&mut fields);
    let Some(id) = id else { return Err(fields.refuse()) };
    fields.done()?;
    Ok((id, page, after))
}

/// A filter: unspecified is none.
fn status(fields: &mut Fields, status: i32) -> Option<OrderStatus> {
    match pb::OrderStatus::try_from(status) {
        Ok(pb::OrderStatus::Unspecified) => None,
        Ok(pb::OrderStatus::Draft) => Some(OrderStatus::Draft),
        Ok(pb::OrderStatus::Placed) => Some(OrderStatus::Placed),
        Ok(pb::OrderStatus::Cancelled) => Some(OrderStatus::Cancelled),
        Ok(pb::OrderStatus::Shipped) => Some(OrderStatus::Shipped),
        Ok(pb::OrderStatus::Completed) => Some(OrderStatus::Completed),
        Err(_) => {
            fields.bad("status", "is not a status of an order");
            None
        }
    }
}
