use std::collections::{HashMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use ids::{CustomerId, OrderId};
use log::{Cause, Claim, Log, NewEvent, RequestKey};
use money::Money;
use proto::{
    events::v1::{OrderPlaced, OrderedLine},
    inventory::v1::{Product, ReserveStockLine, ReserveStockRequest},
};
use sqlx::PgConnection;
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

/// The order that a command answers with.
#[derive(Debug)]
pub(crate) enum Answer {
    /// As the command has just made it.
    New(Box<Order>, Vec<Item>),
    /// As earlier commands have made it: to be read.
    Known(OrderId),
}

/// An order that is to be placed.
#[derive(Debug, Clone)]
pub(crate) struct Placement {
    request_key: Option<RequestKey>,
    cause: Cause,
    order: Order,
    items: Vec<Item>,
    placed_at: Option<DateTime<Utc>>,
    /// After that the stock may go to others. None when it was no draft any more, so that nothing was reserved.
    reserved_until: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone)]
pub(crate) enum Placed {
    Now(Box<Order>),
    Earlier,
}

/// Places an order as it is now.
pub(crate) async fn place_draft(
    orders: &Orders,
    request_key: Option<RequestKey>,
    cause: Cause,
    id: OrderId,
) -> Result<Answer, OrdersError> {
    let mut db = orders.log.pool().acquire().await?;
    let order = store::orders::get(&mut db, id).await?;
    let items = store::items::of_order(&mut db, id).await?;
    // Looked at again when it is committed; but what cannot be placed need not reserve anything.
    if order.status == OrderStatus::Draft {
        let archived = store::customers::archived(&mut db, &[order.customer_id.0]).await?;
        if archived.contains(&order.customer_id) {
            return Err(OrdersError::CustomerArchived(order.customer_id));
        }
        order.clone().after(Move::Place)?;
    }
    // Not kept while inventory-svc is asked.
    drop(db);
    let command = PlaceOrder { request_key, cause, order, items, placed_at: None };
    place_order(orders, command).await
}

/// Reserves all lines of a draft, or none, and commits it as placed. An order that was placed before is left as it is.
#[tracing::instrument(name = "orders.place_order", skip_all, fields(order.id = %command.order.id))]
pub(crate) async fn place_order(
    orders: &Orders,
    command: PlaceOrder,
) -> Result<Answer, OrdersError> {
    let PlaceOrder { request_key, cause, mut order, mut items, placed_at } = command;
    let id = order.id;
    let reserved_until = match order.status {
        OrderStatus::Draft => reserve(orders, id, &mut items).await?,
        OrderStatus::Placed
        | OrderStatus::Cancelled
        | OrderStatus::Shipped
        | OrderStatus::Completed => None,
    };
    (order.total_amount, order.tax_amount) = domain::totals(&items)?;
    let placement =
        Placement { request_key, cause, order, items: items.clone(), placed_at, reserved_until };
    Ok(match orders.placements.submit(placement).await?? {
        Placed::Now(order) => Answer::New(order, items),
        Placed::Earlier => Answer::Known(id),
    })
}

/// Reserves the lines of a draft, and gives those without an agreed price the catalogue's. None when it turns out to be no draft any
/// more: what became of it says more than what inventory-svc says then.
async fn reserve(
    orders: &Orders,
    id: OrderId,
    items: &mut [Item],
) -> Result<Option<DateTime<Utc>>, OrdersError> {
    let lines = items.iter();
    let lines = lines.map(|item| ReserveStockLine { sku: item.sku.clone(), quantity: item.qty });
    let request = ReserveStockRequest {
        order_id: id.to_string(),
        lines: lines.collect(),
        ..ReserveStockRequest::default()
    };
    let answer = match orders.inventory.clone().reserve_stock(request).await {
        Ok(answer) => answer.into_inner(),
        Err(status) => {
            let refusal = refusal(status);
            if refusal.is_final() {
                let mut db = orders.log.pool().acquire().await?;
                if store::orders::get(&mut db, id).await?.status != OrderStatus::Draft {
                    return Ok(None);
                }
            }
            return Err(refusal);
        }
    };
    let prices: HashMap<String, Money> =
        answer.products.into_iter().map(price_of).collect::<Result<_, _>>()?;
    for item in items.iter_mut().filter(|item| !item.price_agreed) {
        let price = prices.get(&item.sku);
        item.price = *price.ok_or_else(|| unclear("a reserved product is not in the answer"))?;
    }
    let until = answer
        .expire_time
        .and_then(|time| DateTime::from_timestamp(time.seconds, u32::try_from(time.nanos).ok()?))
        .ok_or_else(|| unclear("a reservation has no time limit"))?;
    Ok(Some(until))
}

/// What the catalogue asks for one.
pub(crate) fn price_of(product: Product) -> Result<(String, Money), OrdersError> {
    let price = rpc::from_money(product.price.as_ref());
    Ok((product.sku, price.map_err(|error| unclear(&format!("a price: {error}")))?))
}

