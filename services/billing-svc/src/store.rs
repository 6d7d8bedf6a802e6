//! Every SQL statement of the service, one function each.

pub(crate) mod accounts;
pub(crate) mod ageing;
pub(crate) mod credit_notes;
pub(crate) mod credits;
pub(crate) mod invoices;
pub(crate) mod movements;
pub(crate) mod numbers;
pub(crate) mod payments;
pub(crate) mod refunds;
pub(crate) mod statements;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

pub(crate) const SCHEMA: &str = "billing";

/// The database's clock: the start of this transaction.
pub(crate) async fn now(db: &mut PgConnection) -> sqlx::Result<DateTime<Utc>> {
    sqlx::query_scalar!(r#"select now() as "now!""#).fetch_one(db).await
}
