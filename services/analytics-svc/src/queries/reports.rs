//! Questions that add up.

use chrono::NaiveDate;
use chrono_tz::Tz;
use duckdb::Connection;
use uuid::Uuid;

use super::{Found, Materializations, ageing};
use crate::{
    AnalyticsError,
    domain::{
        self, AccountTotals, CustomerAgeing, DaySpan, Instants, LowStock, MinPosition, Period,
        PeriodOfSales, Rank, SkuSales, StockSnapshot,
    },
    store::{self, Version},
};

/// Ascending, periods that begin behind `after`, of hours that begin in these instants.
#[tracing::instrument(name = "analytics.query_sales_by_period", skip_all)]
pub(crate) async fn sales_by_period(
    of: &Materializations,
    min_position: MinPosition,
    (period, zone): (Period, Tz),
    instants: Instants,
    after: NaiveDate,
    limit: i64,
) -> Result<Found<Vec<PeriodOfSales>>, AnalyticsError> {
    let query = move |db: &Connection, version: &Version| {
        let Some((first, last)) = store::hours_between(db, version, instants)? else {
            return Ok(Vec::new());
        };
        let mut periods = period.of(domain::day_of(first, zone), domain::day_of(last, zone));
        periods.retain(|start| *start > after);
        let begins = periods.iter().filter_map(|start| domain::instants_of(*start, zone));
        let spans: Vec<_> = begins.map(|(begins, _)| begins).collect();
        let Some(earliest) = spans.first() else { return Ok(Vec::new()) };
        let instants = (instants.0.max(*earliest), instants.1);
        let sold = store::sales_of_spans(db, version, instants, &spans, limit)?;
        let sold = sold.into_iter().map(|(begins, total_amount, order_count)| {
            let start = domain::day_of(begins, zone);
            PeriodOfSales { start, total_amount, order_count }
        });
        Ok(sold.collect())
    };
    of.ask(min_position, query).await
}

/// By SKU, behind `after`, of lines placed on these days.
#[tracing::instrument(name = "analytics.query_sales_by_sku", skip_all)]
pub(crate) async fn sales_by_sku(
    of: &Materializations,
    min_position: MinPosition,
    days: (DaySpan, Tz),
    after: String,
    limit: i64,
) -> Result<Found<Vec<SkuSales>>, AnalyticsError> {
    let query = move |db: &Connection, version: &Version| {
        store::sales_by_sku(db, version, days, &after, limit)
    };
    of.ask(min_position, query).await
}

/// The best first, of lines placed on these days.
#[tracing::instrument(name = "analytics.get_top_products", skip_all)]
pub(crate) async fn top_products(
    of: &Materializations,
    min_position: MinPosition,
    rank: Rank,
    days: (DaySpan, Tz),
    limit: i64,
) -> Result<Found<Vec<SkuSales>>, AnalyticsError> {
    let query = move |db: &Connection, version: &Version| {
        store::top_products(db, version, rank, days, limit)
    };
    of.ask(min_position, query).await
}

/// At the end of a day, by SKU, behind `after`.
#[tracing::instrument(name = "analytics.get_stock_of_day", skip_all)]
pub(crate) async fn stock_of_day(
    of: &Materializations,
    min_position: MinPosition,
    day: NaiveDate,
    after: String,
    skus: Vec<String>,
    limit: i64,
) -> Result<Found<StockSnapshot>, AnalyticsError> {
    let query = move |db: &Connection, version: &Version| {
        store::stock_of_day(db, version, day, &after, &skus, limit)
    };
    of.ask(min_position, query).await
}

/// By SKU, behind `after`.
#[tracing::instrument(name = "analytics.query_low_stock", skip_all)]
pub(crate) async fn low_stock(
    of: &Materializations,
    min_position: MinPosition,
    show_archived: bool,
    after: String,
    limit: i64,
) -> Result<Found<Vec<LowStock>>, AnalyticsError> {
    let query = move |db: &Connection, version: &Version| {
        store::low_stock(db, version, show_archived, &after, limit)
    };
    of.ask(min_position, query).await
}

/// By customer, of a day or the newest one, and that day; of one customer, if one is said, behind another.
#[tracing::instrument(name = "analytics.query_ar_ageing_by_customer", skip_all)]
pub(crate) async fn ageing_by_customer(
    of: &Materializations,
    min_position: MinPosition,
    (day, zone): (Option<NaiveDate>, Tz),
    (customer, after): (Option<Uuid>, Option<Uuid>),
    limit: i64,
) -> Result<Found<(NaiveDate, Vec<CustomerAgeing>)>, AnalyticsError> {
    let query = move |db: &Connection, version: &Version| {
        let ageing = ageing(db, version, day, zone)?;
        let on = domain::day_of(ageing.as_of, zone);
        let debts = match day {
            None => store::open_debts(version)?,
            Some(day) => store::debts_of_day(version, day, !ageing.total_ar.is_zero())?,
        };
        let after = after.unwrap_or_default();
        Ok((on, store::ageing_by_customer(db, &debts, on, customer, after, limit)?))
    };
    of.ask(min_position, query).await
}

/// By code, of journals of that day and before.
#[tracing::instrument(name = "analytics.get_trial_balance", skip_all)]
pub(crate) async fn trial_balance(
    of: &Materializations,
    min_position: MinPosition,
    day: NaiveDate,
) -> Result<Found<Vec<AccountTotals>>, AnalyticsError> {
    let query = move |db: &Connection, version: &Version| store::trial_balance(db, version, day);
    of.ask(min_position, query).await
}
