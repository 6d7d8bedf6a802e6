use log::{Cause, Log, RequestKey};
use money::Money;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    InventoryError,
    commands::Told,
    domain::{Calendar, Document, Item, Moves, Reason, Shelf},
    store,
};

/// One delivery.
#[derive(Debug)]
pub(crate) struct ReceiveStock {
    pub(crate) request_key: Option<RequestKey>,
    pub(crate) cause: Cause,
    /// Each SKU once.
    pub(crate) receipts: Vec<Receipt>,
}

#[derive(Debug)]
pub(crate) struct Receipt {
    pub(crate) sku: String,
    pub(crate) qty: i32,
    /// What all of them cost; unless it is known, what those on hand do.
    pub(crate) cost: Option<Money>,
    pub(crate) reorder_point: Option<i32>,
}

/// Adds a delivery of one SKU to what is on hand, and gives its item afterwards and the delivery.
#[tracing::instrument(name = "inventory.receive_stock", skip_all, fields(sku))]
pub(crate) async fn receive_stock(
    log: &Log,
    calendar: &Calendar,
    sku: String,
    command: ReceiveStock,
) -> Result<(Item, String), InventoryError> {
    let mut tx = log.begin().await?;
    let received = receive(log, &mut tx, calendar, command).await;
    let (_, delivery) = received.map_err(|refusal| match refusal {
        InventoryError::UnknownSkus { .. } => InventoryError::ProductNotFound(sku.clone()),
        refusal => refusal,
    })?;
    let item = store::items::find_all(&mut tx, std::slice::from_ref(&sku)).await?.pop();
    log.commit(tx).await?;
    Ok((item.ok_or(InventoryError::ProductNotFound(sku))?, delivery))
}

/// Adds a delivery to what is on hand, all of it or nothing, and gives its key; false when the same request was received before.
#[tracing::instrument(name = "inventory.receive_delivery", skip_all, fields(count = command.receipts.len()))]
pub(crate) async fn receive_delivery(
    log: &Log,
    calendar: &Calendar,
    command: ReceiveStock,
) -> Result<(bool, String), InventoryError> {
    let mut tx = log.begin().await?;
    let received = receive(log, &mut tx, calendar, command).await?;
    log.commit(tx).await?;
    Ok(received)
}

/// Five statements however many; locks the items by SKU.
async fn receive(
    log: &Log,
    tx: &mut PgConnection,
    calendar: &Calendar,
    command: ReceiveStock,
) -> Result<(bool, String), InventoryError> {
    let delivery = Uuid::now_v7();
    let request_key = command.request_key.as_ref();
    if let Some(earlier) = log::answered(tx, store::SCHEMA, request_key, delivery).await? {
        return Ok((false, earlier));
    }
    let skus: Vec<String> = command.receipts.iter().map(|receipt| receipt.sku.clone()).collect();
    let mut shelf = Shelf::new(store::items::lock(tx, &skus).await?);
    let moves = add(&mut shelf, delivery, &command.receipts)?;
    let told = Told { calendar, cause: &command.cause };
    let events = told.received(delivery, moves, &mut shelf);
    store::items::save(tx, &shelf).await?;
    log.append(tx, &events).await?;
    Ok((true, delivery.to_string()))
}

fn add(shelf: &mut Shelf, delivery: Uuid, receipts: &[Receipt]) -> Result<Moves, InventoryError> {
    let skus = shelf.missing(receipts.iter().map(|receipt| &receipt.sku).enumerate());
    if !skus.is_empty() {
        return Err(InventoryError::UnknownSkus { list: "requests", skus });
    }
    let levels = receipts.iter().filter_map(|receipt| shelf.level(&receipt.sku));
    let archived = levels.filter(|level| level.archived).map(|level| level.sku.clone());
    let archived: Vec<String> = archived.collect();
    if !archived.is_empty() {
        return Err(InventoryError::ProductArchived(archived));
    }
    let document = Document { reason: Reason::Receipt, id: delivery, order_id: None };
    let mut moves = Moves::default();
    for Receipt { sku, qty, cost, reorder_point } in receipts {
        moves.add(shelf.receive(sku, *qty, *cost, *reorder_point, document)?)?;
    }
    Ok(moves)
}
