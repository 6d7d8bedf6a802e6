//! Whoever locks several invoices does so by (due date, id).

use std::collections::HashSet;

use chrono::{DateTime, NaiveDate, Utc};
use ids::{CustomerId, InvoiceId, OrderId};
use money::Money;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    BillingError,
    domain::{Invoice, InvoiceStatus},
};

/// All columns of the invoices that the rest of the statement chooses.
macro_rules! invoices {
    ($rest:literal $($args:tt)*) => {
        sqlx::query_as!(
            Invoice,
            r#"select id as "id: _", number, order_id as "order_id: _", customer_id as "customer_id: _", amount as "amount: _",
                      tax_amount as "tax_amount: _", paid_amount as "paid_amount: _", credited_amount as "credited_amount: _",
                      written_off_amount as "written_off_amount: _", noted_amount as "noted_amount: _",
                      noted_tax_amount as "noted_tax_amount: _", absorbed_amount as "absorbed_amount: _", status as "status: _",
                      issued_at, due_date, paid_at, close_reason, version
               from billing.invoices "# + $rest
            $($args)*
        )
    };
}

/// Which invoices a list holds.
#[derive(Debug)]
pub(crate) struct Filter {
    pub(crate) customer_id: Option<CustomerId>,
    pub(crate) standing: Standing,
    /// The first due date.
    pub(crate) from: Option<NaiveDate>,
    /// The last due date.
    pub(crate) to: Option<NaiveDate>,
}

/// How an invoice stands: an open one is issued or overdue by its due date, whether or not it is marked yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    Any,
    Open,
    Closed(InvoiceStatus),
}

pub(crate) async fn find(
    db: &mut PgConnection,
    id: Option<InvoiceId>,
    order_id: Option<OrderId>,
) -> sqlx::Result<Option<Invoice>> {
    invoices!("where id = $1 or order_id = $2", id as _, order_id as _).fetch_optional(db).await
}

/// Newest first, behind a key. A statement for each filter, whose plan starts at its index.
pub(crate) async fn list(
    db: &mut PgConnection,
    filter: &Filter,
    before: Option<InvoiceId>,
    limit: i64,
) -> sqlx::Result<Vec<Invoice>> {
    let (from, to) = (filter.from, filter.to);
    let all_dates = from.is_none() && to.is_none();
    match (filter.customer_id, filter.standing) {
        (Some(customer_id), _) => list_of_customer(db, customer_id, filter, before, limit).await,
        (None, Standing::Any) if all_dates => {
            invoices!(
                "where ($1::uuid is null or id < $1) order by id desc limit $2",
                before as _,
                limit,
            )
            .fetch_all(db)
            .await
        }
        (None, Standing::Closed(status)) if all_dates => {
            invoices!(
                "where status = $1 and ($2::uuid is null or id < $2) order by id desc limit $3",
                status.to_string(),
                before as _,
                limit,
            )
            .fetch_all(db)
            .await
        }
        (None, Standing::Open) => {
            invoices!(
                "where residual > 0 and ($1::date is null or due_date >= $1) and ($2::date is null or due_date <= $2)
                   and ($3::uuid is null or id < $3)
                 order by id desc limit $4",
                from,
                to,
                before as _,
                limit,
            )
            .fetch_all(db)
            .await
        }
        (None, standing @ (Standing::Any | Standing::Closed(_))) => {
            invoices!(
                "where due_date between coalesce($1, '-infinity'::date) and coalesce($2, 'infinity'::date) and ($3::text is null or status = $3) and ($4::uuid is null or id < $4)
                 order by id desc limit $5",
                from,
                to,
                standing.status(),
                before as _,
                limit,
            )
            .fetch_all(db)
            .await
        }
    }
}

async fn list_of_customer(
    db: &mut PgConnection,
    customer_id: CustomerId,
    filter: &Filter,
    before: Option<InvoiceId>,
    limit: i64,
) -> sqlx::Result<Vec<Invoice>> {
    invoices!(
        "where customer_id = $1 and ($2::text is null or status = $2) and (not $3::bool or residual > 0)
           and ($4::date is null or due_date >= $4) and ($5::date is null or due_date <= $5)
           and ($6::uuid is null or id < $6)
         order by id desc limit $7",
        customer_id as _,
        filter.standing.status(),
        filter.standing == Standing::Open,
        filter.from,
        filter.to,
        before as _,
        limit,
    )
    .fetch_all(db)
    .await
}

