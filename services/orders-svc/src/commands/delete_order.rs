use ids::OrderId;
use log::{Cause, Log, NewEvent, RequestKey};
use proto::events::v1::OrderDrafted;
use sqlx::PgConnection;
use uuid::Uuid;

use super::check_etag;
use crate::{
    OrdersError,
    domain::{Move, Order, OrderStatus},
    store,
};

#[derive(Debug)]
pub(crate) struct DeleteOrder {
    pub(crate) request_key: Option<RequestKey>,
    pub(crate) cause: Cause,
    pub(crate) id: OrderId,
    pub(crate) etag: String,
}

/// Locks the order. The request that made it stays known: sent again it makes no second one.
#[tracing::instrument(name = "orders.delete_order", skip_all, fields(order.id = %command.id))]
pub(crate) async fn delete_order(log: &Log, command: DeleteOrder) -> Result<(), OrdersError> {
    let mut tx = log.begin().await?;
    let order = store::orders::lock(&mut tx, &[command.id.0]).await?.pop();
    let request_key = command.request_key.as_ref();
    if log::answered(&mut tx, store::SCHEMA, request_key, command.id).await?.is_some() {
        return Ok(());
    }
    let order = order.ok_or(OrdersError::OrderNotFound(command.id))?;
    check_etag(&command.etag, order.etag())?;
    delete(log, &mut tx, order, &command.cause).await?;
    log.commit(tx).await?;
    Ok(())
}

/// Takes a draft away as if it had never been asked for, with the request that made it; an order that is no draft any more stays. Tells
/// whether it was placed.
#[tracing::instrument(name = "orders.delete_draft", skip_all, fields(order.id = %id))]
pub(crate) async fn delete_draft(
    log: &Log,
    id: OrderId,
    request_id: Option<Uuid>,
    cause: &Cause,
) -> Result<bool, OrdersError> {
    let mut tx = log.begin().await?;
    let order = match store::orders::lock_one(&mut tx, id).await {
        Err(OrdersError::OrderNotFound(_)) => return Ok(false),
        order => order?,
    };
    if order.status != OrderStatus::Draft {
        return Ok(order.placed_at.is_some());
    }
    delete(log, &mut tx, order, cause).await?;
    store::requests::forget(&mut tx, request_id.as_slice()).await?;
    log.commit(tx).await?;
    Ok(false)
}

/// inventory-svc hears of it by its event, and gives back what may be reserved.
async fn delete(
    log: &Log,
    tx: &mut PgConnection,
    order: Order,
    cause: &Cause,
) -> Result<(), OrdersError> {
    let order = order.after(Move::Delete)?;
    store::orders::delete_draft(tx, order.id).await?;
    let data =
        OrderDrafted { order_id: order.id.to_string(), customer_id: order.customer_id.to_string() };
    log.append(tx, &[NewEvent::new("order.deleted", order.id, order.version, &data, cause)])
        .await?;
    Ok(())
}
