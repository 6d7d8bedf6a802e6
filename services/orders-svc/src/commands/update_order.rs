use ids::{CustomerId, OrderId};
use log::{Cause, Log, NewEvent, RequestKey};
use proto::events::v1::OrderDrafted;

use super::check_etag;
use crate::{
    OrdersError,
    domain::{self, Item, Move},
    store,
};

#[derive(Debug)]
pub(crate) struct UpdateOrder {
    pub(crate) request_key: Option<RequestKey>,
    pub(crate) cause: Cause,
    pub(crate) id: OrderId,
    pub(crate) etag: String,
    /// None of each: as it is.
    pub(crate) customer_id: Option<CustomerId>,
    pub(crate) items: Option<Vec<Item>>,
    pub(crate) metadata: Option<Option<serde_json::Value>>,
}

/// Locks the order. Whoever is about to place the draft as it was hears that it has changed.
#[tracing::instrument(name = "orders.update_order", skip_all, fields(order.id = %command.id))]
pub(crate) async fn update_order(log: &Log, command: UpdateOrder) -> Result<(), OrdersError> {
    let mut tx = log.begin().await?;
    let mut order = store::orders::lock_one(&mut tx, command.id).await?;
    let request_key = command.request_key.as_ref();
    if log::answered(&mut tx, store::SCHEMA, request_key, command.id).await?.is_some() {
        return Ok(());
    }
    check_etag(&command.etag, order.etag())?;
    if command.customer_id.is_some() || command.items.is_some() {
        order = order.after(Move::Edit)?;
    } else {
        // Notes are free in every state.
        order.version += 1;
    }
    if let Some(customer_id) = command.customer_id {
        if store::customers::archived(&mut tx, &[customer_id.0]).await?.contains(&customer_id) {
            return Err(OrdersError::CustomerArchived(customer_id));
        }
        order.customer_id = customer_id;
    }
    if let Some(items) = command.items {
        (order.total_amount, order.tax_amount) = domain::totals(&items)?;
        store::items::delete_of_draft(&mut tx, order.id).await?;
        store::items::insert(&mut tx, &[(order.id, &items)]).await?;
    }
    if let Some(metadata) = command.metadata {
        order.metadata = metadata;
    }
    store::orders::update_contents(&mut tx, &order).await?;
    let data =
        OrderDrafted { order_id: order.id.to_string(), customer_id: order.customer_id.to_string() };
    let event = NewEvent::new("order.updated", order.id, order.version, &data, &command.cause);
    log.append(&mut tx, &[event]).await?;
    log.commit(tx).await?;
    Ok(())
}
