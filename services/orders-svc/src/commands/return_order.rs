use ids::{OrderId, OrderItemId, ReturnId};
use log::{Cause, Log, NewEvent, RequestKey};
use proto::events::v1::{OrderReturned, ReturnedLine};

use crate::{
    OrdersError,
    domain::{self, Move, Order, Return},
    store,
};

#[derive(Debug)]
pub(crate) struct ReturnOrder {
    pub(crate) request_key: Option<RequestKey>,
    pub(crate) cause: Cause,
    pub(crate) id: OrderId,
    /// Which lines, how many, and whether these can be sold again.
    pub(crate) lines: Vec<(OrderItemId, i32, bool)>,
    /// Why; may be empty.
    pub(crate) reason: String,
}

/// Locks the order; inventory-svc and billing-svc hear of it by its event, put the goods back on the shelf and credit what they were sold
/// for.
#[tracing::instrument(name = "orders.return_order", skip_all, fields(order.id = %command.id))]
pub(crate) async fn return_order(log: &Log, command: ReturnOrder) -> Result<Return, OrdersError> {
    let id = ReturnId::generate();
    let mut tx = log.begin().await?;
    let before = store::orders::lock_one(&mut tx, command.id).await?;
    let request_key = command.request_key.as_ref();
    if let Some(earlier) = log::answered(&mut tx, store::SCHEMA, request_key, id).await? {
        return Ok(store::returns::get(&mut tx, command.id, &earlier).await?);
    }
    let mut order = before.after(Move::Return)?;
    let items = store::items::of_order(&mut tx, command.id).await?;
    let mut now = items.clone();
    let lines = domain::take_back(&mut now, &command.lines)?;
    let (amount, tax_amount) = domain::difference(&items, &now)?;
    order.returned_amount = order.returned_amount.checked_add(amount)?;
    order.returned_tax = order.returned_tax.checked_add(tax_amount)?;

    store::items::add_returned(&mut tx, &lines).await?;
    let returned_at = store::orders::now(&mut tx).await?;
    let returned = Return { id, returned_at, reason: command.reason, amount, tax_amount, lines };
    store::returns::insert(&mut tx, order.id, &returned).await?;
    store::orders::update(&mut tx, &[&order]).await?;
    log.append(&mut tx, &[event(&order, &returned, &command.cause)]).await?;
    log.commit(tx).await?;
    Ok(returned)
}

fn event(order: &Order, returned: &Return, cause: &Cause) -> NewEvent {
    let lines = returned.lines.iter().map(|line| ReturnedLine {
        line_id: line.of.item_id.to_string(),
        sku: line.of.sku.clone(),
        quantity: line.of.qty,
        restock: line.restock,
    });
    let data = OrderReturned {
        order_id: order.id.to_string(),
        return_id: returned.id.to_string(),
        customer_id: order.customer_id.to_string(),
        lines: lines.collect(),
        amount: Some(rpc::to_money(returned.amount)),
        tax: Some(rpc::to_money(returned.tax_amount)),
    };
    NewEvent::new("order.returned", order.id, order.version, &data, cause)
}
