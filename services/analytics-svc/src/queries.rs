//! Questions, each answered from one version of the materializations.

mod freshness;
mod reports;

pub(crate) use freshness::{Times, including, wait_until};
pub(crate) use reports::{
    ageing_by_customer, low_stock, sales_by_period, sales_by_sku, stock_of_day, top_products,
    trial_balance,
};

use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use duckdb::Connection;
use tokio::{task::spawn_blocking, time::Instant};

use crate::{
    AnalyticsError,
    domain::{self, Ageing, HourOfSales, MinPosition, StockSnapshot},
    store::{self, Database, Folder, Version},
};

/// How many versions a call tries whose files go away while it opens them.
const VERSIONS_MAX: usize = 8;

#[derive(Clone)]
pub(crate) struct Materializations {
    pub(crate) folder: Arc<Folder>,
    pub(crate) database: Arc<Database>,
}

/// What was found, and where.
pub(crate) struct Found<T>(pub(crate) T, pub(crate) Arc<Version>);

/// Ascending, hours that begin in `[from, until)`.
#[tracing::instrument(name = "analytics.query_sales_by_hour", skip_all)]
pub(crate) async fn sales_by_hour(
    of: &Materializations,
    min_position: MinPosition,
    (from, until): (DateTime<Utc>, DateTime<Utc>),
    limit: i64,
) -> Result<Found<Vec<HourOfSales>>, AnalyticsError> {
    let query = move |db: &Connection, version: &Version| {
        store::sales_by_hour(db, version, (from, until), limit)
    };
    of.ask(min_position, query).await
}

/// Hours, and the newest in which something was sold if that was looked for.
pub(crate) type HoursAndNewest = (Vec<HourOfSales>, Option<DateTime<Utc>>);

/// Hours that begin in `[from, until)`; if nothing was sold since `day` began, the newest hour in which something was, too.
#[tracing::instrument(name = "analytics.sales_around", skip_all)]
pub(crate) async fn sales_around(
    of: &Materializations,
    (from, day, until): (DateTime<Utc>, DateTime<Utc>, DateTime<Utc>),
    limit: i64,
) -> Result<Found<HoursAndNewest>, AnalyticsError> {
    let query = move |db: &Connection, version: &Version| {
        let hours = store::sales_by_hour(db, version, (from, until), limit)?;
        let sold = hours.iter().any(|hour| hour.hour >= day && hour.order_count > 0);
        let newest = if sold { None } else { store::newest_hour_of_sales(db, version)? };
        Ok((hours, newest))
    };
    of.ask(MinPosition::default(), query).await
}

/// By SKU, behind `after`.
#[tracing::instrument(name = "analytics.get_stock_snapshot", skip_all)]
pub(crate) async fn stock_snapshot(
    of: &Materializations,
    min_position: MinPosition,
    after: String,
    skus: Vec<String>,
    limit: i64,
) -> Result<Found<StockSnapshot>, AnalyticsError> {
    let query = move |db: &Connection, version: &Version| {
        let levels = store::stock_levels(db, version, &after, &skus, limit)?;
        Ok(StockSnapshot { levels, taken_at: store::snapshot_time(db, version)? })
    };
    of.ask(min_position, query).await
}

/// Of a business day, or the newest.
#[tracing::instrument(name = "analytics.get_ar_ageing", skip_all)]
pub(crate) async fn ar_ageing(
    of: &Materializations,
    min_position: MinPosition,
    day: Option<NaiveDate>,
    zone: Tz,
) -> Result<Found<Ageing>, AnalyticsError> {
    of.ask(min_position, move |db: &Connection, version: &Version| ageing(db, version, day, zone))
        .await
}

/// Of a business day, or the newest; fails, telling which days there are, when it is not there.
fn ageing(
    db: &Connection,
    version: &Version,
    day: Option<NaiveDate>,
    zone: Tz,
) -> Result<Ageing, AnalyticsError> {
    let ever = Some((DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC));
    let instants = day.map_or(ever, |day| domain::instants_of(day, zone));
    let found = match instants {
        Some((from, until)) => store::newest_ageing(db, version, from, until)?,
        None => None,
    };
    if let Some(ageing) = found {
        return Ok(ageing);
    }
    let days = store::ageings_between(db, version)?;
    let days = days.map(|(first, last)| (domain::day_of(first, zone), domain::day_of(last, zone)));
    Err(AnalyticsError::AgeingNotFound { day, days })
}

/// What the newest version answers; each newer one is tried as long as somebody waits for it.
fn newest_that_answers<T>(
    newest: impl Fn() -> Result<Arc<Version>, AnalyticsError>,
    deadline: Instant,
    query: impl Fn(&Version) -> Result<T, AnalyticsError>,
) -> Result<Found<T>, AnalyticsError> {
    let mut version = newest()?;
    for _ in 1..VERSIONS_MAX {
        match query(&version) {
            Ok(found) => return Ok(Found(found, version)),
            Err(error) if Instant::now() >= deadline => return Err(error),
            Err(error) => {
                let newer = newest()?;
                if Arc::ptr_eq(&newer, &version) {
                    return Err(error);
                }
                version = newer;
            }
        }
    }
    query(&version).map(|found| Found(found, version))
}

impl Materializations {
    async fn ask<T: Send + 'static>(
        &self,
        min_position: MinPosition,
        query: impl Fn(&Connection, &Version) -> Result<T, AnalyticsError> + Send + 'static,
    ) -> Result<Found<T>, AnalyticsError> {
        let (call, min_position) = (Times::of_call(), Arc::new(min_position));
        if !min_position.0.is_empty() {
            wait_until(&self.folder, &min_position, &call).await?;
        }
        let folder = Arc::clone(&self.folder);
        // The version is chosen when it is this query's turn: the files of one chosen earlier might be gone.
        let query = move |db: &Connection| {
            let newest = || including(&folder, &min_position);
            newest_that_answers(newest, call.deadline, |version| query(db, version))
        };
        self.database.run(call.deadline, query).await
    }

    /// Whether there is a version to answer from.
    pub(crate) async fn are_there(self) -> bool {
        let live = spawn_blocking(move || self.folder.live()).await;
        matches!(live, Ok(Ok(Some(_))))
    }

    pub(crate) async fn can_be_asked(self) -> bool {
        spawn_blocking(move || self.database.is_there()).await.unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, time::Duration};

    use manifest::Manifest;

    use super::*;

    #[test]
    fn a_query_that_fails_is_tried_on_a_newer_version_until_its_deadline() {
        let path = tempfile::tempdir().unwrap();
        let folder = Folder::new(path.path(), Tz::Europe__London).unwrap();
        let publish = |version: u64| {
            let manifest = Manifest { version, ..Manifest::default() };
            manifest.write(path.path()).unwrap();
        };
        publish(1);
        let tries = |deadline: Instant| {
            let tries = Cell::new(0);
            let newest = || including(&folder, &MinPosition::default());
            let failed = newest_that_answers(newest, deadline, |version| {
                tries.set(tries.get() + 1);
                publish(version.manifest.version + 1);
                Err::<(), _>(AnalyticsError::SumTooLarge)
            });
            assert!(failed.is_err());
            tries.get()
        };
        assert_eq!(tries(Instant::now() + Duration::from_secs(60)), VERSIONS_MAX);
        assert_eq!(tries(Instant::now()), 1);
    }
}
