//! Every SQL statement of the service, one function each.
//!
//! Who posts holds the periods first, then accounts by code, then adds journals and entries, which adds to the days of accounts by
//! (account, day): so none ever waits in a circle.

pub(crate) mod accounts;
pub(crate) mod entries;
pub(crate) mod journals;
pub(crate) mod periods;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

pub(crate) const SCHEMA: &str = "ledger";

pub(crate) async fn now(db: &mut PgConnection) -> sqlx::Result<DateTime<Utc>> {
    sqlx::query_scalar!(r#"select now() as "now!""#).fetch_one(db).await
}
