use ids::OrderId;
use log::{Cause, Log, NewEvent, RequestKey};
use proto::events::v1::{CancelledLine, OrderCancelled, OrderPartCancelled};
use sqlx::PgConnection;

use super::ship_order::completed;
use crate::{
    OrdersError,
    domain::{self, Item, Move, Order, OrderStatus, Portion},
    store,
};

#[derive(Debug)]
pub(crate) struct CancelOrder {
    pub(crate) request_key: Option<RequestKey>,
    pub(crate) cause: Cause,
    pub(crate) id: OrderId,
    /// Why; may be empty.
    pub(crate) reason: String,
}

/// Locks the order; inventory-svc and billing-svc hear of it by its event, release the stock and void or credit the invoice. Of an order of
/// which a part has left the rest is given up.
#[tracing::instrument(name = "orders.cancel_order", skip_all, fields(order.id = %command.id))]
pub(crate) async fn cancel_order(log: &Log, command: CancelOrder) -> Result<(), OrdersError> {
    let mut tx = log.begin().await?;
    let before = store::orders::lock_one(&mut tx, command.id).await?;
    let request_key = command.request_key.as_ref();
    let answered = log::answered(&mut tx, store::SCHEMA, request_key, command.id).await?;
    if answered.is_some() {
        return Ok(());
    }
    let items = store::items::of_order(&mut tx, command.id).await?;
    if !was_cancelled(&before, &items) {
        let events = if items.iter().any(|item| item.shipped_qty > 0) {
            cancel_rest(&mut tx, before, items, command).await?
        } else {
            cancel_all(&mut tx, before, command).await?
        };
        log.append(&mut tx, &events).await?;
    }
    log.commit(tx).await?;
    Ok(())
}

/// Whether an earlier call has done it.
fn was_cancelled(order: &Order, items: &[Item]) -> bool {
    order.status == OrderStatus::Cancelled || items.iter().any(|item| item.cancelled_qty > 0)
}

async fn cancel_all(
    tx: &mut PgConnection,
    before: Order,
    command: CancelOrder,
) -> Result<Vec<NewEvent>, OrdersError> {
    let mut order = before.after(Move::Cancel)?;
    order.cancel_reason = command.reason;
    store::orders::update(tx, &[&order]).await?;
    let data = OrderCancelled {
        order_id: order.id.to_string(),
        customer_id: order.customer_id.to_string(),
        total: Some(rpc::to_money(order.total_amount)),
        place_time: order.placed_at.map(Into::into),
    };
    Ok(vec![NewEvent::new("order.cancelled", order.id, order.version, &data, &command.cause)])
}

async fn cancel_rest(
    tx: &mut PgConnection,
    before: Order,
    items: Vec<Item>,
    command: CancelOrder,
) -> Result<Vec<NewEvent>, OrdersError> {
    let mut order = before.after(Move::CancelRest)?;
    let mut now = items.clone();
    let lines = domain::give_up(&mut now);
    let (amount, tax) = domain::difference(&items, &now)?;
    order.total_amount = order.total_amount.checked_sub(amount)?;
    order.tax_amount = order.tax_amount.checked_sub(tax)?;
    order.cancel_reason = command.reason;
    let data = OrderPartCancelled {
        order_id: order.id.to_string(),
        customer_id: order.customer_id.to_string(),
        lines: lines.iter().map(cancelled_line).collect(),
        amount: Some(rpc::to_money(amount)),
        tax: Some(rpc::to_money(tax)),
        place_time: order.placed_at.map(Into::into),
    };
    let (id, version, cause) = (order.id, order.version, &command.cause);
    let mut events = vec![NewEvent::new("order.part_cancelled", id, version, &data, cause)];
    if order.paid {
        order = order.after(Move::Complete)?;
        events.push(completed(&order, cause));
    }
    store::items::add_cancelled(tx, &lines).await?;
    store::orders::update(tx, &[&order]).await?;
    Ok(events)
}

fn cancelled_line(portion: &Portion) -> CancelledLine {
    CancelledLine {
        line_id: portion.item_id.to_string(),
        sku: portion.sku.clone(),
        quantity: portion.qty,
    }
}
