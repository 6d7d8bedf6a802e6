use chrono::{DateTime, Utc};
use money::Money;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::domain::CreditNote;

/// One statement however many.
pub(crate) async fn insert(tx: &mut PgConnection, notes: &[CreditNote]) -> sqlx::Result<()> {
    if notes.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = notes.iter().map(|note| note.id.0).collect();
    let numbers: Vec<String> = notes.iter().map(|note| note.number.clone()).collect();
    let invoices: Vec<Uuid> = notes.iter().map(|note| note.invoice_id.0).collect();
    let amounts: Vec<Money> = notes.iter().map(|note| note.amount).collect();
    let taxes: Vec<Money> = notes.iter().map(|note| note.tax_amount).collect();
    let credited: Vec<Money> = notes.iter().map(|note| note.credited).collect();
    let issued: Vec<DateTime<Utc>> = notes.iter().map(|note| note.issued_at).collect();
    sqlx::query!(
        "insert into billing.credit_notes (id, number, invoice_id, amount, tax_amount, credited, issued_at)
         select * from unnest($1::uuid[], $2::text[], $3::uuid[], $4::numeric[], $5::numeric[], $6::numeric[], $7::timestamptz[])",
        &ids,
        &numbers,
        &invoices,
        &amounts as &[Money],
        &taxes as &[Money],
        &credited as &[Money],
        &issued,
    )
    .execute(tx)
    .await?;
    Ok(())
}
