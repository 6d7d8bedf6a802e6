//! Requests as commands: every field is looked at before a request is refused.

use std::collections::{BTreeMap, HashSet};

use ids::OrderId;
use log::{Cause, RequestKey};
use proto::inventory::v1 as pb;
use rpc::{Fields, Page};
use tonic::Status;

use crate::{
    commands::{CreateProducts, Receipt, ReceiveStock, Reserve},
    domain::{NewProduct, Wanted},
};

pub(super) const BATCH_MAX: usize = 1000;
const LINES_MAX: usize = 500;
const DESCRIPTION_MAX: usize = 10_000;
const RECEIPT_MAX: i32 = 100_000_000;
const RESERVE_MAX: i32 = 1_000_000;

/// `prefix` is where the product stands in the request, such as `requests[3].`.
pub(super) fn product(
    fields: &mut Fields,
    prefix: &str,
    request: pb::CreateProductRequest,
) -> NewProduct {
    let price_field = format!("{prefix}price");
    let price = fields.money(&price_field, request.price.as_ref());
    if price.hundredths() > 999_999_999_999 {
        fields.bad(format!("{price_field}.amount"), "is out of range: at most 9999999999.99");
    }
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

pub(super) fn create_products(
    request: pb::BatchCreateProductsRequest,
) -> Result<CreateProducts, Status> {
    let mut fields = Fields::default();
    fields.count("requests", request.requests.len(), 1, BATCH_MAX);
    let mut seen = HashSet::new();
    let mut products = Vec::with_capacity(request.requests.len());
    for (index, one) in request.requests.into_iter().take(BATCH_MAX).enumerate() {
        let prefix = format!("requests[{index}].");
        within_batch(&mut fields, &prefix, &one.request_id, &one.sku, &mut seen);
        products.push(product(&mut fields, &prefix, one));
    }
    fields.done()?;
    Ok(CreateProducts { cause: Cause::of_call(), products })
}

/// What no request of a batch may have: an id of its own, or a SKU that another has.
fn within_batch(
    fields: &mut Fields,
    prefix: &str,
    request_id: &str,
    sku: &str,
    seen: &mut HashSet<String>,
) {
    if !request_id.is_empty() {
        fields.bad(format!("{prefix}request_id"), "must be empty within a batch");
    }
    if !seen.insert(sku.to_owned()) {
        fields.bad(format!("{prefix}sku"), "is there twice");
    }
}

fn receipt(fields: &mut Fields, prefix: &str, request: pb::ReceiveStockRequest) -> Receipt {
    Receipt {
        sku: fields.sku(&format!("{prefix}sku"), request.sku),
        qty: fields.within(&format!("{prefix}quantity"), request.quantity, 1, RECEIPT_MAX),
        reorder_point: request
            .reorder_point
            .map(|point| fields.within(&format!("{prefix}reorder_point"), point, 0, i32::MAX)),
    }
}

pub(super) fn receive_one(
    request: pb::ReceiveStockRequest,
) -> Result<(String, ReceiveStock), Status> {
    let mut fields = Fields::default();
    let request_id = fields.request_id(&request.request_id);
    let request_key = request_id.map(|id| RequestKey::new(id, "ReceiveStock", &request));
    let receipt = receipt(&mut fields, "", request);
    fields.done()?;
    let sku = receipt.sku.clone();
    Ok((sku, ReceiveStock { request_key, cause: Cause::of_call(), receipts: vec![receipt] }))
}

pub(super) fn receive_all(request: pb::BatchReceiveStockRequest) -> Result<ReceiveStock, Status> {
    let mut fields = Fields::default();
    let request_id = fields.request_id(&request.request_id);
    let request_key = request_id.map(|id| RequestKey::new(id, "BatchReceiveStock", &request));
    fields.count("requests", request.requests.len(), 1, BATCH_MAX);
    let mut seen = HashSet::new();
    let mut receipts = Vec::with_capacity(request.requests.len());
    for (index, one) in request.requests.into_iter().take(BATCH_MAX).enumerate() {
        let prefix = format!("requests[{index}].");
        within_batch(&mut fields, &prefix, &one.request_id, &one.sku, &mut seen);
        receipts.push(receipt(&mut fields, &prefix, one));
    }
    fields.done()?;
    Ok(ReceiveStock { request_key, cause: Cause::of_call(), receipts })
}

pub(super) fn reserve(request: pb::ReserveStockRequest) -> Result<Reserve, Status> {
    let mut fields = Fields::default();
    let order_id: Option<OrderId> = fields.id("order_id", &request.order_id);
    fields.count("lines", request.lines.len(), 1, LINES_MAX);
    let mut wanted: BTreeMap<String, Wanted> = BTreeMap::new();
    for (index, line) in request.lines.into_iter().take(LINES_MAX).enumerate() {
        let sku = fields.sku(&format!("lines[{index}].sku"), line.sku);
        let quantity = format!("lines[{index}].quantity");
        let qty = fields.within(&quantity, line.quantity, 1, RESERVE_MAX);
        let wanted = wanted.entry(sku).or_insert(Wanted { qty: 0, line: index });
        // Only quantities that are refused can be too many together.
        wanted.qty = wanted.qty.saturating_add(qty);
    }
    let Some(order_id) = order_id else { return Err(fields.refuse()) };
    fields.done()?;
    Ok(Reserve { cause: Cause::of_call(), order_id, wanted })
}

/// Where a list goes on: behind a SKU and, where it goes by name, the product's name, which [`super::show::place`] has written.
pub(super) fn place(
    fields: &mut Fields,
    page: &Page,
    by_name: bool,
) -> (Option<String>, Option<String>) {
    let Some(after) = page.token.after.clone() else { return (None, None) };
    let (sku, name) = match after.split_once(' ') {
        Some((sku, name)) if by_name => (sku.to_owned(), Some(name.to_owned())),
        _ => (after, None),
    };
    let name = name.map(|name| fields.text("page_token", name, 1, 255));
    (Some(fields.sku("page_token", sku)), name)
}
