//! What the service knows, as it answers.

use proto::inventory::v1 as pb;

use crate::{
    commands::Good,
    domain::{Item, Movement, Product, Reason, ReservationState},
    queries::{Difference, Promise, Verified, What},
};

pub(super) fn product(product: Product) -> pb::Product {
    pb::Product {
        sku: product.sku,
        name: product.name,
        description: product.description,
        price: Some(rpc::to_money(product.price)),
        create_time: Some(rpc::to_time(product.created_at)),
        etag: product.version.to_string(),
        archive_time: product.archived_at.map(rpc::to_time),
        update_time: Some(rpc::to_time(product.updated_at)),
    }
}

pub(super) fn good(good: Good) -> pb::Product {
    pb::Product {
        sku: good.sku,
        name: good.name,
        price: Some(rpc::to_money(good.price)),
        ..pb::Product::default()
    }
}

/// Where a list of products goes on behind this one. No SKU has a blank.
pub(super) fn place(product: &pb::Product, by_name: bool) -> String {
    if by_name { format!("{} {}", product.sku, product.name) } else { product.sku.clone() }
}

pub(super) fn item(item: Item) -> pb::Item {
    pb::Item {
        sku: item.sku,
        on_hand: item.qty_on_hand,
        reserved: item.reserved_qty,
        available: item.qty_on_hand - item.reserved_qty,
        reorder_point: item.reorder_point,
        update_time: Some(rpc::to_time(item.updated_at)),
        name: item.name,
        etag: item.version.to_string(),
        movement_count: item.movement_count,
        value: Some(rpc::to_money(item.value)),
        archived: item.archived,
    }
}

pub(super) fn reservation((reservation, lines): Promise) -> pb::Reservation {
    let state = match reservation.state {
        ReservationState::Held => pb::ReservationState::Held,
        ReservationState::Confirmed => pb::ReservationState::Confirmed,
        ReservationState::Shipped => pb::ReservationState::Shipped,
        ReservationState::Released | ReservationState::Lapsed => pb::ReservationState::Released,
    };
    pb::Reservation {
        order_id: reservation.order_id.to_string(),
        state: state.into(),
        lines: lines
            .into_iter()
            .map(|line| pb::ReservationLine {
                sku: line.sku,
                quantity: line.qty,
                shipped_quantity: line.shipped_qty,
                released_quantity: line.released_qty,
                returned_quantity: line.returned_qty,
            })
            .collect(),
        expire_time: Some(rpc::to_time(reservation.expires_at)),
    }
}

pub(super) fn movements(movements: Vec<Movement>) -> Vec<pb::Movement> {
    movements.into_iter().map(movement).collect()
}

pub(super) fn movement(movement: Movement) -> pb::Movement {
    let reason = match movement.reason {
        Reason::Receipt => pb::MovementReason::Receipt,
        Reason::Shipment => pb::MovementReason::Shipment,
        Reason::Return => pb::MovementReason::Return,
        Reason::Count => pb::MovementReason::Count,
        Reason::Damaged => pb::MovementReason::Damaged,
        Reason::Lost => pb::MovementReason::Lost,
        Reason::Found => pb::MovementReason::Found,
        Reason::Scrapped => pb::MovementReason::Scrapped,
        Reason::Correction => pb::MovementReason::Correction,
    };
    pb::Movement {
        movement_id: movement.id.to_string(),
        sku: movement.sku,
        sequence: movement.sequence,
        quantity: movement.qty,
        cost: Some(rpc::to_money(movement.cost)),
        reason: reason.into(),
        document_id: movement.ref_id.to_string(),
        order_id: movement.order_id.map(|id| id.to_string()).unwrap_or_default(),
        create_time: Some(rpc::to_time(movement.recorded_at)),
    }
}

/// Where a list of movements goes on behind this one: its number in a SKU's list, its SKU and reason in a document's.
pub(super) fn place_of_movement(movement: &Movement, of_sku: bool) -> String {
    if of_sku {
        movement.sequence.to_string()
    } else {
        format!("{} {}", movement.sku, movement.reason.word())
    }
}

pub(super) fn verified(verified: Verified) -> pb::VerifyStockResponse {
    pb::VerifyStockResponse {
        item_count: verified.items,
        movement_count: verified.movements,
        open_line_count: verified.open_lines,
        difference_count: verified.differences,
        differences: verified.first.into_iter().map(difference).collect(),
        verify_time: Some(rpc::to_time(verified.at)),
    }
}

fn difference(difference: Difference) -> pb::StockDifference {
    use pb::stock_difference::Kind;
    let kind = match difference.what {
        What::Reserved => Kind::Reserved,
        What::OnHand => Kind::OnHand,
        What::Value => Kind::Value,
        What::MovementCount => Kind::MovementCount,
    };
    pb::StockDifference {
        sku: difference.sku,
        kind: kind.into(),
        recorded: difference.recorded,
        proven: difference.proven,
    }
}

pub(super) fn count(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}
