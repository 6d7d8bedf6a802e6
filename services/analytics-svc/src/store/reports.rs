//! Statements that add up: over periods, SKUs, customers, accounts, and stock of days that are over. See [`store`](super) for how values are
//! bound and read.

use chrono::{DateTime, NaiveDate, Utc};
use duckdb::{Connection, Row, params};
use money::Money;
use uuid::Uuid;

use super::{Version, bound, each_once, money, time};
use crate::{
    AnalyticsError,
    domain::{
        AR_AGEING, AccountTotals, Buckets, CustomerAgeing, Instants, LowStock, OPEN_INVOICES,
        ORDER_FACTS, Rank, SALES_BY_HOUR, STOCK_BY_DAY, STOCK_SNAPSHOT, SkuSales, StockLevel,
        StockSnapshot, TRIAL_BALANCE,
    },
};

/// When the first and the last hour with sales begin, of those that begin in `[from, until)`.
pub(crate) fn hours_between(
    db: &Connection,
    version: &Version,
    (from, until): Instants,
) -> Result<Option<Instants>, AnalyticsError> {
    let Some(files) = version.files(SALES_BY_HOUR)? else { return Ok(None) };
    let mut statement = db.prepare(
        "select epoch_us(min(hour)), epoch_us(max(hour))
         from read_parquet(string_split($1, chr(10)), hive_partitioning = false)
         where hour >= $2::varchar::timestamptz and hour < $3::varchar::timestamptz",
    )?;
    let values = params![files, bound(from), bound(until)];
    let (first, last): (Option<i64>, Option<i64>) =
        statement.query_row(values, |row| Ok((row.get(0)?, row.get(1)?)))?;
    first.zip(last).map(|(first, last)| Ok((time(first)?, time(last)?))).transpose()
}

/// What was sold in hours that begin in `[from, until)`, by when the spans begin that they are in, ascending. `spans` begin with one that holds
/// the first of these hours. DuckDB takes many times as long to find an hour's local day.
pub(crate) fn sales_of_spans(
    db: &Connection,
    version: &Version,
    (from, until): Instants,
    spans: &[DateTime<Utc>],
    limit: i64,
) -> Result<Vec<(DateTime<Utc>, Money, i64)>, AnalyticsError> {
    let Some(files) = version.files(SALES_BY_HOUR)? else { return Ok(Vec::new()) };
    let mut statement = db.prepare(
        "with spans as (select unnest(string_split($4, chr(10)))::timestamptz as begins)
         select epoch_us(begins), sum(total_amount)::varchar, sum(order_count)::bigint as orders
         from read_parquet(string_split($1, chr(10)), hive_partitioning = false)
         asof join spans on hour >= begins
         where hour >= $2::varchar::timestamptz and hour < $3::varchar::timestamptz
         group by begins having orders > 0 order by begins limit $5",
    )?;
    let spans = spans.iter().map(|begins| bound(*begins)).collect::<Vec<_>>().join("\n");
    let values = params![files, bound(from), bound(until), spans, limit];
    let rows = statement
        .query_and_then(values, |row| Ok((time(row.get(0)?)?, money(row, 1)?, row.get(2)?)))?;
    rows.collect()
}

/// By SKU, behind `after`, of lines placed in `[from, until)`.
pub(crate) fn sales_by_sku(
    db: &Connection,
    version: &Version,
    (from, until): Instants,
    after: &str,
    limit: i64,
) -> Result<Vec<SkuSales>, AnalyticsError> {
    let Some(files) = version.files(ORDER_FACTS)? else { return Ok(Vec::new()) };
    let mut statement = db.prepare(
        "select sku, sum(quantity - cancelled_quantity)::bigint as kept, sum(shipped_quantity)::bigint,
                sum(returned_quantity)::bigint, sum(amount)::varchar,
                count(*) filter (where quantity > cancelled_quantity)
         from read_parquet(string_split($1, chr(10)), hive_partitioning = false)
         where placed_at >= $2::varchar::timestamptz and placed_at < $3::varchar::timestamptz and sku > $4
         group by sku having kept > 0 order by sku limit $5",
    )?;
    let values = params![files, bound(from), bound(until), after, limit];
    statement.query_and_then(values, sku_sales)?.collect()
}

