//! Reading the log without missing an event.
//!
//! Ids become visible out of order when transactions overlap, so a reader that goes on behind the highest id it saw loses events. Here a
//! reader stops at a gap. It then takes a fresh xid of its own, the *fence*: whoever drew the missing id had an xid before, so its xid is
//! below the fence. Once a snapshot's xmin has passed the fence, that transaction has ended; if this very snapshot does not show the id,
//! it was rolled back and the gap is dead. The proof needs two things of the log: an id is drawn after its transaction has
//! an xid (`Log::append`), and the sequence caches nothing (the migration).
//!
//! All readers of a process share what they learn ([`Gaps`]): a reader that only ever looks once would never get past a gap while others
//! keep writing, since some transaction is always older than a fence that was taken a moment ago.
//!
//! **Invariant:** a fence speaks only for snapshots that have passed it themselves, and only for the database that it was taken in.

use std::sync::PoisonError;

use sqlx::{AssertSqlSafe, PgPool, Row, postgres::PgRow};

use crate::Log;

/// One row of the log.
#[derive(Debug, Clone)]
pub(crate) struct Logged {
    pub(crate) sequence: i64,
    pub(crate) previous: i64,
    pub(crate) event_id: String,
    pub(crate) event_type: String,
    pub(crate) payload: String,
}

/// What the readers of one log have learnt of its gaps.
#[derive(Debug, Default)]
pub(crate) struct Gaps {
    epoch: String,
    passed: Fence,
    waiting: Option<Fence>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Fence {
    /// Gaps up to here were seen before the fence was taken.
    seen_up_to: i64,
    xid: i64,
}

/// How far a snapshot can be read.
#[derive(Debug, PartialEq, Eq)]
struct Verdict {
    /// So many rows come before the first open gap.
    settled: usize,
    waits: bool,
    needs_fence: bool,
}

impl Gaps {
    fn judge(&mut self, snapshot: &Snapshot) -> Verdict {
        if self.epoch != snapshot.epoch {
            *self = Self { epoch: snapshot.epoch.clone(), ..Self::default() };
        }
        if let Some(fence) = self.waiting.filter(|fence| snapshot.xmin > fence.xid) {
            self.passed = fence;
            self.waiting = None;
        }
        // A snapshot from before the fence was passed may lack rows that a later one shows.
        let dead_up_to = if snapshot.xmin > self.passed.xid { self.passed.seen_up_to } else { 0 };
        let ids = snapshot.rows.iter().map(|row| row.sequence);
        match first_gap(snapshot.previous, ids, dead_up_to) {
            None => Verdict { settled: snapshot.rows.len(), waits: false, needs_fence: false },
            Some(settled) => Verdict { settled, waits: true, needs_fence: self.waiting.is_none() },
        }
    }

    fn wait_for(&mut self, epoch: &str, fence: Fence) {
        if self.epoch == epoch && self.waiting.is_none_or(|waiting| waiting.xid < fence.xid) {
            self.waiting = Some(fence);
        }
    }
}

/// Rows that are settled, ascending, and whether a gap holds up those behind them.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) rows: Vec<Logged>,
    pub(crate) waits: bool,
    pub(crate) epoch: String,
}

/// Reads settled events after a sequence, at most `limit`. Reads once more at once when a gap turns up; if it is still open then,
/// answers with what is before it.
pub(crate) async fn read(log: &Log, after: i64, limit: i64) -> sqlx::Result<Read> {
    let mut looked_again = false;
    loop {
        let snapshot = select(&log.pool, log.source, after, limit).await?;
        let verdict = log.gaps.lock().unwrap_or_else(PoisonError::into_inner).judge(&snapshot);
        let Snapshot { epoch, newest, mut rows, .. } = snapshot;
        rows.truncate(verdict.settled);
        if !rows.is_empty() || !verdict.needs_fence || looked_again {
            return Ok(Read { rows, waits: verdict.waits, epoch });
        }
        let (fence_epoch, xid) = fresh_xid(&log.pool, log.source).await?;
        if fence_epoch == epoch {
            let fence = Fence { seen_up_to: newest, xid };
            log.gaps.lock().unwrap_or_else(PoisonError::into_inner).wait_for(&epoch, fence);
        }
        looked_again = true;
    }
}

/// A page of settled events as `(sequence, previous, CloudEvents JSON)`.
pub async fn read_settled(
    log: &Log,
    after: i64,
    limit: i64,
) -> sqlx::Result<Vec<(i64, i64, String)>> {
    let text = |row: Logged| (row.sequence, row.previous, row.payload);
    Ok(read(log, after, limit).await?.rows.into_iter().map(text).collect())
}

/// Leaves as many rows as have so many bytes together, and one at least.
pub(crate) fn truncate(rows: &mut Vec<Logged>, bytes_max: usize) {
    let mut bytes = 0;
    let fit = rows.iter().take_while(|row| {
        bytes += row.payload.len();
        bytes <= bytes_max
    });
    rows.truncate(fit.count().max(1));
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

/// What one statement saw.
#[derive(Debug)]
struct Snapshot {
    epoch: String,
    xmin: i64,
    /// The log's highest id.
    newest: i64,
    /// The highest id up to where the rows begin.
    previous: i64,
    rows: Vec<Logged>,
}

/// An expression that differs between databases, and after each start of Postgres: what was learnt of one does not hold for the
/// other, which may be an older copy.
pub(crate) fn epoch(source: &str) -> String {
    format!(
        "concat_ws('/', extract(epoch from pg_postmaster_start_time()),
           (select oid from pg_database where datname = current_database()),
           to_regclass('{source}.events_log')::oid)"
    )
}

