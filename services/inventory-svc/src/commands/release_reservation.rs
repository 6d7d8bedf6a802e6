use std::collections::BTreeSet;

use ids::OrderId;
use log::{Cause, Log};

use crate::{InventoryError, commands::stock_event, domain::ReservationState, store};

/// Frees what an order has reserved and not shipped, and refuses it any later reservation, also where nothing was reserved. Locks the
/// reservation, then its items by SKU.
#[tracing::instrument(name = "inventory.release_reservation", skip_all, fields(order.id = %order_id))]
pub(crate) async fn release_reservation(
    log: &Log,
    order_id: OrderId,
    cause: &Cause,
) -> Result<(), InventoryError> {
    let mut tx = log.begin().await?;
    store::reservations::insert(&mut tx, &[order_id.0], ReservationState::Released, 0).await?;
    let orders = BTreeSet::from([order_id]);
    let mut book = store::book::lock(&mut tx, &orders, &orders).await?;
    if let Some(news) = book.release(order_id)? {
        let event = stock_event("stock.released", order_id, None, news, cause);
        log.append(&mut tx, &[event]).await?;
    }
    store::book::save(&mut tx, &book).await?;
    log.commit(tx).await?;
    Ok(())
}
