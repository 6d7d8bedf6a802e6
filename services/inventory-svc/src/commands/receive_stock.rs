use std::collections::BTreeMap;

use log::{Cause, Log, NewEvent, RequestKey};
use proto::events::v1::StockChanged;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    InventoryError,
    commands::show,
    domain::{Item, Level, LevelChange, Movement},
    store::{self, movements::Reason},
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
    pub(crate) reorder_point: Option<i32>,
}

/// Adds a delivery of one SKU to what is on hand, and gives its item afterwards.
#[tracing::instrument(name = "inventory.receive_stock", skip_all, fields(sku))]
pub(crate) async fn receive_stock(
    log: &Log,
    sku: String,
    command: ReceiveStock,
) -> Result<Item, InventoryError> {
    let mut tx = log.begin().await?;
    receive(log, &mut tx, command).await.map_err(|refusal| match refusal {
        InventoryError::UnknownSkus { .. } => InventoryError::ProductNotFound(sku.clone()),
        refusal => refusal,
    })?;
    let item = store::items::find(&mut tx, &sku).await?;
    log.commit(tx).await?;
    item.ok_or(InventoryError::ProductNotFound(sku))
}

/// Adds a delivery to what is on hand, all of it or nothing; false when the same request was received before.
#[tracing::instrument(name = "inventory.receive_delivery", skip_all, fields(count = command.receipts.len()))]
pub(crate) async fn receive_delivery(
    log: &Log,
    command: ReceiveStock,
) -> Result<bool, InventoryError> {
    let mut tx = log.begin().await?;
    let received = receive(log, &mut tx, command).await?;
    log.commit(tx).await?;
    Ok(received)
}

/// Five statements however many; locks the items by SKU.
async fn receive(
    log: &Log,
    tx: &mut PgConnection,
    command: ReceiveStock,
) -> Result<bool, InventoryError> {
    let delivery = Uuid::now_v7();
    let request_key = command.request_key.as_ref();
    if log::answered(tx, store::SCHEMA, request_key, delivery).await?.is_some() {
        return Ok(false);
    }
    let skus: Vec<String> = command.receipts.iter().map(|receipt| receipt.sku.clone()).collect();
    let mut levels = store::items::lock(tx, &skus).await?;
    let changes = add(&mut levels, &command.receipts)?;
    store::items::update(tx, &levels.iter().collect::<Vec<_>>()).await?;
    let movement =
        |receipt: Receipt| Movement { sku: receipt.sku, qty: receipt.qty, ref_id: delivery };
    let movements: Vec<Movement> = command.receipts.into_iter().map(movement).collect();
    store::movements::insert(tx, Reason::Receipt, &movements).await?;
    let data =
        StockChanged { order_id: String::new(), shipment_id: String::new(), levels: show(changes) };
    let event = NewEvent::new("stock.received", delivery, 1, &data, &command.cause);
    log.append(tx, &[event]).await?;
    Ok(true)
}

fn add(levels: &mut [Level], receipts: &[Receipt]) -> Result<Vec<LevelChange>, InventoryError> {
    let mut levels: BTreeMap<String, &mut Level> =
        levels.iter_mut().map(|level| (level.sku.clone(), level)).collect();
    let unknown = receipts.iter().enumerate().filter(|(_, one)| !levels.contains_key(&one.sku));
    let skus: Vec<_> = unknown.map(|(index, one)| (index, one.sku.clone())).collect();
    if !skus.is_empty() {
        return Err(InventoryError::UnknownSkus { list: "requests", skus });
    }
    let mut changes = Vec::with_capacity(receipts.len());
    for receipt in receipts {
        let Some(level) = levels.get_mut(&receipt.sku) else { continue };
        level.qty_on_hand = level
            .qty_on_hand
            .checked_add(receipt.qty)
            .ok_or_else(|| InventoryError::TooMany(receipt.sku.clone()))?;
        level.reorder_point = receipt.reorder_point.unwrap_or(level.reorder_point);
        changes.push(level.changed_by(receipt.qty));
    }
    Ok(changes)
}
