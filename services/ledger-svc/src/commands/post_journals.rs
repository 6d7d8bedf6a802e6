use chrono::NaiveDate;
use chrono_tz::Tz;
use ids::JournalId;
use log::{Cause, Log, NewEvent, RequestKey};
use sqlx::PgConnection;

use crate::{
    LedgerError, commands,
    domain::{Line, Posting, day_of},
    queries::{self, WholeJournal},
    store,
};

#[derive(Debug)]
pub(crate) struct PostJournals {
    pub(crate) request_key: Option<RequestKey>,
    pub(crate) cause: Cause,
    /// One or more.
    pub(crate) journals: Vec<NewJournal>,
}

/// A journal by hand. Its lines balance.
#[derive(Debug)]
pub(crate) struct NewJournal {
    pub(crate) id: JournalId,
    /// In a batch; none of one that comes alone.
    pub(crate) place: Option<usize>,
    /// None for today.
    pub(crate) effective_date: Option<NaiveDate>,
    pub(crate) description: String,
    pub(crate) lines: Vec<Line>,
}

/// Posts all or none. Ten statements however many. Holds the periods, then the accounts by code.
#[tracing::instrument(name = "ledger.post_journals", skip_all)]
pub(crate) async fn post_journals(
    log: &Log,
    zone: Tz,
    command: PostJournals,
) -> Result<Vec<WholeJournal>, LedgerError> {
    let mut tx = log.begin().await?;
    let ids: Vec<JournalId> = command.journals.iter().map(|journal| journal.id).collect();
    if let (Some(key), Some(first)) = (&command.request_key, ids.first()) {
        let answered = log::answered(&mut tx, store::SCHEMA, Some(key), first).await?;
        if answered.is_some() {
            let ids = store::journals::of_request(&mut tx, key.id).await?;
            return Ok(queries::whole_journals(&mut tx, &ids).await?);
        }
    }
    let cause = command.cause.clone();
    let mut postings = admitted(&mut tx, zone, command).await?;
    let mut news = Vec::with_capacity(postings.len());
    for (posting, date) in &mut postings {
        let event = commands::posted(posting, *date, &cause)?;
        posting.origin.event_id = event.id();
        news.push(event);
    }
    keep(&mut tx, log, &postings, &news).await?;
    let whole = queries::whole_journals(&mut tx, &ids).await?;
    log.commit(tx).await?;
    Ok(whole)
}

/// What would be posted. Nothing is.
pub(crate) async fn preview_journals(
    log: &Log,
    zone: Tz,
    command: PostJournals,
) -> Result<Vec<(Posting, NaiveDate)>, LedgerError> {
    let mut tx = log.begin().await?;
    let postings = admitted(&mut tx, zone, command).await?;
    tx.rollback().await?;
    Ok(postings)
}

/// What may be posted on which day, or why one may not.
async fn admitted(
    tx: &mut PgConnection,
    zone: Tz,
    command: PostJournals,
) -> Result<Vec<(Posting, NaiveDate)>, LedgerError> {
    let PostJournals { request_key, cause, journals } = command;
    let today = day_of(store::now(tx).await?, zone);
    let closed_through = store::periods::hold(tx).await?;
    let accounts = commands::hold_accounts(tx, journals.iter().map(|one| one.lines.as_slice()));
    let accounts = accounts.await?;
    let origin = commands::by_hand(&cause, request_key.map(|key| key.id));
    let admit = |journal: NewJournal| {
        let (date, place) = (journal.effective_date.unwrap_or(today), journal.place);
        accounts
            .admit(&journal.lines)
            .and_then(|()| commands::admit_day(date, today, closed_through))
            .map_err(|error| LedgerError::InJournal { place, error: Box::new(error) })?;
        let posting = Posting {
            id: journal.id,
            origin: origin.clone(),
            document_date: date,
            description: Some(journal.description),
            reverses: None,
            lines: journal.lines,
        };
        Ok((posting, date))
    };
    journals.into_iter().map(admit).collect()
}

async fn keep(
    tx: &mut PgConnection,
    log: &Log,
    postings: &[(Posting, NaiveDate)],
    news: &[NewEvent],
) -> Result<(), LedgerError> {
    let dated: Vec<(&Posting, NaiveDate)> =
        postings.iter().map(|(posting, date)| (posting, *date)).collect();
    store::journals::insert(tx, &dated).await?;
    let entries: Vec<&Posting> = postings.iter().map(|(posting, _)| posting).collect();
    store::entries::insert(tx, &entries).await?;
    log.append(tx, news).await?;
    Ok(())
}
