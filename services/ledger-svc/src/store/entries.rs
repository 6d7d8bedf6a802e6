use ids::JournalId;
use money::Money;
use pg::FilteredRead;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::domain::{DayKey, Days, Document, Entry, Line, Posting};

/// Which entries a list is of; at least one of the two.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Filter<'a> {
    pub(crate) account: Option<&'a str>,
    pub(crate) document: Option<Document>,
}

/// Adds the lines of journals. One statement however many.
pub(crate) async fn insert(tx: &mut PgConnection, postings: &[&Posting]) -> sqlx::Result<()> {
    let lines: Vec<(Uuid, &Line)> = postings
        .iter()
        .flat_map(|posting| posting.lines.iter().map(|line| (posting.id.0, line)))
        .collect();
    if lines.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = lines.iter().map(|_| Uuid::now_v7()).collect();
    let journals: Vec<Uuid> = lines.iter().map(|(journal_id, _)| *journal_id).collect();
    let accounts: Vec<String> = lines.iter().map(|(_, line)| line.account.clone()).collect();
    let debits: Vec<Money> = lines.iter().map(|(_, line)| line.debit()).collect();
    let credits: Vec<Money> = lines.iter().map(|(_, line)| line.credit()).collect();
    let documents = lines.iter().map(|(_, line)| line.document);
    let (ref_types, ref_ids): (Vec<String>, Vec<Uuid>) =
        documents.map(|document| (document.ref_type.to_string(), document.ref_id)).unzip();
    sqlx::query!(
        "insert into ledger.ledger_entries (id, journal_id, account, debit, credit, ref_type, ref_id)
         select * from unnest($1::uuid[], $2::uuid[], $3::text[], $4::numeric[], $5::numeric[], $6::text[], $7::uuid[])",
        &ids,
        &journals,
        &accounts,
        &debits as &[Money],
        &credits as &[Money],
        &ref_types,
        &ref_ids,
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Newest first, behind a key.
pub(crate) async fn list(
    db: &mut FilteredRead,
    filter: Filter<'_>,
    before: Option<Uuid>,
    limit: i64,
) -> sqlx::Result<Vec<Entry>> {
    let (ref_type, ref_id) = filter.document.map(|on| (on.ref_type.to_string(), on.ref_id)).unzip();
    sqlx::query_as!(
        Entry,
        r#"select e.id, e.journal_id as "journal_id: _", e.account, e.debit as "debit: _", e.credit as "credit: _",
                  e.ref_type as "ref_type: _", e.ref_id, j.effective_date,
                  coalesce(j.document_date, j.effective_date) as "document_date!", e.created_at, j.event_type
           from ledger.ledger_entries e join ledger.journals j on j.id = e.journal_id
           where ($1::text is null or e.account = $1)
             and ($2::text is null or e.ref_type = $2)
             and ($3::uuid is null or e.ref_id = $3)
             and ($4::uuid is null or e.id < $4)
           order by e.id desc limit $5"#,
        filter.account,
        ref_type,
        ref_id,
        before,
        limit,
    )
    .fetch_all(&mut **db)
    .await
}

/// The latest day first, behind a key, within a range of days.
pub(crate) async fn list_by_day(
    db: &mut FilteredRead,
    filter: Filter<'_>,
    days: Days,
    before: Option<DayKey>,
    limit: i64,
) -> sqlx::Result<Vec<Entry>> {
    let (ref_type, ref_id) = filter.document.map(|on| (on.ref_type.to_string(), on.ref_id)).unzip();
    sqlx::query_as!(
        Entry,
        r#"select e.id, e.journal_id as "journal_id: _", e.account, e.debit as "debit: _", e.credit as "credit: _",
                  e.ref_type as "ref_type: _", e.ref_id, j.effective_date,
                  coalesce(j.document_date, j.effective_date) as "document_date!", e.created_at, j.event_type
           from ledger.ledger_entries e join ledger.journals j on j.id = e.journal_id
           where ($1::text is null or e.account = $1)
             and ($2::text is null or e.ref_type = $2)
             and ($3::uuid is null or e.ref_id = $3)
             and ($4::date is null or j.effective_date >= $4) and ($5::date is null or j.effective_date <= $5)
             and ($6::date is null or (j.effective_date, e.id) < ($6, $7))
           order by j.effective_date desc, e.id desc limit $8"#,
        filter.account,
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

/// All of some journals, in the order in which they were posted.
pub(crate) async fn of_journals(
    db: &mut PgConnection,
    journals: &[JournalId],
) -> sqlx::Result<Vec<Entry>> {
    sqlx::query_as!(
        Entry,
        r#"select e.id, e.journal_id as "journal_id: _", e.account, e.debit as "debit: _", e.credit as "credit: _",
                  e.ref_type as "ref_type: _", e.ref_id, j.effective_date,
                  coalesce(j.document_date, j.effective_date) as "document_date!", e.created_at, j.event_type
           from ledger.ledger_entries e join ledger.journals j on j.id = e.journal_id
           where e.journal_id = any($1) order by e.id"#,
        journals as &[JournalId],
    )
    .fetch_all(db)
    .await
}

pub(crate) async fn find_journal_id(
    db: &mut PgConnection,
    id: Uuid,
) -> sqlx::Result<Option<JournalId>> {
    sqlx::query_scalar!(
        r#"select journal_id as "journal_id: JournalId" from ledger.ledger_entries where id = $1"#,
        id
    )
    .fetch_optional(db)
    .await
}
