//! What customers owe, invoice by invoice, and how late it was at the end of each business day; and by how much each customer's debt changed
//! on each, so that what they owed is known of every day.
//!
//! A day is *closed* by the first event of a later day: its row never changes again. The log's order and times alone decide that, never
//! when an event arrived here, so that a rebuild comes to the same rows. An event whose time is of a day that is closed already (its
//! transaction began before midnight and was logged behind one that began after; or the clock of its database was set back) counts into
//! the day that is open.
//!
//! The clock of that database is trusted: an event that it dates into the future closes the days up to there.
//!
//! The days from the open one up to today follow from what is open and the calendar alone: [`Receivables::age`] writes their rows anew,
//! also when no event comes. An event that arrives after midnight, but was logged before any event of the new day, so still counts into its
//! own day, and the rows behind it are put right.

use std::collections::BTreeMap;

use chrono::{DateTime, Days, NaiveDate, Utc};
use ids::{CustomerId, InvoiceId};

use super::{
    Amount, BusinessDays, Table, Unsound,
    sums::{Adds, Sums},
};

/// Days that one event may close, or no event come: a hundred years. A clock that is further off is broken.
const DAYS_MAX: i64 = 36_525;

/// An invoice on which something is owed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OpenInvoice {
    pub(crate) customer_id: CustomerId,
    /// The last day to pay.
    pub(crate) due_date: NaiveDate,
    pub(crate) residual: Amount,
}

/// A business day, a customer, and a last day to pay.
pub(crate) type DayAndDebt = (NaiveDate, CustomerId, NaiveDate);

/// By how much a customer owes more on that day, of what is due then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct OwedMore(pub(crate) Amount);

impl Adds for OwedMore {
    fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_plus(other.0))
    }

    fn parts(self) -> Vec<i64> {
        vec![self.0.hundredths()]
    }
}

/// What is owed on one business day, by how many days late it is then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ageing {
    /// Within its business day: the last microsecond of a day that is over, the newest event of the open one, the start of today when
    /// nothing has happened yet.
    pub(crate) as_of: DateTime<Utc>,
    /// Not due, or due that day.
    pub(crate) current: Amount,
    /// 1 to 30.
    pub(crate) to_30: Amount,
    /// 31 to 60.
    pub(crate) to_60: Amount,
    /// 61 to 90.
    pub(crate) to_90: Amount,
    /// 91 or more.
    pub(crate) over_90: Amount,
}

/// What customers owe.
#[derive(Debug, Clone)]
pub(crate) struct Receivables {
    calendar: BusinessDays,
    pub(crate) invoices: Table<InvoiceId, OpenInvoice>,
    pub(crate) days: Table<NaiveDate, Ageing>,
    /// The sum up to a day is what was owed at its end.
    pub(crate) changes: Sums<DayAndDebt, OwedMore>,
    /// The time of the newest event: its day is the open one.
    pub(crate) until: Option<DateTime<Utc>>,
    /// The sum of all residuals, and by the last day to pay: a day's row is summed from these, however many invoices are open.
    owed: Amount,
    due: BTreeMap<NaiveDate, Amount>,
}

impl Receivables {
    pub(crate) fn new(
        calendar: BusinessDays,
        invoices: Table<InvoiceId, OpenInvoice>,
        days: Table<NaiveDate, Ageing>,
        changes: Sums<DayAndDebt, OwedMore>,
        until: Option<DateTime<Utc>>,
    ) -> Self {
        let (mut owed, mut due) = (Amount::ZERO, BTreeMap::new());
        for invoice in invoices.rows().values() {
            owed.add(invoice.residual);
            due.entry(invoice.due_date).or_insert(Amount::ZERO).add(invoice.residual);
        }
        Self { calendar, invoices, days, changes, until, owed, due }
    }

    /// A free invoice is never open.
    pub(crate) fn issue(
        &mut self,
        id: InvoiceId,
        invoice: OpenInvoice,
        time: DateTime<Utc>,
    ) -> Result<(), Unsound> {
        if self.invoices.get(&id).is_some() {
            return Err(Unsound::IssuedTwice(id));
        }
        self.owed.plus(invoice.residual)?;
        self.turn(time)?;
        self.set(id, Some(invoice));
        Ok(())
    }

    /// What is left of each invoice that was paid or credited in part. All of them or none.
    pub(crate) fn reduce(
        &mut self,
        left: Vec<(InvoiceId, Amount)>,
        time: DateTime<Utc>,
    ) -> Result<(), Unsound> {
        let paid = left.into_iter().map(|(id, residual)| match self.invoices.get(&id) {
            Some(invoice) if (Amount::ZERO..=invoice.residual).contains(&residual) => {
                Ok((id, OpenInvoice { residual, ..*invoice }))
            }
            Some(_) => Err(Unsound::OwedMore(id)),
            None => Err(Unsound::NotOpen(id)),
        });
        let paid = paid.collect::<Result<Vec<_>, _>>()?;
        self.turn(time)?;
        paid.into_iter().for_each(|(id, invoice)| self.set(id, Some(invoice)));
        Ok(())
    }

