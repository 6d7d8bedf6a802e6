use std::iter;

use chrono::{DateTime, Datelike, Days, NaiveDate, Utc};
use rust_decimal::Decimal;
use uuid::Uuid;

/// From the first on, up to but not including the second.
pub(crate) type Instants = (DateTime<Utc>, DateTime<Utc>);

/// How long a period is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Period {
    Day,
    Week,
    Month,
}

impl Period {
    /// The first day of the one that a day is in.
    pub(crate) fn start(self, day: NaiveDate) -> NaiveDate {
        let first = match self {
            Self::Day => Some(day),
            Self::Week => {
                day.checked_sub_days(Days::new(day.weekday().num_days_from_monday().into()))
            }
            Self::Month => day.with_day(1),
        };
        first.unwrap_or(day)
    }

    /// The first days of all from one day to another.
    pub(crate) fn of(self, first: NaiveDate, last: NaiveDate) -> Vec<NaiveDate> {
        let next = |start: &NaiveDate| self.last_day(*start).succ_opt();
        let starts = iter::successors(Some(self.start(first)), next);
        starts.take_while(|start| *start <= last).collect()
    }

    /// The last day of one that begins on `first`; where the calendar ends, `first`.
    pub(crate) fn last_day(self, first: NaiveDate) -> NaiveDate {
        let last = match self {
            Self::Day => Some(first),
            Self::Week => first.checked_add_days(Days::new(6)),
            Self::Month => {
                let days = u64::from(first.num_days_in_month());
                first.checked_add_days(Days::new(days - 1))
            }
        };
        last.unwrap_or(first)
    }
}

#[derive(Debug, PartialEq)]
pub(crate) struct PeriodOfSales {
    pub(crate) start: NaiveDate,
    pub(crate) total_amount: Decimal,
    pub(crate) order_count: i64,
}

/// What was sold of one SKU.
#[derive(Debug, PartialEq)]
pub(crate) struct SkuSales {
    pub(crate) sku: String,
    /// Ordered and not cancelled.
    pub(crate) quantity: i64,
    pub(crate) shipped_quantity: i64,
    pub(crate) returned_quantity: i64,
    pub(crate) total_amount: Decimal,
    pub(crate) line_count: i64,
}

/// What makes a product the best.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rank {
    Amount,
    Quantity,
}

/// A SKU that is low on stock.
#[derive(Debug, PartialEq)]
pub(crate) struct LowStock {
    pub(crate) sku: String,
    pub(crate) qty_on_hand: i32,
    pub(crate) reserved_qty: i32,
    pub(crate) reorder_point: i32,
    pub(crate) archived: bool,
}

#[derive(Debug, PartialEq)]
pub(crate) struct CustomerAgeing {
    pub(crate) customer_id: Uuid,
    pub(crate) owed: Buckets,
}

/// What is owed, by how late it is.
#[derive(Debug, PartialEq)]
pub(crate) struct Buckets {
    pub(crate) current: Decimal,
    pub(crate) bucket_30: Decimal,
    pub(crate) bucket_60: Decimal,
    pub(crate) bucket_90: Decimal,
    pub(crate) bucket_over_90: Decimal,
    pub(crate) total: Decimal,
}

/// What is posted to one account.
#[derive(Debug, PartialEq)]
pub(crate) struct AccountTotals {
    pub(crate) account: String,
    pub(crate) debit: Decimal,
    pub(crate) credit: Decimal,
}

/// All debits, and all credits. None if a sum has too many digits.
pub(crate) fn totals(accounts: &[AccountTotals]) -> Option<(Decimal, Decimal)> {
    let nothing = (Decimal::ZERO, Decimal::ZERO);
    accounts.iter().try_fold(nothing, |(debit, credit), account| {
        Some((debit.checked_add(account.debit)?, credit.checked_add(account.credit)?))
    })
}
