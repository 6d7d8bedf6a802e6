use ids::{CustomerId, InvoiceId, PaymentId};
use money::Money;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    BillingError,
    domain::{Allocation, Payment},
};

/// False when the customer has a payment with this reference.
pub(crate) async fn insert(tx: &mut PgConnection, payment: &Payment) -> sqlx::Result<bool> {
    let inserted = sqlx::query!(
        "insert into billing.payments
           (id, customer_id, external_reference, amount, unallocated, named_invoice_id, received_at)
         values ($1, $2, $3, $4, $5, $6, $7)
         on conflict (customer_id, external_reference) do nothing",
        payment.id as _,
        payment.customer_id as _,
        payment.external_reference,
        payment.amount as _,
        payment.unallocated as _,
        payment.named_invoice_id as _,
        payment.received_at,
    )
    .execute(tx)
    .await?;
    Ok(inserted.rows_affected() == 1)
}

/// One statement however many.
pub(crate) async fn insert_allocations(
    tx: &mut PgConnection,
    id: PaymentId,
    allocations: &[Allocation],
) -> sqlx::Result<()> {
    if allocations.is_empty() {
        return Ok(());
    }
    let invoices: Vec<Uuid> = allocations.iter().map(|part| part.invoice_id.0).collect();
    let amounts: Vec<Money> = allocations.iter().map(|part| part.amount).collect();
    sqlx::query!(
        "insert into billing.payment_allocations (payment_id, invoice_id, amount)
         select $1, invoice_id, amount from unnest($2::uuid[], $3::numeric[]) as new (invoice_id, amount)",
        id as _,
        &invoices,
        &amounts as &[Money],
    )
    .execute(tx)
    .await?;
    Ok(())
}

pub(crate) async fn get(db: &mut PgConnection, id: PaymentId) -> Result<Payment, BillingError> {
    sqlx::query_as!(
        Payment,
        r#"select id as "id: _", customer_id as "customer_id: _", external_reference, amount as "amount: _",
                  unallocated as "unallocated: _", named_invoice_id as "named_invoice_id: _", received_at
           from billing.payments where id = $1"#,
        id as _,
    )
    .fetch_optional(db)
    .await?
    .ok_or(BillingError::PaymentNotFound(id))
}

/// A reference is the customer's own: two customers may have the same.
pub(crate) async fn find_by_reference(
    db: &mut PgConnection,
    customer_id: CustomerId,
    reference: &str,
) -> sqlx::Result<Option<Payment>> {
    sqlx::query_as!(
        Payment,
        r#"select id as "id: _", customer_id as "customer_id: _", external_reference, amount as "amount: _",
                  unallocated as "unallocated: _", named_invoice_id as "named_invoice_id: _", received_at
           from billing.payments where customer_id = $1 and external_reference = $2"#,
        customer_id as _,
        reference,
    )
    .fetch_optional(db)
    .await
}

/// In the order in which the money was shared out.
pub(crate) async fn allocations(
    db: &mut PgConnection,
    id: PaymentId,
) -> sqlx::Result<Vec<Allocation>> {
    sqlx::query_as!(
        Allocation,
        r#"select a.invoice_id as "invoice_id: InvoiceId", a.amount as "amount: Money"
           from billing.payment_allocations a join billing.invoices i on i.id = a.invoice_id
           where a.payment_id = $1 order by i.due_date, i.id"#,
        id as _,
    )
    .fetch_all(db)
    .await
}
