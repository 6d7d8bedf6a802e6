//! Statements about sales: by hour, by spans of hours, by SKU. See [`store`](super) for how values are bound and read.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use duckdb::{Connection, Row, params, params_from_iter, types::Value};
use rust_decimal::Decimal;

use super::{Version, bound, each_once, money, pruning, time};
use crate::{
    AnalyticsError,
    domain::{
        self, DaySpan, HourOfSales, Instants, MonthsAndDays, ORDER_FACTS, Rank, SALES_BY_HOUR,
        SALES_BY_SKU_DAY, SALES_BY_SKU_MONTH, SkuSales,
    },
};

/// Ascending, hours that begin in `[from, until)`.
pub(crate) fn sales_by_hour(
    db: &Connection,
    version: &Version,
    (from, until): Instants,
    limit: i64,
) -> Result<Vec<HourOfSales>, AnalyticsError> {
    let (from, until) = (bound(from), bound(until));
    let files = version.files_within(SALES_BY_HOUR, from.clone()..until.clone())?;
    let Some(files) = files else { return Ok(Vec::new()) };
    let mut statement = db.prepare(
        "select epoch_us(hour), total_amount::varchar, order_count
         from read_parquet(string_split($1, chr(10)), hive_partitioning = false)
         where hour >= $2::varchar::timestamptz and hour < $3::varchar::timestamptz
         order by hour limit $4",
    )?;
    let rows = statement.query_and_then(params![files, from, until, limit], |row| {
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
    for files in pruning::newest_first(version.manifest.files_of(SALES_BY_HOUR)) {
        let Some(files) = version.sound(files)? else { continue };
        let mut statement = db.prepare(
            "select epoch_us(max(hour))
             from read_parquet(string_split($1, chr(10)), hive_partitioning = false) where order_count > 0",
        )?;
        let newest: Option<i64> = statement.query_row(params![files], |row| row.get(0))?;
        if let Some(newest) = newest {
            return time(newest).map(Some);
        }
    }
    Ok(None)
}

/// Between which instants the hours are that begin in `[from, until)`; none if there is no such hour.
pub(crate) fn hours_between(
    db: &Connection,
    version: &Version,
    (from, until): Instants,
) -> Result<Option<Instants>, AnalyticsError> {
    if let Some((first, last)) = pruning::range(version.manifest.files_of(SALES_BY_HOUR)) {
        let (first, last) = (from.max(first), until.min(last));
        return Ok((first <= last).then_some((first, last)));
    }
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
) -> Result<Vec<(DateTime<Utc>, Decimal, i64)>, AnalyticsError> {
    let (from, until) = (bound(from), bound(until));
    let files = version.files_within(SALES_BY_HOUR, from.clone()..until.clone())?;
    let Some(files) = files else { return Ok(Vec::new()) };
    let mut statement = db.prepare(
        "with spans as (select unnest(string_split($4, chr(10)))::timestamptz as begins)
         select epoch_us(begins), sum(total_amount)::varchar, sum(order_count)::bigint as orders
         from read_parquet(string_split($1, chr(10)), hive_partitioning = false)
         asof join spans on hour >= begins
         where hour >= $2::varchar::timestamptz and hour < $3::varchar::timestamptz
         group by begins having orders > 0 order by begins limit $5",
    )?;
    let spans = spans.iter().map(|begins| bound(*begins)).collect::<Vec<_>>().join("\n");
    let values = params![files, from, until, spans, limit];
    let rows = statement
        .query_and_then(values, |row| Ok((time(row.get(0)?)?, money(row, 1)?, row.get(2)?)))?;
    rows.collect()
}

/// By SKU, behind `after`, of lines placed on these days.
pub(crate) fn sales_by_sku(
    db: &Connection,
    version: &Version,
    (days, zone): (DaySpan, Tz),
    after: &str,
    limit: i64,
) -> Result<Vec<SkuSales>, AnalyticsError> {
    let Some(sold) = Sold::on(version, days, zone, after)? else { return Ok(Vec::new()) };
    sold.ask(db, "sku", limit)
}

/// The best first, of lines placed on these days.
pub(crate) fn top_products(
    db: &Connection,
    version: &Version,
    rank: Rank,
    (days, zone): (DaySpan, Tz),
    limit: i64,
) -> Result<Vec<SkuSales>, AnalyticsError> {
    let Some(sold) = Sold::on(version, days, zone, "")? else { return Ok(Vec::new()) };
    let order = match rank {
        Rank::Amount => "amount desc, sku",
        Rank::Quantity => "kept desc, sku",
    };
    sold.ask(db, order, limit)
}

/// Queries that together give rows of SKUs which sum up, and the values that are bound in them.
#[derive(Default)]
struct Sold {
    parts: Vec<String>,
    values: Vec<Value>,
}

impl Sold {
    /// What was sold on these days of SKUs behind one: of whole months, and of days at their edges. None where there is no file.
    fn on(
        version: &Version,
        days: DaySpan,
        zone: Tz,
        after: &str,
    ) -> Result<Option<Self>, AnalyticsError> {
        let mut sold = Self::default();
        sold.values.push(Value::Text(after.to_owned()));
        let manifest = &version.manifest;
        let [by_day, by_month] =
            [SALES_BY_SKU_DAY, SALES_BY_SKU_MONTH].map(|table| manifest.files_of(table));
        if by_day.chain(by_month).next().is_none() {
            // An older olap-consumer did not sum up by SKU.
            sold.add_facts(version, domain::instants_between(days, zone))?;
        } else {
            let known = pruning::range(manifest.files_of(SALES_BY_SKU_DAY));
            let MonthsAndDays { months, more, less } = MonthsAndDays::of(days, known);
            if let Some(months) = months {
                sold.add(version, (SALES_BY_SKU_MONTH, "month"), "", months)?;
            }
            for (spans, sign) in [(more, ""), (less, "-")] {
                for days in spans {
                    sold.add(version, (SALES_BY_SKU_DAY, "business_day"), sign, days)?;
                }
            }
        }
        Ok((!sold.parts.is_empty()).then_some(sold))
    }

    fn add(
        &mut self,
        version: &Version,
        (table, key): (&str, &str),
        sign: &str,
        (first, last): DaySpan,
    ) -> Result<(), AnalyticsError> {
        let (first, last) = (rpc::to_date(first), rpc::to_date(last));
        let Some(files) = version.files_within(table, first.clone()..=last.clone())? else {
            return Ok(());
        };
        let [files, first, last] = [files, first, last].map(|value| self.bind(Value::Text(value)));
        self.parts.push(format!(
            "select sku, {sign}quantity, {sign}shipped_quantity, {sign}returned_quantity, {sign}amount, {sign}line_count
             from read_parquet(string_split({files}, chr(10)), hive_partitioning = false)
             where {key} between {first}::varchar::date and {last}::varchar::date and sku > $1"
        ));
        Ok(())
    }

    fn add_facts(
        &mut self,
        version: &Version,
        (from, until): Instants,
    ) -> Result<(), AnalyticsError> {
        let (from, until) = (bound(from), bound(until));
        let Some(files) = version.files_within(ORDER_FACTS, from.clone()..until.clone())? else {
            return Ok(());
        };
        let [files, from, until] = [files, from, until].map(|value| self.bind(Value::Text(value)));
        self.parts.push(format!(
            "select sku, quantity - cancelled_quantity, shipped_quantity, returned_quantity, amount, (quantity > cancelled_quantity)::integer
             from read_parquet(string_split({files}, chr(10)), hive_partitioning = false)
             where placed_at >= {from}::varchar::timestamptz and placed_at < {until}::varchar::timestamptz and sku > $1"
        ));
        Ok(())
    }

    /// Gives the value's name.
    fn bind(&mut self, value: Value) -> String {
        self.values.push(value);
        format!("${}", self.values.len())
    }

    fn ask(
        mut self,
        db: &Connection,
        order: &str,
        limit: i64,
    ) -> Result<Vec<SkuSales>, AnalyticsError> {
        let limit = self.bind(Value::BigInt(limit));
        let parts = self.parts.join(" union all ");
        // What is shown alone is turned into text.
        let mut statement = db.prepare(&format!(
            "select sku, kept::bigint, shipped::bigint, returned::bigint, amount::varchar, lines::bigint from (
               select sku, sum(quantity) as kept, sum(shipped_quantity) as shipped, sum(returned_quantity) as returned,
                      sum(amount) as amount, sum(line_count) as lines
               from ({parts}) as sold(sku, quantity, shipped_quantity, returned_quantity, amount, line_count)
               group by sku having kept > 0 order by {order} limit {limit})
             order by {order}"
        ))?;
        statement.query_and_then(params_from_iter(self.values), sku_sales)?.collect()
    }
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
