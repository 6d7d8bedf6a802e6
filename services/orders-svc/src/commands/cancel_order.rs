use ids::OrderId;
use log::{Cause, Log, NewEvent, RequestKey};
use proto::events::v1::OrderCancelled;

use crate::{
    OrdersError,
    domain::{Move, OrderStatus},
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

/// Locks the order; inventory-svc and billing-svc hear of it by its event, release the stock and void the invoice.
#[tracing::instrument(name = "orders.cancel_order", skip_all, fields(order.id = %command.id))]
pub(crate) async fn cancel_order(log: &Log, command: CancelOrder) -> Result<(), OrdersError> {
    let mut tx = log.begin().await?;
    let before = store::orders::lock_one(&mut tx, command.id).await?;
    let request_key = command.request_key.as_ref();
    log::answered(&mut tx, store::SCHEMA, request_key, command.id).await?;
    if before.status == OrderStatus::Cancelled {
        log.commit(tx).await?;
        return Ok(());
    }
    let mut order = before.after(Move::Cancel)?;
    if store::items::any_shipped(&mut tx, order.id).await? {
        return Err(OrdersError::PartShipped(order.id));
    }
    order.cancel_reason = command.reason;
    store::orders::update(&mut tx, &[&order]).await?;
    let data = OrderCancelled {
        order_id: order.id.to_string(),
        customer_id: order.customer_id.to_string(),
        total: Some(rpc::to_money(order.total_amount)),
        place_time: order.placed_at.map(Into::into),
    };
    let event = NewEvent::new("order.cancelled", order.id, order.version, &data, &command.cause);
    log.append(&mut tx, &[event]).await?;
    log.commit(tx).await?;
    Ok(())
}
