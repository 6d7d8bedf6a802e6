use chrono::{DateTime, Utc};
use ids::{CreditNoteId, CustomerId, InvoiceId};
use money::Money;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{BillingError, domain::CreditNote};

/// All columns of the credit notes that the rest of the statement chooses.
macro_rules! credit_notes {
    ($rest:literal $($args:tt)*) => {
        sqlx::query_as!(
            CreditNote,
            r#"select id as "id: _", number, invoice_id as "invoice_id: _", customer_id as "customer_id: _", amount as "amount: _",
                      tax_amount as "tax_amount: _", credited as "credited: _", unallocated as "unallocated: _", reason, issued_at
               from billing.credit_notes "# + $rest
            $($args)*
        )
    };
}

/// One statement however many.
pub(crate) async fn insert(tx: &mut PgConnection, notes: &[CreditNote]) -> sqlx::Result<()> {
    if notes.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = notes.iter().map(|note| note.id.0).collect();
    let numbers: Vec<String> = notes.iter().map(|note| note.number.clone()).collect();
    let invoices: Vec<Uuid> = notes.iter().map(|note| note.invoice_id.0).collect();
    let customers: Vec<Uuid> = notes.iter().map(|note| note.customer_id.0).collect();
    let amounts: Vec<Money> = notes.iter().map(|note| note.amount).collect();
    let taxes: Vec<Money> = notes.iter().map(|note| note.tax_amount).collect();
    let credited: Vec<Money> = notes.iter().map(|note| note.credited).collect();
    let reasons: Vec<String> = notes.iter().map(|note| note.reason.clone()).collect();
    let issued: Vec<DateTime<Utc>> = notes.iter().map(|note| note.issued_at).collect();
    sqlx::query!(
        "insert into billing.credit_notes
           (id, number, invoice_id, customer_id, amount, tax_amount, credited, unallocated, reason, issued_at)
         select id, number, invoice_id, customer_id, amount, tax_amount, credited, credited, reason, issued_at
         from unnest($1::uuid[], $2::text[], $3::uuid[], $4::uuid[], $5::numeric[], $6::numeric[], $7::numeric[], $8::text[],
                     $9::timestamptz[])
           as new (id, number, invoice_id, customer_id, amount, tax_amount, credited, reason, issued_at)",
        &ids,
        &numbers,
        &invoices,
        &customers,
        &amounts as &[Money],
        &taxes as &[Money],
        &credited as &[Money],
        &reasons,
        &issued,
    )
    .execute(tx)
    .await?;
    Ok(())
}

pub(crate) async fn get(
    db: &mut PgConnection,
    id: CreditNoteId,
) -> Result<CreditNote, BillingError> {
    let found = credit_notes!("where id = $1", id as _).fetch_optional(db).await?;
    found.ok_or(BillingError::CreditNoteNotFound(id))
}

/// Newest first, behind a key.
pub(crate) async fn list(
    db: &mut PgConnection,
    before: Option<CreditNoteId>,
    limit: i64,
) -> sqlx::Result<Vec<CreditNote>> {
    credit_notes!(
        "where ($1::uuid is null or id < $1) order by id desc limit $2",
        before as _,
        limit
    )
    .fetch_all(db)
    .await
}

pub(crate) async fn list_of_invoice(
    db: &mut PgConnection,
    invoice_id: InvoiceId,
    customer_id: Option<CustomerId>,
    before: Option<CreditNoteId>,
    limit: i64,
) -> sqlx::Result<Vec<CreditNote>> {
    credit_notes!(
        "where invoice_id = $1 and ($2::uuid is null or customer_id = $2) and ($3::uuid is null or id < $3)
         order by id desc limit $4",
        invoice_id as _,
        customer_id as _,
        before as _,
        limit,
    )
    .fetch_all(db)
    .await
}

pub(crate) async fn list_of_customer(
    db: &mut PgConnection,
    customer_id: CustomerId,
    before: Option<CreditNoteId>,
    limit: i64,
) -> sqlx::Result<Vec<CreditNote>> {
    credit_notes!(
        "where customer_id = $1 and ($2::uuid is null or id < $2) order by id desc limit $3",
        customer_id as _,
        before as _,
        limit,
    )
    .fetch_all(db)
    .await
}
