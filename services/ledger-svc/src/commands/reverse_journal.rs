use chrono::NaiveDate;
use chrono_tz::Tz;
use ids::JournalId;
use log::{Cause, Log, RequestKey};
use sqlx::PgConnection;

use crate::{
    LedgerError, commands,
    domain::{DESCRIPTION_MAX, Entry, Journal, Line, Posting, day_of},
    queries::{self, WholeJournal},
    store,
};

#[derive(Debug)]
pub(crate) struct ReverseJournal {
    pub(crate) request_key: Option<RequestKey>,
    pub(crate) cause: Cause,
    pub(crate) id: JournalId,
    /// None for today, or the journal's day if that is later.
    pub(crate) effective_date: Option<NaiveDate>,
    /// May be empty.
    pub(crate) description: String,
}

/// Posts the mirror of a journal, once. A unique key decides who does; it then is there for all others to find. Holds the periods, then the
/// accounts by code.
#[tracing::instrument(name = "ledger.reverse_journal", skip_all, fields(journal.id = %command.id))]
pub(crate) async fn reverse_journal(
    log: &Log,
    zone: Tz,
    command: &ReverseJournal,
) -> Result<WholeJournal, LedgerError> {
    if let Some(reversal) = try_reverse(log, zone, command).await? {
        return Ok(reversal);
    }
    // It was reversed meanwhile.
    let found = try_reverse(log, zone, command).await?;
    found.ok_or_else(|| sqlx::Error::RowNotFound.into())
}

/// None when somebody else reversed it meanwhile.
async fn try_reverse(
    log: &Log,
    zone: Tz,
    command: &ReverseJournal,
) -> Result<Option<WholeJournal>, LedgerError> {
    let mut tx = log.begin().await?;
    let original = store::journals::find(&mut tx, command.id).await?;
    let original = original.ok_or(LedgerError::JournalNotFound(command.id))?;
    let id = original.reversed_by.unwrap_or_else(JournalId::generate);
    let request_key = command.request_key.as_ref();
    if let Some(earlier) = log::answered(&mut tx, store::SCHEMA, request_key, id).await? {
        let earlier = earlier.parse().map_err(|_| LedgerError::JournalNotFound(id))?;
        return Ok(queries::whole_journals(&mut tx, &[earlier]).await?.pop());
    }
    if original.source != store::SCHEMA {
        return Err(LedgerError::JournalOfEvent { id: original.id, of: original.source });
    }
    if original.reverses.is_some() {
        return Err(LedgerError::JournalIsReversal(original.id));
    }
    if let Some(reversal) = original.reversed_by {
        let reversal = queries::whole_journals(&mut tx, &[reversal]).await?.pop();
        let reversal = reversal.ok_or(sqlx::Error::RowNotFound)?;
        if !command.is_for(&reversal.journal) {
            let reversed_by = reversal.journal.id;
            return Err(LedgerError::AlreadyReversed { id: original.id, reversed_by });
        }
        log.commit(tx).await?;
        return Ok(Some(reversal));
    }
    let Some(whole) = reverse(&mut tx, log, zone, command, original, id).await? else {
        return Ok(None);
    };
    log.commit(tx).await?;
    Ok(Some(whole))
}

async fn reverse(
    tx: &mut PgConnection,
    log: &Log,
    zone: Tz,
    command: &ReverseJournal,
    original: Journal,
    id: JournalId,
) -> Result<Option<WholeJournal>, LedgerError> {
    let today = day_of(store::now(tx).await?, zone);
    let date = command.effective_date.unwrap_or_else(|| today.max(original.effective_date));
    if date < original.effective_date {
        return Err(LedgerError::ReversedTooEarly(original.effective_date));
    }
    let entries = store::entries::of_journals(tx, &[original.id]).await?;
    let lines: Vec<Line> =
        entries.into_iter().map(|entry| Entry::into_line(entry).mirror()).collect();
    let closed_through = store::periods::hold(tx).await?;
    let accounts = commands::hold_accounts(tx, std::iter::once(lines.as_slice())).await?;
    accounts.admit(&lines)?;
    commands::admit_day(date, today, closed_through)?;

    let request_id = command.request_key.as_ref().map(|key| key.id);
    let mut posting = Posting {
        id,
        origin: commands::by_hand(&command.cause, request_id),
        document_date: date,
        description: Some(command.description_of(&original)),
        reverses: Some(original.id),
        lines,
    };
    let event = commands::posted(&posting, date, &command.cause)?;
    posting.origin.event_id = event.id();
    if store::journals::insert(tx, &[(&posting, date)]).await?.is_empty() {
        return Ok(None);
    }
    store::entries::insert(tx, &[&posting]).await?;
    log.append(tx, &[event]).await?;
    Ok(queries::whole_journals(tx, &[id]).await?.pop())
}

impl ReverseJournal {
    /// Whether it asks for what was done.
    fn is_for(&self, reversal: &Journal) -> bool {
        self.effective_date.is_none_or(|date| date == reversal.effective_date)
            && (self.description.is_empty()
                || reversal.description.as_ref() == Some(&self.description))
    }

    fn description_of(&self, original: &Journal) -> String {
        if !self.description.is_empty() {
            return self.description.clone();
        }
        let of = original.description.as_deref().unwrap_or_default();
        format!("Reversal of {of}").chars().take(DESCRIPTION_MAX).collect()
    }
}
