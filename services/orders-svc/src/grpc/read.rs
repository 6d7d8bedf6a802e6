//! Requests as commands: every field is looked at before a request is refused.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use ids::{CustomerId, OrderId, OrderItemId};
use log::{Cause, RequestKey};
use money::Money;
use proto::{inventory::v1::BatchGetProductsRequest, orders::v1 as pb};
use rpc::Fields;
use rust_decimal::Decimal;
use tonic::Status;
use uuid::Uuid;

use crate::{
    OrdersError,
    commands::{self, CreateCustomers, NewCustomer, NewDraft, ShipOrder},
    domain::{self, Item, Order, OrderStatus},
    grpc::Orders,
    store,
};

const LINES_MAX: usize = 500;
const BATCH_MAX: usize = 1000;
const QUANTITY_MAX: i32 = 1_000_000;

/// `prefix` is where the customer stands in the request, such as `requests[3].`.
pub(super) fn customer(
    fields: &mut Fields,
    prefix: &str,
    request: pb::CreateCustomerRequest,
) -> NewCustomer {
    NewCustomer {
        id: CustomerId::generate(),
        name: fields.text(&format!("{prefix}name"), request.name, 1, 255),
        email: fields.email(&format!("{prefix}email"), request.email),
        phone: fields.text(&format!("{prefix}phone"), request.phone, 0, 50),
        metadata: fields.metadata(&format!("{prefix}metadata"), request.metadata),
    }
}

pub(super) fn create_customers(
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

/// Reads an order and looks its SKUs up in the catalogue, so that an unknown one is named with all else that is wrong.
pub(super) async fn create_order(
    orders: &Orders,
    request: pb::CreateOrderRequest,
) -> Result<NewDraft, Status> {
    if request.place_time.is_some() {
        rpc::require("orders.import")?;
    }
    if request.lines.iter().any(|line| line.unit_price.is_some()) {
        rpc::require("orders.price")?;
    }
    let mut fields = Fields::default();
    let request_id = fields.request_id(&request.request_id);
    let request_key = request_id.map(|id| RequestKey::new(id, "CreateOrder", &request));
    let customer_id: Option<CustomerId> = fields.id("customer_id", &request.customer_id);
    fields.count("lines", request.lines.len(), 1, LINES_MAX);
    let placed_at = fields.optional_time("place_time", request.place_time);
    if placed_at.is_some() && !request.place {
        fields.bad("place_time", "is possible with `place` only");
    }
    let metadata = fields.metadata("metadata", request.metadata);
    let lines: Vec<pb::CreateOrderLine> = request.lines.into_iter().take(LINES_MAX).collect();
    let catalogue = look_up(orders, &lines).await?;
    let items: Vec<Item> = lines
        .into_iter()
        .enumerate()
        .map(|(index, line)| read_line(&mut fields, index, line, &catalogue))
        .collect();
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
        created_at: DateTime::UNIX_EPOCH,
        placed_at: None,
        paid: false,
        cancel_reason: String::new(),
        version: 1,
        metadata,
    };
    let cause = Cause::of_call();
    Ok(NewDraft { request_key, cause, order, items, place: request.place, placed_at })
}

fn read_line(
    fields: &mut Fields,
    index: usize,
    line: pb::CreateOrderLine,
    catalogue: &HashMap<String, Money>,
) -> Item {
    let field = |name: &str| format!("lines[{index}].{name}");
    let sku = fields.sku(&field("sku"), line.sku);
    let qty = fields.within(&field("quantity"), line.quantity, 1, QUANTITY_MAX);
    let listed = catalogue.get(&sku).copied();
    if listed.is_none() && is_sku(&sku) {
        fields.bad(field("sku"), format!("{sku} is not in the catalogue"));
    }
    let agreed = line.unit_price.as_ref();
    let agreed = agreed.map(|price| price_of_one(fields, &field("unit_price"), price));
    Item {
        id: OrderItemId::generate(),
        sku,
        qty,
        price: agreed.or(listed).unwrap_or_default(),
        price_agreed: agreed.is_some(),
        tax_rate: tax_rate(fields, &field("tax_rate"), &line.tax_rate),
        shipped_qty: 0,
    }
}

/// Prices have two digits less than amounts.
fn price_of_one(fields: &mut Fields, field: &str, price: &proto::common::v1::Money) -> Money {
    let read = fields.money(field, Some(price));
    if read.hundredths() > 999_999_999_999 {
        fields.bad(format!("{field}.amount"), "is out of range: at most 9999999999.99");
    }
    read
}

fn tax_rate(fields: &mut Fields, field: &str, text: &str) -> Decimal {
    if text.is_empty() {
        return Decimal::ZERO;
    }
    let (whole, places) = text.split_once('.').unwrap_or((text, "0"));
    let plain = |digits: &str| digits.bytes().all(|b| b.is_ascii_digit()) && !digits.is_empty();
    let rate = text.parse::<Decimal>().ok().filter(|rate| *rate <= Decimal::ONE);
    match rate {
        Some(rate) if plain(whole) && plain(places) && places.len() <= 4 => rate,
        _ => {
            fields.bad(field, "is not a rate from 0 to 1 with at most four places, such as 0.20");
            Decimal::ZERO
        }
    }
}

/// The prices of those SKUs that the catalogue has.
async fn look_up(
    orders: &Orders,
    lines: &[pb::CreateOrderLine],
) -> Result<HashMap<String, Money>, OrdersError> {
    let skus: BTreeSet<&String> =
        lines.iter().map(|line| &line.sku).filter(|sku| is_sku(sku)).collect();
    if skus.is_empty() {
        return Ok(HashMap::new());
    }
    let request = BatchGetProductsRequest { skus: skus.into_iter().cloned().collect() };
    let found = orders.inventory.clone().batch_get_products(request).await;
    let found = found.map_err(commands::not_asked)?.into_inner();
    found.products.into_iter().map(commands::price_of).collect()
}

fn is_sku(text: &str) -> bool {
    let mut fields = Fields::default();
    fields.sku("sku", text.to_owned());
    fields.is_clean()
}

/// An order that is refused anyway hears what would be refused next, too.
async fn name_what_the_database_knows(
    orders: &Orders,
    fields: &mut Fields,
    customer_id: Option<CustomerId>,
    placed_at: Option<DateTime<Utc>>,
) -> Result<(), OrdersError> {
    let mut db = orders.db().await?;
    if let Some(id) = customer_id
        && store::customers::existing(&mut db, &[id.0]).await?.is_empty()
    {
        fields.bad("customer_id", OrdersError::UnknownCustomer(id).to_string());
    }
    if let Some(placed_at) = placed_at
        && placed_at > store::orders::now(&mut db).await?
    {
        fields.bad("place_time", OrdersError::PlacedInFuture.to_string());
    }
    Ok(())
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
    Ok(ShipOrder { request_key, cause: Cause::of_call(), id, lines })
}

/// A filter: unspecified is none.
pub(super) fn status(fields: &mut Fields, status: i32) -> Option<OrderStatus> {
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
