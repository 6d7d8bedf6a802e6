//! What is counted, and the rules by which events change it. Pure: facts in, rows out; no clock, no file, no protobuf.
//!
//! Each source has tables of its own, so it does not matter in which order the sources' events arrive, only in which order each source
//! logged its own: folding a log from the start always comes to the same rows.
//!
//! Memory is bounded by the business, not by its events: a row per hour with sales, SKU, open invoice and business day, and per account and
//! day. Of the lines of orders, and of the stock of each day, only what is not written yet is in memory ([`Shelved`]); of sums by SKU
//! and of what customers owed on each day, only by how much they changed of late ([`Sums`]).

mod table;
mod shelved;
mod sums;
mod amount;
mod days;
mod sales;
mod orders;
mod sales_by_sku;
mod stock;
mod receivables;
mod trial_balance;
#[cfg(test)]
mod tests;

pub(crate) use amount::Amount;
pub(crate) use days::BusinessDays;
pub(crate) use orders::{Became, LineKey, Moved, NewLine, OrderLine, OrderLines};
pub(crate) use receivables::{Ageing, DayAndDebt, OpenInvoice, OwedMore, Receivables};
pub(crate) use sales::{HourOfSales, Sales};
pub(crate) use sales_by_sku::{DayAndSku, SalesBySku, SkuSales, SoldInMonth, SoldOnDay};
pub(crate) use shelved::Shelved;
pub(crate) use stock::{Item, Level, LevelOfDay, NewLevel, Stock};
pub(crate) use sums::{Adds, Sums};
pub(crate) use table::{Changes, Table};
pub(crate) use trial_balance::{Posted, TrialBalance};

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use ids::{CustomerId, InvoiceId, OrderId};
use manifest::Counted;
use uuid::Uuid;

/// Events that may be set aside; that many are no longer bad events, but a wrong version or configuration.
const SET_ASIDE_MAX: usize = 1000;

/// All that is counted, and how far.
#[derive(Debug, Clone)]
pub(crate) struct Books {
    pub(crate) calendar: BusinessDays,
    pub(crate) sales: Sales,
    pub(crate) orders: OrderLines,
    pub(crate) stock: Stock,
    pub(crate) receivables: Receivables,
    pub(crate) trial_balance: TrialBalance,
    /// Events that are not counted, by source and place in its log.
    pub(crate) set_aside: Table<(String, i64), SetAside>,
    /// How far each source was counted.
    pub(crate) positions: BTreeMap<String, Counted>,
    /// When the newest event of all happened.
    pub(crate) event_time: Option<DateTime<Utc>>,
}

/// What an event tells.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Fact {
    /// Each order once.
    OrderPlaced {
        order: OrderId,
        customer_id: CustomerId,
        placed_at: DateTime<Utc>,
        total: Amount,
        lines: Vec<NewLine>,
    },
    /// An order that had been placed then.
    OrderCancelled {
        order: OrderId,
        placed_at: DateTime<Utc>,
        total: Amount,
    },
    /// A part of a placed order that was given up.
    OrderReduced {
        order: OrderId,
        placed_at: DateTime<Utc>,
        by: Amount,
        lines: Moved,
    },
    OrderShipped {
        order: OrderId,
        lines: Moved,
    },
    OrderReturned {
        order: OrderId,
        lines: Moved,
    },
    ProductCreated {
        sku: String,
    },
    /// No longer sold, or again.
    ProductArchived {
        sku: String,
        archived: bool,
    },
    StockChanged(Vec<NewLevel>),
    ReorderPointSet {
        sku: String,
        reorder_point: i32,
    },
    InvoiceIssued(InvoiceId, OpenInvoice),
    /// What is still owed on each invoice, which is no more than before.
    InvoicesReduced(Vec<(InvoiceId, Amount)>),
    /// What is owed again, also on invoices that were closed.
    InvoicesOwedAgain(Vec<(InvoiceId, OpenInvoice)>),
    /// Nothing is owed on it any more.
    InvoiceClosed(InvoiceId),
    JournalPosted {
        day: NaiveDate,
        lines: Vec<(String, Posted)>,
    },
}

/// An event that is not counted.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SetAside {
    pub(crate) event_id: Uuid,
    pub(crate) event_type: String,
    pub(crate) subject: String,
    pub(crate) event_time: DateTime<Utc>,
    /// Why.
    pub(crate) reason: String,
}

/// A fact that contradicts what came before it.
#[derive(Debug, Clone, thiserror::Error, PartialEq)]
pub(crate) enum Unsound {
    #[error("no order of that amount was counted in the hour of {0}")]
    NotSold(DateTime<Utc>),
    #[error("invoice {0} was issued before")]
    IssuedTwice(InvoiceId),
    #[error("invoice {0} is not open")]
    NotOpen(InvoiceId),
    #[error("invoice {0} would be owed more than before, or less than nothing")]
    OwedMore(InvoiceId),
    #[error("invoice {0} would be owed less than before, or nothing")]
    OwedLess(InvoiceId),
    #[error("order {0} has no such line")]
    NotPlaced(OrderId),
    #[error("more of order {0} than there is")]
    MoreThanOrdered(OrderId),
    #[error("the sum does not fit into decimal(18,2)")]
    TooMuch,
    #[error("{0} is too far from the day before it")]
    FarOff(DateTime<Utc>),
}

