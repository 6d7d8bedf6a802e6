use log::{Cause, Log, RequestKey};

use super::item_events;
use crate::{
    InventoryError,
    domain::{Item, Shelf},
    store,
};

#[derive(Debug)]
pub(crate) struct UpdateItem {
    pub(crate) request_key: Option<RequestKey>,
    pub(crate) cause: Cause,
    pub(crate) sku: String,
    /// The version that the caller has seen; none to change whatever is there.
    pub(crate) etag: Option<String>,
    pub(crate) reorder_point: i32,
}

/// Locks the item.
#[tracing::instrument(name = "inventory.update_item", skip_all, fields(sku = command.sku))]
pub(crate) async fn update_item(log: &Log, command: UpdateItem) -> Result<Item, InventoryError> {
    let UpdateItem { request_key, cause, sku, etag, reorder_point } = command;
    let mut tx = log.begin().await?;
    let key = request_key.as_ref();
    if log::answered(&mut tx, store::SCHEMA, key, &sku).await?.is_none() {
        let mut shelf = Shelf::new(store::items::lock(&mut tx, std::slice::from_ref(&sku)).await?);
        let before = shelf.level(&sku);
        let before = before.ok_or_else(|| InventoryError::ProductNotFound(sku.clone()))?;
        if etag.is_some_and(|etag| etag != before.version.to_string()) {
            return Err(InventoryError::StaleEtag(sku));
        }
        if before.reorder_point != reorder_point {
            shelf.set_reorder_point(&sku, reorder_point)?;
            let events = item_events(&mut shelf, &cause);
            store::items::save(&mut tx, &shelf).await?;
            log.append(&mut tx, &events).await?;
        }
    }
    let item = store::items::find_all(&mut tx, std::slice::from_ref(&sku)).await?.pop();
    log.commit(tx).await?;
    item.ok_or(InventoryError::ProductNotFound(sku))
}
