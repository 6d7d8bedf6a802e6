use std::collections::HashMap;

use chrono::{DateTime, Utc};
use ids::{CustomerId, InvoiceId, PaymentId};
use money::Money;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    BillingError,
    domain::{Allocation, Payment},
};

/// All columns of the payments that the rest of the statement chooses.
macro_rules! payments {
    ($rest:literal $($args:tt)*) => {
        sqlx::query_as!(
            Payment,
            r#"select id as "id: _", customer_id as "customer_id: _", external_reference, amount as "amount: _",
                      unallocated as "unallocated: _", named_invoice_id as "named_invoice_id: _",
                      named_order_id as "named_order_id: _", received_at, reversed_at, reversal_reason, version
               from billing.payments "# + $rest
            $($args)*
        )
    };
}

/// What became of a payment's money.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Whereabouts {
    /// In the order in which the invoices are due.
    pub(crate) allocations: Vec<Allocation>,
    pub(crate) refunded: Money,
}

/// False when the customer has a payment with this reference.
pub(crate) async fn insert(tx: &mut PgConnection, payment: &Payment) -> sqlx::Result<bool> {
    let inserted = sqlx::query!(
        "insert into billing.payments
           (id, customer_id, external_reference, amount, unallocated, named_invoice_id, named_order_id, received_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8)
         on conflict (customer_id, external_reference) do nothing",
        payment.id as _,
        payment.customer_id as _,
        payment.external_reference,
        payment.amount as _,
        payment.unallocated as _,
        payment.named_invoice_id as _,
        payment.named_order_id as _,
        payment.received_at,
    )
    .execute(tx)
    .await?;
    Ok(inserted.rows_affected() == 1)
}

/// Takes a payment back whose customer's account is locked. False when it was taken back before.
pub(crate) async fn reverse(
    tx: &mut PgConnection,
    id: PaymentId,
    unallocated: Money,
    reason: &str,
    reversed_at: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let reversed = sqlx::query!(
        "update billing.payments
         set unallocated = $2, reversal_reason = $3, reversed_at = $4, version = version + 1
         where id = $1 and reversed_at is null",
        id as _,
        unallocated as _,
        reason,
        reversed_at,
    )
    .execute(tx)
    .await?;
    Ok(reversed.rows_affected() == 1)
}

pub(crate) async fn get(db: &mut PgConnection, id: PaymentId) -> Result<Payment, BillingError> {
    let found = payments!("where id = $1", id as _).fetch_optional(db).await?;
    found.ok_or(BillingError::PaymentNotFound(id))
}

/// A reference is the customer's own: two customers may have the same.
pub(crate) async fn find_by_reference(
    db: &mut PgConnection,
    customer_id: CustomerId,
    reference: &str,
) -> sqlx::Result<Option<Payment>> {
    payments!("where customer_id = $1 and external_reference = $2", customer_id as _, reference)
        .fetch_optional(db)
        .await
}

/// Newest first, behind a key. A statement for each filter, whose plan starts at its index.
pub(crate) async fn list(
    db: &mut PgConnection,
    before: Option<PaymentId>,
    limit: i64,
) -> sqlx::Result<Vec<Payment>> {
    payments!("where ($1::uuid is null or id < $1) order by id desc limit $2", before as _, limit)
        .fetch_all(db)
        .await
}

pub(crate) async fn list_unallocated(
    db: &mut PgConnection,
    before: Option<PaymentId>,
    limit: i64,
) -> sqlx::Result<Vec<Payment>> {
    payments!(
        "where unallocated <> 0 and ($1::uuid is null or id < $1) order by id desc limit $2",
        before as _,
        limit,
    )
    .fetch_all(db)
    .await
}

pub(crate) async fn list_of_customer(
    db: &mut PgConnection,
    customer_id: CustomerId,
    unallocated_only: bool,
    before: Option<PaymentId>,
    limit: i64,
) -> sqlx::Result<Vec<Payment>> {
    payments!(
        "where customer_id = $1 and (not $2::bool or unallocated <> 0) and ($3::uuid is null or id < $3)
         order by id desc limit $4",
        customer_id as _,
        unallocated_only,
        before as _,
        limit,
    )
    .fetch_all(db)
    .await
}

pub(crate) async fn whereabouts(db: &mut PgConnection, id: PaymentId) -> sqlx::Result<Whereabouts> {
    let mut found = whereabouts_of(db, &[id.0]).await?;
    Ok(found.remove(&id.0).unwrap_or_default())
}

/// Of those payments whose money went anywhere. Two statements however many.
pub(crate) async fn whereabouts_of(
    db: &mut PgConnection,
    ids: &[Uuid],
) -> sqlx::Result<HashMap<Uuid, Whereabouts>> {
    let mut all = HashMap::<Uuid, Whereabouts>::new();
    let allocations = sqlx::query!(
        r#"select m.payment_id as "payment_id!", m.invoice_id, -sum(m.amount) as "amount!: Money"
           from billing.receivable_movements m join billing.invoices i on i.id = m.invoice_id
           where m.payment_id = any($1)
           group by m.payment_id, m.invoice_id, i.due_date having sum(m.amount) <> 0
           order by i.due_date, m.invoice_id"#,
        ids,
    )
    .fetch_all(&mut *db)
    .await?;
    for row in allocations {
        let allocation = Allocation { invoice_id: InvoiceId(row.invoice_id), amount: row.amount };
        all.entry(row.payment_id).or_default().allocations.push(allocation);
    }
    let refunds = sqlx::query!(
        r#"select payment_id as "payment_id!", -sum(amount) as "amount!: Money" from billing.credit_movements
           where kind = 'refund' and payment_id = any($1) group by payment_id"#,
        ids,
    )
    .fetch_all(db)
    .await?;
    for row in refunds {
        all.entry(row.payment_id).or_default().refunded = row.amount;
    }
    Ok(all)
}
