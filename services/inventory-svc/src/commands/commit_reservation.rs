use std::collections::BTreeSet;

use ids::ShipmentId;
use log::Log;

use crate::{
    InventoryError,
    commands::{Asked, Told, shipped},
    domain::{By, Calendar, Goods, Movement},
    queries::Promise,
    store,
};

/// Ships reserved goods.
#[derive(Debug)]
pub(crate) struct CommitReservation {
    pub(crate) asked: Asked,
    pub(crate) shipment_id: ShipmentId,
    /// All that is open, when none.
    pub(crate) goods: Option<Goods>,
}

/// Gives the reservation afterwards and what has left. Locks the reservation, then its items by SKU.
#[tracing::instrument(
    name = "inventory.commit_reservation",
    skip_all,
    fields(order.id = %command.asked.order_id, shipment.id = %command.shipment_id)
)]
pub(crate) async fn commit_reservation(
    log: &Log,
    calendar: &Calendar,
    command: CommitReservation,
) -> Result<(Promise, Vec<Movement>), InventoryError> {
    let CommitReservation { asked: Asked { request_key, cause, order_id }, shipment_id, goods } =
        command;
    let mut tx = log.begin().await?;
    // The shipment is the key: a request that was answered finds that it has left.
    log::answered(&mut tx, store::SCHEMA, request_key.as_ref(), shipment_id).await?;
    let orders = BTreeSet::from([order_id]);
    let mut book = store::book::lock(&mut tx, &orders, &orders, &[shipment_id.0]).await?;
    if let Some(news) = book.ship(order_id, shipment_id, goods.as_ref(), By::Call)? {
        let told = Told { calendar, cause: &cause };
        let events = shipped(order_id, shipment_id, news, &mut book, told);
        store::book::save(&mut tx, &book).await?;
        log.append(&mut tx, &events).await?;
    }
    let now = book.state_of(order_id)?;
    let left = store::movements::of_documents(&mut tx, &[shipment_id.0]).await?;
    log.commit(tx).await?;
    Ok((now, left))
}
