//! What the service knows, as it answers.

use proto::inventory::v1 as pb;

use crate::{
    commands::Good,
    domain::{Item, Product, Reservation, ReservationState, ReservedLine},
};

pub(super) fn product(product: Product) -> pb::Product {
    pb::Product {
        sku: product.sku,
        name: product.name,
        description: product.description,
        price: Some(rpc::to_money(product.price)),
        create_time: Some(rpc::to_time(product.created_at)),
        etag: product.version.to_string(),
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
pub(super) fn place(product: &Product, by_name: bool) -> String {
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
    }
}

pub(super) fn reservation(reservation: &Reservation, lines: Vec<ReservedLine>) -> pb::Reservation {
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
            })
            .collect(),
        expire_time: Some(rpc::to_time(reservation.expires_at)),
    }
}

pub(super) fn count(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}
