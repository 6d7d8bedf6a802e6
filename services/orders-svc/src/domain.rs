//! Orders and the rules that they obey. Pure: values in, values or refusals out.

use chrono::{DateTime, Utc};
use ids::{CustomerId, OrderId, OrderItemId, ShipmentId};
use money::{Money, MoneyError};
use rust_decimal::Decimal;

use crate::OrdersError;

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Customer {
    pub(crate) id: CustomerId,
    pub(crate) name: String,
    pub(crate) email: String,
    pub(crate) phone: String,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) metadata: Option<serde_json::Value>,
    pub(crate) version: i32,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Order {
    pub(crate) id: OrderId,
    pub(crate) customer_id: CustomerId,
    pub(crate) status: OrderStatus,
    /// All lines and their tax.
    pub(crate) total_amount: Money,
    pub(crate) tax_amount: Money,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) placed_at: Option<DateTime<Utc>>,
    pub(crate) paid: bool,
    /// Empty unless it was cancelled and somebody said why.
    pub(crate) cancel_reason: String,
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
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Shipment {
    pub(crate) id: ShipmentId,
    pub(crate) shipped_at: DateTime<Utc>,
    pub(crate) lines: Vec<ShipmentLine>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ShipmentLine {
    pub(crate) item_id: OrderItemId,
    pub(crate) sku: String,
    pub(crate) qty: i32,
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
    Place,
    Cancel,
    /// A shipment that leaves something open.
    ShipPart,
    /// The shipment that leaves nothing open.
    ShipRest,
    /// Shipped and paid.
    Complete,
}

/// The whole state machine: what is not here is refused.
const MOVES: [(OrderStatus, Move, OrderStatus); 6] = [
    (OrderStatus::Draft, Move::Place, OrderStatus::Placed),
    (OrderStatus::Draft, Move::Cancel, OrderStatus::Cancelled),
    (OrderStatus::Placed, Move::Cancel, OrderStatus::Cancelled),
    (OrderStatus::Placed, Move::ShipPart, OrderStatus::Placed),
    (OrderStatus::Placed, Move::ShipRest, OrderStatus::Shipped),
    (OrderStatus::Shipped, Move::Complete, OrderStatus::Completed),
];

impl Order {
    /// The order after a move, one version later.
    pub(crate) fn after(mut self, what: Move) -> Result<Self, OrdersError> {
        let to = MOVES.iter().find(|(from, by, _)| *from == self.status && *by == what);
        let Some((_, _, to)) = to else {
            return Err(OrdersError::State { id: self.id, status: self.status, what });
        };
        self.status = *to;
        self.version += 1;
        Ok(self)
    }
}

/// Total and tax of lines: each line's amount and tax are rounded, half a penny up, and then added.
pub(crate) fn totals(items: &[Item]) -> Result<(Money, Money), MoneyError> {
    let (mut net, mut tax) = (Money::ZERO, Money::ZERO);
    for item in items {
        let amount = item.price.checked_mul(item.qty)?;
        net = net.checked_add(amount)?;
        tax = tax.checked_add(amount.part(item.tax_rate)?)?;
    }
    Ok((net.checked_add(tax)?, tax))
}

/// What a shipment takes of an order's lines, in the order's order: the named quantities, or all that is open when none is named.
pub(crate) fn ship(
    items: &[Item],
    named: &[(OrderItemId, i32)],
) -> Result<Vec<ShipmentLine>, OrdersError> {
    let is_of_order = |id: &OrderItemId| items.iter().any(|item| item.id == *id);
    let unknown = named.iter().enumerate().filter(|(_, (id, _))| !is_of_order(id));
    let unknown: Vec<usize> = unknown.map(|(place, _)| place).collect();
    if !unknown.is_empty() {
        return Err(OrdersError::UnknownLines(unknown));
    }
    let (mut lines, mut over) = (Vec::new(), Vec::new());
    for item in items {
        let open = item.qty - item.shipped_qty;
        let asked = named.iter().find(|(id, _)| *id == item.id).map(|(_, qty)| *qty);
        let qty = if named.is_empty() { open } else { asked.unwrap_or(0) };
        if qty > open {
            over.push((item.id, qty, open));
        }
        if qty > 0 {
            lines.push(ShipmentLine { item_id: item.id, sku: item.sku.clone(), qty });
        }
    }
    if over.is_empty() { Ok(lines) } else { Err(OrdersError::OverShipment(over)) }
}

/// Whether a shipment leaves nothing of the order open.
pub(crate) fn ships_the_rest(items: &[Item], shipment: &[ShipmentLine]) -> bool {
    items.iter().all(|item| {
        let now = shipment.iter().find(|line| line.item_id == item.id).map_or(0, |line| line.qty);
        item.shipped_qty + now == item.qty
    })
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
            Self::Place => "placed",
            Self::Cancel => "cancelled",
            Self::ShipPart | Self::ShipRest => "shipped",
            Self::Complete => "completed",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(qty: i32, price: &str, tax_rate: &str) -> Item {
        Item {
            id: OrderItemId::generate(),
            sku: "nut-m8".to_owned(),
            qty,
            price: Money::parse(price).unwrap(),
            price_agreed: false,
            tax_rate: tax_rate.parse().unwrap(),
            shipped_qty: 0,
        }
    }

    #[test]
    fn a_total_is_the_sum_of_rounded_lines() {
        let items = [item(3, "0.33", "0.2"), item(1, "0.13", "0.2"), item(7, "1.00", "0")];
        let (total, tax) = totals(&items).unwrap();
        assert_eq!(tax.to_string(), "0.23"); // 0.198 -> 0.20, 0.026 -> 0.03
        assert_eq!(total.to_string(), "8.35");
    }

    #[test]
    fn shipping_takes_what_is_open_and_no_more() {
        let mut items = [item(3, "1.00", "0"), item(2, "1.00", "0")];
        items[0].shipped_qty = 1;
        let rest = ship(&items, &[]).unwrap();
        assert_eq!(rest.iter().map(|line| line.qty).collect::<Vec<_>>(), [2, 2]);
        assert!(ships_the_rest(&items, &rest));

        let part = ship(&items, &[(items[1].id, 1)]).unwrap();
        assert!(!ships_the_rest(&items, &part));
        assert!(matches!(
            ship(&items, &[(items[0].id, 3)]),
            Err(OrdersError::OverShipment(over)) if over == [(items[0].id, 3, 2)]
        ));
    }
}