/// Too many events are set aside to go on.
#[derive(Debug, thiserror::Error)]
#[error("{SET_ASIDE_MAX} events are set aside, and here is one more: {0}")]
pub(crate) struct TooManySetAside(String);

impl Fact {
    /// The order whose lines must be at hand.
    pub(crate) fn changes_order(&self) -> Option<OrderId> {
        match self {
            Self::OrderCancelled { order, .. }
            | Self::OrderReduced { order, .. }
            | Self::OrderShipped { order, .. }
            | Self::OrderReturned { order, .. } => Some(*order),
            Self::OrderPlaced { .. }
            | Self::ProductCreated { .. }
            | Self::ProductArchived { .. }
            | Self::StockChanged(_)
            | Self::ReorderPointSet { .. }
            | Self::InvoiceIssued(..)
            | Self::InvoicesReduced(_)
            | Self::InvoicesOwedAgain(_)
            | Self::InvoiceClosed(_)
            | Self::JournalPosted { .. } => None,
        }
    }
}

impl Books {
    pub(crate) fn new(calendar: BusinessDays) -> Self {
        Self {
            calendar,
            sales: Sales::default(),
            orders: OrderLines::new(SalesBySku::new(calendar, Sums::default(), Sums::default())),
            stock: Stock::default(),
            receivables: Receivables::new(
                calendar,
                Table::default(),
                Table::default(),
                Sums::default(),
                None,
            ),
            trial_balance: TrialBalance::default(),
            set_aside: Table::default(),
            positions: BTreeMap::new(),
            event_time: None,
        }
    }

    pub(crate) fn position(&self, source: &str) -> Counted {
        self.positions.get(source).copied().unwrap_or_default()
    }

    /// Counts a fact that was logged at `time`, or changes nothing.
    pub(crate) fn apply(&mut self, fact: Fact, time: DateTime<Utc>) -> Result<(), Unsound> {
        let day = self.calendar.day_of(time);
        match fact {
            Fact::OrderPlaced { order, customer_id, placed_at, total, lines } => {
                for line in &lines {
                    line.unit_price.times(line.quantity)?;
                }
                self.sales.place(self.calendar.hour_of(placed_at), total)?;
                self.orders.place(order, customer_id, placed_at, lines);
                Ok(())
            }
            Fact::OrderCancelled { order, placed_at, total } => {
                self.sales.cancel(self.calendar.hour_of(placed_at), total)?;
                self.orders.cancel(order);
                Ok(())
            }
            Fact::OrderReduced { order, placed_at, by, lines } => {
                let changed = self.orders.after(order, &lines, Became::Cancelled)?;
                self.sales.reduce(self.calendar.hour_of(placed_at), by)?;
                self.orders.change(changed);
                Ok(())
            }
            Fact::OrderShipped { order, lines } => {
                self.orders.change(self.orders.after(order, &lines, Became::Shipped)?);
                Ok(())
            }
            Fact::OrderReturned { order, lines } => {
                self.orders.change(self.orders.after(order, &lines, Became::Returned)?);
                Ok(())
            }
            Fact::ProductCreated { sku } => {
                self.stock.add(sku, time, day);
                Ok(())
            }
            Fact::ProductArchived { sku, archived } => {
                self.stock.set_archived(sku, archived, time, day);
                Ok(())
            }
            Fact::StockChanged(levels) => {
                levels.into_iter().for_each(|level| self.stock.set(level, time, day));
                Ok(())
            }
            Fact::ReorderPointSet { sku, reorder_point } => {
                self.stock.set_reorder_point(sku, reorder_point, time, day);
                Ok(())
            }
            Fact::InvoiceIssued(id, invoice) => self.receivables.issue(id, invoice, time),
            Fact::InvoicesReduced(left) => self.receivables.reduce(left, time),
            Fact::InvoicesOwedAgain(owed) => self.receivables.owe_again(owed, time),
            Fact::InvoiceClosed(id) => self.receivables.close(id, time),
            Fact::JournalPosted { day, lines } => self.trial_balance.post(day, lines),
        }
    }

    /// Rows that wait to be written, of those that do not stay in memory.
    pub(crate) fn unwritten(&self) -> usize {
        let debts = self.receivables.changes.unwritten();
        self.orders.lines.unwritten() + self.stock.days.unwritten() + debts
    }

    /// Those of them that no write under way has taken.
    pub(crate) fn untaken(&self) -> usize {
        let debts = self.receivables.changes.untaken();
        self.orders.lines.changed().len() + self.stock.days.changed().len() + debts
    }

    /// Moves behind an event, whatever came of it.
    pub(crate) fn move_to(&mut self, source: &str, counted: Counted, time: DateTime<Utc>) {
        self.positions.insert(source.to_owned(), counted);
        self.event_time = self.event_time.max(Some(time));
    }

    /// Keeps an event that is not counted, for people to see.
    pub(crate) fn set_aside(
        &mut self,
        source: &str,
        sequence: i64,
        event: SetAside,
    ) -> Result<(), TooManySetAside> {
        if self.set_aside.rows().len() >= SET_ASIDE_MAX {
            return Err(TooManySetAside(event.reason));
        }
        self.set_aside.set((source.to_owned(), sequence), event);
        Ok(())
    }

    /// Whether an event of that subject is not counted.
    pub(crate) fn is_set_aside(&self, source: &str, subject: &str) -> bool {
        let mut events = self.set_aside.rows().iter();
        events.any(|((of, _), event)| of == source && event.subject == subject)
    }
}
