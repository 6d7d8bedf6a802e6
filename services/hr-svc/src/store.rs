//! Every SQL statement of the service, one function each, by table.

pub(crate) mod employees;
pub(crate) mod payroll_runs;
pub(crate) mod payslips;
pub(crate) mod salaries;
pub(crate) mod workers;

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use sqlx::PgConnection;

use crate::domain;

pub(crate) const SCHEMA: &str = "hr";

/// The database's clock at this moment, not at the start of the transaction: whoever gets a row's lock later is later.
pub(crate) async fn clock(db: &mut PgConnection) -> sqlx::Result<DateTime<Utc>> {
    sqlx::query_scalar!(r#"select clock_timestamp() as "clock!""#).fetch_one(db).await
}

/// The business day by the database's clock.
pub(crate) async fn today(db: &mut PgConnection, zone: Tz) -> sqlx::Result<NaiveDate> {
    Ok(domain::day_of(clock(db).await?, zone))
}
