//! Products, stock and reservations, and the rules that they obey. Pure: values in, values or refusals out.

mod book;

pub(crate) use book::{Book, News, Wanted};

use chrono::{DateTime, TimeDelta, Utc};
use ids::OrderId;
use money::Money;
use uuid::Uuid;

/// A held reservation is relied on only well before it runs out; so long after, nobody does any more.
pub(crate) const GRACE: TimeDelta = TimeDelta::seconds(60);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Product {
    pub(crate) sku: String,
    pub(crate) name: String,
    pub(crate) description: String,
    /// Of one, without tax.
    pub(crate) price: Money,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) version: i32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewProduct {
    pub(crate) sku: String,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) price: Money,
}

impl NewProduct {
    pub(crate) fn is_same_as(&self, product: &Product) -> bool {
        self.name == product.name
            && self.description == product.description
            && self.price == product.price
    }
}

/// A SKU's stock, with its product's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) sku: String,
    pub(crate) name: String,
    pub(crate) qty_on_hand: i32,
    pub(crate) reserved_qty: i32,
    pub(crate) reorder_point: i32,
    pub(crate) updated_at: DateTime<Utc>,
}

/// A SKU's stock while its row is locked, with its product's name and price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Level {
    pub(crate) sku: String,
    pub(crate) name: String,
    pub(crate) price: Money,
    pub(crate) qty_on_hand: i32,
    pub(crate) reserved_qty: i32,
    pub(crate) reorder_point: i32,
}

impl Level {
    pub(crate) fn available(&self) -> i32 {
        self.qty_on_hand - self.reserved_qty
    }

    /// The level as it is now, after `qty` came, left, was promised or given back.
    pub(crate) fn changed_by(&self, qty: i32) -> LevelChange {
        LevelChange {
            sku: self.sku.clone(),
            qty,
            on_hand: self.qty_on_hand,
            reserved: self.reserved_qty,
            reorder_point: self.reorder_point,
        }
    }
}

/// What others hear of a level: by how much it moved, always positive, and what it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LevelChange {
    pub(crate) sku: String,
    pub(crate) qty: i32,
    pub(crate) on_hand: i32,
    pub(crate) reserved: i32,
    pub(crate) reorder_point: i32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "varchar", rename_all = "snake_case")]
pub(crate) enum ReservationState {
    /// For an order that is not placed yet.
    Held,
    /// The order is placed.
    Confirmed,
    /// All has left.
    Shipped,
    /// Given back for ever: refuses a reservation that comes late.
    Released,
    /// Given back because its time ran out while the order was a draft, which may be reserved for again.
    Lapsed,
}

/// What is promised to one order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reservation {
    pub(crate) order_id: OrderId,
    pub(crate) state: ReservationState,
    pub(crate) expires_at: DateTime<Utc>,
    /// How many events have told of it.
    pub(crate) version: i32,
    /// The database's time when this was read.
    pub(crate) seen_at: DateTime<Utc>,
}

impl Reservation {
    /// Whether it is held so long after its time that nobody relies on it any more.
    pub(crate) fn has_run_out(&self) -> bool {
        self.state == ReservationState::Held && self.expires_at + GRACE < self.seen_at
    }
}

/// One SKU of a reservation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReservedLine {
    pub(crate) order_id: OrderId,
    pub(crate) sku: String,
    pub(crate) qty: i32,
    pub(crate) shipped_qty: i32,
}

/// A change of what is on hand; negative for goods that leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Movement {
    pub(crate) sku: String,
    pub(crate) qty: i32,
    /// The delivery or the shipment.
    pub(crate) ref_id: Uuid,
}

/// A SKU that there is too little of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Short {
    pub(crate) sku: String,
    pub(crate) requested: i32,
    pub(crate) available: i32,
}
