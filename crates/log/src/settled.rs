//! Reading the log without missing an event.
//!
//! Ids become visible out of order when transactions overlap, so a reader that goes on behind the highest id it saw loses events. Here a
//! reader stops at a gap. It then takes a fresh xid of its own, the *fence*: whoever drew the missing id had an xid before, so its xid is
//! below the fence. Once a snapshot's xmin has passed the fence, that transaction has ended; if this very snapshot does not show the id,
//! it was rolled back and the gap is dead. The proof needs two things of the log: an id is drawn after its transaction has
//! an xid (`Log::append`), and the sequence caches nothing (the migration).

use sqlx::{AssertSqlSafe, PgPool, Row};

/// One row of the log.
#[derive(Debug, Clone)]
pub(crate) struct Logged {
    pub(crate) sequence: i64,
    pub(crate) previous: i64,
    pub(crate) event_id: String,
    pub(crate) event_type: String,
    pub(crate) payload: String,
}

/// What a reader has learnt of the gap that it stands at.
#[derive(Debug, Default, Clone)]
pub struct Settled {
    fence: Option<Fence>,
}

#[derive(Debug, Clone, Copy)]
struct Fence {
    /// Gaps up to here were seen before the fence was taken.
    seen_up_to: i64,
    xid: i64,
}

/// Rows that are settled, ascending, and whether a gap holds up those behind them.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) rows: Vec<Logged>,
    pub(crate) waits: bool,
}

/// Reads settled events after a sequence, at most `limit`. Reads once more at once when a gap turns up; if it is still open then,
/// answers with what is before it.
pub(crate) async fn read(
    pool: &PgPool,
    source: &'static str,
    state: &mut Settled,
    after: i64,
    limit: i64,
) -> sqlx::Result<Read> {
    for _ in 0..2 {
        let (mut rows, xmin) = select(pool, source, after, limit).await?;
        let passed = state.fence.filter(|fence| xmin > fence.xid).map_or(0, |f| f.seen_up_to);
        let Some(gap) = first_gap(after, rows.iter().map(|row| row.sequence), passed) else {
            return Ok(Read { rows, waits: false });
        };
        let newest = rows.last().map_or(after, |row| row.sequence);
        rows.truncate(gap);
        let needs_fence = state.fence.is_none_or(|fence| xmin > fence.xid);
        if !rows.is_empty() || !needs_fence {
            return Ok(Read { rows, waits: true });
        }
        state.fence = Some(Fence { seen_up_to: newest, xid: fresh_xid(pool).await? });
    }
    Ok(Read { rows: Vec::new(), waits: true })
}

/// A page of settled events as `(sequence, previous, CloudEvents JSON)`, for a reader that keeps no state.
pub async fn read_settled(
    pool: &PgPool,
    source: &'static str,
    after: i64,
    limit: i64,
) -> sqlx::Result<Vec<(i64, i64, String)>> {
    let read = read(pool, source, &mut Settled::default(), after, limit).await?;
    let text = |row: Logged| (row.sequence, row.previous, row.payload);
    Ok(read.rows.into_iter().map(text).collect())
}

/// Where the run of ids from `after` on breaks first, as an index into `ids`; gaps up to `dead_up_to` are dead.
fn first_gap(after: i64, ids: impl Iterator<Item = i64>, dead_up_to: i64) -> Option<usize> {
    let mut expected = after + 1;
    for (index, id) in ids.enumerate() {
        if id != expected && id > dead_up_to {
            return Some(index);
        }
        expected = id + 1;
    }
    None
}

/// Rows and the xmin of the very snapshot that shows them.
async fn select(
    pool: &PgPool,
    source: &'static str,
    after: i64,
    limit: i64,
) -> sqlx::Result<(Vec<Logged>, i64)> {
    let statement = format!(
        "select pg_snapshot_xmin(pg_current_snapshot())::text::bigint as xmin,
                id, payload->>'id' as event_id, event_type, payload::text as payload,
                coalesce((select max(id) from {source}.events_log where id <= $1), 0) as previous
         from {source}.events_log where id > $1 order by id limit $2"
    );
    let found =
        sqlx::query(AssertSqlSafe(statement)).bind(after).bind(limit).fetch_all(pool).await?;
    let xmin = found.first().map_or(Ok(0), |row| row.try_get("xmin"))?;
    let mut previous = found.first().map_or(Ok(0), |row| row.try_get("previous"))?;
    let mut rows = Vec::with_capacity(found.len());
    for row in found {
        let sequence = row.try_get("id")?;
        rows.push(Logged {
            sequence,
            previous,
            event_id: row.try_get("event_id")?,
            event_type: row.try_get("event_type")?,
            payload: row.try_get("payload")?,
        });
        previous = sequence;
    }
    Ok((rows, xmin))
}

/// An xid that no transaction had before this call.
async fn fresh_xid(pool: &PgPool) -> sqlx::Result<i64> {
    sqlx::query_scalar("select pg_current_xact_id()::text::bigint").fetch_one(pool).await
}

#[cfg(test)]
mod tests {
    use super::first_gap;

    #[test]
    fn a_run_without_holes_has_no_gap() {
        assert_eq!(first_gap(0, [1, 2, 3].into_iter(), 0), None);
        assert_eq!(first_gap(7, [8].into_iter(), 0), None);
        assert_eq!(first_gap(7, [].into_iter(), 0), None);
    }

    #[test]
    fn reading_stops_at_the_first_hole() {
        assert_eq!(first_gap(0, [2, 3].into_iter(), 0), Some(0));
        assert_eq!(first_gap(0, [1, 2, 5, 9].into_iter(), 0), Some(2));
    }

    #[test]
    fn only_holes_that_the_fence_has_seen_are_dead() {
        assert_eq!(first_gap(0, [1, 3, 4].into_iter(), 4), None);
        assert_eq!(first_gap(0, [1, 3, 4, 6].into_iter(), 4), Some(3));
        assert_eq!(first_gap(0, [3].into_iter(), 3), None);
    }
}
