//! Products, stock and reservations, and the rules that they obey. Pure: values in, values or refusals out.

mod calendar;
mod shelf;
mod book;

pub(crate) use book::{Book, Goods, News, TakenBack, Wanted};
pub(crate) use calendar::Calendar;
pub(crate) use shelf::{Document, Moves, Shelf};

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
    pub(crate) updated_at: DateTime<Utc>,
    pub(crate) archived_at: Option<DateTime<Utc>>,
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

/// What of a product is to become what.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ProductChange {
    pub(crate) name: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) price: Option<Money>,
}

impl Product {
    /// Makes the change, and names the fields that have become others.
    pub(crate) fn change(&mut self, to: ProductChange) -> Vec<&'static str> {
        let changed = [
            ("name", put(&mut self.name, to.name)),
            ("description", put(&mut self.description, to.description)),
            ("price", put(&mut self.price, to.price)),
        ];
        changed.into_iter().filter_map(|(name, changed)| changed.then_some(name)).collect()
    }
}

fn put<T: PartialEq>(field: &mut T, new: Option<T>) -> bool {
    new.is_some_and(|new| {
        let changed = *field != new;
        *field = new;
        changed
    })
}

/// A SKU's stock, with its product's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) sku: String,
    pub(crate) name: String,
    pub(crate) archived: bool,
    pub(crate) qty_on_hand: i32,
    pub(crate) reserved_qty: i32,
    pub(crate) reorder_point: i32,
    pub(crate) value: Money,
    pub(crate) movement_count: i64,
    pub(crate) version: i32,
    pub(crate) updated_at: DateTime<Utc>,
}

/// A SKU's stock while its row is locked, with its product's name and price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Level {
    pub(crate) sku: String,
    pub(crate) name: String,
    pub(crate) price: Money,
    pub(crate) archived: bool,
    pub(crate) qty_on_hand: i32,
    pub(crate) reserved_qty: i32,
    pub(crate) reorder_point: i32,
    /// What all that is on hand is worth.
    pub(crate) value: Money,
    /// How often goods have come or left.
    pub(crate) movement_count: i64,
    /// Whether it has been told that it fell to its reorder point, and has not been above since.
    pub(crate) reorder_told: bool,
    /// How many events have told of the item itself.
    pub(crate) version: i32,
    /// The database's time when this was read.
    pub(crate) seen_at: DateTime<Utc>,
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

/// What is to be told of an item itself; `version` is the item's after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ItemNews {
    ReorderPointSet {
        sku: String,
        reorder_point: i32,
        version: i32,
    },
    /// It has fallen to its reorder point.
    ReorderNeeded {
        sku: String,
        available: i32,
        reorder_point: i32,
        version: i32,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "varchar", rename_all = "snake_case")]
pub(crate) enum ReservationState {
    /// For an order that is not placed yet.
    Held,
    /// The order is placed.
    Confirmed,
    /// All that was not released has left.
    Shipped,
    /// Given back for ever: refuses a reservation that comes late.
    Released,
    /// Given back because its time ran out while the order was a draft, which may be reserved for again.
    Lapsed,
}

/// What can be done with a reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Move {
    Reserve,
    Confirm,
    Extend,
    Ship,
    Release,
    ReleaseLines,
}

/// Who makes a move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    /// A program that uses this service by its calls.
    Call,
    /// orders-svc, by an event of the order or asked about it.
    Order,
}

/// What comes of a move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It is made.
    Made,
    /// It had been made before: nothing changes.
    Again,
    /// Refused: it was released.
    Released,
    /// Refused: all that was not released has left.
    Shipped,
    /// Refused: it has no time limit any more.
    NotHeld,
}

