//! Statements about stock: now, and of days that are over. See [`store`](super) for how values are bound and read.

use std::collections::BTreeSet;

use chrono::{DateTime, NaiveDate, Utc};
use duckdb::{Connection, Row, params};
use manifest::Materialized;

use super::{Version, each_once, pruning, time};
use crate::{
    AnalyticsError,
    domain::{STOCK_BY_DAY, STOCK_SNAPSHOT, StockLevel, StockSnapshot},
};

/// Files of days that are looked into first; then twice as many, and so on.
const FILES_FIRST: usize = 4;

/// By SKU, behind `after`. `skus` are the only ones looked for, unless it is empty.
pub(crate) fn stock_levels(
    db: &Connection,
    version: &Version,
    after: &str,
    skus: &[String],
    limit: i64,
) -> Result<Vec<StockLevel>, AnalyticsError> {
    let stock = version.manifest.files_of(STOCK_SNAPSHOT);
    let needed = if skus.is_empty() {
        pruning::behind(stock, after, limit.unsigned_abs())
    } else {
        let of_skus = |file: &&Materialized| {
            skus.iter().any(|sku| sku.as_str() > after && pruning::may_hold(file, &(sku..=sku)))
        };
        stock.filter(of_skus).collect()
    };
    let Some(files) = version.sound(needed)? else { return Ok(Vec::new()) };
    let mut statement = db.prepare(
        "select sku, qty_on_hand, reserved_qty
         from read_parquet(string_split($1, chr(10)), hive_partitioning = false)
         where sku > $2 and ($3 = '' or sku in (select unnest(string_split($3, chr(10)))))
         order by sku limit $4",
    )?;
    // A SKU has no line break in it.
    let rows = statement.query_map(params![files, after, skus.join("\n"), limit], level)?;
    let levels = rows.collect::<Result<Vec<_>, _>>()?;
    each_once(levels, |level| level.sku.clone())
}

/// When the newest of all levels was reached.
pub(crate) fn snapshot_time(
    db: &Connection,
    version: &Version,
) -> Result<Option<DateTime<Utc>>, AnalyticsError> {
    let told = version.manifest.files_of(STOCK_SNAPSHOT).map(|file| file.newest);
    if let Some(newest) = told.collect::<Option<Vec<_>>>() {
        return Ok(newest.into_iter().max());
    }
    let Some(files) = version.files(STOCK_SNAPSHOT)? else { return Ok(None) };
    let mut statement = db.prepare(
        "select epoch_us(max(snapshot_at))
         from read_parquet(string_split($1, chr(10)), hive_partitioning = false)",
    )?;
    let newest: Option<i64> = statement.query_row(params![files], |row| row.get(0))?;
    newest.map(time).transpose()
}

/// At the end of a business day, by SKU, behind `after`. `skus` are the only ones looked for, unless it is empty.
///
/// A SKU's level is where it last moved, mostly not long before, so that what is known to be looked for is looked for from the day backwards.
pub(crate) fn stock_of_day(
    db: &Connection,
    version: &Version,
    day: NaiveDate,
    after: &str,
    skus: &[String],
    limit: i64,
) -> Result<StockSnapshot, AnalyticsError> {
    let day = rpc::to_date(day);
    let mut wanted: BTreeSet<_> = skus.iter().filter(|sku| sku.as_str() > after).cloned().collect();
    if skus.is_empty() {
        // Each SKU that ever was has a level now.
        let now = stock_levels(db, version, after, skus, limit)?;
        wanted.extend(now.into_iter().map(|level| level.sku));
    }
    let mut levels = last_moves(db, version, &day, &mut wanted)?;
    if skus.is_empty() && !wanted.is_empty() {
        // Some came later: others are behind them.
        levels = levels_behind(db, version, &day, after, limit)?;
    }
    levels.truncate(usize::try_from(limit).unwrap_or(0));
    Ok(StockSnapshot { levels, taken_at: newest_until(db, version, &day)? })
}

/// By SKU, the levels of those that moved until a day, which are then wanted no more. Of many files it takes as few as can be told.
fn last_moves(
    db: &Connection,
    version: &Version,
    day: &str,
    wanted: &mut BTreeSet<String>,
) -> Result<Vec<StockLevel>, AnalyticsError> {
    let end = ..=day.to_owned();
    let files = version.manifest.files_of(STOCK_BY_DAY);
    let files = files.filter(|file| pruning::may_hold(file, &end));
    let mut files = pruning::newest_first(files).into_iter();
    let (mut levels, mut count) = (Vec::new(), FILES_FIRST);
    while !wanted.is_empty() {
        let next: Vec<_> = files.by_ref().take(count).flatten().collect();
        let Some(next) = version.sound(next)? else { break };
        let mut statement = db.prepare(
            "select sku, arg_max(qty_on_hand, business_day), arg_max(reserved_qty, business_day)
             from read_parquet(string_split($1, chr(10)), hive_partitioning = false)
             where business_day <= $2::varchar::date and sku in (select unnest(string_split($3, chr(10))))
             group by sku",
        )?;
        // A SKU has no line break in it.
        let skus = wanted.iter().map(String::as_str).collect::<Vec<_>>().join("\n");
        for level in statement.query_map(params![next, day, skus], level)? {
            let level = level?;
            wanted.remove(&level.sku);
            levels.push(level);
        }
        count *= 2;
    }
    levels.sort_by(|a, b| a.sku.cmp(&b.sku));
    Ok(levels)
}

fn levels_behind(
    db: &Connection,
    version: &Version,
    day: &str,
    after: &str,
    limit: i64,
) -> Result<Vec<StockLevel>, AnalyticsError> {
    let files = version.files_within(STOCK_BY_DAY, ..=day.to_owned())?;
    let Some(files) = files else { return Ok(Vec::new()) };
    let mut statement = db.prepare(
        "select sku, arg_max(qty_on_hand, business_day), arg_max(reserved_qty, business_day)
         from read_parquet(string_split($1, chr(10)), hive_partitioning = false)
         where business_day <= $2::varchar::date and sku > $3 group by sku order by sku limit $4",
    )?;
    let rows = statement.query_map(params![files, day, after, limit], level)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn level(row: &Row<'_>) -> duckdb::Result<StockLevel> {
    Ok(StockLevel { sku: row.get(0)?, qty_on_hand: row.get(1)?, reserved_qty: row.get(2)? })
}

/// When the newest level of a day or of one before was reached. Only files that go on behind the day need be read for it.
fn newest_until(
    db: &Connection,
    version: &Version,
    day: &str,
) -> Result<Option<DateTime<Utc>>, AnalyticsError> {
    let end = ..=day.to_owned();
    let files = version.manifest.files_of(STOCK_BY_DAY);
    let files = files.filter(|file| pruning::may_hold(file, &end));
    let ends_by = |file: &Materialized| file.range.as_ref().is_some_and(|range| *range.1 <= *day);
    let (told, asked): (Vec<_>, Vec<_>) =
        files.partition(|file| ends_by(file) && file.newest.is_some());
    let told = told.into_iter().filter_map(|file| file.newest).max();
    let Some(files) = version.sound(asked)? else { return Ok(told) };
    let mut statement = db.prepare(
        "select epoch_us(max(snapshot_at))
         from read_parquet(string_split($1, chr(10)), hive_partitioning = false)
         where business_day <= $2::varchar::date",
    )?;
    let newest: Option<i64> = statement.query_row(params![files, day], |row| row.get(0))?;
    Ok(newest.map(time).transpose()?.max(told))
}
