use log::{Cause, Log, RequestKey};

use super::update_product::{locked, product_event};
use crate::{
    InventoryError,
    domain::{Product, Shelf},
    store,
};

/// Archives a product, or restores it.
#[derive(Debug)]
pub(crate) struct ArchiveProduct {
    pub(crate) request_key: Option<RequestKey>,
    pub(crate) cause: Cause,
    pub(crate) sku: String,
    /// The version that the caller has seen; none to archive whatever is there.
    pub(crate) etag: Option<String>,
    pub(crate) archived: bool,
}

/// Locks the item and then its product: who reserves or receives holds the item, and sees there that it is archived.
#[tracing::instrument(name = "inventory.archive_product", skip_all, fields(sku = command.sku, archived = command.archived))]
pub(crate) async fn archive_product(
    log: &Log,
    command: ArchiveProduct,
) -> Result<Product, InventoryError> {
    let ArchiveProduct { request_key, cause, sku, etag, archived } = command;
    let mut tx = log.begin().await?;
    let key = request_key.as_ref();
    let again = log::answered(&mut tx, store::SCHEMA, key, &sku).await?.is_some();
    let mut shelf = Shelf::new(store::items::lock(&mut tx, std::slice::from_ref(&sku)).await?);
    let mut product = locked(&mut tx, &sku, etag.filter(|_| !again)).await?;
    if !again && product.archived_at.is_some() != archived {
        if let Some(level) = shelf.level(&sku).filter(|level| archived && level.qty_on_hand > 0) {
            let (on_hand, reserved) = (level.qty_on_hand, level.reserved_qty);
            return Err(InventoryError::ProductInStock { sku, on_hand, reserved });
        }
        shelf.set_archived(&sku, archived)?;
        store::items::save(&mut tx, &shelf).await?;
        product = store::products::update(&mut tx, &product, archived).await?;
        let event_type = if archived { "product.archived" } else { "product.restored" };
        let event = product_event(event_type, &product, &["archive_time"], &cause);
        log.append(&mut tx, &[event]).await?;
    }
    log.commit(tx).await?;
    Ok(product)
}