/// What inventory-svc refuses goes on as it is; where it cannot be asked, time may help.
fn refusal(status: Status) -> OrdersError {
    match status.code() {
        Code::FailedPrecondition | Code::InvalidArgument | Code::AlreadyExists => {
            OrdersError::Stock(Box::new(status))
        }
        _ => not_asked(status),
    }
}

/// inventory-svc could not be asked, or not in time.
pub(crate) fn not_asked(status: Status) -> OrdersError {
    match status.code() {
        // A transport whose deadline has passed calls it cancelled.
        Code::DeadlineExceeded | Code::Cancelled => OrdersError::InventoryLate(Box::new(status)),
        _ => OrdersError::InventoryAway(Box::new(status)),
    }
}

fn unclear(why: &str) -> OrdersError {
    OrdersError::InventoryAway(Box::new(Status::internal(why)))
}

/// Commits orders whose stock is reserved. Eight statements however many; waits only for the same orders and equal requests.
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
    let mut claims = claim(&mut tx, &placements).await?;
    let customers: Vec<Uuid> = locked.values().map(|order| order.customer_id.0).collect();
    let archived = store::customers::archived(&mut tx, &customers).await?;

    let mut verdicts: Vec<Result<Placed, OrdersError>> = Vec::with_capacity(placements.len());
    let mut refused: Vec<Uuid> = Vec::new();
    for placement in &placements {
        let key = placement.request_key.as_ref();
        let claim = key.and_then(|_| claims.next());
        let before = locked.get(&placement.order.id.0);
        let verdict = decide(placement, claim.as_ref(), before, &archived, now);
        // The same order twice in a batch: the second finds it placed.
        if let Ok(Placed::Now(order)) = &verdict {
            locked.insert(order.id.0, Order::clone(order));
        }
        if let (Err(_), Some(Claim::New), Some(key)) = (&verdict, claim, key) {
            refused.push(key.id);
        }
        verdicts.push(verdict);
    }
    store::requests::forget(&mut tx, &refused).await?;
    save(&log, &mut tx, &placements, &verdicts).await?;
    log.commit(tx).await?;
    Ok(verdicts)
}

/// What is known of the requests of those placements that have one, in their order.
async fn claim(
    tx: &mut PgConnection,
    placements: &[Placement],
) -> sqlx::Result<std::vec::IntoIter<Claim>> {
    let claims: Vec<_> = placements
        .iter()
        .filter_map(|one| Some((one.request_key.as_ref()?, one.order.id.to_string())))
        .collect();
    Ok(log::claim_all(tx, store::SCHEMA, &claims).await?.into_iter())
}

fn decide(
    placement: &Placement,
    claim: Option<&Claim>,
    locked: Option<&Order>,
    archived: &HashSet<CustomerId>,
    now: DateTime<Utc>,
) -> Result<Placed, OrdersError> {
    let id = placement.order.id;
    let before = locked.ok_or(OrdersError::OrderNotFound(id))?;
    match (claim, &placement.request_key) {
        (Some(Claim::Other), Some(key)) => return Err(OrdersError::RequestIdUsed(key.id)),
        // This very request placed it, whatever became of it since.
        (Some(Claim::Answered(_)), _) if before.placed_at.is_some() => return Ok(Placed::Earlier),
        _ => (),
    }
    match before.status {
        OrderStatus::Placed | OrderStatus::Shipped | OrderStatus::Completed => {
            return Ok(Placed::Earlier);
        }
        OrderStatus::Draft | OrderStatus::Cancelled => (),
    }
    let mut order = before.clone().after(Move::Place)?;
    if archived.contains(&order.customer_id) {
        return Err(OrdersError::CustomerArchived(order.customer_id));
    }
    let reserved_until = placement.reserved_until.ok_or(OrdersError::Changed(id))?;
    if before.version != placement.order.version {
        return Err(OrdersError::Changed(id));
    }
    if now + EXPIRY_MARGIN > reserved_until {
        return Err(OrdersError::ReservationRanOut(id));
    }
    order.total_amount = placement.order.total_amount;
    order.tax_amount = placement.order.tax_amount;
    order.placed_at = Some(placement.placed_at.unwrap_or(now));
    Ok(Placed::Now(Box::new(order)))
}

async fn save(
    log: &Log,
    tx: &mut PgConnection,
    placements: &[Placement],
    verdicts: &[Result<Placed, OrdersError>],
) -> sqlx::Result<()> {
    let placed: Vec<(&Placement, &Order)> = placements
        .iter()
        .zip(verdicts)
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
    store::orders::update(tx, &orders).await?;
    store::items::update_prices(tx, &items).await?;
    log.append(tx, &events).await
}

fn event(placement: &Placement, order: &Order) -> NewEvent {
    let lines = placement.items.iter().map(|item| OrderedLine {
        line_id: item.id.to_string(),
        sku: item.sku.clone(),
        quantity: item.qty,
        unit_price: Some(rpc::to_money(item.price)),
        tax_rate: item.tax_rate.normalize().to_string(),
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
