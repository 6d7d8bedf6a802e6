use std::collections::{HashMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use log::{Cause, Claim, Log, NewEvent, RequestKey};
use money::Money;
use proto::{
    events::v1::{OrderPlaced, OrderedLine},
    inventory::v1::{ReserveStockLine, ReserveStockRequest},
};
use tonic::{Code, Status};
use uuid::Uuid;

use crate::{
    OrdersError,
    domain::{self, Item, Move, Order, OrderStatus},
    grpc::Orders,
    store,
};

/// Orders that are placed while others commit go together in the next transaction.
pub(crate) type Placements = batch::Batcher<Placement, Result<Placed, OrdersError>, sqlx::Error>;

/// A reservation is not relied on when so little of its time is left.
const EXPIRY_MARGIN: TimeDelta = TimeDelta::seconds(10);

#[derive(Debug)]
pub(crate) struct PlaceOrder {
    pub(crate) request_key: Option<RequestKey>,
    pub(crate) cause: Cause,
    /// As it was read; it is placed only if nobody has changed it meanwhile.
    pub(crate) order: Order,
    pub(crate) items: Vec<Item>,
    /// When history has it placed; none for now.
    pub(crate) placed_at: Option<DateTime<Utc>>,
}

/// An order whose stock is reserved.
#[derive(Debug, Clone)]
pub(crate) struct Placement {
    request_key: Option<RequestKey>,
    cause: Cause,
    order: Order,
    items: Vec<Item>,
    placed_at: Option<DateTime<Utc>>,
    /// After that the stock may go to others.
    expires_at: DateTime<Utc>,
}

#[derive(Debug, Clone)]
pub(crate) enum Placed {
    Now(Box<Order>),
    /// It was placed before; read it again.
    Earlier,
}

/// Reserves all lines of a draft, or none, and commits it as placed.
#[tracing::instrument(name = "orders.place_order", skip_all, fields(order.id = %command.order.id))]
pub(crate) async fn place_order(
    orders: &Orders,
    command: PlaceOrder,
) -> Result<(Order, Vec<Item>), OrdersError> {
    let id = command.order.id;
    if command.order.status != OrderStatus::Draft {
        return placed_before(command);
    }
    let reserved = reserve(orders, &command).await?;
    let mut items = command.items;
    for item in items.iter_mut().filter(|item| !item.price_agreed) {
        if let Some(price) = reserved.prices.get(&item.sku) {
            item.price = *price;
        }
    }
    let mut order = command.order;
    (order.total_amount, order.tax_amount) = domain::totals(&items)?;
    let placement = Placement {
        request_key: command.request_key,
        cause: command.cause,
        order,
        items: items.clone(),
        placed_at: command.placed_at,
        expires_at: reserved.expires_at,
    };
    match orders.placements.submit(placement).await?? {
        Placed::Now(order) => Ok((*order, items)),
        Placed::Earlier => {
            let mut db = orders.log.pool().acquire().await?;
            let order = store::orders::get(&mut db, id).await?;
            Ok((order, store::items::of_order(&mut db, id).await?))
        }
    }
}

/// Repeating a command that has succeeded answers with the order; a cancelled one can not be placed.
fn placed_before(command: PlaceOrder) -> Result<(Order, Vec<Item>), OrdersError> {
    if command.order.status == OrderStatus::Cancelled {
        command.order.clone().after(Move::Place)?;
    }
    Ok((command.order, command.items))
}

struct Reserved {
    prices: HashMap<String, Money>,
    expires_at: DateTime<Utc>,
}

async fn reserve(orders: &Orders, command: &PlaceOrder) -> Result<Reserved, OrdersError> {
    let lines = command.items.iter();
    let lines = lines.map(|item| ReserveStockLine { sku: item.sku.clone(), quantity: item.qty });
    let request =
        ReserveStockRequest { order_id: command.order.id.to_string(), lines: lines.collect() };
    let answer =
        orders.inventory.clone().reserve_stock(request).await.map_err(refusal)?.into_inner();
    let expires_at = answer
        .expire_time
        .and_then(|time| DateTime::from_timestamp(time.seconds, u32::try_from(time.nanos).ok()?))
        .ok_or_else(|| away(Status::internal("a reservation without a time limit")))?;
    let prices = answer
        .products
        .into_iter()
        .map(|product| {
            let price = product.price.and_then(|price| Money::parse(&price.amount).ok());
            let price = price.ok_or_else(|| away(Status::internal("a product without a price")))?;
            Ok((product.sku, price))
        })
        .collect::<Result<_, OrdersError>>()?;
    Ok(Reserved { prices, expires_at })
}

/// What inventory-svc refuses goes on as it is; where it cannot be asked, time may help.
pub(crate) fn refusal(status: Status) -> OrdersError {
    match status.code() {
        Code::FailedPrecondition | Code::InvalidArgument | Code::AlreadyExists => {
            OrdersError::Stock(Box::new(status))
        }
        _ => away(status),
    }
}

fn away(status: Status) -> OrdersError {
    OrdersError::InventoryAway(Box::new(status))
}

/// Commits orders whose stock is reserved. Five statements however many; waits only for the same orders.
pub(crate) async fn commit_placements(
    log: Log,
    placements: Vec<Placement>,
) -> sqlx::Result<Vec<Result<Placed, OrdersError>>> {
    let mut tx = log.begin().await?;
    let now = store::orders::now(&mut tx).await?;
    let ids: Vec<Uuid> = placements.iter().map(|placement| placement.order.id.0).collect();
    let locked = store::orders::lock(&mut tx, &ids).await?;
    let mut locked: HashMap<Uuid, Order> =
        locked.into_iter().map(|order| (order.id.0, order)).collect();

    let mut verdicts: Vec<Result<Placed, OrdersError>> = Vec::with_capacity(placements.len());
    for placement in &placements {
        let verdict = decide(placement, locked.get(&placement.order.id.0), now);
        // The same order twice in a batch: the second finds it placed.
        if let Ok(Placed::Now(order)) = &verdict {
            locked.insert(order.id.0, Order::clone(order));
        }
        verdicts.push(verdict);
    }
    claim(&mut tx, &placements, &mut verdicts).await?;

    let placed: Vec<(&Placement, &Order)> = placements
        .iter()
        .zip(&verdicts)
        .filter_map(|(placement, verdict)| match verdict {
            Ok(Placed::Now(order)) => Some((placement, order.as_ref())),
            Ok(Placed::Earlier) | Err(_) => None,
        })
        .collect();
    let orders: Vec<&Order> = placed.iter().map(|(_, order)| *order).collect();
    let items: Vec<&Item> = placed
        .iter()
        .flat_map(|(placement, _)| placement.items.iter().filter(|item| !item.price_agreed))
        .collect();
    let events: Vec<NewEvent> = placed.iter().map(|(p, order)| event(p, order)).collect();
    store::orders::update(&mut tx, &orders).await?;
    store::items::update_prices(&mut tx, &items).await?;
    log.append(&mut tx, &events).await?;
    log.commit(tx).await?;
    Ok(verdicts)
}

fn decide(
    placement: &Placement,
    locked: Option<&Order>,
    now: DateTime<Utc>,
) -> Result<Placed, OrdersError> {
    let id = placement.order.id;
    let before = locked.ok_or(OrdersError::OrderNotFound(id))?;
    match before.status {
        OrderStatus::Placed | OrderStatus::Shipped | OrderStatus::Completed => {
            return Ok(Placed::Earlier);
        }
        OrderStatus::Draft | OrderStatus::Cancelled => (),
    }
    let mut order = before.clone().after(Move::Place)?;
    if before.version != placement.order.version || now + EXPIRY_MARGIN > placement.expires_at {
        return Err(OrdersError::Changed(id));
    }
    order.total_amount = placement.order.total_amount;
    order.tax_amount = placement.order.tax_amount;
    order.placed_at = Some(placement.placed_at.unwrap_or(now));
    Ok(Placed::Now(Box::new(order)))
}

/// Notes the requests of those that are placed; one whose id was used for something else is not placed.
async fn claim(
    tx: &mut sqlx::PgConnection,
    placements: &[Placement],
    verdicts: &mut [Result<Placed, OrdersError>],
) -> sqlx::Result<()> {
    let mut seen = HashSet::new();
    let mut claims = Vec::new();
    let mut indices = Vec::new();
    for (index, (placement, verdict)) in placements.iter().zip(verdicts.iter_mut()).enumerate() {
        let Some(key) = &placement.request_key else { continue };
        if !matches!(verdict, Ok(Placed::Now(_))) {
            continue;
        }
        if !seen.insert(key.id) {
            *verdict = Err(OrdersError::RequestIdUsed(key.id));
            continue;
        }
        claims.push((key, placement.order.id.to_string()));
        indices.push(index);
    }
    let found = log::claim_all(tx, store::SCHEMA, &claims).await?;
    for ((index, claim), (key, _)) in indices.into_iter().zip(found).zip(&claims) {
        // A draft that is placed now was not placed by an earlier request, so that one was another.
        if claim != Claim::New {
            verdicts[index] = Err(OrdersError::RequestIdUsed(key.id));
        }
    }
    Ok(())
}

fn event(placement: &Placement, order: &Order) -> NewEvent {
    let lines = placement.items.iter().map(|item| OrderedLine {
        line_id: item.id.to_string(),
        sku: item.sku.clone(),
        quantity: item.qty,
        unit_price: Some(rpc::to_money(item.price)),
    });
    let data = OrderPlaced {
        order_id: order.id.to_string(),
        customer_id: order.customer_id.to_string(),
        total: Some(rpc::to_money(order.total_amount)),
        tax: Some(rpc::to_money(order.tax_amount)),
        place_time: order.placed_at.map(Into::into),
        lines: lines.collect(),
    };
    NewEvent::new("order.placed", order.id, order.version, &data, &placement.cause)
}
