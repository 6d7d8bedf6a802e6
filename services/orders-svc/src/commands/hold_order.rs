use ids::OrderId;
use log::{Cause, Log, NewEvent, RequestKey};
use proto::events::v1::OrderHeld;

use crate::{OrdersError, domain::Move, store};

#[derive(Debug)]
pub(crate) struct HoldOrder {
    pub(crate) request_key: Option<RequestKey>,
    pub(crate) cause: Cause,
    pub(crate) id: OrderId,
    /// Why; may be empty.
    pub(crate) reason: String,
}

#[derive(Debug)]
pub(crate) struct ReleaseOrder {
    pub(crate) request_key: Option<RequestKey>,
    pub(crate) cause: Cause,
    pub(crate) id: OrderId,
}

/// Locks the order: once this is answered nothing of it is placed or shipped.
#[tracing::instrument(name = "orders.hold_order", skip_all, fields(order.id = %command.id))]
pub(crate) async fn hold_order(log: &Log, command: HoldOrder) -> Result<(), OrdersError> {
    let mut tx = log.begin().await?;
    let before = store::orders::lock_one(&mut tx, command.id).await?;
    let request_key = command.request_key.as_ref();
    if log::answered(&mut tx, store::SCHEMA, request_key, command.id).await?.is_some() {
        return Ok(());
    }
    if before.held_at.is_none() {
        let mut order = before.after(Move::Hold)?;
        order.held_at = Some(store::orders::now(&mut tx).await?);
        order.hold_reason = command.reason;
        store::orders::update(&mut tx, &[&order]).await?;
        let data = OrderHeld { order_id: order.id.to_string() };
        let event = NewEvent::new("order.held", order.id, order.version, &data, &command.cause);
        log.append(&mut tx, &[event]).await?;
    }
    log.commit(tx).await?;
    Ok(())
}

/// Locks the order.
#[tracing::instrument(name = "orders.release_order", skip_all, fields(order.id = %command.id))]
pub(crate) async fn release_order(log: &Log, command: ReleaseOrder) -> Result<(), OrdersError> {
    let mut tx = log.begin().await?;
    let before = store::orders::lock_one(&mut tx, command.id).await?;
    let request_key = command.request_key.as_ref();
    if log::answered(&mut tx, store::SCHEMA, request_key, command.id).await?.is_some() {
        return Ok(());
    }
    if before.held_at.is_some() {
        let mut order = before.after(Move::Release)?;
        order.held_at = None;
        order.hold_reason.clear();
        store::orders::update(&mut tx, &[&order]).await?;
        let data = OrderHeld { order_id: order.id.to_string() };
        let event = NewEvent::new("order.released", order.id, order.version, &data, &command.cause);
        log.append(&mut tx, &[event]).await?;
    }
    log.commit(tx).await?;
    Ok(())
}
