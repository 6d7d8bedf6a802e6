use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::domain::{Month, PeriodState};

/// Holds the periods as they are until the transaction ends, together with others who post. Gives the last closed month.
pub(crate) async fn hold(tx: &mut PgConnection) -> sqlx::Result<Option<Month>> {
    sqlx::query_scalar!(r#"select ledger.hold_periods(false) as "month: Month""#)
        .fetch_one(tx)
        .await
}

/// The same alone: waits for all who post, and lets none begin.
pub(crate) async fn hold_alone(tx: &mut PgConnection) -> sqlx::Result<Option<Month>> {
    sqlx::query_scalar!(r#"select ledger.hold_periods(true) as "month: Month""#).fetch_one(tx).await
}

/// The last closed month, as it is at this moment.
pub(crate) async fn closed_through(db: &mut PgConnection) -> sqlx::Result<Option<Month>> {
    sqlx::query_scalar!(
        r#"select max(month) as "month: Month" from ledger.periods where state = 'closed'"#
    )
    .fetch_one(db)
    .await
}

/// Gives the month's version. By the clock, not the time of the transaction: who posted before has committed, so what a closed month has was
/// posted before it was closed.
pub(crate) async fn change(
    tx: &mut PgConnection,
    month: Month,
    state: PeriodState,
    by: &str,
) -> sqlx::Result<i32> {
    sqlx::query_scalar!(
        "insert into ledger.periods as p (month, state, version, changed_at, changed_by) values ($1, $2, 1, clock_timestamp(), $3)
         on conflict (month) do update
         set state = excluded.state, version = p.version + 1, changed_at = excluded.changed_at, changed_by = excluded.changed_by
         returning version",
        month as Month,
        state as PeriodState,
        by
    )
    .fetch_one(tx)
    .await
}

/// When months of a range were closed or reopened last, and by whom.
pub(crate) async fn changes(
    db: &mut PgConnection,
    from: Month,
    to: Month,
) -> sqlx::Result<Vec<(Month, DateTime<Utc>, String)>> {
    let rows = sqlx::query!(
        r#"select month as "month: Month", changed_at, changed_by from ledger.periods
           where month between $1 and $2"#,
        from as Month,
        to as Month
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|row| (row.month, row.changed_at, row.changed_by)).collect())
}

/// The first month that was closed once.
pub(crate) async fn first(db: &mut PgConnection) -> sqlx::Result<Option<Month>> {
    sqlx::query_scalar!(r#"select min(month) as "month: Month" from ledger.periods"#)
        .fetch_one(db)
        .await
}
