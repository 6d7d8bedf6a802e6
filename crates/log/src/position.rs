//! How far a source's events were taken: one row of `consumer_positions` per source, in the schema of whoever takes them.

use sqlx::{AssertSqlSafe, PgConnection, Row};
use uuid::Uuid;

use crate::Event;

/// How far a source's events were taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Position {
    /// A hint where to go on in the stream; right only as long as the stream is.
    pub stream_sequence: u64,
    pub log_id: i64,
    pub event_id: Uuid,
}

impl Position {
    /// Right behind an event, where `before` was the position.
    #[must_use]
    pub fn behind(event: &Event, before: Self) -> Self {
        // An event fetched over gRPC has no place in the stream: the one before is still a good start. Places may fall, in a new stream.
        let place = event.stream_sequence;
        Self {
            stream_sequence: if place > 0 { place } else { before.stream_sequence },
            log_id: event.sequence,
            event_id: event.id,
        }
    }
}

/// Reads the position, and makes its row if there is none.
pub(crate) async fn read(
    db: &mut PgConnection,
    schema: &'static str,
    source: &str,
) -> sqlx::Result<Position> {
    let statement = format!(
        "insert into {schema}.consumer_positions (source, stream_sequence, log_id, event_id)
         values ($1, 0, 0, $2) on conflict (source) do nothing"
    );
    sqlx::query(AssertSqlSafe(statement)).bind(source).bind(Uuid::nil()).execute(&mut *db).await?;
    lock(db, schema, source).await?.ok_or(sqlx::Error::RowNotFound)
}

/// Holds the position until the transaction ends: nobody else applies the source's events meanwhile. None when it was never followed.
pub(crate) async fn lock(
    tx: &mut PgConnection,
    schema: &'static str,
    source: &str,
) -> sqlx::Result<Option<Position>> {
    let statement = format!(
        "select stream_sequence, log_id, event_id from {schema}.consumer_positions where source = $1 for update"
    );
    let row = sqlx::query(AssertSqlSafe(statement)).bind(source).fetch_optional(tx).await?;
    row.map(|row| {
        Ok(Position {
            stream_sequence: u64::try_from(row.try_get::<i64, _>("stream_sequence")?).unwrap_or(0),
            log_id: row.try_get("log_id")?,
            event_id: row.try_get("event_id")?,
        })
    })
    .transpose()
}

pub(crate) async fn write(
    tx: &mut PgConnection,
    schema: &'static str,
    source: &str,
    position: Position,
) -> sqlx::Result<()> {
    let statement = format!(
        "update {schema}.consumer_positions
         set stream_sequence = $2, log_id = $3, event_id = $4, updated_at = now() where source = $1"
    );
    let written = sqlx::query(AssertSqlSafe(statement))
        .bind(source)
        .bind(i64::try_from(position.stream_sequence).unwrap_or(i64::MAX))
        .bind(position.log_id)
        .bind(position.event_id)
        .execute(tx)
        .await?
        .rows_affected();
    if written == 1 { Ok(()) } else { Err(sqlx::Error::RowNotFound) }
}
