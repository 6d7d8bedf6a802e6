use std::collections::HashSet;

use chrono::{DateTime, NaiveDate, Utc};
use ids::JournalId;
use pg::FilteredRead;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::domain::{DayKey, Days, Document, Journal, Origin, Posting};

/// Which journals a list is of.
#[derive(Debug)]
pub(crate) struct Filter {
    pub(crate) source: Option<String>,
    /// To which one of their entries refers.
    pub(crate) document: Option<Document>,
    pub(crate) days: Days,
}

/// Adds journals, each on its day, and gives the keys of those that are new: of an event that has one already, or that reverse what is
/// reversed already, none are. One statement however many. Their entries must follow in the same transaction, those of each by one
/// statement.
pub(crate) async fn insert(
    tx: &mut PgConnection,
    postings: &[(&Posting, NaiveDate)],
) -> sqlx::Result<HashSet<JournalId>> {
    if postings.is_empty() {
        return Ok(HashSet::new());
    }
    let all = || postings.iter().map(|(posting, _)| *posting);
    let origins = || all().map(|posting| &posting.origin);
    let ids: Vec<Uuid> = all().map(|posting| posting.id.0).collect();
    let documents = all().filter_map(Posting::document);
    let (ref_types, ref_ids): (Vec<String>, Vec<Uuid>) =
        documents.map(|document| (document.ref_type.to_string(), document.ref_id)).unzip();
    let dates: Vec<NaiveDate> = postings.iter().map(|(_, date)| *date).collect();
    let moved_from = |(posting, date): &(&Posting, NaiveDate)| {
        Some(posting.document_date).filter(|own| own != date)
    };
    let own_dates: Vec<Option<NaiveDate>> = postings.iter().map(moved_from).collect();
    let descriptions: Vec<Option<String>> =
        all().map(|posting| posting.description.clone()).collect();
    let reversed: Vec<Option<Uuid>> =
        all().map(|posting| posting.reverses.map(|id| id.0)).collect();
    let sources: Vec<String> = origins().map(|origin| origin.source.clone()).collect();
    let events: Vec<Uuid> = origins().map(|origin| origin.event_id).collect();
    let types: Vec<String> = origins().map(|origin| origin.event_type.clone()).collect();
    let times: Vec<Option<DateTime<Utc>>> = origins().map(|origin| origin.event_time).collect();
    let sequences: Vec<Option<i64>> = origins().map(|origin| origin.sequence).collect();
    let causes: Vec<Option<Uuid>> = origins().map(|origin| origin.causation_id).collect();
    let requests: Vec<Option<Uuid>> = origins().map(|origin| origin.request_id).collect();
    let actors: Vec<Option<String>> = origins().map(|origin| origin.actor.clone()).collect();
    let traces: Vec<Option<String>> = origins().map(|origin| origin.traceparent.clone()).collect();
    let new = sqlx::query_scalar!(
        r#"insert into ledger.journals
             (id, ref_type, ref_id, effective_date, document_date, description, reverses_journal_id, source, source_event_id,
              event_type, event_time, source_sequence, causation_id, request_id, actor, traceparent)
           select * from unnest(
             $1::uuid[], $2::text[], $3::uuid[], $4::date[], $5::date[], $6::text[], $7::uuid[], $8::text[], $9::uuid[],
             $10::text[], $11::timestamptz[], $12::bigint[], $13::uuid[], $14::uuid[], $15::text[], $16::text[])
           on conflict do nothing
           returning id as "id: JournalId""#,
        &ids,
        &ref_types,
        &ref_ids,
        &dates,
        &own_dates as &[Option<NaiveDate>],
        &descriptions as &[Option<String>],
        &reversed as &[Option<Uuid>],
        &sources,
        &events,
        &types,
        &times as &[Option<DateTime<Utc>>],
        &sequences as &[Option<i64>],
        &causes as &[Option<Uuid>],
        &requests as &[Option<Uuid>],
        &actors as &[Option<String>],
        &traces as &[Option<String>],
    )
    .fetch_all(tx)
    .await?;
    Ok(new.into_iter().collect())
}

pub(crate) async fn find(db: &mut PgConnection, id: JournalId) -> sqlx::Result<Option<Journal>> {
    Ok(get_all(db, &[id]).await?.pop())
}

