use std::collections::BTreeMap;

use log::{Cause, Log, RequestKey};
use uuid::Uuid;

use super::adjust_stock::{Adjustment, Claimed, adjust, claim};
use crate::{
    InventoryError,
    domain::{Calendar, Movement, Reason, Shelf},
    store,
};

#[derive(Debug)]
pub(crate) struct CountStock {
    pub(crate) request_key: Option<RequestKey>,
    pub(crate) cause: Cause,
    /// By SKU.
    pub(crate) counts: BTreeMap<String, Count>,
}

/// How many there are of a SKU.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Count {
    pub(crate) qty: i32,
    /// How many movements the item had had when counting began.
    pub(crate) movement_count: i64,
    /// The line that says so.
    pub(crate) line: usize,
}

/// Sets what is on hand to what was counted, all or nothing, and gives the count and what it moved. Six statements however many; locks the
/// items by SKU.
#[tracing::instrument(name = "inventory.count_stock", skip_all, fields(count = command.counts.len()))]
pub(crate) async fn count_stock(
    log: &Log,
    calendar: &Calendar,
    command: CountStock,
) -> Result<(Uuid, Vec<Movement>), InventoryError> {
    let CountStock { request_key, cause, counts } = command;
    let mut tx = log.begin().await?;
    let id = claim(&mut tx, request_key.as_ref()).await?;
    if let Claimed::New(id) = id {
        let skus: Vec<String> = counts.keys().cloned().collect();
        let mut shelf = Shelf::new(store::items::lock(&mut tx, &skus).await?);
        let changes = differences(&shelf, &counts)?;
        let adjustment = Adjustment { id, reason: Reason::Count, changes };
        adjust(log, &mut tx, calendar, &mut shelf, adjustment, &cause).await?;
    }
    let moved = store::movements::of_documents(&mut tx, &[id.id()]).await?;
    log.commit(tx).await?;
    Ok((id.id(), moved))
}

fn differences(
    shelf: &Shelf,
    counts: &BTreeMap<String, Count>,
) -> Result<BTreeMap<String, i32>, InventoryError> {
    let skus = shelf.missing(counts.iter().map(|(sku, count)| (count.line, sku)));
    if !skus.is_empty() {
        return Err(InventoryError::UnknownSkus { list: "lines", skus });
    }
    let levels = || counts.iter().filter_map(|(sku, count)| Some((shelf.level(sku)?, count)));
    let moved: Vec<(String, i64)> = levels()
        .filter(|(level, count)| level.movement_count != count.movement_count)
        .map(|(level, _)| (level.sku.clone(), level.movement_count))
        .collect();
    if !moved.is_empty() {
        return Err(InventoryError::ItemsMoved(moved));
    }
    // Neither is negative: their difference is a number of 32 bits, too.
    let change = levels().map(|(level, count)| (level.sku.clone(), count.qty - level.qty_on_hand));
    Ok(change.filter(|(_, change)| *change != 0).collect())
}
