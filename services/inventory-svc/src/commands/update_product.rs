use log::{Cause, Log, NewEvent, RequestKey};
use proto::events::v1::ProductChanged;

use crate::{
    InventoryError,
    domain::{Product, ProductChange},
    store,
};

#[derive(Debug)]
pub(crate) struct UpdateProduct {
    pub(crate) request_key: Option<RequestKey>,
    pub(crate) cause: Cause,
    pub(crate) sku: String,
    /// The version that the caller has seen; none to change whatever is there.
    pub(crate) etag: Option<String>,
    pub(crate) change: ProductChange,
}

/// Locks the product's row. A change that changes nothing writes nothing.
#[tracing::instrument(name = "inventory.update_product", skip_all, fields(sku = command.sku))]
pub(crate) async fn update_product(
    log: &Log,
    command: UpdateProduct,
) -> Result<Product, InventoryError> {
    let UpdateProduct { request_key, cause, sku, etag, change } = command;
    let mut tx = log.begin().await?;
    let key = request_key.as_ref();
    let again = log::answered(&mut tx, store::SCHEMA, key, &sku).await?.is_some();
    let mut product = locked(&mut tx, &sku, etag.filter(|_| !again)).await?;
    let changed = if again { Vec::new() } else { product.change(change) };
    if !changed.is_empty() {
        product = store::products::update(&mut tx, &product, product.archived_at.is_some()).await?;
        let event = product_event("product.updated", &product, &changed, &cause);
        log.append(&mut tx, &[event]).await?;
    }
    log.commit(tx).await?;
    Ok(product)
}

/// A product whose row is locked, as the caller has seen it.
pub(super) async fn locked(
    tx: &mut sqlx::PgConnection,
    sku: &str,
    etag: Option<String>,
) -> Result<Product, InventoryError> {
    let product = store::products::lock(tx, sku).await?;
    let product = product.ok_or_else(|| InventoryError::ProductNotFound(sku.to_owned()))?;
    if etag.is_some_and(|etag| etag != product.version.to_string()) {
        return Err(InventoryError::StaleEtag(product.sku));
    }
    Ok(product)
}

pub(super) fn product_event(
    event_type: &'static str,
    product: &Product,
    changed: &[&str],
    cause: &Cause,
) -> NewEvent {
    let data = ProductChanged {
        sku: product.sku.clone(),
        name: product.name.clone(),
        price: Some(rpc::to_money(product.price)),
        changed_fields: changed.iter().map(|&name| name.to_owned()).collect(),
    };
    NewEvent::new(event_type, &product.sku, product.version, &data, cause)
}
