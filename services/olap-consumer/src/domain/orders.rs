//! The lines of orders, one by one: for questions that nobody thought of.
//!
//! There may be ten million of them, so they rest on the disk; the lines of an order must be fetched before an event changes them
//! ([`OrderLines::lacks`]). All lines of an order are in memory, or none.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use ids::{CustomerId, OrderId, OrderItemId};
use uuid::Uuid;

use super::{Amount, SalesBySku, Unsound, shelved::Shelved};

/// When its order was placed, which order, which line: by this they are sorted on the disk.
pub(crate) type LineKey = (DateTime<Utc>, OrderId, OrderItemId);

/// A line of an order that was placed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OrderLine {
    pub(crate) customer_id: CustomerId,
    pub(crate) sku: String,
    pub(crate) quantity: i32,
    pub(crate) cancelled_quantity: i32,
    pub(crate) shipped_quantity: i32,
    pub(crate) returned_quantity: i32,
    pub(crate) unit_price: Amount,
    /// In ten-thousandths; none where the order did not tell it.
    pub(crate) tax_rate: Option<i32>,
    /// With its whole order.
    pub(crate) cancelled: bool,
}

/// A line as it was ordered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewLine {
    pub(crate) line_id: OrderItemId,
    pub(crate) sku: String,
    pub(crate) quantity: i32,
    pub(crate) unit_price: Amount,
    pub(crate) tax_rate: Option<i32>,
}

/// What became of so many of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Became {
    Cancelled,
    Shipped,
    Returned,
}

/// How many of which line.
pub(crate) type Moved = Vec<(OrderItemId, i32)>;

#[derive(Debug, Clone)]
pub(crate) struct OrderLines {
    pub(crate) lines: Shelved<LineKey, OrderLine>,
    /// The sums of all lines.
    pub(crate) by_sku: SalesBySku,
    /// The orders in memory, and when they were placed.
    orders: BTreeMap<OrderId, DateTime<Utc>>,
}

impl OrderLine {
    /// Net, of what is kept. The whole line's is known to be an amount.
    pub(crate) fn amount(&self) -> Amount {
        let kept = self.quantity.saturating_sub(self.cancelled_quantity);
        self.unit_price.times(kept).unwrap_or_default()
    }
}

impl OrderLines {
    /// None of the lines is in memory.
    pub(crate) fn new(by_sku: SalesBySku) -> Self {
        Self { lines: Shelved::default(), by_sku, orders: BTreeMap::new() }
    }

    /// Whether the order must be fetched before it can be changed.
    pub(crate) fn lacks(&self, order: OrderId) -> bool {
        !self.orders.contains_key(&order)
    }

    /// Lines as they are on the disk: all of an order.
    pub(crate) fn fetched(&mut self, lines: Vec<(LineKey, OrderLine)>) {
        for (key, line) in lines {
            self.orders.entry(key.1).or_insert(key.0);
            self.lines.fetched(key, line);
        }
    }

    /// Each order once.
    pub(crate) fn place(
        &mut self,
        order: OrderId,
        customer_id: CustomerId,
        placed_at: DateTime<Utc>,
        lines: Vec<NewLine>,
    ) {
        let mut placed = BTreeMap::new();
        for line in lines {
            let NewLine { line_id, sku, quantity, unit_price, tax_rate } = line;
            let line = OrderLine {
                customer_id,
                sku,
                quantity,
                cancelled_quantity: 0,
                shipped_quantity: 0,
                returned_quantity: 0,
                unit_price,
                tax_rate,
                cancelled: false,
            };
            placed.insert((placed_at, order, line_id), line);
        }
        for (key, line) in placed {
            self.by_sku.change(placed_at, None, &line);
            self.lines.set(key, line);
            self.orders.insert(order, placed_at);
        }
    }

    /// The lines that are named as they are afterwards.
    pub(crate) fn after(
        &self,
        order: OrderId,
        moved: &Moved,
        became: Became,
    ) -> Result<BTreeMap<LineKey, OrderLine>, Unsound> {
        let mut changed: BTreeMap<LineKey, OrderLine> = BTreeMap::new();
        for (line_id, quantity) in moved {
            let placed_at = self.orders.get(&order).ok_or(Unsound::NotPlaced(order))?;
            let key = (*placed_at, order, *line_id);
            let line = changed.get(&key).or_else(|| self.lines.get(&key));
            let mut line = line.cloned().ok_or(Unsound::NotPlaced(order))?;
            let (sum, most) = match became {
                Became::Cancelled => {
                    let most = line.quantity - line.shipped_quantity;
                    (&mut line.cancelled_quantity, most)
                }
                Became::Shipped => {
                    let most = line.quantity - line.cancelled_quantity;
                    (&mut line.shipped_quantity, most)
                }
                Became::Returned => {
                    let most = line.shipped_quantity;
                    (&mut line.returned_quantity, most)
                }
            };
            let after = sum.checked_add(*quantity).filter(|after| (*sum..=most).contains(after));
            *sum = after.ok_or(Unsound::MoreThanOrdered(order))?;
            changed.insert(key, line);
        }
        Ok(changed)
    }

    pub(crate) fn change(&mut self, lines: BTreeMap<LineKey, OrderLine>) {
        for (key, line) in lines {
            self.by_sku.change(key.0, self.lines.get(&key), &line);
            self.lines.set(key, line);
        }
    }

    /// The whole order. One without lines has nothing to be cancelled.
    pub(crate) fn cancel(&mut self, order: OrderId) {
        let Some(placed_at) = self.orders.get(&order) else { return };
        let of_order = self.lines.range(all_of(*placed_at, order));
        let cancelled = of_order.map(|(key, line)| {
            let line = line.clone();
            (*key, OrderLine { cancelled: true, cancelled_quantity: line.quantity, ..line })
        });
        self.change(cancelled.collect());
    }

    /// What was being written is on the disk.
    pub(crate) fn written(&mut self) {
        let kept: BTreeSet<OrderId> =
            self.lines.changed().iter().map(|(_, order, _)| *order).collect();
        self.lines.written(|(_, order, _)| kept.contains(order));
        self.orders.retain(|order, _| kept.contains(order));
    }
}

/// The keys of all lines of an order.
pub(crate) fn all_of(
    placed_at: DateTime<Utc>,
    order: OrderId,
) -> std::ops::RangeInclusive<LineKey> {
    let line = |id| (placed_at, order, OrderItemId(id));
    line(Uuid::nil())..=line(Uuid::max())
}
