use std::collections::HashSet;

use chrono::{DateTime, NaiveDate, Utc};
use ids::{CustomerId, InvoiceId, OrderId};
use money::Money;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::domain::{Invoice, InvoiceStatus};

pub(crate) async fn find(
    db: &mut PgConnection,
    id: Option<InvoiceId>,
    order_id: Option<OrderId>,
) -> sqlx::Result<Option<Invoice>> {
    sqlx::query_as!(
        Invoice,
        r#"select id as "id: _", number, order_id as "order_id: _", customer_id as "customer_id: _", amount as "amount: _",
                  tax_amount as "tax_amount: _", paid_amount as "paid_amount: _", status as "status: _", issued_at, due_date,
                  paid_at, version
           from billing.invoices where id = $1 or order_id = $2"#,
        id as _,
        order_id as _,
    )
    .fetch_optional(db)
    .await
}

/// Newest first, behind a key. `status` is as it is on the day of `today`.
pub(crate) async fn list(
    db: &mut PgConnection,
    customer_id: Option<CustomerId>,
    status: Option<InvoiceStatus>,
    today: NaiveDate,
    before: Option<InvoiceId>,
    limit: i64,
) -> sqlx::Result<Vec<Invoice>> {
    let status = status.map(|status| status.to_string());
    sqlx::query_as!(
        Invoice,
        r#"select id as "id: _", number, order_id as "order_id: _", customer_id as "customer_id: _", amount as "amount: _",
                  tax_amount as "tax_amount: _", paid_amount as "paid_amount: _", status as "status: _", issued_at, due_date,
                  paid_at, version
           from billing.invoices
           where ($1::uuid is null or customer_id = $1)
             and ($2::text is null
                  or $2 = case when status = 'issued' and due_date < $3 then 'overdue' else status end)
             and ($4::uuid is null or id < $4)
           order by id desc limit $5"#,
        customer_id as _,
        status,
        today,
        before as _,
        limit,
    )
    .fetch_all(db)
    .await
}

/// Which of these orders have an invoice.
pub(crate) async fn invoiced(
    tx: &mut PgConnection,
    orders: &[Uuid],
) -> sqlx::Result<HashSet<Uuid>> {
    let found = sqlx::query_scalar!(
        "select order_id from billing.invoices where order_id = any($1)",
        orders
    )
    .fetch_all(tx)
    .await?;
    Ok(found.into_iter().collect())
}