/// The best first, of lines placed in `[from, until)`.
pub(crate) fn top_products(
    db: &Connection,
    version: &Version,
    rank: Rank,
    (from, until): Instants,
    limit: i64,
) -> Result<Vec<SkuSales>, AnalyticsError> {
    let Some(files) = version.files(ORDER_FACTS)? else { return Ok(Vec::new()) };
    let mut statement = db.prepare(
        "select sku, sum(quantity - cancelled_quantity)::bigint as kept, sum(shipped_quantity)::bigint,
                sum(returned_quantity)::bigint, sum(amount)::varchar,
                count(*) filter (where quantity > cancelled_quantity)
         from read_parquet(string_split($1, chr(10)), hive_partitioning = false)
         where placed_at >= $2::varchar::timestamptz and placed_at < $3::varchar::timestamptz
         group by sku having kept > 0
         order by case when $4 then kept::decimal(38, 2) else sum(amount)::decimal(38, 2) end desc, sku limit $5",
    )?;
    let values = params![files, bound(from), bound(until), rank == Rank::Quantity, limit];
    statement.query_and_then(values, sku_sales)?.collect()
}

fn sku_sales(row: &Row<'_>) -> Result<SkuSales, AnalyticsError> {
    Ok(SkuSales {
        sku: row.get(0)?,
        quantity: row.get(1)?,
        shipped_quantity: row.get(2)?,
        returned_quantity: row.get(3)?,
        total_amount: money(row, 4)?,
        line_count: row.get(5)?,
    })
}

/// At the end of a business day, by SKU, behind `after`. `skus` are the only ones looked for, unless it is empty.
pub(crate) fn stock_of_day(
    db: &Connection,
    version: &Version,
    day: NaiveDate,
    after: &str,
    skus: &[String],
    limit: i64,
) -> Result<StockSnapshot, AnalyticsError> {
    let Some(files) = version.files(STOCK_BY_DAY)? else {
        return Ok(StockSnapshot { levels: Vec::new(), taken_at: None });
    };
    let mut statement = db.prepare(
        "select sku, arg_max(qty_on_hand, business_day), arg_max(reserved_qty, business_day)
         from read_parquet(string_split($1, chr(10)), hive_partitioning = false)
         where business_day <= $2::varchar::date and sku > $3
           and ($4 = '' or sku in (select unnest(string_split($4, chr(10)))))
         group by sku order by sku limit $5",
    )?;
    let (text, skus) = (rpc::to_date(day), skus.join("\n"));
    let rows = statement.query_map(params![files, text, after, skus, limit], |row| {
        Ok(StockLevel { sku: row.get(0)?, qty_on_hand: row.get(1)?, reserved_qty: row.get(2)? })
    })?;
    let levels = rows.collect::<Result<Vec<_>, _>>()?;
    let mut statement = db.prepare(
        "select epoch_us(max(snapshot_at))
         from read_parquet(string_split($1, chr(10)), hive_partitioning = false)
         where business_day <= $2::varchar::date",
    )?;
    let newest: Option<i64> = statement.query_row(params![files, text], |row| row.get(0))?;
    Ok(StockSnapshot { levels, taken_at: newest.map(time).transpose()? })
}

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
    let Some(files) = version.files(TRIAL_BALANCE)? else { return Ok(Vec::new()) };
    let mut statement = db.prepare(
        "select account, sum(debit)::varchar, sum(credit)::varchar
         from read_parquet(string_split($1, chr(10)), hive_partitioning = false)
         where day <= $2::varchar::date group by account order by account",
    )?;
    let rows = statement.query_and_then(params![files, rpc::to_date(day)], |row| {
        Ok(AccountTotals { account: row.get(0)?, debit: money(row, 1)?, credit: money(row, 2)? })
    })?;
    rows.collect()
}