    /// Invoices on which more is owed than before, since money for them was taken back. All of them or none.
    pub(crate) fn owe_again(
        &mut self,
        owed: Vec<(InvoiceId, OpenInvoice)>,
        time: DateTime<Utc>,
    ) -> Result<(), Unsound> {
        let mut sum = self.owed;
        for (id, invoice) in &owed {
            let before = self.invoices.get(id).map_or(Amount::ZERO, |invoice| invoice.residual);
            if invoice.residual <= before {
                return Err(Unsound::OwedLess(*id));
            }
            sum = sum.plus(invoice.residual.minus(before)?)?;
        }
        self.turn(time)?;
        owed.into_iter().for_each(|(id, invoice)| self.set(id, Some(invoice)));
        Ok(())
    }

    /// Nothing is owed any more: paid, voided, credited or written off. One that was never open stays so.
    pub(crate) fn close(&mut self, id: InvoiceId, time: DateTime<Utc>) -> Result<(), Unsound> {
        self.turn(time)?;
        self.set(id, None);
        Ok(())
    }

    /// Brings the rows of all days that are not closed up to date.
    pub(crate) fn age(&mut self, today: NaiveDate) {
        let Some(until) = self.until else { return };
        let open = self.calendar.day_of(until);
        let last = today.clamp(open, open + Days::new(DAYS_MAX.unsigned_abs()));
        // Today was another day for a while: the clock of this machine was set back.
        let ahead: Vec<_> = self.days.rows().range(last..).map(|(day, _)| *day).collect();
        for day in ahead.into_iter().filter(|day| *day > last) {
            self.days.remove(&day);
        }
        self.age_to(open, last);
        let as_of = if last == open { until } else { self.calendar.start_of(last) };
        self.days.set(last, self.ageing(last, as_of));
    }

    /// Closes the days before the one of an event.
    fn turn(&mut self, time: DateTime<Utc>) -> Result<(), Unsound> {
        let Some(until) = self.until else {
            self.until = Some(time);
            return Ok(());
        };
        let (open, day) = (self.calendar.day_of(until), self.calendar.day_of(time));
        if (day - open).num_days() > DAYS_MAX {
            return Err(Unsound::FarOff(time));
        }
        self.age_to(open, day);
        self.until = Some(until.max(time));
        Ok(())
    }

    /// The rows from one day up to, not including, another, as they are at the end of each.
    fn age_to(&mut self, from: NaiveDate, to: NaiveDate) {
        for day in from.iter_days().take_while(|day| *day < to) {
            self.days.set(day, self.ageing(day, self.calendar.end_of(day)));
        }
    }

    fn ageing(&self, day: NaiveDate, as_of: DateTime<Utc>) -> Ageing {
        let nothing = Amount::ZERO;
        let mut ageing = Ageing {
            as_of,
            current: nothing,
            to_30: nothing,
            to_60: nothing,
            to_90: nothing,
            over_90: nothing,
        };
        for (due_date, owed) in &self.due {
            let bucket = match (day - *due_date).num_days() {
                ..=0 => &mut ageing.current,
                1..=30 => &mut ageing.to_30,
                31..=60 => &mut ageing.to_60,
                61..=90 => &mut ageing.to_90,
                91.. => &mut ageing.over_90,
            };
            bucket.add(*owed);
        }
        ageing
    }

    /// What is owed on an invoice from now on.
    fn set(&mut self, id: InvoiceId, after: Option<OpenInvoice>) {
        if let Some(before) = self.invoices.remove(&id) {
            self.owed.take(before.residual);
            let left = self.due.entry(before.due_date).or_insert(Amount::ZERO);
            left.take(before.residual);
            if *left == Amount::ZERO {
                self.due.remove(&before.due_date);
            }
            self.change(before, before.residual.negated());
        }
        if let Some(invoice) = after.filter(|invoice| invoice.residual > Amount::ZERO) {
            self.owed.add(invoice.residual);
            self.due.entry(invoice.due_date).or_insert(Amount::ZERO).add(invoice.residual);
            self.change(invoice, invoice.residual);
            self.invoices.set(id, invoice);
        }
    }

    /// On the day that is open.
    fn change(&mut self, invoice: OpenInvoice, by: Amount) {
        if let Some(until) = self.until {
            let day = self.calendar.day_of(until);
            self.changes.add((day, invoice.customer_id, invoice.due_date), OwedMore(by));
        }
    }
}

impl Ageing {
    pub(crate) fn total(&self) -> Amount {
        let mut total = Amount::ZERO;
        for bucket in [self.current, self.to_30, self.to_60, self.to_90, self.over_90] {
            total.add(bucket);
        }
        total
    }
}