/// By key, which is the order in which they were posted.
pub(crate) async fn get_all(
    db: &mut PgConnection,
    ids: &[JournalId],
) -> sqlx::Result<Vec<Journal>> {
    sqlx::query_as!(
        Journal,
        r#"select j.id as "id: _", j.effective_date, coalesce(j.document_date, j.effective_date) as "document_date!",
                  j.description, j.source, j.event_type, j.ref_type as "ref_type: _", j.ref_id,
                  (select sum(debit) from ledger.ledger_entries where journal_id = j.id) as "amount!: _", j.posted_at,
                  j.reverses_journal_id as "reverses: _", r.id as "reversed_by?: _"
           from ledger.journals j left join ledger.journals r on r.reverses_journal_id = j.id
           where j.id = any($1) order by j.id"#,
        ids as &[JournalId],
    )
    .fetch_all(db)
    .await
}

/// What a request has posted by hand, in the order in which it was posted.
pub(crate) async fn of_request(
    db: &mut PgConnection,
    request_id: Uuid,
) -> sqlx::Result<Vec<JournalId>> {
    sqlx::query_scalar!(
        r#"select id as "id: JournalId" from ledger.journals where source = 'ledger' and request_id = $1 order by id"#,
        request_id
    )
    .fetch_all(db)
    .await
}

/// The latest day first, behind a key. The journals of a document are an array, not `in`, which the planner would not look up behind `or`.
pub(crate) async fn list(
    db: &mut FilteredRead,
    filter: &Filter,
    before: Option<DayKey>,
    limit: i64,
) -> sqlx::Result<Vec<JournalId>> {
    let Filter { source, document: on, days } = filter;
    let (ref_type, ref_id) = on.map(|on| (on.ref_type.to_string(), on.ref_id)).unzip();
    sqlx::query_scalar!(
        r#"select id as "id: JournalId" from ledger.journals
           where ($1::text is null or source = $1)
             and ($2::text is null or id = any (array(
                   select journal_id from ledger.ledger_entries where ref_type = $2 and ref_id = $3)))
             and ($4::date is null or effective_date >= $4) and ($5::date is null or effective_date <= $5)
             and ($6::date is null or (effective_date, id) < ($6, $7))
           order by effective_date desc, id desc limit $8"#,
        source.as_deref(),
        ref_type,
        ref_id,
        days.first,
        days.last,
        before.map(|before| before.day),
        before.map(|before| before.id),
        limit,
    )
    .fetch_all(&mut **db)
    .await
}

/// Where a journal comes from, and the place of its own event in the log.
pub(crate) async fn origin(
    db: &mut PgConnection,
    id: JournalId,
) -> sqlx::Result<(Origin, Option<i64>)> {
    let row = sqlx::query!(
        r#"select j.source, j.source_event_id, j.event_type, j.event_time, j.source_sequence, j.causation_id, j.request_id,
                  j.actor, j.traceparent, j.posted_at, e.id as "posted_sequence?"
           from ledger.journals j
           -- An event's time is its transaction's, which is the journal's: an index finds it.
           left join ledger.events_log e on e.recorded_at = j.posted_at and e.payload->>'subject' = j.id::text
           where j.id = $1"#,
        id as JournalId,
    )
    .fetch_one(db)
    .await?;
    let by_hand = row.source == "ledger";
    let origin = Origin {
        source: row.source,
        event_id: row.source_event_id,
        event_type: row.event_type,
        event_time: if by_hand { Some(row.posted_at) } else { row.event_time },
        sequence: if by_hand { row.posted_sequence } else { row.source_sequence },
        causation_id: row.causation_id,
        request_id: row.request_id,
        actor: row.actor,
        traceparent: row.traceparent,
    };
    Ok((origin, row.posted_sequence))
}

/// The first and the last day that has a journal.
pub(crate) async fn days(db: &mut PgConnection) -> sqlx::Result<Option<(NaiveDate, NaiveDate)>> {
    let row = sqlx::query!(
        "select min(effective_date) as first, max(effective_date) as last from ledger.journals"
    )
    .fetch_one(db)
    .await?;
    Ok(row.first.zip(row.last))
}

/// The first day before another that has a journal; from one on, if it is given.
pub(crate) async fn first_day_before(
    db: &mut PgConnection,
    before: NaiveDate,
    from: Option<NaiveDate>,
) -> sqlx::Result<Option<NaiveDate>> {
    sqlx::query_scalar!(
        "select min(effective_date) from ledger.journals
         where effective_date < $1 and effective_date >= coalesce($2, '-infinity'::date)",
        before,
        from
    )
    .fetch_one(db)
    .await
}
