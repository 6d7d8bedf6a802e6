use ids::OrderId;
use log::{Cause, Log, NewEvent};
use proto::events::v1::OrderDrafted;
use uuid::Uuid;

use crate::{OrdersError, domain::OrderStatus, store};

/// Takes a draft away as if it had never been asked for, with the request that made it; an order that is no draft any more stays.
#[tracing::instrument(name = "orders.delete_draft", skip_all, fields(order.id = %id))]
pub(crate) async fn delete_draft(
    log: &Log,
    id: OrderId,
    request_id: Option<Uuid>,
    cause: &Cause,
) -> Result<(), OrdersError> {
    let mut tx = log.begin().await?;
    let order = match store::orders::lock_one(&mut tx, id).await {
        Err(OrdersError::OrderNotFound(_)) => return Ok(()),
        order => order?,
    };
    if order.status != OrderStatus::Draft {
        return Ok(());
    }
    store::orders::delete_draft(&mut tx, id).await?;
    store::orders::forget_requests(&mut tx, request_id.as_slice()).await?;
    let data =
        OrderDrafted { order_id: id.to_string(), customer_id: order.customer_id.to_string() };
    let event = NewEvent::new("order.deleted", id, order.version + 1, &data, cause);
    log.append(&mut tx, &[event]).await?;
    log.commit(tx).await?;
    Ok(())
}
