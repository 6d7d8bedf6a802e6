//! What was sold of each SKU, by the business day and by the month of placing: the sums of the lines of orders.

use chrono::{DateTime, Datelike, NaiveDate, Utc};

use super::{
    Amount, BusinessDays, OrderLine,
    sums::{Adds, Sums},
};

/// Sums over lines of orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct SkuSales {
    /// Ordered and not cancelled.
    pub(crate) quantity: i64,
    pub(crate) shipped_quantity: i64,
    pub(crate) returned_quantity: i64,
    pub(crate) amount: Amount,
    /// Lines of which something is kept.
    pub(crate) line_count: i32,
}

/// Of a business day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct SoldOnDay(pub(crate) SkuSales);

/// Of a month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct SoldInMonth(pub(crate) SkuSales);

/// A day (or the first of a month) and a SKU.
pub(crate) type DayAndSku = (NaiveDate, String);

#[derive(Debug, Clone)]
pub(crate) struct SalesBySku {
    calendar: BusinessDays,
    pub(crate) days: Sums<DayAndSku, SoldOnDay>,
    pub(crate) months: Sums<DayAndSku, SoldInMonth>,
}

impl SalesBySku {
    pub(crate) fn new(
        calendar: BusinessDays,
        days: Sums<DayAndSku, SoldOnDay>,
        months: Sums<DayAndSku, SoldInMonth>,
    ) -> Self {
        Self { calendar, days, months }
    }

    /// A line is new, or has changed; its SKU never does.
    pub(crate) fn change(
        &mut self,
        placed_at: DateTime<Utc>,
        before: Option<&OrderLine>,
        after: &OrderLine,
    ) {
        let before = before.map(SkuSales::of).unwrap_or_default();
        let by = SkuSales::of(after).plus(before.negated());
        let day = self.calendar.day_of(placed_at);
        let month = day.with_day(1).unwrap_or(day);
        self.days.add((day, after.sku.clone()), SoldOnDay(by));
        self.months.add((month, after.sku.clone()), SoldInMonth(by));
    }
}

impl SkuSales {
    fn of(line: &OrderLine) -> Self {
        let kept = line.quantity.saturating_sub(line.cancelled_quantity);
        Self {
            quantity: kept.into(),
            shipped_quantity: line.shipped_quantity.into(),
            returned_quantity: line.returned_quantity.into(),
            amount: line.amount(),
            line_count: (kept > 0).into(),
        }
    }

    fn negated(self) -> Self {
        Self {
            quantity: -self.quantity,
            shipped_quantity: -self.shipped_quantity,
            returned_quantity: -self.returned_quantity,
            amount: self.amount.negated(),
            line_count: -self.line_count,
        }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            quantity: self.quantity.saturating_add(other.quantity),
            shipped_quantity: self.shipped_quantity.saturating_add(other.shipped_quantity),
            returned_quantity: self.returned_quantity.saturating_add(other.returned_quantity),
            amount: self.amount.saturating_plus(other.amount),
            line_count: self.line_count.saturating_add(other.line_count),
        }
    }

    fn parts(self) -> Vec<i64> {
        let Self { quantity, shipped_quantity, returned_quantity, amount, line_count } = self;
        vec![quantity, shipped_quantity, returned_quantity, amount.hundredths(), line_count.into()]
    }
}

impl Adds for SoldOnDay {
    fn plus(self, other: Self) -> Self {
        Self(self.0.plus(other.0))
    }

    fn parts(self) -> Vec<i64> {
        self.0.parts()
    }
}

impl Adds for SoldInMonth {
    fn plus(self, other: Self) -> Self {
        Self(self.0.plus(other.0))
    }

    fn parts(self) -> Vec<i64> {
        self.0.parts()
    }
}