impl ReservationState {
    /// Every move from every state. What has left can come back whatever became of the rest.
    pub(crate) fn turn(self, what: Move) -> Turn {
        match (what, self) {
            (Move::Reserve, Self::Lapsed)
            | (Move::Confirm | Move::Extend, Self::Held)
            | (Move::Ship | Move::Release | Move::ReleaseLines, Self::Held | Self::Confirmed)
            | (Move::Release, Self::Lapsed) => Turn::Made,
            (Move::Reserve, Self::Held | Self::Confirmed | Self::Shipped)
            | (Move::Confirm, Self::Confirmed | Self::Shipped)
            | (Move::Release, Self::Released) => Turn::Again,
            (Move::Extend, Self::Confirmed | Self::Shipped) => Turn::NotHeld,
            (Move::Ship | Move::Release | Move::ReleaseLines, Self::Shipped) => Turn::Shipped,
            (Move::Reserve | Move::Confirm | Move::Extend, Self::Released)
            | (Move::Ship | Move::ReleaseLines, Self::Released | Self::Lapsed)
            | (Move::Confirm | Move::Extend, Self::Lapsed) => Turn::Released,
        }
    }
}

/// What is promised to one order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reservation {
    pub(crate) order_id: OrderId,
    pub(crate) state: ReservationState,
    pub(crate) expires_at: DateTime<Utc>,
    /// Whether it was a call that confirmed it, and no order.
    pub(crate) by_call: bool,
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

    /// Whether its order is placed, so that only orders-svc knows what is to be shipped, given up and taken back.
    fn is_the_orders(&self) -> bool {
        let confirmed =
            matches!(self.state, ReservationState::Confirmed | ReservationState::Shipped);
        confirmed && !self.by_call
    }
}

/// One SKU of a reservation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReservedLine {
    pub(crate) order_id: OrderId,
    pub(crate) sku: String,
    pub(crate) qty: i32,
    pub(crate) shipped_qty: i32,
    pub(crate) released_qty: i32,
    /// What all that was shipped had cost.
    pub(crate) shipped_cost: Money,
    pub(crate) returned_qty: i32,
    /// What all that came back had cost.
    pub(crate) returned_cost: Money,
}

impl ReservedLine {
    pub(crate) fn new(order_id: OrderId, sku: String, qty: i32) -> Self {
        Self {
            order_id,
            sku,
            qty,
            shipped_qty: 0,
            released_qty: 0,
            shipped_cost: Money::ZERO,
            returned_qty: 0,
            returned_cost: Money::ZERO,
        }
    }

    /// What is still promised.
    pub(crate) fn open(&self) -> i32 {
        self.qty - self.shipped_qty - self.released_qty
    }
}

/// Why stock moved; a check on the column knows the same names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, sqlx::Type)]
#[sqlx(type_name = "varchar", rename_all = "snake_case")]
pub(crate) enum Reason {
    Receipt,
    Shipment,
    Return,
    Count,
    Damaged,
    Lost,
    Found,
    Scrapped,
    Correction,
}

impl Reason {
    /// The word that the books hear.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Receipt => "receipt",
            Self::Shipment => "shipment",
            Self::Return => "return",
            Self::Count => "count",
            Self::Damaged => "damaged",
            Self::Lost => "lost",
            Self::Found => "found",
            Self::Scrapped => "scrapped",
            Self::Correction => "correction",
        }
    }
}

/// A change of what is on hand; negative for goods that leave, and so is what they had cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewMovement {
    pub(crate) sku: String,
    /// The SKU's first is 1, the next 2.
    pub(crate) sequence: i64,
    pub(crate) qty: i32,
    pub(crate) cost: Money,
    pub(crate) document: Document,
}

/// A movement as it was written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Movement {
    pub(crate) id: Uuid,
    pub(crate) sku: String,
    pub(crate) sequence: i64,
    pub(crate) qty: i32,
    pub(crate) cost: Money,
    pub(crate) reason: Reason,
    /// The delivery, shipment, return, adjustment or count.
    pub(crate) ref_id: Uuid,
    pub(crate) order_id: Option<OrderId>,
    pub(crate) recorded_at: DateTime<Utc>,
}

/// A SKU that there is too little of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Short {
    pub(crate) sku: String,
    pub(crate) requested: i32,
    pub(crate) available: i32,
}

/// A SKU of which less would be left than is reserved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Below {
    pub(crate) sku: String,
    pub(crate) on_hand: i32,
    pub(crate) reserved: i32,
    pub(crate) change: i32,
}
