//! Reads that are more than one statement.

use std::collections::HashMap;

use chrono_tz::Tz;
use ids::JournalId;
use pg::FilteredRead;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    LedgerError,
    domain::{DayKey, Entry, Journal, Month, Origin, Period, PeriodState, day_of},
    store::{self, journals::Filter},
};

/// A journal with its entries in their order.
#[derive(Debug)]
pub(crate) struct WholeJournal {
    pub(crate) journal: Journal,
    pub(crate) entries: Vec<Entry>,
}

/// In the order in which they were posted.
pub(crate) async fn whole_journals(
    db: &mut PgConnection,
    ids: &[JournalId],
) -> sqlx::Result<Vec<WholeJournal>> {
    let journals = store::journals::get_all(db, ids).await?;
    let mut entries: HashMap<JournalId, Vec<Entry>> = HashMap::with_capacity(journals.len());
    for entry in store::entries::of_journals(db, ids).await? {
        entries.entry(entry.journal_id).or_default().push(entry);
    }
    let whole = journals.into_iter().map(|journal| {
        let entries = entries.remove(&journal.id).unwrap_or_default();
        WholeJournal { journal, entries }
    });
    Ok(whole.collect())
}

pub(crate) async fn whole_journal(
    db: &mut PgConnection,
    id: JournalId,
) -> Result<WholeJournal, LedgerError> {
    whole_journals(db, &[id]).await?.pop().ok_or(LedgerError::JournalNotFound(id))
}

/// The latest day first, behind a key.
pub(crate) async fn list_journals(
    db: &mut FilteredRead,
    filter: &Filter,
    before: Option<DayKey>,
    limit: i64,
) -> sqlx::Result<Vec<Journal>> {
    let ids = store::journals::list(db, filter, before, limit).await?;
    let mut journals = store::journals::get_all(db, &ids).await?;
    journals.sort_unstable_by_key(|one| std::cmp::Reverse((one.effective_date, one.id)));
    Ok(journals)
}

/// A journal, where it comes from, and the place of its own event in the log.
pub(crate) async fn explain(
    db: &mut PgConnection,
    id: JournalId,
) -> Result<(WholeJournal, Origin, Option<i64>), LedgerError> {
    let whole = whole_journal(db, id).await?;
    let (origin, posted_sequence) = store::journals::origin(db, id).await?;
    Ok((whole, origin, posted_sequence))
}

/// The journal of an entry.
pub(crate) async fn journal_of(
    db: &mut PgConnection,
    entry_id: Uuid,
) -> Result<JournalId, LedgerError> {
    let found = store::entries::find_journal_id(db, entry_id).await?;
    found.ok_or(LedgerError::EntryNotFound(entry_id))
}

pub(crate) async fn period(db: &mut PgConnection, month: Month) -> sqlx::Result<Period> {
    let closed_through = store::periods::closed_through(db).await?;
    let mut changes = store::periods::changes(db, month, month).await?;
    let changed = changes.pop().map(|(_, at, by)| (at, by));
    Ok(Period { month, state: state_of(month, closed_through), changed })
}

/// The latest first, before a month: from the first one that has a journal, or was closed once, to the current one or the last that has a
/// journal.
pub(crate) async fn list_periods(
    db: &mut PgConnection,
    zone: Tz,
    state: Option<PeriodState>,
    before: Option<Month>,
    limit: i64,
) -> sqlx::Result<Vec<Period>> {
    let current = Month::of(day_of(store::now(db).await?, zone));
    let closed_through = store::periods::closed_through(db).await?;
    let (first, last) = match store::journals::days(db).await? {
        Some((first, last)) => (Month::of(first), Month::of(last).max(current)),
        None => (current, current),
    };
    let first = store::periods::first(db).await?.map_or(first, |closed| first.min(closed));

    let (mut oldest, mut newest) = (first, before.map_or(last, |before| last.min(before.before())));
    match (state, closed_through) {
        (Some(PeriodState::Closed), Some(closed)) => newest = newest.min(closed),
        (Some(PeriodState::Closed), None) => return Ok(Vec::new()),
        (Some(PeriodState::Open), Some(closed)) => oldest = oldest.max(closed.next()),
        (Some(PeriodState::Open), None) | (None, _) => (),
    }
    let limit = usize::try_from(limit).unwrap_or(0);
    let months = std::iter::successors(Some(newest), |month| Some(month.before()));
    let months: Vec<Month> = months.take_while(|month| *month >= oldest).take(limit).collect();
    let Some(&oldest) = months.last() else { return Ok(Vec::new()) };
    let changes = store::periods::changes(db, oldest, newest).await?;
    let mut changes: HashMap<Month, _> =
        changes.into_iter().map(|(month, at, by)| (month, (at, by))).collect();
    let period = |month| Period {
        month,
        state: state_of(month, closed_through),
        changed: changes.remove(&month),
    };
    Ok(months.into_iter().map(period).collect())
}

fn state_of(month: Month, closed_through: Option<Month>) -> PeriodState {
    match closed_through {
        Some(closed) if month <= closed => PeriodState::Closed,
        _ => PeriodState::Open,
    }
}
