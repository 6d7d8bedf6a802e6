//! What the materializations say, what a business day is, and when a version includes enough. Pure: values in, values out.

mod reports;
mod days;
mod tables;
mod remarks;
#[cfg(test)]
mod tests;

pub(crate) use days::{DaySpan, MonthsAndDays};
pub(crate) use reports::{
    AccountTotals, Buckets, CustomerAgeing, Instants, LowStock, Period, PeriodOfSales, Rank,
    SkuSales, totals,
};
pub(crate) use tables::{
    AR_AGEING, OPEN_INVOICES, ORDER_FACTS, RECEIVABLES_BY_DAY, SALES_BY_HOUR, SALES_BY_SKU_DAY,
    SALES_BY_SKU_MONTH, STOCK_BY_DAY, STOCK_SNAPSHOT, TABLES, TRIAL_BALANCE, Table, WATERMARK,
};

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, NaiveTime, TimeZone, Utc};
use chrono_tz::{GapInfo, Tz};
use manifest::Counted;
use rust_decimal::Decimal;

/// The services whose logs olap-consumer counts.
pub(crate) const SOURCES: [&str; 4] = ["orders", "inventory", "billing", "ledger"];

#[derive(Debug, PartialEq)]
pub(crate) struct HourOfSales {
    pub(crate) hour: DateTime<Utc>,
    pub(crate) total_amount: Decimal,
    pub(crate) order_count: i32,
}

#[derive(Debug, PartialEq)]
pub(crate) struct StockLevel {
    pub(crate) sku: String,
    pub(crate) qty_on_hand: i32,
    pub(crate) reserved_qty: i32,
}

/// A page of stock.
#[derive(Debug, PartialEq)]
pub(crate) struct StockSnapshot {
    pub(crate) levels: Vec<StockLevel>,
    /// When the newest of all levels was reached; none while there is no stock at all.
    pub(crate) taken_at: Option<DateTime<Utc>>,
}

/// What customers owe on a day, by how late it is.
#[derive(Debug, PartialEq)]
pub(crate) struct Ageing {
    /// Some instant of the day.
    pub(crate) as_of: DateTime<Utc>,
    pub(crate) current: Decimal,
    pub(crate) bucket_30: Decimal,
    pub(crate) bucket_60: Decimal,
    pub(crate) bucket_90: Decimal,
    pub(crate) bucket_over_90: Decimal,
    pub(crate) total_ar: Decimal,
}

/// The business day of an instant.
pub(crate) fn day_of(instant: DateTime<Utc>, zone: Tz) -> NaiveDate {
    instant.with_timezone(&zone).date_naive()
}

/// The instants of a business day: from the first on, up to but not including the second. None beyond what a calendar knows.
pub(crate) fn instants_of(day: NaiveDate, zone: Tz) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
    Some((first_instant(day, zone)?, first_instant(day.succ_opt()?, zone)?))
}

/// The instants of days that follow each other; nothing happened before and behind what a calendar knows.
pub(crate) fn instants_between((first, last): DaySpan, zone: Tz) -> Instants {
    let first = instants_of(first, zone).map_or(DateTime::<Utc>::MIN_UTC, |(begins, _)| begins);
    (first, instants_of(last, zone).map_or(DateTime::<Utc>::MAX_UTC, |(_, ends)| ends))
}

/// Where the clocks skip midnight, the day begins when they go on.
fn first_instant(day: NaiveDate, zone: Tz) -> Option<DateTime<Utc>> {
    let midnight = day.and_time(NaiveTime::MIN);
    let first = zone.from_local_datetime(&midnight).earliest();
    Some(first.or_else(|| GapInfo::new(&midnight, &zone)?.end)?.to_utc())
}

/// How much an answer must include at least: a sequence of a source each.
#[derive(Debug, Default)]
pub(crate) struct MinPosition(pub(crate) Vec<(String, i64)>);

/// A source that has not been counted far enough.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Behind {
    pub(crate) source: String,
    pub(crate) seen: i64,
    pub(crate) wanted: i64,
}

impl MinPosition {
    /// What is missing of it where each source was counted that far.
    pub(crate) fn missing(&self, counted: &BTreeMap<String, Counted>) -> Vec<Behind> {
        let missing = self.0.iter().filter_map(|(source, wanted)| {
            let seen = counted.get(source).map_or(0, |counted| counted.log_id);
            let behind = Behind { source: source.clone(), seen, wanted: *wanted };
            (seen < *wanted).then_some(behind)
        });
        missing.collect()
    }
}