impl Standing {
    /// As it is kept; none when it does not decide.
    fn status(self) -> Option<String> {
        match self {
            Self::Closed(status) => Some(status.to_string()),
            Self::Any | Self::Open => None,
        }
    }
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
    let paid_amounts: Vec<Money> = invoices.iter().map(|invoice| invoice.paid_amount).collect();
    let versions: Vec<i32> = invoices.iter().map(|invoice| invoice.version).collect();
    sqlx::query!(
        "insert into billing.invoices
           (id, number, order_id, customer_id, amount, tax_amount, status, issued_at, due_date, paid_at, paid_amount,
            version)
         select * from unnest($1::uuid[], $2::text[], $3::uuid[], $4::uuid[], $5::numeric[], $6::numeric[], $7::text[],
                              $8::timestamptz[], $9::date[], $10::timestamptz[], $11::numeric[], $12::int[])",
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
        &paid_amounts as &[Money],
        &versions,
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Locks a customer's open invoices, oldest due first; or only the named one, or that of the named order, if it is among them.
pub(crate) async fn lock_open(
    tx: &mut PgConnection,
    customer_id: CustomerId,
    named: Option<InvoiceId>,
    order_id: Option<OrderId>,
    limit: i64,
) -> sqlx::Result<Vec<Invoice>> {
    invoices!(
        "where customer_id = $1 and ($2::uuid is null or id = $2) and ($3::uuid is null or order_id = $3) and residual > 0
         order by due_date, id limit $4 for update",
        customer_id as _,
        named as _,
        order_id as _,
        limit,
    )
    .fetch_all(tx)
    .await
}

pub(crate) async fn lock(tx: &mut PgConnection, ids: &[Uuid]) -> sqlx::Result<Vec<Invoice>> {
    invoices!("where id = any($1) order by due_date, id for update", ids).fetch_all(tx).await
}

pub(crate) async fn lock_one(
    tx: &mut PgConnection,
    id: InvoiceId,
) -> Result<Invoice, BillingError> {
    lock(tx, &[id.0]).await?.pop().ok_or(BillingError::InvoiceNotFound(id))
}

pub(crate) async fn lock_of_orders(
    tx: &mut PgConnection,
    orders: &[Uuid],
) -> sqlx::Result<Vec<Invoice>> {
    invoices!("where order_id = any($1) order by due_date, id for update", orders)
        .fetch_all(tx)
        .await
}

/// Locks invoices that were due before a day and are not marked yet, but for those that somebody else holds: they can wait.
pub(crate) async fn lock_past_due(
    tx: &mut PgConnection,
    today: NaiveDate,
    limit: i64,
) -> sqlx::Result<Vec<Invoice>> {
    invoices!(
        "where status = 'issued' and due_date < $1 order by due_date, id limit $2 for update skip locked",
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
    let amounts = |amount: fn(&Invoice) -> Money| -> Vec<Money> {
        invoices.iter().map(|invoice| amount(invoice)).collect()
    };
    let paid: Vec<Option<DateTime<Utc>>> = invoices.iter().map(|invoice| invoice.paid_at).collect();
    let reasons: Vec<String> =
        invoices.iter().map(|invoice| invoice.close_reason.clone()).collect();
    let versions: Vec<i32> = invoices.iter().map(|invoice| invoice.version).collect();
    let updated = sqlx::query!(
        "update billing.invoices i
         set status = new.status, paid_amount = new.paid, credited_amount = new.credited, written_off_amount = new.written_off,
             noted_amount = new.noted, noted_tax_amount = new.noted_tax, absorbed_amount = new.absorbed, paid_at = new.paid_at,
             close_reason = new.close_reason, version = new.version
         from unnest($1::uuid[], $2::text[], $3::numeric[], $4::numeric[], $5::numeric[], $6::numeric[], $7::numeric[],
                     $8::numeric[], $9::timestamptz[], $10::text[], $11::int[])
           as new (id, status, paid, credited, written_off, noted, noted_tax, absorbed, paid_at, close_reason, version)
         where i.id = new.id",
        &ids,
        &statuses,
        &amounts(|invoice| invoice.paid_amount) as &[Money],
        &amounts(|invoice| invoice.credited_amount) as &[Money],
        &amounts(|invoice| invoice.written_off_amount) as &[Money],
        &amounts(|invoice| invoice.noted_amount) as &[Money],
        &amounts(|invoice| invoice.noted_tax_amount) as &[Money],
        &amounts(|invoice| invoice.absorbed_amount) as &[Money],
        &paid as &[Option<DateTime<Utc>>],
        &reasons,
        &versions,
    )
    .execute(tx)
    .await?
    .rows_affected();
    if updated == invoices.len() as u64 { Ok(()) } else { Err(sqlx::Error::RowNotFound) }
}

/// Notes what was given up of orders, or came back. Gives the keys that are new: another one counts no more. One statement however many.
pub(crate) async fn insert_reductions(
    tx: &mut PgConnection,
    reductions: &[(Uuid, InvoiceId, Money)],
) -> sqlx::Result<HashSet<Uuid>> {
    if reductions.is_empty() {
        return Ok(HashSet::new());
    }
    let keys: Vec<Uuid> = reductions.iter().map(|(key, ..)| *key).collect();
    let invoices: Vec<Uuid> = reductions.iter().map(|(_, invoice, _)| invoice.0).collect();
    let amounts: Vec<Money> = reductions.iter().map(|(.., amount)| *amount).collect();
    let new = sqlx::query_scalar!(
        "insert into billing.order_reductions (id, invoice_id, amount)
         select * from unnest($1::uuid[], $2::uuid[], $3::numeric[])
         on conflict (id) do nothing returning id",
        &keys,
        &invoices,
        &amounts as &[Money],
    )
    .fetch_all(tx)
    .await?;
    Ok(new.into_iter().collect())
}
