//! What customers owe, what is posted to accounts, and what is low on stock. See [`store`](super) for how values are bound and read.

use chrono::{DateTime, NaiveDate, Utc};
use duckdb::{Connection, params};
use uuid::Uuid;

use super::{Version, each_once, money, time};
use crate::{
    AnalyticsError,
    domain::{
        AR_AGEING, AccountTotals, Buckets, CustomerAgeing, LowStock, OPEN_INVOICES, STOCK_SNAPSHOT,
        TRIAL_BALANCE,
    },
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

/// An instant of the newest business day that there is an ageing of.
pub(crate) fn newest_instant_of_ageing(
    db: &Connection,
    version: &Version,
) -> Result<Option<DateTime<Utc>>, AnalyticsError> {
    let Some(files) = version.files(AR_AGEING)? else { return Ok(None) };
    let mut statement = db.prepare(
        "select epoch_us(max(as_of))
         from read_parquet(string_split($1, chr(10)), hive_partitioning = false)",
    )?;
    let newest: Option<i64> = statement.query_row(params![files], |row| row.get(0))?;
    newest.map(time).transpose()
}

/// By customer, behind `after`; what is late is so on `day`.
pub(crate) fn ageing_by_customer(
    db: &Connection,
    version: &Version,
    day: NaiveDate,
    after: Uuid,
    limit: i64,
) -> Result<Vec<CustomerAgeing>, AnalyticsError> {
    let Some(files) = version.files(OPEN_INVOICES)? else { return Ok(Vec::new()) };
    let mut statement = db.prepare(
        "with open as (
           select customer_id, residual, $2::varchar::date - due_date as late
           from read_parquet(string_split($1, chr(10)), hive_partitioning = false)
           where customer_id > $3::varchar::uuid)
         select customer_id::varchar,
                coalesce(sum(residual) filter (where late <= 0), 0.00)::decimal(38, 2)::varchar,
                coalesce(sum(residual) filter (where late between 1 and 30), 0.00)::decimal(38, 2)::varchar,
                coalesce(sum(residual) filter (where late between 31 and 60), 0.00)::decimal(38, 2)::varchar,
                coalesce(sum(residual) filter (where late between 61 and 90), 0.00)::decimal(38, 2)::varchar,
                coalesce(sum(residual) filter (where late > 90), 0.00)::decimal(38, 2)::varchar,
                sum(residual)::varchar
         from open group by customer_id order by customer_id limit $4",
    )?;
    let values = params![files, rpc::to_date(day), after.to_string(), limit];
    let rows = statement.query_and_then(values, |row| {
        let id: String = row.get(0)?;
        Ok(CustomerAgeing {
            customer_id: Uuid::parse_str(&id).map_err(|_| AnalyticsError::NotAnId(id))?,
            owed: Buckets {
                current: money(row, 1)?,
                bucket_30: money(row, 2)?,
                bucket_60: money(row, 3)?,
                bucket_90: money(row, 4)?,
                bucket_over_90: money(row, 5)?,
                total: money(row, 6)?,
            },
        })
    })?;
    rows.collect()
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
