//! Every SQL statement of the service, one function each.
//!
//! Each reads the files of one table in one version. Values are bound, the files too: as one text of a path a line, which DuckDB splits.
//! Times are bound as text with its offset and read as microseconds, so that no time zone of the machine's has a say; compared as they are,
//! they let DuckDB skip files. Money is read as text. Statements are prepared each time, for 0.1 ms: one that is kept keeps its last
//! result as well.
//!
//! **Invariant:** an hour, a SKU is in one file of its table. One that comes twice is refused, not shown.

mod database;
mod folder;
mod reports;

pub(crate) use database::Database;
pub(crate) use folder::{Folder, Version};
pub(crate) use reports::{
    ageing_by_customer, hours_between, low_stock, newest_instant_of_ageing, sales_by_sku,
    sales_of_spans, stock_of_day, top_products, trial_balance,
};

use std::fmt::Display;

use chrono::{DateTime, Datelike, SecondsFormat, Utc};
use duckdb::{Connection, Row, params};
use money::Money;

use crate::{
    AnalyticsError,
    domain::{AR_AGEING, Ageing, HourOfSales, SALES_BY_HOUR, STOCK_SNAPSHOT, StockLevel},
};

/// Ascending, hours that begin in `[from, until)`.
pub(crate) fn sales_by_hour(
    db: &Connection,
    version: &Version,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<HourOfSales>, AnalyticsError> {
    let Some(files) = version.files(SALES_BY_HOUR)? else { return Ok(Vec::new()) };
    let mut statement = db.prepare(
        "select epoch_us(hour), total_amount::varchar, order_count
         from read_parquet(string_split($1, chr(10)), hive_partitioning = false)
         where hour >= $2::varchar::timestamptz and hour < $3::varchar::timestamptz
         order by hour limit $4",
    )?;
    let rows =
        statement.query_and_then(params![files, bound(from), bound(until), limit], |row| {
            Ok(HourOfSales {
                hour: time(row.get(0)?)?,
                total_amount: money(row, 1)?,
                order_count: row.get(2)?,
            })
        })?;
    let hours = rows.collect::<Result<Vec<_>, AnalyticsError>>()?;
    each_once(hours, |hour| hour.hour)
}

/// The newest hour in which something was sold.
pub(crate) fn newest_hour_of_sales(
    db: &Connection,
    version: &Version,
) -> Result<Option<DateTime<Utc>>, AnalyticsError> {
    let Some(files) = version.files(SALES_BY_HOUR)? else { return Ok(None) };
    let mut statement = db.prepare(
        "select epoch_us(max(hour))
         from read_parquet(string_split($1, chr(10)), hive_partitioning = false) where order_count > 0",
    )?;
    let newest: Option<i64> = statement.query_row(params![files], |row| row.get(0))?;
    newest.map(time).transpose()
}

/// By SKU, behind `after`. `skus` are the only ones looked for, unless it is empty.
pub(crate) fn stock_levels(
    db: &Connection,
    version: &Version,
    after: &str,
    skus: &[String],
    limit: i64,
) -> Result<Vec<StockLevel>, AnalyticsError> {
    let Some(files) = version.files(STOCK_SNAPSHOT)? else { return Ok(Vec::new()) };
    let mut statement = db.prepare(
        "select sku, qty_on_hand, reserved_qty
         from read_parquet(string_split($1, chr(10)), hive_partitioning = false)
         where sku > $2 and ($3 = '' or sku in (select unnest(string_split($3, chr(10)))))
         order by sku limit $4",
    )?;
    // A SKU has no line break in it.
    let rows = statement.query_map(params![files, after, skus.join("\n"), limit], |row| {
        Ok(StockLevel { sku: row.get(0)?, qty_on_hand: row.get(1)?, reserved_qty: row.get(2)? })
    })?;
    let levels = rows.collect::<Result<Vec<_>, _>>()?;
    each_once(levels, |level| level.sku.clone())
}

/// When the newest of all levels was reached.
pub(crate) fn snapshot_time(
    db: &Connection,
    version: &Version,
) -> Result<Option<DateTime<Utc>>, AnalyticsError> {
    let Some(files) = version.files(STOCK_SNAPSHOT)? else { return Ok(None) };
    let mut statement = db.prepare(
        "select epoch_us(max(snapshot_at))
         from read_parquet(string_split($1, chr(10)), hive_partitioning = false)",
    )?;
    let newest: Option<i64> = statement.query_row(params![files], |row| row.get(0))?;
    newest.map(time).transpose()
}

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

fn money(row: &Row<'_>, column: usize) -> Result<Money, AnalyticsError> {
    let text: String = row.get(column)?;
    Ok(Money::parse(&text)?)
}
