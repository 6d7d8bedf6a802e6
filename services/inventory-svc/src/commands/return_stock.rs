use std::collections::{BTreeMap, BTreeSet};

use ids::ReturnId;
use log::Log;

use crate::{
    InventoryError,
    commands::{Asked, Told, returned},
    domain::{By, Calendar, Movement, TakenBack},
    store,
};

/// Takes goods back that an order was shipped.
#[derive(Debug)]
pub(crate) struct ReturnStock {
    pub(crate) asked: Asked,
    pub(crate) return_id: ReturnId,
    /// By SKU.
    pub(crate) goods: BTreeMap<String, TakenBack>,
}

/// Gives what it moved. Locks the reservation, then its items by SKU.
#[tracing::instrument(
    name = "inventory.return_stock",
    skip_all,
    fields(order.id = %command.asked.order_id, return.id = %command.return_id)
)]
pub(crate) async fn return_stock(
    log: &Log,
    calendar: &Calendar,
    command: ReturnStock,
) -> Result<Vec<Movement>, InventoryError> {
    let ReturnStock { asked: Asked { request_key, cause, order_id }, return_id, goods } = command;
    let mut tx = log.begin().await?;
    // The return is the key: a request that was answered finds that it has come.
    log::answered(&mut tx, store::SCHEMA, request_key.as_ref(), return_id).await?;
    let orders = BTreeSet::from([order_id]);
    let mut book = store::book::lock(&mut tx, &orders, &orders, &[return_id.0]).await?;
    if let Some(news) = book.take_back(order_id, return_id, &goods, By::Call)? {
        let told = Told { calendar, cause: &cause };
        let events = returned(order_id, return_id, news, &mut book, told);
        store::book::save(&mut tx, &book).await?;
        log.append(&mut tx, &events).await?;
    }
    let moved = store::movements::of_documents(&mut tx, &[return_id.0]).await?;
    log.commit(tx).await?;
    Ok(moved)
}
