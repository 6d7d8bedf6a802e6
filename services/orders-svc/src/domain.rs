//! Orders and the rules that they obey. Pure: values in, values or refusals out.

mod lines;

use chrono::{DateTime, Utc};
use ids::{CustomerId, OrderId, OrderItemId, ReturnId, ShipmentId};
use money::Money;
use rust_decimal::Decimal;

use crate::OrdersError;

pub(crate) use lines::{difference, give_up, is_open, ship, take_back, totals};

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Customer {
    pub(crate) id: CustomerId,
    pub(crate) name: String,
    pub(crate) email: String,
    pub(crate) phone: String,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) metadata: Option<serde_json::Value>,
    /// No new orders since then.
    pub(crate) archived_at: Option<DateTime<Utc>>,
    pub(crate) version: i32,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Order {
    pub(crate) id: OrderId,
    pub(crate) customer_id: CustomerId,
    pub(crate) status: OrderStatus,
    /// All lines and their tax, but for what was given up.
    pub(crate) total_amount: Money,
    pub(crate) tax_amount: Money,
    /// What of them came back.
    pub(crate) returned_amount: Money,
    pub(crate) returned_tax: Money,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) placed_at: Option<DateTime<Utc>>,
    pub(crate) paid: bool,
    /// Empty unless it, or its rest, was cancelled and somebody said why.
    pub(crate) cancel_reason: String,
    /// Neither placed nor shipped since then.
    pub(crate) held_at: Option<DateTime<Utc>>,
    /// Empty unless it is held and somebody said why.
    pub(crate) hold_reason: String,
    pub(crate) version: i32,
    pub(crate) metadata: Option<serde_json::Value>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Item {
    pub(crate) id: OrderItemId,
    pub(crate) sku: String,
    pub(crate) qty: i32,
    /// Of one, without tax.
    pub(crate) price: Money,
    /// Agreed with the customer: the catalogue does not replace it.
    pub(crate) price_agreed: bool,
    pub(crate) tax_rate: Decimal,
    pub(crate) shipped_qty: i32,
    /// Given up after a part of the order was shipped.
    pub(crate) cancelled_qty: i32,
    /// Of those that were shipped.
    pub(crate) returned_qty: i32,
}

/// Some of a line: what is shipped, or given up.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Portion {
    pub(crate) item_id: OrderItemId,
    pub(crate) sku: String,
    pub(crate) qty: i32,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Shipment {
    pub(crate) id: ShipmentId,
    pub(crate) shipped_at: DateTime<Utc>,
    pub(crate) lines: Vec<Portion>,
}

/// Goods that came back.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Return {
    pub(crate) id: ReturnId,
    pub(crate) returned_at: DateTime<Utc>,
    /// Empty unless somebody said why.
    pub(crate) reason: String,
    /// What they were sold for, gross.
    pub(crate) amount: Money,
    pub(crate) tax_amount: Money,
    pub(crate) lines: Vec<ReturnLine>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ReturnLine {
    pub(crate) of: Portion,
    /// Back on the shelf, or else scrapped.
    pub(crate) restock: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "varchar", rename_all = "snake_case")]
pub enum OrderStatus {
    Draft,
    Placed,
    Cancelled,
    Shipped,
    Completed,
}

/// What can happen to an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Move {
    /// Its customer or its lines change.
    Edit,
    /// It goes, as if it had never been.
    Delete,
    Place,
    Hold,
    Release,
    /// Nothing of it has left.
    Cancel,
    /// A part of it has left: the rest is given up.
    CancelRest,
    /// A shipment that leaves something open.
    ShipPart,
    /// The shipment that leaves nothing open.
    ShipRest,
    Return,
    /// Shipped and paid.
    Complete,
    /// Not paid any more.
    Reopen,
}

/// The whole state machine: what is not here is refused.
const MOVES: [(OrderStatus, Move, OrderStatus); 17] = [
    (OrderStatus::Draft, Move::Edit, OrderStatus::Draft),
    (OrderStatus::Draft, Move::Delete, OrderStatus::Draft),
    (OrderStatus::Draft, Move::Hold, OrderStatus::Draft),
    (OrderStatus::Draft, Move::Release, OrderStatus::Draft),
    (OrderStatus::Draft, Move::Place, OrderStatus::Placed),
    (OrderStatus::Draft, Move::Cancel, OrderStatus::Cancelled),
    (OrderStatus::Placed, Move::Hold, OrderStatus::Placed),
    (OrderStatus::Placed, Move::Release, OrderStatus::Placed),
    (OrderStatus::Placed, Move::Cancel, OrderStatus::Cancelled),
    (OrderStatus::Placed, Move::CancelRest, OrderStatus::Shipped),
    (OrderStatus::Placed, Move::ShipPart, OrderStatus::Placed),
    (OrderStatus::Placed, Move::ShipRest, OrderStatus::Shipped),
    (OrderStatus::Placed, Move::Return, OrderStatus::Placed),
    (OrderStatus::Shipped, Move::Return, OrderStatus::Shipped),
    (OrderStatus::Shipped, Move::Complete, OrderStatus::Completed),
    (OrderStatus::Completed, Move::Return, OrderStatus::Completed),
    (OrderStatus::Completed, Move::Reopen, OrderStatus::Shipped),
];

/// What a hold stops.
const STOPPED_BY_HOLD: [Move; 3] = [Move::Place, Move::ShipPart, Move::ShipRest];

impl Customer {
    /// Changes with each version.
    pub(crate) fn etag(&self) -> String {
        self.version.to_string()
    }
}

impl Order {
    /// The order after a move, one version later. A hold ends where there is nothing left to stop.
    pub(crate) fn after(mut self, what: Move) -> Result<Self, OrdersError> {
        let to = MOVES.iter().find(|(from, by, _)| *from == self.status && *by == what);
        let Some((_, _, to)) = to else {
            return Err(OrdersError::State { id: self.id, status: self.status, what });
        };
        if self.held_at.is_some() && STOPPED_BY_HOLD.contains(&what) {
            return Err(OrdersError::Held(self.id));
        }
        self.status = *to;
        self.version += 1;
        if !matches!(self.status, OrderStatus::Draft | OrderStatus::Placed) {
            self.held_at = None;
            self.hold_reason.clear();
        }
        Ok(self)
    }

    /// Changes with each version, and with its payment, which makes no event of the order and so no version of its own.
    pub(crate) fn etag(&self) -> String {
        format!("{}-{}", self.version, u8::from(self.paid))
    }
}

impl Item {
    /// Neither shipped nor given up.
    pub(crate) fn open_qty(&self) -> i32 {
        self.qty - self.shipped_qty - self.cancelled_qty
    }

    /// Still bought: neither given up nor returned.
    pub(crate) fn kept_qty(&self) -> i32 {
        self.qty - self.cancelled_qty - self.returned_qty
    }
}

impl std::fmt::Display for OrderStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Draft => "draft",
            Self::Placed => "placed",
            Self::Cancelled => "cancelled",
            Self::Shipped => "shipped",
            Self::Completed => "completed",
        })
    }
}

impl std::fmt::Display for Move {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Edit => "changed",
            Self::Delete => "deleted",
            Self::Place => "placed",
            Self::Hold => "held",
            Self::Release => "released",
            Self::Cancel | Self::CancelRest => "cancelled",
            Self::ShipPart | Self::ShipRest => "shipped",
            Self::Return => "returned",
            Self::Complete => "completed",
            Self::Reopen => "reopened",
        })
    }
}
