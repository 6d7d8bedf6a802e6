use std::collections::HashMap;

use log::{Cause, Log, NewEvent, RequestKey};
use proto::events::v1::ProductCreated;

use crate::{
    InventoryError,
    domain::{NewProduct, Product},
    store,
};

#[derive(Debug)]
pub(crate) struct CreateProducts {
    pub(crate) request_key: Option<RequestKey>,
    pub(crate) cause: Cause,
    pub(crate) products: Vec<NewProduct>,
}

/// How many of a batch were new; the others were there already, with the same contents.
#[derive(Debug)]
pub(crate) struct Created {
    pub(crate) new: usize,
    pub(crate) existing: usize,
}

/// Adds one product, and refuses a SKU that is taken.
#[tracing::instrument(name = "inventory.create_product", skip_all, fields(sku = product.sku))]
pub(crate) async fn create_product(
    log: &Log,
    cause: &Cause,
    request_key: Option<RequestKey>,
    product: NewProduct,
) -> Result<Product, InventoryError> {
    let mut tx = log.begin().await?;
    let skus = [product.sku.clone()];
    let request_key = request_key.as_ref();
    let answered = log::answered(&mut tx, store::SCHEMA, request_key, &product.sku).await?;
    if answered.is_none() {
        let new = store::products::insert(&mut tx, std::slice::from_ref(&product)).await?;
        if new.is_empty() {
            return Err(InventoryError::ProductExists(product.sku));
        }
        log.append(&mut tx, &[created(&product, cause)]).await?;
    }
    let found = store::products::find_all(&mut tx, &skus).await?.pop();
    log.commit(tx).await?;
    found.ok_or_else(|| InventoryError::ProductNotFound(product.sku))
}

/// Adds all, or none. Five statements however many.
#[tracing::instrument(name = "inventory.create_products", skip_all, fields(count = command.products.len()))]
pub(crate) async fn create_products(
    log: &Log,
    command: CreateProducts,
) -> Result<Created, InventoryError> {
    let mut tx = log.begin().await?;
    let new = store::products::insert(&mut tx, &command.products).await?;
    let count = Created { new: new.len(), existing: command.products.len() - new.len() };
    let request_key = command.request_key.as_ref();
    if let Some(earlier) = log::answered(&mut tx, store::SCHEMA, request_key, new.len()).await? {
        let new = earlier.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
        return Ok(Created { new, existing: command.products.len().saturating_sub(new) });
    }
    let new: HashMap<String, ()> = new.into_iter().map(|sku| (sku, ())).collect();
    let old: Vec<String> = command
        .products
        .iter()
        .filter(|product| !new.contains_key(&product.sku))
        .map(|product| product.sku.clone())
        .collect();
    if !old.is_empty() {
        let old = store::products::find_all(&mut tx, &old).await?;
        let old: HashMap<&str, &Product> = old.iter().map(|p| (p.sku.as_str(), p)).collect();
        let differ: Vec<(usize, String)> = command
            .products
            .iter()
            .enumerate()
            .filter(|(_, p)| old.get(p.sku.as_str()).is_some_and(|old| !p.is_same_as(old)))
            .map(|(index, product)| (index, product.sku.clone()))
            .collect();
        if !differ.is_empty() {
            return Err(InventoryError::ProductsDiffer(differ));
        }
    }
    let events: Vec<NewEvent> = command
        .products
        .iter()
        .filter(|product| new.contains_key(&product.sku))
        .map(|product| created(product, &command.cause))
        .collect();
    log.append(&mut tx, &events).await?;
    log.commit(tx).await?;
    Ok(count)
}

fn created(product: &NewProduct, cause: &Cause) -> NewEvent {
    let data = ProductCreated {
        sku: product.sku.clone(),
        name: product.name.clone(),
        price: Some(rpc::to_money(product.price)),
    };
    NewEvent::new("product.created", &product.sku, 1, &data, cause)
}
