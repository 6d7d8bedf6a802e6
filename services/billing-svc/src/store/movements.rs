//! The two subledgers. Rows are only ever added: a day's balance is the sum of what is dated up to it.

use chrono::NaiveDate;
use ids::{CreditAllocationId, CustomerId, InvoiceId};
use money::Money;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::domain::{Allocation, CreditMovement, ReceivableMovement};

/// Without those of 0. One statement however many.
pub(crate) async fn insert_receivables(
    tx: &mut PgConnection,
    movements: &[ReceivableMovement],
) -> sqlx::Result<()> {
    let movements: Vec<_> = movements.iter().filter(|of| !of.amount.is_zero()).collect();
    if movements.is_empty() {
        return Ok(());
    }
    let invoices: Vec<Uuid> = movements.iter().map(|of| of.invoice_id.0).collect();
    let customers: Vec<Uuid> = movements.iter().map(|of| of.customer_id.0).collect();
    let kinds: Vec<String> = movements.iter().map(|of| of.kind.to_string()).collect();
    let documents: Vec<Uuid> = movements.iter().map(|of| of.document_id).collect();
    let payments: Vec<Option<Uuid>> =
        movements.iter().map(|of| Some(of.source?.payment_id()?.0)).collect();
    let notes: Vec<Option<Uuid>> =
        movements.iter().map(|of| Some(of.source?.credit_note_id()?.0)).collect();
    let days: Vec<NaiveDate> = movements.iter().map(|of| of.day).collect();
    let amounts: Vec<Money> = movements.iter().map(|of| of.amount).collect();
    sqlx::query!(
        "insert into billing.receivable_movements
           (invoice_id, customer_id, kind, document_id, payment_id, credit_note_id, effective_date, amount)
         select invoice_id, customer_id, kind, document_id, payment_id, credit_note_id, effective_date, amount
         from unnest($1::uuid[], $2::uuid[], $3::text[], $4::uuid[], $5::uuid[], $6::uuid[], $7::date[], $8::numeric[])
           with ordinality as new (invoice_id, customer_id, kind, document_id, payment_id, credit_note_id, effective_date, amount, place)
         order by place",
        &invoices,
        &customers,
        &kinds,
        &documents,
        &payments as &[Option<Uuid>],
        &notes as &[Option<Uuid>],
        &days,
        &amounts as &[Money],
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Without those of 0. One statement however many.
pub(crate) async fn insert_credits(
    tx: &mut PgConnection,
    movements: &[CreditMovement],
) -> sqlx::Result<()> {
    let movements: Vec<_> = movements.iter().filter(|of| !of.amount.is_zero()).collect();
    if movements.is_empty() {
        return Ok(());
    }
    let customers: Vec<Uuid> = movements.iter().map(|of| of.customer_id.0).collect();
    let kinds: Vec<String> = movements.iter().map(|of| of.kind.to_string()).collect();
    let documents: Vec<Uuid> = movements.iter().map(|of| of.document_id).collect();
    let payments: Vec<Option<Uuid>> =
        movements.iter().map(|of| Some(of.source.payment_id()?.0)).collect();
    let notes: Vec<Option<Uuid>> =
        movements.iter().map(|of| Some(of.source.credit_note_id()?.0)).collect();
    let days: Vec<NaiveDate> = movements.iter().map(|of| of.day).collect();
    let amounts: Vec<Money> = movements.iter().map(|of| of.amount).collect();
    sqlx::query!(
        "insert into billing.credit_movements
           (customer_id, kind, document_id, payment_id, credit_note_id, effective_date, amount)
         select customer_id, kind, document_id, payment_id, credit_note_id, effective_date, amount
         from unnest($1::uuid[], $2::text[], $3::uuid[], $4::uuid[], $5::uuid[], $6::date[], $7::numeric[])
           with ordinality as new (customer_id, kind, document_id, payment_id, credit_note_id, effective_date, amount, place)
         order by place",
        &customers,
        &kinds,
        &documents,
        &payments as &[Option<Uuid>],
        &notes as &[Option<Uuid>],
        &days,
        &amounts as &[Money],
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// What an allocation of credit paid, in the order in which the invoices are due, and when.
pub(crate) async fn allocation(
    db: &mut PgConnection,
    id: CreditAllocationId,
) -> sqlx::Result<(NaiveDate, Vec<Allocation>)> {
    let rows = sqlx::query!(
        r#"select m.invoice_id as "invoice_id: InvoiceId", m.effective_date, -sum(m.amount) as "amount!: Money"
           from billing.receivable_movements m join billing.invoices i on i.id = m.invoice_id
           where m.document_id = $1 and m.kind = 'allocation'
           group by m.invoice_id, m.effective_date, i.due_date order by i.due_date, m.invoice_id"#,
        id as _,
    )
    .fetch_all(db)
    .await?;
    let day = rows.first().ok_or(sqlx::Error::RowNotFound)?.effective_date;
    let paid =
        rows.into_iter().map(|row| Allocation { invoice_id: row.invoice_id, amount: row.amount });
    Ok((day, paid.collect()))
}

/// What a customer owes, what of it is overdue, and the customer's credit, at the end of a day.
#[derive(Debug)]
pub(crate) struct Balance {
    pub(crate) owed: Money,
    pub(crate) overdue: Money,
    pub(crate) credit: Money,
}

pub(crate) async fn balance(
    db: &mut PgConnection,
    customer_id: CustomerId,
    day: NaiveDate,
) -> sqlx::Result<Balance> {
    sqlx::query_as!(
        Balance,
        r#"select coalesce(sum(m.amount), 0) as "owed!: _",
                  coalesce(sum(m.amount) filter (where i.due_date < $2), 0) as "overdue!: _",
                  (select coalesce(sum(c.amount), 0) from billing.credit_movements c
                   where c.customer_id = $1 and c.effective_date <= $2) as "credit!: _"
           from billing.receivable_movements m join billing.invoices i on i.id = m.invoice_id
           where m.customer_id = $1 and m.effective_date <= $2"#,
        customer_id as _,
        day,
    )
    .fetch_one(db)
    .await
}