/// One statement however many. Fails when one of the orders has an invoice.
pub(crate) async fn insert(tx: &mut PgConnection, invoices: &[Invoice]) -> sqlx::Result<()> {
    let ids: Vec<Uuid> = invoices.iter().map(|invoice| invoice.id.0).collect();
    let numbers: Vec<String> = invoices.iter().map(|invoice| invoice.number.clone()).collect();
    let orders: Vec<Uuid> = invoices.iter().map(|invoice| invoice.order_id.0).collect();
    let customers: Vec<Uuid> = invoices.iter().map(|invoice| invoice.customer_id.0).collect();
    let amounts: Vec<Money> = invoices.iter().map(|invoice| invoice.amount).collect();
    let taxes: Vec<Money> = invoices.iter().map(|invoice| invoice.tax_amount).collect();
    let statuses: Vec<String> = invoices.iter().map(|invoice| invoice.status.to_string()).collect();
    let issued: Vec<DateTime<Utc>> = invoices.iter().map(|invoice| invoice.issued_at).collect();
    let due: Vec<NaiveDate> = invoices.iter().map(|invoice| invoice.due_date).collect();
    let paid: Vec<Option<DateTime<Utc>>> = invoices.iter().map(|invoice| invoice.paid_at).collect();
    let versions: Vec<i32> = invoices.iter().map(|invoice| invoice.version).collect();
    sqlx::query!(
        "insert into billing.invoices
           (id, number, order_id, customer_id, amount, tax_amount, status, issued_at, due_date, paid_at, version)
         select * from unnest($1::uuid[], $2::text[], $3::uuid[], $4::uuid[], $5::numeric[], $6::numeric[], $7::text[],
                              $8::timestamptz[], $9::date[], $10::timestamptz[], $11::int[])",
        &ids,
        &numbers,
        &orders,
        &customers,
        &amounts as &[Money],
        &taxes as &[Money],
        &statuses,
        &issued,
        &due,
        &paid as &[Option<DateTime<Utc>>],
        &versions,
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Locks a customer's open invoices, oldest due first; or only the named one, if it is among them.
pub(crate) async fn lock_open(
    tx: &mut PgConnection,
    customer_id: CustomerId,
    named: Option<InvoiceId>,
    limit: i64,
) -> sqlx::Result<Vec<Invoice>> {
    sqlx::query_as!(
        Invoice,
        r#"select id as "id: _", number, order_id as "order_id: _", customer_id as "customer_id: _", amount as "amount: _",
                  tax_amount as "tax_amount: _", paid_amount as "paid_amount: _", status as "status: _", issued_at, due_date,
                  paid_at, version
           from billing.invoices
           where customer_id = $1 and ($2::uuid is null or id = $2) and status in ('issued', 'overdue')
           order by due_date, id limit $3
           for update"#,
        customer_id as _,
        named as _,
        limit,
    )
    .fetch_all(tx)
    .await
}

pub(crate) async fn lock_of_orders(
    tx: &mut PgConnection,
    orders: &[Uuid],
) -> sqlx::Result<Vec<Invoice>> {
    sqlx::query_as!(
        Invoice,
        r#"select id as "id: _", number, order_id as "order_id: _", customer_id as "customer_id: _", amount as "amount: _",
                  tax_amount as "tax_amount: _", paid_amount as "paid_amount: _", status as "status: _", issued_at, due_date,
                  paid_at, version
           from billing.invoices where order_id = any($1) order by due_date, id for update"#,
        orders,
    )
    .fetch_all(tx)
    .await
}

/// Locks invoices that were due before a day and are not marked yet, but for those that somebody else holds: they can wait.
pub(crate) async fn lock_past_due(
    tx: &mut PgConnection,
    today: NaiveDate,
    limit: i64,
) -> sqlx::Result<Vec<Invoice>> {
    sqlx::query_as!(
        Invoice,
        r#"select id as "id: _", number, order_id as "order_id: _", customer_id as "customer_id: _", amount as "amount: _",
                  tax_amount as "tax_amount: _", paid_amount as "paid_amount: _", status as "status: _", issued_at, due_date,
                  paid_at, version
           from billing.invoices where status = 'issued' and due_date < $1
           order by due_date, id limit $2
           for update skip locked"#,
        today,
        limit,
    )
    .fetch_all(tx)
    .await
}

/// Writes the state of invoices whose rows are locked. One statement however many.
pub(crate) async fn update(tx: &mut PgConnection, invoices: &[&Invoice]) -> sqlx::Result<()> {
    if invoices.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = invoices.iter().map(|invoice| invoice.id.0).collect();
    let statuses: Vec<String> = invoices.iter().map(|invoice| invoice.status.to_string()).collect();
    let amounts: Vec<Money> = invoices.iter().map(|invoice| invoice.paid_amount).collect();
    let paid: Vec<Option<DateTime<Utc>>> = invoices.iter().map(|invoice| invoice.paid_at).collect();
    let versions: Vec<i32> = invoices.iter().map(|invoice| invoice.version).collect();
    let updated = sqlx::query!(
        "update billing.invoices i
         set status = new.status, paid_amount = new.paid_amount, paid_at = new.paid_at, version = new.version
         from unnest($1::uuid[], $2::text[], $3::numeric[], $4::timestamptz[], $5::int[])
           as new (id, status, paid_amount, paid_at, version)
         where i.id = new.id",
        &ids,
        &statuses,
        &amounts as &[Money],
        &paid as &[Option<DateTime<Utc>>],
        &versions,
    )
    .execute(tx)
    .await?
    .rows_affected();
    if updated == invoices.len() as u64 { Ok(()) } else { Err(sqlx::Error::RowNotFound) }
}
