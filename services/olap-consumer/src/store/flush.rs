//! All tables, one by one: what a flush copies of them from the books, the files that it makes of that, and what the books are told then.

use std::{collections::BTreeMap, sync::Arc};

use chrono::{DateTime, NaiveDate, Utc};
use ids::InvoiceId;
use manifest::{Counted, Materialized};

use super::{
    files::{Files, Plan, plan},
    shelf::{self, Place, Shelf},
    summed::{self, Summed},
    tables::Row,
    writer::Writer,
};
use crate::domain::{
    Ageing, Books, DayAndDebt, DayAndSku, HourOfSales, Item, LevelOfDay, LineKey, OpenInvoice,
    OrderLine, OwedMore, Posted, SetAside, SoldInMonth, SoldOnDay,
};

/// The live files of all tables.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct AllFiles {
    pub(super) hours: Files<DateTime<Utc>>,
    pub(super) items: Files<String>,
    pub(super) invoices: Files<InvoiceId>,
    pub(super) days: Files<NaiveDate>,
    pub(super) accounts: Files<(NaiveDate, String)>,
    pub(super) set_aside: Files<(String, i64)>,
    pub(super) stock_days: Arc<Shelf<(NaiveDate, String)>>,
    pub(super) lines: Arc<Shelf<LineKey>>,
    pub(super) sku_days: Summed<DayAndSku>,
    pub(super) sku_months: Summed<DayAndSku>,
    pub(super) debts: Summed<DayAndDebt>,
}

/// What one flush writes, copied from the books at one instant.
pub(super) struct Flush {
    pub(super) version: u64,
    pub(super) written_at: DateTime<Utc>,
    pub(super) event_time: Option<DateTime<Utc>>,
    pub(super) positions: BTreeMap<String, Counted>,
    pub(super) receivables_until: Option<DateTime<Utc>>,
    pub(super) hours: Plan<DateTime<Utc>, HourOfSales>,
    pub(super) items: Plan<String, Item>,
    pub(super) invoices: Plan<InvoiceId, OpenInvoice>,
    pub(super) days: Plan<NaiveDate, Ageing>,
    pub(super) accounts: Plan<(NaiveDate, String), Posted>,
    pub(super) set_aside: Plan<(String, i64), SetAside>,
    pub(super) stock_days: BTreeMap<(NaiveDate, String), LevelOfDay>,
    pub(super) lines: BTreeMap<LineKey, OrderLine>,
    /// None where nothing has changed.
    pub(super) sku_days: Option<BTreeMap<DayAndSku, SoldOnDay>>,
    pub(super) sku_months: Option<BTreeMap<DayAndSku, SoldInMonth>>,
    pub(super) debts: Option<BTreeMap<DayAndDebt, OwedMore>>,
}

impl Flush {
    /// Copies what has changed, which counts as being written from here on.
    pub(super) fn begin(
        version: u64,
        written_at: DateTime<Utc>,
        files: &AllFiles,
        books: &mut Books,
    ) -> Self {
        Self {
            version,
            written_at,
            event_time: books.event_time,
            positions: books.positions.clone(),
            receivables_until: books.receivables.until,
            hours: plan(&files.hours, &mut books.sales.hours),
            items: plan(&files.items, &mut books.stock.items),
            invoices: plan(&files.invoices, &mut books.receivables.invoices),
            days: plan(&files.days, &mut books.receivables.days),
            accounts: plan(&files.accounts, &mut books.trial_balance.accounts),
            set_aside: plan(&files.set_aside, &mut books.set_aside),
            stock_days: books.stock.days.begin_write(),
            lines: books.orders.lines.begin_write(),
            sku_days: books.orders.by_sku.days.begin_write(),
            sku_months: books.orders.by_sku.months.begin_write(),
            debts: books.receivables.changes.begin_write(),
        }
    }

    pub(super) fn changes_a_table(&self) -> bool {
        let unchanged = self.hours.changes.is_empty()
            && self.items.changes.is_empty()
            && self.invoices.changes.is_empty()
            && self.days.changes.is_empty()
            && self.accounts.changes.is_empty()
            && self.set_aside.changes.is_empty()
            && self.stock_days.is_empty()
            && self.lines.is_empty()
            && self.sku_days.is_none()
            && self.sku_months.is_none()
            && self.debts.is_none();
        !unchanged
    }

    /// Writes the new files. Gives all that there are then.
    pub(super) fn place(
        &mut self,
        place: &Place,
        before: &AllFiles,
        writer: &mut Writer<'_>,
    ) -> anyhow::Result<AllFiles> {
        let (stock_days, lines) =
            (std::mem::take(&mut self.stock_days), std::mem::take(&mut self.lines));
        Ok(AllFiles {
            hours: write(&self.hours, writer)?,
            items: write(&self.items, writer)?,
            invoices: write(&self.invoices, writer)?,
            days: write(&self.days, writer)?,
            accounts: write(&self.accounts, writer)?,
            set_aside: write(&self.set_aside, writer)?,
            stock_days: shelf::merge(place, &before.stock_days, stock_days, writer)?,
            lines: shelf::merge(place, &before.lines, lines, writer)?,
            sku_days: summed::write(place, &before.sku_days, self.sku_days.take(), writer)?,
            sku_months: summed::write(place, &before.sku_months, self.sku_months.take(), writer)?,
            debts: summed::write(place, &before.debts, self.debts.take(), writer)?,
        })
    }
}

impl Books {
    /// After a flush that came to nothing.
    pub(super) fn put_back(&mut self, flush: Flush) {
        self.sales.hours.put_back(flush.hours.changes);
        self.stock.items.put_back(flush.items.changes);
        self.stock.days.put_back();
        self.receivables.invoices.put_back(flush.invoices.changes);
        self.receivables.days.put_back(flush.days.changes);
        self.trial_balance.accounts.put_back(flush.accounts.changes);
        self.set_aside.put_back(flush.set_aside.changes);
        self.orders.lines.put_back();
    }
}

impl AllFiles {
    pub(super) fn all(&self) -> Vec<Materialized> {
        let files = self.hours.values().chain(self.items.values()).chain(self.invoices.values());
        let files = files.chain(self.days.values()).chain(self.accounts.values());
        let files = files.chain(self.set_aside.values());
        let files = files.chain(self.stock_days.values().map(|leaf| &leaf.file));
        let files = files.chain(self.lines.values().map(|leaf| &leaf.file));
        let files = files.chain(self.sku_days.all()).chain(self.sku_months.all());
        files.chain(self.debts.all()).cloned().collect()
    }

    /// What was being written is in these files.
    pub(super) fn written(&self, books: &mut Books) {
        books.orders.written();
        books.stock.days.written(|_| false);
        books.orders.by_sku.days.written(self.sku_days.pending.is_none());
        books.orders.by_sku.months.written(self.sku_months.pending.is_none());
        books.receivables.changes.written(self.debts.pending.is_none());
    }
}

/// The files of a table after a flush; those that are new are written.
fn write<R: Row>(plan: &Plan<R::Key, R>, writer: &mut Writer<'_>) -> anyhow::Result<Files<R::Key>> {
    let mut files = plan.kept.clone();
    for rows in &plan.new {
        let Some((first, _)) = rows.first() else { continue };
        files.insert(first.clone(), writer.write(rows)?);
    }
    Ok(files)
}
