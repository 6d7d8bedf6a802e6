//! What is counted, and the rules by which events change it. Pure: facts in, rows out; no clock, no file, no protobuf.
//!
//! Each source has tables of its own, so it does not matter in which order the sources' events arrive, only in which order each source
//! logged its own: folding a log from the start always comes to the same rows.
//!
//! Memory is bounded by the business, not by its events: a row per hour with sales, SKU, open invoice and business day.

mod table;
mod amount;
mod days;
mod sales;
mod stock;
mod receivables;
#[cfg(test)]
mod tests;

pub(crate) use amount::Amount;
pub(crate) use days::BusinessDays;
pub(crate) use receivables::{Ageing, OpenInvoice, Receivables};
pub(crate) use sales::{HourOfSales, Sales};
pub(crate) use stock::{Level, Stock};
pub(crate) use table::{Changes, Table};

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use ids::InvoiceId;
use manifest::Counted;
use uuid::Uuid;

/// Events that may be set aside; that many are no longer bad events, but a wrong version or configuration.
const SET_ASIDE_MAX: usize = 1000;

/// All that is counted, and how far.
#[derive(Debug, Clone)]
pub(crate) struct Books {
    pub(crate) sales: Sales,
    pub(crate) stock: Stock,
    pub(crate) receivables: Receivables,
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
    OrderPlaced {
        placed_at: DateTime<Utc>,
        total: Amount,
    },
    /// An order that had been placed then.
    OrderCancelled {
        placed_at: DateTime<Utc>,
        total: Amount,
    },
    /// A part of a placed order that was given up.
    OrderReduced {
        placed_at: DateTime<Utc>,
        by: Amount,
    },
    ProductCreated {
        sku: String,
    },
    /// By SKU: on hand and reserved.
    StockChanged(Vec<(String, i32, i32)>),
    InvoiceIssued(InvoiceId, OpenInvoice),
    /// What is still owed on each invoice, which is no more than before.
    InvoicesReduced(Vec<(InvoiceId, Amount)>),
    /// What is owed again, also on invoices that were closed.
    InvoicesOwedAgain(Vec<(InvoiceId, OpenInvoice)>),
    /// Nothing is owed on it any more.
    InvoiceClosed(InvoiceId),
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
#[derive(Debug, thiserror::Error, PartialEq)]
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
    #[error("the sum does not fit into decimal(18,2)")]
    TooMuch,
    #[error("{0} is too far from the day before it")]
    FarOff(DateTime<Utc>),
}

/// Too many events are set aside to go on.
#[derive(Debug, thiserror::Error)]
#[error("{SET_ASIDE_MAX} events are set aside, and here is one more: {0}")]
pub(crate) struct TooManySetAside(String);

impl Books {
    pub(crate) fn new(calendar: BusinessDays) -> Self {
        Self {
            sales: Sales::default(),
            stock: Stock::default(),
            receivables: Receivables::new(calendar, Table::default(), Table::default(), None),
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
        match fact {
            Fact::OrderPlaced { placed_at, total } => self.sales.place(placed_at, total),
            Fact::OrderCancelled { placed_at, total } => self.sales.cancel(placed_at, total),
            Fact::OrderReduced { placed_at, by } => self.sales.reduce(placed_at, by),
            Fact::ProductCreated { sku } => {
                self.stock.add(sku, time);
                Ok(())
            }
            Fact::StockChanged(levels) => {
                for (sku, on_hand, reserved) in levels {
                    self.stock.set(sku, Level { on_hand, reserved, at: time });
                }
                Ok(())
            }
            Fact::InvoiceIssued(id, invoice) => self.receivables.issue(id, invoice, time),
            Fact::InvoicesReduced(left) => self.receivables.reduce(left, time),
            Fact::InvoicesOwedAgain(owed) => self.receivables.owe_again(owed, time),
            Fact::InvoiceClosed(id) => self.receivables.close(id, time),
        }
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
