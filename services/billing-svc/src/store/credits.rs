//! What is left of the sources of a customer's credit. They change only while the customer's account is locked.

use std::collections::HashMap;

use ids::{CreditNoteId, CustomerId, PaymentId};
use money::Money;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::domain::{Credit, Draw, Source};

/// All of a customer's, the oldest first; without payments that have paid more invoices than `paid_max`, if there is such a limit. The account
/// is locked.
pub(crate) async fn of_customer(
    tx: &mut PgConnection,
    customer_id: CustomerId,
    paid_max: Option<i64>,
) -> sqlx::Result<Vec<Credit>> {
    let rows = sqlx::query!(
        r#"select id as "id!", true as "is_payment!", unallocated as "left!: Money"
           from billing.payments p where customer_id = $1 and unallocated <> 0
             and (unallocated < 0 or $2::bigint is null or $2 >= (
               select count(distinct invoice_id) from billing.receivable_movements m where m.payment_id = p.id))
           union all
           select id, false, unallocated from billing.credit_notes where customer_id = $1 and unallocated > 0
           order by 1"#,
        customer_id as _,
        paid_max,
    )
    .fetch_all(tx)
    .await?;
    let credit = |id: Uuid, is_payment, left| Credit { source: source(id, is_payment), left };
    Ok(rows.into_iter().map(|row| credit(row.id, row.is_payment, row.left)).collect())
}

/// What is left of what credit notes of these invoices gave back, with the invoice of each. The account is locked.
pub(crate) async fn of_invoices(
    tx: &mut PgConnection,
    invoices: &[Uuid],
) -> sqlx::Result<Vec<(Uuid, Credit)>> {
    let rows = sqlx::query!(
        r#"select id, invoice_id, unallocated as "left: Money" from billing.credit_notes
           where invoice_id = any($1) and unallocated > 0 order by id"#,
        invoices,
    )
    .fetch_all(tx)
    .await?;
    let credit = |id, left| Credit { source: source(id, false), left };
    Ok(rows.into_iter().map(|row| (row.invoice_id, credit(row.id, row.left))).collect())
}

/// What is left of payments that wait for the invoices of these orders, each with its customer; the oldest first. The accounts are locked. One
/// statement however many.
pub(crate) async fn waiting(
    tx: &mut PgConnection,
    orders: &[Uuid],
    customers: &[Uuid],
) -> sqlx::Result<HashMap<Uuid, Vec<Credit>>> {
    let rows = sqlx::query!(
        r#"select p.id, p.named_order_id as "order_id!", p.unallocated as "left: Money"
           from unnest($1::uuid[], $2::uuid[]) as placed (order_id, customer_id)
           join billing.payments p on p.named_order_id = placed.order_id and p.customer_id = placed.customer_id
           where p.named_order_id is not null and p.unallocated > 0
           order by p.id"#,
        orders,
        customers,
    )
    .fetch_all(tx)
    .await?;
    let mut waiting = HashMap::<Uuid, Vec<Credit>>::new();
    for row in rows {
        let credit = Credit { source: source(row.id, true), left: row.left };
        waiting.entry(row.order_id).or_default().push(credit);
    }
    Ok(waiting)
}

/// Uses credit up. Two statements however many; fails when less was left.
pub(crate) async fn take(tx: &mut PgConnection, draws: &[Draw]) -> sqlx::Result<()> {
    let of = |id: fn(Source) -> Option<Uuid>| -> (Vec<Uuid>, Vec<Money>) {
        draws.iter().filter_map(|draw| Some((id(draw.source)?, draw.amount))).unzip()
    };
    let (payments, amounts) = of(|source| source.payment_id().map(|id| id.0));
    if !payments.is_empty() {
        sqlx::query!(
            "update billing.payments p set unallocated = p.unallocated - used.amount
             from (select id, sum(amount) as amount from unnest($1::uuid[], $2::numeric[]) as u (id, amount) group by id) used
             where p.id = used.id",
            &payments,
            &amounts as &[Money],
        )
        .execute(&mut *tx)
        .await?;
    }
    let (notes, amounts) = of(|source| source.credit_note_id().map(|id| id.0));
    if !notes.is_empty() {
        sqlx::query!(
            "update billing.credit_notes n set unallocated = n.unallocated - used.amount
             from (select id, sum(amount) as amount from unnest($1::uuid[], $2::numeric[]) as u (id, amount) group by id) used
             where n.id = used.id",
            &notes,
            &amounts as &[Money],
        )
        .execute(tx)
        .await?;
    }
    Ok(())
}

fn source(id: Uuid, is_payment: bool) -> Source {
    if is_payment { Source::Payment(PaymentId(id)) } else { Source::CreditNote(CreditNoteId(id)) }
}
