use std::collections::HashSet;

use money::Money;
use proto::inventory::v1 as pb;
use rpc::Fields;
use tonic::Status;

use super::{BATCH_MAX, asked, etag, within_batch};
use crate::{
    commands::{ArchiveProduct, CreateProducts, UpdateProduct},
    domain::{NewProduct, ProductChange},
};

const DESCRIPTION_MAX: usize = 10_000;

/// `prefix` is where the product stands in the request, such as `requests[3].`.
pub(in crate::grpc) fn product(
    fields: &mut Fields,
    prefix: &str,
    request: pb::CreateProductRequest,
) -> NewProduct {
    let price = price(fields, &format!("{prefix}price"), request.price.as_ref());
    NewProduct {
        sku: fields.sku(&format!("{prefix}sku"), request.sku),
        name: fields.text(&format!("{prefix}name"), request.name, 1, 255),
        description: fields.text(
            &format!("{prefix}description"),
            request.description,
            0,
            DESCRIPTION_MAX,
        ),
        price,
    }
}

fn price(fields: &mut Fields, field: &str, price: Option<&proto::common::v1::Money>) -> Money {
    let price = fields.money(field, price);
    if price.hundredths() > 999_999_999_999 {
        fields.bad(format!("{field}.amount"), "is out of range: at most 9999999999.99");
    }
    price
}

pub(in crate::grpc) fn update_product(
    request: pb::UpdateProductRequest,
) -> Result<UpdateProduct, Status> {
    let mut fields = Fields::default();
    let (request_key, cause) = asked(&mut fields, &request.request_id, "UpdateProduct", &request);
    let product = request.product.unwrap_or_default();
    let sku = fields.sku("product.sku", product.sku);
    let mut change = ProductChange::default();
    for path in fields.update_mask(request.update_mask, &["name", "description", "price"]) {
        match path.as_str() {
            "name" => change.name = Some(fields.text("product.name", product.name.clone(), 1, 255)),
            "description" => {
                let text = product.description.clone();
                let text = fields.text("product.description", text, 0, DESCRIPTION_MAX);
                change.description = Some(text);
            }
            "price" => {
                let price = price(&mut fields, "product.price", product.price.as_ref());
                change.price = Some(price);
            }
            _ => (),
        }
    }
    fields.done()?;
    Ok(UpdateProduct { request_key, cause, sku, etag: etag(product.etag), change })
}

pub(in crate::grpc) fn archive_product(
    request: pb::ArchiveProductRequest,
) -> Result<ArchiveProduct, Status> {
    let mut fields = Fields::default();
    let (request_key, cause) = asked(&mut fields, &request.request_id, "ArchiveProduct", &request);
    let sku = fields.sku("sku", request.sku);
    fields.done()?;
    Ok(ArchiveProduct { request_key, cause, sku, etag: etag(request.etag), archived: true })
}

pub(in crate::grpc) fn restore_product(
    request: pb::RestoreProductRequest,
) -> Result<ArchiveProduct, Status> {
    let mut fields = Fields::default();
    let (request_key, cause) = asked(&mut fields, &request.request_id, "RestoreProduct", &request);
    let sku = fields.sku("sku", request.sku);
    fields.done()?;
    Ok(ArchiveProduct { request_key, cause, sku, etag: etag(request.etag), archived: false })
}

pub(in crate::grpc) fn create_products(
    request: pb::BatchCreateProductsRequest,
) -> Result<CreateProducts, Status> {
    let mut fields = Fields::default();
    let (request_key, cause) =
        asked(&mut fields, &request.request_id, "BatchCreateProducts", &request);
    fields.count("requests", request.requests.len(), 1, BATCH_MAX);
    let mut seen = HashSet::new();
    let mut products = Vec::with_capacity(request.requests.len());
    for (index, one) in request.requests.into_iter().take(BATCH_MAX).enumerate() {
        let prefix = format!("requests[{index}].");
        within_batch(&mut fields, &prefix, &one.request_id, &one.sku, &mut seen);
        products.push(product(&mut fields, &prefix, one));
    }
    fields.done()?;
    Ok(CreateProducts { request_key, cause, products })
}
