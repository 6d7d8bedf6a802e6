//! What is posted to accounts, and what is low on stock. See [`store`](super) for how values are bound and read.

use chrono::NaiveDate;
use duckdb::{Connection, params};

use super::{Version, each_once, money};
use crate::{
    AnalyticsError,
    domain::{AccountTotals, LowStock, STOCK_SNAPSHOT, TRIAL_BALANCE},
};

/// By SKU, behind `after`: what inventory-svc's items say with `low`.
pub(crate) fn low_stock(
    db: &Connection,
    version: &Version,
    show_archived: bool,
    after: &str,
    limit: i64,
) -> Result<Vec<LowStock>, AnalyticsError> {
    let Some(files) = version.files(STOCK_SNAPSHOT)? else { return Ok(Vec::new()) };
    let found = low_in_files(db, &files, show_archived, after, limit);
    if found.is_err() && lack_column(db, &files, "reorder_point")? {
        return Err(AnalyticsError::CountedAnew);
    }
    each_once(found?, |item| item.sku.clone())
}

fn low_in_files(
    db: &Connection,
    files: &str,
    show_archived: bool,
    after: &str,
    limit: i64,
) -> duckdb::Result<Vec<LowStock>> {
    let mut statement = db.prepare(
        "select sku, qty_on_hand, reserved_qty, reorder_point, archived
         from read_parquet(string_split($1, chr(10)), hive_partitioning = false)
         where qty_on_hand - reserved_qty <= reorder_point and (not archived or qty_on_hand > 0 or $2) and sku > $3
         order by sku limit $4",
    )?;
    let rows = statement.query_map(params![files, show_archived, after, limit], |row| {
        Ok(LowStock {
            sku: row.get(0)?,
            qty_on_hand: row.get(1)?,
            reserved_qty: row.get(2)?,
            reorder_point: row.get(3)?,
            archived: row.get(4)?,
        })
    })?;
    rows.collect()
}

/// Whether these files are of an olap-consumer that did not know a column yet.
fn lack_column(db: &Connection, files: &str, column: &str) -> Result<bool, AnalyticsError> {
    let mut statement = db.prepare(
        "select not bool_or(name = $2) from parquet_schema(string_split($1, chr(10))) group by file_name order by 1 desc limit 1",
    )?;
    Ok(statement.query_row(params![files, column], |row| row.get(0))?)
}

/// By code, of journals of that day and before.
pub(crate) fn trial_balance(
    db: &Connection,
    version: &Version,
    day: NaiveDate,
) -> Result<Vec<AccountTotals>, AnalyticsError> {
    let day = rpc::to_date(day);
    let files = version.files_within(TRIAL_BALANCE, ..=day.clone())?;
    let Some(files) = files else { return Ok(Vec::new()) };
    let mut statement = db.prepare(
        "select account, sum(debit)::varchar, sum(credit)::varchar
         from read_parquet(string_split($1, chr(10)), hive_partitioning = false)
         where day <= $2::varchar::date group by account order by account",
    )?;
    let rows = statement.query_and_then(params![files, day], |row| {
        Ok(AccountTotals { account: row.get(0)?, debit: money(row, 1)?, credit: money(row, 2)? })
    })?;
    rows.collect()
}
