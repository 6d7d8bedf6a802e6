use std::collections::HashSet;

use chrono::NaiveDate;
use ids::JournalId;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::domain::Journal;

/// Adds journals of events that have none yet, and gives the keys of those. One statement however many. Their entries must follow in the
/// same transaction.
pub(crate) async fn insert(
    tx: &mut PgConnection,
    journals: &[&Journal],
) -> sqlx::Result<HashSet<JournalId>> {
    if journals.is_empty() {
        return Ok(HashSet::new());
    }
    let ids: Vec<Uuid> = journals.iter().map(|journal| journal.id.0).collect();
    let sources: Vec<String> = journals.iter().map(|journal| journal.source.to_owned()).collect();
    let events: Vec<Uuid> = journals.iter().map(|journal| journal.source_event_id).collect();
    let types: Vec<String> = journals.iter().map(|journal| journal.event_type.clone()).collect();
    let firsts = journals.iter().filter_map(|journal| journal.lines.first());
    let (ref_types, ref_ids): (Vec<String>, Vec<Uuid>) =
        firsts.map(|line| (line.ref_type.to_string(), line.ref_id)).unzip();
    let dates: Vec<NaiveDate> = journals.iter().map(|journal| journal.effective_date).collect();
    let new = sqlx::query_scalar!(
        r#"insert into ledger.journals (id, source, source_event_id, event_type, ref_type, ref_id, effective_date)
           select * from unnest($1::uuid[], $2::text[], $3::uuid[], $4::text[], $5::text[], $6::uuid[], $7::date[])
           on conflict (source_event_id) do nothing
           returning id as "id: JournalId""#,
        &ids,
        &sources,
        &events,
        &types,
        &ref_types,
        &ref_ids,
        &dates,
    )
    .fetch_all(tx)
    .await?;
    Ok(new.into_iter().collect())
}