async fn select(
    pool: &PgPool,
    source: &'static str,
    after: i64,
    limit: i64,
) -> sqlx::Result<Snapshot> {
    let statement = format!(
        "select s.*, e.*
         from (select pg_snapshot_xmin(pg_current_snapshot())::text::bigint as xmin,
                 {} as epoch,
                 coalesce((select max(id) from {source}.events_log), 0) as newest,
                 coalesce((select max(id) from {source}.events_log where id <= $1), 0) as previous) s
         left join lateral (
           select id, payload->>'id' as event_id, event_type, payload::text as payload
           from {source}.events_log where id > $1 order by id limit $2) e on true
         order by e.id",
        epoch(source)
    );
    let found =
        sqlx::query(AssertSqlSafe(statement)).bind(after).bind(limit).fetch_all(pool).await?;
    let first = found.first().ok_or(sqlx::Error::RowNotFound)?;
    let mut snapshot = Snapshot {
        epoch: first.try_get("epoch")?,
        xmin: first.try_get("xmin")?,
        newest: first.try_get("newest")?,
        previous: first.try_get("previous")?,
        rows: Vec::with_capacity(found.len()),
    };
    let mut previous = snapshot.previous;
    for row in &found {
        if let Some(logged) = read_row(row, previous)? {
            previous = logged.sequence;
            snapshot.rows.push(logged);
        }
    }
    Ok(snapshot)
}

/// None where the log has no row.
fn read_row(row: &PgRow, previous: i64) -> sqlx::Result<Option<Logged>> {
    let Some(sequence) = row.try_get("id")? else { return Ok(None) };
    Ok(Some(Logged {
        sequence,
        previous,
        event_id: row.try_get("event_id")?,
        event_type: row.try_get("event_type")?,
        payload: row.try_get("payload")?,
    }))
}

/// An xid that no transaction had before this call, and the epoch that it is of.
async fn fresh_xid(pool: &PgPool, source: &'static str) -> sqlx::Result<(String, i64)> {
    let statement = format!("select {}, pg_current_xact_id()::text::bigint", epoch(source));
    sqlx::query_as(AssertSqlSafe(statement)).fetch_one(pool).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(xmin: i64, ids: &[i64]) -> Snapshot {
        let row = |&sequence: &i64| Logged {
            sequence,
            previous: 0,
            event_id: String::new(),
            event_type: String::new(),
            payload: String::new(),
        };
        Snapshot {
            epoch: "one".to_owned(),
            xmin,
            newest: ids.last().copied().unwrap_or(0),
            previous: 0,
            rows: ids.iter().map(row).collect(),
        }
    }

    fn settled(settled: usize) -> Verdict {
        Verdict { settled, waits: false, needs_fence: false }
    }

    fn waits(settled: usize, needs_fence: bool) -> Verdict {
        Verdict { settled, waits: true, needs_fence }
    }

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

    #[test]
    fn a_gap_is_dead_once_the_fence_is_passed() {
        let mut gaps = Gaps::default();
        assert_eq!(gaps.judge(&snapshot(90, &[1, 3])), waits(1, true));
        gaps.wait_for("one", Fence { seen_up_to: 3, xid: 100 });
        assert_eq!(gaps.judge(&snapshot(100, &[1, 3])), waits(1, false));
        assert_eq!(gaps.judge(&snapshot(101, &[1, 3])), settled(2));
        assert_eq!(gaps.judge(&snapshot(101, &[1, 3, 5])), waits(2, true));
    }

    #[test]
    fn what_a_later_snapshot_has_passed_says_nothing_of_an_earlier_one() {
        let mut gaps = Gaps::default();
        let early = snapshot(90, &[1, 3]);
        gaps.judge(&early);
        gaps.wait_for("one", Fence { seen_up_to: 3, xid: 100 });
        assert_eq!(gaps.judge(&snapshot(101, &[1, 2, 3])), settled(3));
        assert_eq!(gaps.judge(&early), waits(1, true));
    }

    #[test]
    fn nothing_is_kept_for_another_database() {
        let mut gaps = Gaps::default();
        gaps.judge(&snapshot(90, &[1, 3]));
        gaps.wait_for("another", Fence { seen_up_to: 3, xid: 100 });
        assert_eq!(gaps.judge(&snapshot(101, &[1, 3])), waits(1, true));
        gaps.wait_for("one", Fence { seen_up_to: 3, xid: 100 });
        assert_eq!(gaps.judge(&snapshot(101, &[1, 3])), settled(2));
        let other = Snapshot { epoch: "two".to_owned(), ..snapshot(101, &[1, 3]) };
        assert_eq!(gaps.judge(&other), waits(1, true));
    }
}
