//! Requests as commands: every field is looked at before a request is refused.

use std::collections::{BTreeMap, HashSet};

use chrono::TimeDelta;
use ids::OrderId;
use log::{Cause, RequestKey};
use money::Money;
use prost_types::Duration;
use proto::inventory::v1 as pb;
use rpc::{Fields, Page};
use rust_decimal::{Decimal, RoundingStrategy};
use tonic::Status;
use uuid::Uuid;

use crate::{
    commands::{
        AdjustStock, ArchiveProduct, Asked, CommitReservation, Count, CountStock, CreateProducts,
        Receipt, ReceiveStock, Reserve, ReturnStock, UpdateItem, UpdateProduct,
    },
    domain::{Goods, NewProduct, ProductChange, Reason, TakenBack, Wanted},
};

pub(super) const BATCH_MAX: usize = 1000;
const LINES_MAX: usize = 500;
const DESCRIPTION_MAX: usize = 10_000;
/// Goods that one movement moves.
const MOVE_MAX: i32 = 100_000_000;
/// Goods that one line of an order has.
const LINE_MAX: i32 = 1_000_000;

const EXTEND_MAX_S: i64 = 7 * 86_400;
const UNIT_COST_PLACES_MAX: u32 = 6;
/// In digits before the point.
const UNIT_COST_MAX: i64 = 999_999_999_999;

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
pub(super) fn asked_of(
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

/// `prefix` is where the product stands in the request, such as `requests[3].`.
pub(super) fn product(
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

pub(super) fn update_product(request: pb::UpdateProductRequest) -> Result<UpdateProduct, Status> {
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

/// None to change whatever is there.
fn etag(etag: String) -> Option<String> {
    Some(etag).filter(|etag| !etag.is_empty())
}

pub(super) fn archive_product(
    request: pb::ArchiveProductRequest,
) -> Result<ArchiveProduct, Status> {
    let mut fields = Fields::default();
    let (request_key, cause) = asked(&mut fields, &request.request_id, "ArchiveProduct", &request);
    let sku = fields.sku("sku", request.sku);
    fields.done()?;
    Ok(ArchiveProduct { request_key, cause, sku, etag: etag(request.etag), archived: true })
}

pub(super) fn restore_product(
    request: pb::RestoreProductRequest,
) -> Result<ArchiveProduct, Status> {
    let mut fields = Fields::default();
    let (request_key, cause) = asked(&mut fields, &request.request_id, "RestoreProduct", &request);
    let sku = fields.sku("sku", request.sku);
    fields.done()?;
    Ok(ArchiveProduct { request_key, cause, sku, etag: etag(request.etag), archived: false })
}

pub(super) fn update_item(request: pb::UpdateItemRequest) -> Result<UpdateItem, Status> {
    let mut fields = Fields::default();
    let (request_key, cause) = asked(&mut fields, &request.request_id, "UpdateItem", &request);
    let item = request.item.unwrap_or_default();
    let sku = fields.sku("item.sku", item.sku);
    fields.update_mask(request.update_mask, &["reorder_point"]);
    let reorder_point = fields.within("item.reorder_point", item.reorder_point, 0, i32::MAX);
    fields.done()?;
    Ok(UpdateItem { request_key, cause, sku, etag: etag(item.etag), reorder_point })
}

/// Up to a batch of SKUs.
pub(super) fn skus(fields: &mut Fields, skus: Vec<String>, min: usize) -> Vec<String> {
    fields.count("skus", skus.len(), min, BATCH_MAX);
    let skus = skus.into_iter().take(BATCH_MAX).enumerate();
    skus.map(|(index, sku)| fields.sku(&format!("skus[{index}]"), sku)).collect()
}

pub(super) fn create_products(
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
    let sku = fields.sku(&format!("{prefix}sku"), request.sku);
    let qty = fields.within(&format!("{prefix}quantity"), request.quantity, 1, MOVE_MAX);
    Receipt {
        sku,
        qty,
        cost: cost(fields, &format!("{prefix}unit_cost"), &request.unit_cost, qty),
        reorder_point: request
            .reorder_point
            .map(|point| fields.within(&format!("{prefix}reorder_point"), point, 0, i32::MAX)),
    }
}

/// What so many cost, half a penny rounded up. A price of one may have more places than an amount of money.
fn cost(fields: &mut Fields, field: &str, unit_cost: &str, qty: i32) -> Option<Money> {
    if unit_cost.is_empty() {
        return None;
    }
    let plain = unit_cost.starts_with(|c: char| c.is_ascii_digit())
        && unit_cost.ends_with(|c: char| c.is_ascii_digit())
        && unit_cost.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let of_one = Decimal::from_str_exact(unit_cost).ok().filter(|_| plain);
    let Some(of_one) = of_one else {
        fields.bad(field, "is not a decimal number such as 12.345");
        return None;
    };
    if of_one.normalize().scale() > UNIT_COST_PLACES_MAX {
        fields.bad(field, format!("has more than {UNIT_COST_PLACES_MAX} decimal places"));
    }
    let all = of_one.checked_mul(Decimal::from(qty)).filter(|_| of_one <= UNIT_COST_MAX.into());
    let all = all.map(|all| all.round_dp_with_strategy(2, RoundingStrategy::MidpointAwayFromZero));
    let all = all.and_then(|all| Money::parse(&all.to_string()).ok());
    if all.is_none() {
        fields.bad(field, "is out of range: all of them may cost at most 999999999999.99");
    }
    all
}

pub(super) fn receive_one(
    request: pb::ReceiveStockRequest,
) -> Result<(String, ReceiveStock), Status> {
    let mut fields = Fields::default();
    let (request_key, cause) = asked(&mut fields, &request.request_id, "ReceiveStock", &request);
    let receipt = receipt(&mut fields, "", request);
    fields.done()?;
    let sku = receipt.sku.clone();
    Ok((sku, ReceiveStock { request_key, cause, receipts: vec![receipt] }))
}

pub(super) fn receive_all(request: pb::BatchReceiveStockRequest) -> Result<ReceiveStock, Status> {
    let mut fields = Fields::default();
    let (request_key, cause) =
        asked(&mut fields, &request.request_id, "BatchReceiveStock", &request);
    fields.count("requests", request.requests.len(), 1, BATCH_MAX);
    let mut seen = HashSet::new();
    let mut receipts = Vec::with_capacity(request.requests.len());
    for (index, one) in request.requests.into_iter().take(BATCH_MAX).enumerate() {
        let prefix = format!("requests[{index}].");
        within_batch(&mut fields, &prefix, &one.request_id, &one.sku, &mut seen);
        receipts.push(receipt(&mut fields, &prefix, one));
    }
    fields.done()?;
    Ok(ReceiveStock { request_key, cause, receipts })
}

pub(super) fn adjust_stock(request: pb::AdjustStockRequest) -> Result<AdjustStock, Status> {
    let mut fields = Fields::default();
    let (request_key, cause) = asked(&mut fields, &request.request_id, "AdjustStock", &request);
    let (reason, min, max) = match request.reason() {
        pb::AdjustmentReason::Damaged => (Reason::Damaged, -MOVE_MAX, -1),
        pb::AdjustmentReason::Lost => (Reason::Lost, -MOVE_MAX, -1),
        pb::AdjustmentReason::Found => (Reason::Found, 1, MOVE_MAX),
        pb::AdjustmentReason::Scrapped => (Reason::Scrapped, -MOVE_MAX, -1),
        pb::AdjustmentReason::Correction => (Reason::Correction, -MOVE_MAX, MOVE_MAX),
        pb::AdjustmentReason::Unspecified => {
            fields.bad("reason", "is required");
            (Reason::Correction, -MOVE_MAX, MOVE_MAX)
        }
    };
    fields.count("lines", request.lines.len(), 1, BATCH_MAX);
    let mut changes = BTreeMap::new();
    for (line, one) in request.lines.into_iter().take(BATCH_MAX).enumerate() {
        let sku = fields.sku(&format!("lines[{line}].sku"), one.sku);
        let field = format!("lines[{line}].quantity_change");
        let change = fields.within(&field, one.quantity_change, min, max);
        if change == 0 {
            fields.bad(field, "is 0: there is nothing to adjust");
        }
        if changes.insert(sku, (line, change)).is_some() {
            fields.bad(format!("lines[{line}].sku"), "is there twice");
        }
    }
    fields.done()?;
    Ok(AdjustStock { request_key, cause, reason, changes })
}

pub(super) fn count_stock(request: pb::CountStockRequest) -> Result<CountStock, Status> {
    let mut fields = Fields::default();
    let (request_key, cause) = asked(&mut fields, &request.request_id, "CountStock", &request);
    fields.count("lines", request.lines.len(), 1, BATCH_MAX);
    let mut counts = BTreeMap::new();
    for (line, one) in request.lines.into_iter().take(BATCH_MAX).enumerate() {
        let sku = fields.sku(&format!("lines[{line}].sku"), one.sku);
        let field = format!("lines[{line}].counted_quantity");
        let qty = fields.within(&field, one.counted_quantity, 0, i32::MAX);
        let field = format!("lines[{line}].movement_count");
        let movement_count = match one.movement_count {
            Some(count) => fields.within(&field, count, 0, i64::MAX),
            None => {
                fields.bad(field, "is required");
                0
            }
        };
        if counts.insert(sku, Count { qty, movement_count, line }).is_some() {
            fields.bad(format!("lines[{line}].sku"), "is there twice");
        }
    }
    fields.done()?;
    Ok(CountStock { request_key, cause, counts })
}

pub(super) fn return_stock(request: pb::ReturnStockRequest) -> Result<ReturnStock, Status> {
    let mut fields = Fields::default();
    let (id, order) = (&request.request_id, &request.order_id);
    let asked = asked_of(&mut fields, id, order, "ReturnStock", &request);
    let return_id = fields.id("return_id", &request.return_id);
    fields.count("lines", request.lines.len(), 1, LINES_MAX);
    let mut goods: BTreeMap<String, TakenBack> = BTreeMap::new();
    for (line, one) in request.lines.into_iter().take(LINES_MAX).enumerate() {
        let (sku, qty) = line_of(&mut fields, line, one.sku, one.quantity);
        goods.entry(sku).or_default().add(qty, one.restock);
    }
    let (Some(asked), Some(return_id)) = (asked, return_id) else { return Err(fields.refuse()) };
    fields.done()?;
    Ok(ReturnStock { asked, return_id, goods })
}

pub(super) fn commit_reservation(
    request: pb::CommitReservationRequest,
) -> Result<CommitReservation, Status> {
    let mut fields = Fields::default();
    let (id, order) = (&request.request_id, &request.order_id);
    let asked = asked_of(&mut fields, id, order, "CommitReservation", &request);
    let shipment_id = fields.id("shipment_id", &request.shipment_id);
    let lines = request.lines.into_iter().map(|line| (line.sku, line.quantity));
    let goods = goods(&mut fields, lines.collect());
    let (Some(asked), Some(shipment_id)) = (asked, shipment_id) else {
        return Err(fields.refuse());
    };
    fields.done()?;
    Ok(CommitReservation { asked, shipment_id, goods })
}

/// Of a whole reservation, when no lines are given.
pub(super) fn release(
    request: pb::ReleaseReservationRequest,
) -> Result<(Asked, Option<Goods>), Status> {
    let mut fields = Fields::default();
    let (id, order) = (&request.request_id, &request.order_id);
    let asked = asked_of(&mut fields, id, order, "ReleaseReservation", &request);
    if request.request_id.is_empty() && !request.lines.is_empty() {
        fields.bad("request_id", "is required with lines");
    }
    let lines = request.lines.into_iter().map(|line| (line.sku, line.quantity));
    let goods = goods(&mut fields, lines.collect());
    let Some(asked) = asked else { return Err(fields.refuse()) };
    fields.done()?;
    Ok((asked, goods))
}

pub(super) fn confirm(request: &pb::ConfirmReservationRequest) -> Result<Asked, Status> {
    let mut fields = Fields::default();
    let (id, order) = (&request.request_id, &request.order_id);
    let asked = asked_of(&mut fields, id, order, "ConfirmReservation", request);
    let Some(asked) = asked else { return Err(fields.refuse()) };
    fields.done()?;
    Ok(asked)
}

pub(super) fn extend(request: &pb::ExtendReservationRequest) -> Result<(Asked, TimeDelta), Status> {
    let mut fields = Fields::default();
    let (id, order) = (&request.request_id, &request.order_id);
    let asked = asked_of(&mut fields, id, order, "ExtendReservation", request);
    let seconds = match &request.ttl {
        Some(Duration { seconds, nanos: 0 }) => fields.within("ttl", *seconds, 1, EXTEND_MAX_S),
        Some(_) => {
            fields.bad("ttl", "is not of whole seconds");
            1
        }
        None => {
            fields.bad("ttl", "is required");
            1
        }
    };
    let Some(asked) = asked else { return Err(fields.refuse()) };
    fields.done()?;
    Ok((asked, TimeDelta::seconds(seconds)))
}

/// By SKU, or none when there are no lines.
fn goods(fields: &mut Fields, lines: Vec<(String, i32)>) -> Option<Goods> {
    fields.count("lines", lines.len(), 0, LINES_MAX);
    let mut goods = Goods::new();
    for (line, (sku, qty)) in lines.into_iter().take(LINES_MAX).enumerate() {
        let (sku, qty) = line_of(fields, line, sku, qty);
        let sum = goods.entry(sku).or_default();
        *sum = sum.saturating_add(qty);
    }
    Some(goods).filter(|goods| !goods.is_empty())
}

fn line_of(fields: &mut Fields, line: usize, sku: String, qty: i32) -> (String, i32) {
    let sku = fields.sku(&format!("lines[{line}].sku"), sku);
    (sku, fields.within(&format!("lines[{line}].quantity"), qty, 1, LINE_MAX))
}

pub(super) fn reserve(request: pb::ReserveStockRequest) -> Result<Reserve, Status> {
    let mut fields = Fields::default();
    let (id, order) = (&request.request_id, &request.order_id);
    let asked = asked_of(&mut fields, id, order, "ReserveStock", &request);
    fields.count("lines", request.lines.len(), 1, LINES_MAX);
    let mut wanted: BTreeMap<String, Wanted> = BTreeMap::new();
    for (index, line) in request.lines.into_iter().take(LINES_MAX).enumerate() {
        let (sku, qty) = line_of(&mut fields, index, line.sku, line.quantity);
        let wanted = wanted.entry(sku).or_insert(Wanted { qty: 0, line: index });
        // Only quantities that are refused can be too many together.
        wanted.qty = wanted.qty.saturating_add(qty);
    }
    let Some(Asked { request_key, cause, order_id }) = asked else { return Err(fields.refuse()) };
    fields.done()?;
    Ok(Reserve { request_key, cause, order_id, wanted })
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

/// Which movements, and behind which.
pub(super) enum Movements {
    OfSku { sku: String, document: Option<Uuid>, below: Option<i64> },
    OfDocument { document: Uuid, after: Option<(String, String)> },
}

pub(super) fn movements(request: pb::ListMovementsRequest) -> Result<(Movements, Page), Status> {
    let mut fields = Fields::default();
    let pb::ListMovementsRequest { page_size, page_token, sku, document_id } = request;
    let filters = format!("movements {sku} {document_id}");
    let page = Page::read(&mut fields, page_size, &page_token, &filters);
    let document = fields.optional_id("document_id", &document_id);
    let movements = if !sku.is_empty() {
        let below = page.token.key(&mut fields);
        Movements::OfSku { sku: fields.sku("sku", sku), document, below }
    } else if let Some(document) = document {
        let after = page.token.after.as_deref().and_then(|after| after.split_once(' '));
        let after = after.map(|(sku, reason)| {
            let sku = fields.sku("page_token", sku.to_owned());
            (sku, fields.text("page_token", reason.to_owned(), 1, 16))
        });
        Movements::OfDocument { document, after }
    } else {
        if document_id.is_empty() {
            fields.bad("sku", "or document_id is required");
        }
        return Err(fields.refuse());
    };
    fields.done()?;
    Ok((movements, page))
}
