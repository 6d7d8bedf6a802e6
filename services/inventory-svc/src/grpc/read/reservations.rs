use std::collections::BTreeMap;

use chrono::TimeDelta;
use prost_types::Duration;
use proto::inventory::v1 as pb;
use rpc::Fields;
use tonic::Status;

use super::{LINES_MAX, asked_of, line_of};
use crate::{
    commands::{Asked, CommitReservation, Reserve},
    domain::{Goods, Wanted},
};

const EXTEND_MAX_S: i64 = 7 * 86_400;

pub(in crate::grpc) fn reserve(request: pb::ReserveStockRequest) -> Result<Reserve, Status> {
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

pub(in crate::grpc) fn confirm(request: &pb::ConfirmReservationRequest) -> Result<Asked, Status> {
    let mut fields = Fields::default();
    let (id, order) = (&request.request_id, &request.order_id);
    let asked = asked_of(&mut fields, id, order, "ConfirmReservation", request);
    let Some(asked) = asked else { return Err(fields.refuse()) };
    fields.done()?;
    Ok(asked)
}

pub(in crate::grpc) fn extend(
    request: &pb::ExtendReservationRequest,
) -> Result<(Asked, TimeDelta), Status> {
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

pub(in crate::grpc) fn commit_reservation(
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
pub(in crate::grpc) fn release(
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
