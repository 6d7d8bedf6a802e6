use money::Money;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::domain::{Entry, Journal, Line, RefType};

/// Adds the lines of journals. One statement however many.
pub(crate) async fn insert(tx: &mut PgConnection, journals: &[&Journal]) -> sqlx::Result<()> {
    let lines: Vec<(Uuid, &Line)> = journals
        .iter()
        .flat_map(|journal| journal.lines.iter().map(|line| (journal.id.0, line)))
        .collect();
    if lines.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = lines.iter().map(|_| Uuid::now_v7()).collect();
    let journals: Vec<Uuid> = lines.iter().map(|(journal_id, _)| *journal_id).collect();
    let accounts: Vec<String> = lines.iter().map(|(_, line)| line.account.to_owned()).collect();
    let debits: Vec<Money> = lines.iter().map(|(_, line)| line.debit).collect();
    let credits: Vec<Money> = lines.iter().map(|(_, line)| line.credit).collect();
    let ref_types: Vec<String> = lines.iter().map(|(_, line)| line.ref_type.to_string()).collect();
    let ref_ids: Vec<Uuid> = lines.iter().map(|(_, line)| line.ref_id).collect();
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

/// Newest first, behind a key: of an account, of a document, or of both.
pub(crate) async fn list(
    db: &mut PgConnection,
    account: Option<&str>,
    document: Option<(RefType, Uuid)>,
    before: Option<Uuid>,
    limit: i64,
) -> sqlx::Result<Vec<Entry>> {
    let (ref_type, ref_id) = document.unzip();
    sqlx::query_as!(
        Entry,
        r#"select e.id, e.journal_id as "journal_id: _", e.account, e.debit as "debit: _", e.credit as "credit: _",
                  e.ref_type as "ref_type: _", e.ref_id, j.effective_date, e.created_at, j.event_type
           from ledger.ledger_entries e join ledger.journals j on j.id = e.journal_id
           where ($1::text is null or e.account = $1)
             and ($2::text is null or e.ref_type = $2)
             and ($3::uuid is null or e.ref_id = $3)
             and ($4::uuid is null or e.id < $4)
           order by e.id desc limit $5"#,
        account,
        ref_type.map(|ref_type| ref_type.to_string()),
        ref_id,
        before,
        limit,
    )
    .fetch_all(db)
    .await
}
