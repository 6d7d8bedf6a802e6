//! Requests as commands: every field is looked at before a request is refused.

mod products;
mod stock;
mod reservations;

pub(super) use products::{
    archive_product, create_products, product, restore_product, update_product,
};
pub(super) use reservations::{commit_reservation, confirm, extend, release, reserve};
pub(super) use stock::{
    Movements, adjust_stock, count_stock, movements, receive_all, receive_one, return_stock,
    update_item,
};

use std::collections::HashSet;

use ids::OrderId;
use log::{Cause, RequestKey};
use rpc::{Fields, Page};

use crate::commands::Asked;

const BATCH_MAX: usize = 1000;
/// Lines of one order.
const LINES_MAX: usize = 500;
/// Goods that one line of an order has.
const LINE_MAX: i32 = 1_000_000;

/// The `request_id` of a mutation, and what makes an event of it.
pub(super) fn asked(
    fields: &mut Fields,
    request_id: &str,
    method: &'static str,
    request: &impl prost::Message,
) -> (Option<RequestKey>, Cause) {
    let id = fields.request_id(request_id);
    let key = id.map(|id| RequestKey::new(id, method, request));
    (key, Cause::of_call().with_request(id))
}

/// The same about an order's reservation; none when its id is bad.
fn asked_of(
    fields: &mut Fields,
    request_id: &str,
    order_id: &str,
    method: &'static str,
    request: &impl prost::Message,
) -> Option<Asked> {
    let (request_key, cause) = asked(fields, request_id, method, request);
    let order_id: OrderId = fields.id("order_id", order_id)?;
    Some(Asked { request_key, cause, order_id })
}

/// None to change whatever is there.
fn etag(etag: String) -> Option<String> {
    Some(etag).filter(|etag| !etag.is_empty())
}

/// Up to a batch of SKUs.
pub(super) fn skus(fields: &mut Fields, skus: Vec<String>, min: usize) -> Vec<String> {
    fields.count("skus", skus.len(), min, BATCH_MAX);
    let skus = skus.into_iter().take(BATCH_MAX).enumerate();
    skus.map(|(index, sku)| fields.sku(&format!("skus[{index}]"), sku)).collect()
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

fn line_of(fields: &mut Fields, line: usize, sku: String, qty: i32) -> (String, i32) {
    let sku = fields.sku(&format!("lines[{line}].sku"), sku);
    (sku, fields.within(&format!("lines[{line}].quantity"), qty, 1, LINE_MAX))
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
