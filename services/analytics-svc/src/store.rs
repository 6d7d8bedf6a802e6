//! Every SQL statement of the service, one function each.
//!
//! Each reads files of one version, of a table or of two that say the same: those that may hold what is asked for, as the manifest tells
//! ([`pruning`]). DuckDB would open each to find out, and each would have to be found sound first.
//!
//! Values are bound, the files too: as one text of a path a line, which DuckDB splits.
//! Times are bound as text with its offset and read as microseconds, so that no time zone of the machine's has a say; compared as they are,
//! they let DuckDB skip files. Money is read as text. Statements are prepared each time, for 0.1 ms: one that is kept keeps its last
//! result as well.
//!
//! **Invariant:** an hour, a SKU is in one file of its table. One that comes twice is refused, not shown.

mod database;
mod debts;
mod folder;
mod pruning;
mod reports;
mod sales;
mod stock;

pub(crate) use database::Database;
pub(crate) use debts::{ageing_by_customer, debts_of_day, open_debts};
pub(crate) use folder::{Folder, Version};
pub(crate) use reports::{low_stock, trial_balance};
pub(crate) use sales::{
    hours_between, newest_hour_of_sales, sales_by_hour, sales_by_sku, sales_of_spans, top_products,
};
pub(crate) use stock::{snapshot_time, stock_levels, stock_of_day};

use std::fmt::Display;

use chrono::{DateTime, Datelike, SecondsFormat, Utc};
use duckdb::{Connection, Row, params};
use rust_decimal::Decimal;

use crate::{
    AnalyticsError,
    domain::{AR_AGEING, Ageing, Instants},
};

/// The newest with an instant in `[from, until)`.
pub(crate) fn newest_ageing(
    db: &Connection,
    version: &Version,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<Option<Ageing>, AnalyticsError> {
    let Some(files) = version.files(AR_AGEING)? else { return Ok(None) };
    let mut statement = db.prepare(
        r#"select epoch_us(as_of), "current"::varchar, bucket_30::varchar, bucket_60::varchar, bucket_90::varchar,
                  bucket_over_90::varchar, total_ar::varchar
           from read_parquet(string_split($1, chr(10)), hive_partitioning = false)
           where as_of >= $2::varchar::timestamptz and as_of < $3::varchar::timestamptz
           order by as_of desc limit 1"#,
    )?;
    let mut rows = statement.query_and_then(params![files, bound(from), bound(until)], |row| {
        Ok(Ageing {
            as_of: time(row.get(0)?)?,
            current: money(row, 1)?,
            bucket_30: money(row, 2)?,
            bucket_60: money(row, 3)?,
            bucket_90: money(row, 4)?,
            bucket_over_90: money(row, 5)?,
            total_ar: money(row, 6)?,
        })
    })?;
    rows.next().transpose()
}

/// The instants of the oldest and the newest, if there is any.
pub(crate) fn ageings_between(
    db: &Connection,
    version: &Version,
) -> Result<Option<Instants>, AnalyticsError> {
    let Some(files) = version.files(AR_AGEING)? else { return Ok(None) };
    let statement = "select epoch_us(min(as_of)), epoch_us(max(as_of))
                     from read_parquet(string_split($1, chr(10)), hive_partitioning = false)";
    let (oldest, newest): (Option<i64>, Option<i64>) =
        db.query_row(statement, params![files], |row| Ok((row.get(0)?, row.get(1)?)))?;
    oldest.zip(newest).map(|(oldest, newest)| Ok((time(oldest)?, time(newest)?))).transpose()
}

/// Sorted rows, if their keys differ.
fn each_once<T, K: PartialEq + Display>(
    rows: Vec<T>,
    key: impl Fn(&T) -> K,
) -> Result<Vec<T>, AnalyticsError> {
    let mut pairs = rows.iter().zip(rows.iter().skip(1));
    match pairs.find(|(row, next)| key(row) == key(next)) {
        Some((row, _)) => Err(AnalyticsError::ThereTwice(key(row).to_string())),
        None => Ok(rows),
    }
}

/// Nothing is dated beyond the years of four digits, which DuckDB and chrono write alike.
fn bound(time: DateTime<Utc>) -> String {
    match time.year() {
        ..1 => "-infinity".to_owned(),
        1..10_000 => time.to_rfc3339_opts(SecondsFormat::Micros, true),
        10_000.. => "infinity".to_owned(),
    }
}

fn time(micros: i64) -> Result<DateTime<Utc>, AnalyticsError> {
    DateTime::from_timestamp_micros(micros).ok_or(AnalyticsError::NotATime(micros))
}

fn money(row: &Row<'_>, column: usize) -> Result<Decimal, AnalyticsError> {
    let text: String = row.get(column)?;
    sum(&text)
}

/// DuckDB's sums have up to 38 digits, ours 28.
fn sum(text: &str) -> Result<Decimal, AnalyticsError> {
    Decimal::from_str_exact(text).map_err(|_| AnalyticsError::SumTooLarge)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_that_cannot_be_told_to_the_penny_is_refused() {
        let largest = "792281625142643375935439503.35";
        assert_eq!(sum(largest).unwrap().to_string(), largest);
        assert_eq!(sum("-1.00").unwrap(), -Decimal::ONE);
        for more in ["792281625142643375935439503.36", "999999999999999999999999999999999999.99"] {
            assert!(matches!(sum(more), Err(AnalyticsError::SumTooLarge)), "{more}");
        }
    }
}
