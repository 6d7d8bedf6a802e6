use std::collections::BTreeSet;

use log::Log;

use crate::{
    InventoryError,
    commands::{Asked, promised},
    domain::{By, Goods, ReservationState},
    store,
};

/// Frees what an order has reserved and not shipped, and refuses it any later reservation, also where nothing was reserved. Locks the
/// reservation, then its items by SKU.
#[tracing::instrument(name = "inventory.release_reservation", skip_all, fields(order.id = %asked.order_id))]
pub(crate) async fn release_reservation(log: &Log, asked: Asked) -> Result<(), InventoryError> {
    let Asked { request_key, cause, order_id } = asked;
    let mut tx = log.begin().await?;
    let key = request_key.as_ref();
    if log::answered(&mut tx, store::SCHEMA, key, order_id).await?.is_none() {
        store::reservations::insert(&mut tx, &[order_id.0], ReservationState::Released, 0).await?;
        let orders = BTreeSet::from([order_id]);
        let mut book = store::book::lock(&mut tx, &orders, &orders, &[]).await?;
        let events = match book.release(order_id, By::Call)? {
            Some(news) => promised("stock.released", order_id, news, &mut book, &cause),
            None => Vec::new(),
        };
        store::book::save(&mut tx, &book).await?;
        log.append(&mut tx, &events).await?;
    }
    log.commit(tx).await?;
    Ok(())
}

/// Frees a part of it.
#[tracing::instrument(name = "inventory.release_lines", skip_all, fields(order.id = %asked.order_id))]
pub(crate) async fn release_lines(
    log: &Log,
    asked: Asked,
    goods: &Goods,
) -> Result<(), InventoryError> {
    let Asked { request_key, cause, order_id } = asked;
    let mut tx = log.begin().await?;
    let key = request_key.as_ref();
    if log::answered(&mut tx, store::SCHEMA, key, order_id).await?.is_none() {
        let orders = BTreeSet::from([order_id]);
        let mut book = store::book::lock(&mut tx, &orders, &orders, &[]).await?;
        let news = book.release_lines(order_id, goods)?;
        let events = promised("stock.released", order_id, news, &mut book, &cause);
        store::book::save(&mut tx, &book).await?;
        log.append(&mut tx, &events).await?;
    }
    log.commit(tx).await?;
    Ok(())
}
