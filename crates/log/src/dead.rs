//! Events that could not be applied, and those parked behind them.

use std::collections::BTreeSet;

use sqlx::{AssertSqlSafe, PgConnection, Row, postgres::PgRow};
use uuid::Uuid;

use crate::Event;

/// Why an event waits that is not itself to blame.
pub(crate) const PARKED: &str = "parked behind an earlier event of its aggregate";

/// A row of `dead_letters`.
#[derive(Debug)]
pub(crate) struct DeadLetter {
    pub(crate) id: Uuid,
    pub(crate) source: String,
    pub(crate) log_id: i64,
    pub(crate) subject: String,
    pub(crate) event_type: String,
    pub(crate) payload: String,
    pub(crate) error: String,
    pub(crate) created_at: chrono::DateTime<chrono::Utc>,
}

/// Puts an event aside. Its payload is kept as it can be parsed again.
pub(crate) async fn insert(
    tx: &mut PgConnection,
    schema: &'static str,
    source: &str,
    event: &Event,
    error: &str,
) -> sqlx::Result<()> {
    let payload = serde_json::json!({
        "specversion": "1.0", "id": event.id, "source": format!("/bramble/{source}"),
        "type": event.event_type, "subject": event.subject, "time": event.time,
        "version": event.version, "actor": event.actor, "traceparent": event.traceparent,
        "requestid": event.request_id, "causationid": event.causation_id,
        "sequence": event.sequence.to_string(), "previous": event.previous.to_string(),
        "data": event.data,
    });
    let statement = format!(
        "insert into {schema}.dead_letters (id, source, log_id, subject, event_type, payload, error)
         values ($1, $2, $3, $4, $5, $6, $7)"
    );
    sqlx::query(AssertSqlSafe(statement))
        .bind(Uuid::now_v7())
        .bind(source)
        .bind(event.sequence)
        .bind(&event.subject)
        .bind(&event.event_type)
        .bind(payload)
        .bind(error)
        .execute(tx)
        .await?;
    Ok(())
}

/// Which aggregates of these events wait behind a dead letter.
pub(crate) async fn parked(
    tx: &mut PgConnection,
    schema: &'static str,
    source: &str,
    events: &[Event],
) -> sqlx::Result<BTreeSet<String>> {
    if events.is_empty() {
        return Ok(BTreeSet::new());
    }
    let subjects: Vec<&str> = events.iter().map(|event| event.subject.as_str()).collect();
    let statement = format!(
        "select distinct subject from {schema}.dead_letters where source = $1 and subject = any($2)"
    );
    let found: Vec<String> = sqlx::query_scalar(AssertSqlSafe(statement))
        .bind(source)
        .bind(subjects)
        .fetch_all(tx)
        .await?;
    Ok(found.into_iter().collect())
}

/// Oldest first, behind a key.
pub(crate) async fn list(
    db: &mut PgConnection,
    schema: &'static str,
    after: Option<Uuid>,
    limit: i64,
) -> sqlx::Result<Vec<DeadLetter>> {
    let statement = format!(
        "select id, source, log_id, subject, event_type, payload::text as payload, error, created_at
         from {schema}.dead_letters where $1::uuid is null or id > $1 order by id limit $2"
    );
    let rows = sqlx::query(AssertSqlSafe(statement)).bind(after).bind(limit).fetch_all(db).await?;
    rows.iter().map(read).collect()
}

/// All of one aggregate in the order of the log, locked.
pub(crate) async fn lock_subject(
    tx: &mut PgConnection,
    schema: &'static str,
    source: &str,
    subject: &str,
) -> sqlx::Result<Vec<DeadLetter>> {
    let statement = format!(
        "select id, source, log_id, subject, event_type, payload::text as payload, error, created_at
         from {schema}.dead_letters where source = $1 and subject = $2 order by log_id for update"
    );
    let rows =
        sqlx::query(AssertSqlSafe(statement)).bind(source).bind(subject).fetch_all(tx).await?;
    rows.iter().map(read).collect()
}

/// False when there was none.
pub(crate) async fn delete(
    tx: &mut PgConnection,
    schema: &'static str,
    id: Uuid,
) -> sqlx::Result<bool> {
    let statement = format!("delete from {schema}.dead_letters where id = $1");
    let deleted = sqlx::query(AssertSqlSafe(statement)).bind(id).execute(tx).await?.rows_affected();
    Ok(deleted == 1)
}

fn read(row: &PgRow) -> sqlx::Result<DeadLetter> {
    Ok(DeadLetter {
        id: row.try_get("id")?,
        source: row.try_get("source")?,
        log_id: row.try_get("log_id")?,
        subject: row.try_get("subject")?,
        event_type: row.try_get("event_type")?,
        payload: row.try_get("payload")?,
        error: row.try_get("error")?,
        created_at: row.try_get("created_at")?,
    })
}
