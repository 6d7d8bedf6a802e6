use ids::{OrderId, OrderItemId, ShipmentId};
use log::{Cause, Log, NewEvent, RequestKey};
use proto::events::v1::{OrderCompleted, OrderShipped, ShippedLine};

use crate::{
    OrdersError,
    domain::{self, Move, Order, Shipment},
    store,
};

#[derive(Debug)]
pub(crate) struct ShipOrder {
    pub(crate) request_key: Option<RequestKey>,
    pub(crate) cause: Cause,
    pub(crate) id: OrderId,
    /// Which lines and how many; none for all that is open.
    pub(crate) lines: Vec<(OrderItemId, i32)>,
}

/// Locks the order; inventory-svc hears of the shipment by its event and takes the goods off the shelf.
#[tracing::instrument(name = "orders.ship_order", skip_all, fields(order.id = %command.id))]
pub(crate) async fn ship_order(log: &Log, command: ShipOrder) -> Result<Shipment, OrdersError> {
    let shipment_id = ShipmentId::generate();
    let mut tx = log.begin().await?;
    // First the order, as in every command: an equal request waits here.
    let before = store::orders::lock_one(&mut tx, command.id).await?;
    let request_key = command.request_key.as_ref();
    if let Some(earlier) = log::answered(&mut tx, store::SCHEMA, request_key, shipment_id).await? {
        return Ok(store::shipments::get(&mut tx, command.id, &earlier).await?);
    }
    let mut items = store::items::of_order(&mut tx, command.id).await?;
    let paid = before.paid;
    let part = before.clone().after(Move::ShipPart)?;
    let lines = domain::ship(&mut items, &command.lines)?;
    let complete = !domain::is_open(&items);
    let mut order = if complete { before.after(Move::ShipRest)? } else { part };

    store::items::add_shipped(&mut tx, &lines).await?;
    let shipment = store::shipments::insert(&mut tx, order.id, shipment_id, lines).await?;
    let mut events = vec![shipped(&order, &shipment, complete, &command.cause)];
    if complete && paid {
        order = order.after(Move::Complete)?;
        events.push(completed(&order, &command.cause));
    }
    store::orders::update(&mut tx, &[&order]).await?;
    log.append(&mut tx, &events).await?;
    log.commit(tx).await?;
    Ok(shipment)
}

fn shipped(order: &Order, shipment: &Shipment, complete: bool, cause: &Cause) -> NewEvent {
    let lines = shipment.lines.iter().map(|line| ShippedLine {
        line_id: line.item_id.to_string(),
        sku: line.sku.clone(),
        quantity: line.qty,
    });
    let data = OrderShipped {
        order_id: order.id.to_string(),
        shipment_id: shipment.id.to_string(),
        lines: lines.collect(),
        complete,
    };
    NewEvent::new("order.shipped", order.id, order.version, &data, cause)
}

pub(crate) fn completed(order: &Order, cause: &Cause) -> NewEvent {
    let data = OrderCompleted { order_id: order.id.to_string() };
    NewEvent::new("order.completed", order.id, order.version, &data, cause)
}
