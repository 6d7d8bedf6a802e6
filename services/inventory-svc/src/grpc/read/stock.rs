use std::collections::{BTreeMap, HashSet};

use money::Money;
use proto::inventory::v1 as pb;
use rpc::{Fields, Page};
use rust_decimal::{Decimal, RoundingStrategy};
use tonic::Status;
use uuid::Uuid;

use super::{BATCH_MAX, LINES_MAX, asked, asked_of, etag, line_of, within_batch};
use crate::{
    commands::{AdjustStock, Count, CountStock, Receipt, ReceiveStock, ReturnStock, UpdateItem},
    domain::{Reason, TakenBack},
};

/// Goods that one movement moves.
const MOVE_MAX: i32 = 100_000_000;
const UNIT_COST_PLACES_MAX: u32 = 6;
const UNIT_COST_MAX: i64 = 999_999_999_999;

pub(in crate::grpc) fn update_item(request: pb::UpdateItemRequest) -> Result<UpdateItem, Status> {
    let mut fields = Fields::default();
    let (request_key, cause) = asked(&mut fields, &request.request_id, "UpdateItem", &request);
    let item = request.item.unwrap_or_default();
    let sku = fields.sku("item.sku", item.sku);
    fields.update_mask(request.update_mask, &["reorder_point"]);
    let reorder_point = fields.within("item.reorder_point", item.reorder_point, 0, i32::MAX);
    fields.done()?;
    Ok(UpdateItem { request_key, cause, sku, etag: etag(item.etag), reorder_point })
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

pub(in crate::grpc) fn receive_one(
    request: pb::ReceiveStockRequest,
) -> Result<(String, ReceiveStock), Status> {
    let mut fields = Fields::default();
    let (request_key, cause) = asked(&mut fields, &request.request_id, "ReceiveStock", &request);
    let receipt = receipt(&mut fields, "", request);
    fields.done()?;
    let sku = receipt.sku.clone();
    Ok((sku, ReceiveStock { request_key, cause, receipts: vec![receipt] }))
}

pub(in crate::grpc) fn receive_all(
    request: pb::BatchReceiveStockRequest,
) -> Result<ReceiveStock, Status> {
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

pub(in crate::grpc) fn adjust_stock(
    request: pb::AdjustStockRequest,
) -> Result<AdjustStock, Status> {
    let mut fields = Fields::default();
    let (request_key, cause) = asked(&mut fields, &request.request_id, "AdjustStock", &request);
    let (reason, min, max) = match pb::AdjustmentReason::try_from(request.reason) {
        Ok(pb::AdjustmentReason::Damaged) => (Reason::Damaged, -MOVE_MAX, -1),
        Ok(pb::AdjustmentReason::Lost) => (Reason::Lost, -MOVE_MAX, -1),
        Ok(pb::AdjustmentReason::Found) => (Reason::Found, 1, MOVE_MAX),
        Ok(pb::AdjustmentReason::Scrapped) => (Reason::Scrapped, -MOVE_MAX, -1),
        Ok(pb::AdjustmentReason::Correction) => (Reason::Correction, -MOVE_MAX, MOVE_MAX),
        Ok(pb::AdjustmentReason::Unspecified) => {
            fields.bad("reason", "is required");
            (Reason::Correction, -MOVE_MAX, MOVE_MAX)
        }
        Err(_) => {
            fields.bad("reason", "is not a reason to adjust stock");
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

pub(in crate::grpc) fn count_stock(request: pb::CountStockRequest) -> Result<CountStock, Status> {
    let mut fields = Fields::default();
    let (request_key, cause) = asked(&mut fields, &request.request_id, "CountStock", &request);
    fields.count("lines", request.lines.len(), 1, BATCH_MAX);
    let mut counts = BTreeMap::new();
    for (line, one) in request.lines.into_iter().take(BATCH_MAX).enumerate() {
        let sku = fields.sku(&format!("lines[{line}].sku"), one.sku);
        let field = format!("lines[{line}].counted_quantity");
        let qty = counted(&mut fields, field, one.counted_quantity, i32::MAX);
        let field = format!("lines[{line}].movement_count");
        let movement_count = counted(&mut fields, field, one.movement_count, i64::MAX);
        if counts.insert(sku, Count { qty, movement_count, line }).is_some() {
            fields.bad(format!("lines[{line}].sku"), "is there twice");
        }
    }
    fields.done()?;
    Ok(CountStock { request_key, cause, counts })
}

/// A number whose absence does not mean 0.
fn counted<T>(fields: &mut Fields, field: String, number: Option<T>, max: T) -> T
where
    T: Copy + Default + PartialOrd + std::fmt::Display,
{
    match number {
        Some(number) => fields.within(&field, number, T::default(), max),
        None => {
            fields.bad(field, "is required");
            T::default()
        }
    }
}

pub(in crate::grpc) fn return_stock(
    request: pb::ReturnStockRequest,
) -> Result<ReturnStock, Status> {
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

/// Which movements, and behind which.
pub(in crate::grpc) enum Movements {
    OfSku { sku: String, document: Option<Uuid>, below: Option<i64> },
    OfDocument { document: Uuid, after: Option<(String, String)> },
}

pub(in crate::grpc) fn movements(
    request: pb::ListMovementsRequest,
) -> Result<(Movements, Page), Status> {
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
