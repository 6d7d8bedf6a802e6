use std::ops::Range;

use chrono::{DateTime, Utc};
use ids::{CustomerId, OrderId};
use money::Money;
use sqlx::PgConnection;
use uuid::Uuid;

use super::TimeKey;
use crate::{
    OrdersError,
    domain::{Order, OrderStatus},
};

/// Orders as the domain has them, by the rest of a statement.
macro_rules! select_orders {
    ($rest:tt $(, $parameter:expr)* $(,)?) => {
        sqlx::query_as!(
            Order,
            r#"select id as "id: _", customer_id as "customer_id: _", status as "status: _",
                      total_amount as "total_amount: _", tax_amount as "tax_amount: _",
                      returned_amount as "returned_amount: _", returned_tax as "returned_tax: _",
                      created_at, placed_at, paid, cancel_reason, held_at, hold_reason, version, metadata
               from orders.orders "# + $rest
            $(, $parameter)*
        )
    };
}

/// A stretch of time: from its start, and before its end. None for no bound.
pub(crate) type Times = Range<Option<DateTime<Utc>>>;

/// The database's clock: the start of this transaction.
pub(crate) async fn now(tx: &mut PgConnection) -> sqlx::Result<DateTime<Utc>> {
    sqlx::query_scalar!(r#"select now() as "now!""#).fetch_one(tx).await
}

/// Adds drafts. One statement however many.
pub(crate) async fn insert_drafts(tx: &mut PgConnection, drafts: &[&Order]) -> sqlx::Result<()> {
    let ids: Vec<Uuid> = drafts.iter().map(|order| order.id.0).collect();
    let customers: Vec<Uuid> = drafts.iter().map(|order| order.customer_id.0).collect();
    let totals: Vec<Money> = drafts.iter().map(|order| order.total_amount).collect();
    let taxes: Vec<Money> = drafts.iter().map(|order| order.tax_amount).collect();
    let metadata: Vec<Option<serde_json::Value>> =
        drafts.iter().map(|order| order.metadata.clone()).collect();
    sqlx::query!(
        "insert into orders.orders (id, customer_id, status, total_amount, tax_amount, metadata)
         select id, customer_id, 'draft', total, tax, metadata
         from unnest($1::uuid[], $2::uuid[], $3::numeric[], $4::numeric[], $5::jsonb[])
           as new (id, customer_id, total, tax, metadata)",
        &ids,
        &customers,
        &totals as &[Money],
        &taxes as &[Money],
        &metadata as &[Option<serde_json::Value>],
    )
    .execute(tx)
    .await?;
    Ok(())
}

pub(crate) async fn find(db: &mut PgConnection, id: OrderId) -> sqlx::Result<Option<Order>> {
    select_orders!("where id = $1", id as _).fetch_optional(db).await
}

pub(crate) async fn get(db: &mut PgConnection, id: OrderId) -> Result<Order, OrdersError> {
    find(db, id).await?.ok_or(OrdersError::OrderNotFound(id))
}

/// Those of the ids that exist, each once, in their order.
pub(crate) async fn find_all(db: &mut PgConnection, ids: &[Uuid]) -> sqlx::Result<Vec<Order>> {
    select_orders!("where id = any($1) order by array_position($1, id)", ids).fetch_all(db).await
}

/// Locks those that exist, by id. Their keys never change, so foreign keys that point to them need not wait.
pub(crate) async fn lock(tx: &mut PgConnection, ids: &[Uuid]) -> sqlx::Result<Vec<Order>> {
    select_orders!("where id = any($1) order by id for no key update", ids).fetch_all(tx).await
}

pub(crate) async fn lock_one(tx: &mut PgConnection, id: OrderId) -> Result<Order, OrdersError> {
    lock(tx, &[id.0]).await?.pop().ok_or(OrdersError::OrderNotFound(id))
}

/// Writes the state of orders whose rows are locked. One statement however many.
pub(crate) async fn update(tx: &mut PgConnection, orders: &[&Order]) -> sqlx::Result<()> {
    if orders.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = orders.iter().map(|order| order.id.0).collect();
    let statuses: Vec<String> = orders.iter().map(|order| order.status.to_string()).collect();
    let totals: Vec<Money> = orders.iter().map(|order| order.total_amount).collect();
    let taxes: Vec<Money> = orders.iter().map(|order| order.tax_amount).collect();
    let returned: Vec<Money> = orders.iter().map(|order| order.returned_amount).collect();
    let returned_taxes: Vec<Money> = orders.iter().map(|order| order.returned_tax).collect();
    let placed: Vec<Option<DateTime<Utc>>> = orders.iter().map(|order| order.placed_at).collect();
    let paid: Vec<bool> = orders.iter().map(|order| order.paid).collect();
    let cancel: Vec<String> = orders.iter().map(|order| order.cancel_reason.clone()).collect();
    let held: Vec<Option<DateTime<Utc>>> = orders.iter().map(|order| order.held_at).collect();
    let hold: Vec<String> = orders.iter().map(|order| order.hold_reason.clone()).collect();
    let versions: Vec<i32> = orders.iter().map(|order| order.version).collect();
    let updated = sqlx::query!(
        "update orders.orders o
         set status = new.status, total_amount = new.total, tax_amount = new.tax,
             returned_amount = new.returned, returned_tax = new.returned_tax, placed_at = new.placed_at, paid = new.paid,
             cancel_reason = new.cancel_reason, held_at = new.held_at, hold_reason = new.hold_reason, version = new.version
         from unnest($1::uuid[], $2::text[], $3::numeric[], $4::numeric[], $5::numeric[], $6::numeric[], $7::timestamptz[],
                     $8::bool[], $9::text[], $10::timestamptz[], $11::text[], $12::int[])
           as new (id, status, total, tax, returned, returned_tax, placed_at, paid, cancel_reason, held_at, hold_reason, version)
         where o.id = new.id",
        &ids,
        &statuses,
        &totals as &[Money],
        &taxes as &[Money],
        &returned as &[Money],
        &returned_taxes as &[Money],
        &placed as &[Option<DateTime<Utc>>],
        &paid,
        &cancel,
        &held as &[Option<DateTime<Utc>>],
        &hold,
        &versions,
    )
    .execute(tx)
    .await?
    .rows_affected();
    if updated == orders.len() as u64 { Ok(()) } else { Err(sqlx::Error::RowNotFound) }
}

/// Writes what an order whose row is locked is about.
pub(crate) async fn update_contents(tx: &mut PgConnection, order: &Order) -> sqlx::Result<()> {
    let updated = sqlx::query!(
        "update orders.orders
         set customer_id = $2, total_amount = $3, tax_amount = $4, metadata = $5, version = $6
         where id = $1 and version = $6 - 1",
        order.id as _,
        order.customer_id as _,
        order.total_amount as _,
        order.tax_amount as _,
        order.metadata,
        order.version,
    )
    .execute(tx)
    .await?
    .rows_affected();
    if updated == 1 { Ok(()) } else { Err(sqlx::Error::RowNotFound) }
}

/// Takes a draft whose row is locked away, with its lines.
pub(crate) async fn delete_draft(tx: &mut PgConnection, id: OrderId) -> sqlx::Result<()> {
    let deleted =
        sqlx::query!("delete from orders.orders where id = $1 and status = 'draft'", id as _)
            .execute(tx)
            .await?
            .rows_affected();
    if deleted == 1 { Ok(()) } else { Err(sqlx::Error::RowNotFound) }
}

/// What tells one state of an order from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) version: i32,
    pub(crate) paid: bool,
}

/// Of those that exist.
pub(crate) async fn marks(
    db: &mut PgConnection,
    ids: &[Uuid],
) -> sqlx::Result<Vec<(OrderId, Mark)>> {
    let found = sqlx::query!(
        r#"select id as "id: OrderId", version, paid from orders.orders where id = any($1)"#,
        ids,
    )
    .fetch_all(db)
    .await?;
    let mark = |version, paid| Mark { version, paid };
    Ok(found.into_iter().map(|row| (row.id, mark(row.version, row.paid))).collect())
}

/// Newest first, behind a key.
pub(crate) async fn list(
    db: &mut PgConnection,
    before: Option<OrderId>,
    limit: i64,
) -> sqlx::Result<Vec<Order>> {
    select_orders!(
        "where id < coalesce($1, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid) order by id desc limit $2",
        before as _,
        limit,
    )
    .fetch_all(db)
    .await
}

/// The same of those with a status. Most are completed, so these are found among all; others have an index.
pub(crate) async fn list_with_status(
    db: &mut PgConnection,
    status: OrderStatus,
    before: Option<OrderId>,
    limit: i64,
) -> sqlx::Result<Vec<Order>> {
    if status == OrderStatus::Completed {
        return select_orders!(
            "where status = 'completed' and id < coalesce($1, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid)
             order by id desc limit $2",
            before as _,
            limit,
        )
        .fetch_all(db)
        .await;
    }
    select_orders!(
        "where status = $1 and status <> 'completed' and id < coalesce($2, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid)
         order by id desc limit $3",
        status.to_string(),
        before as _,
        limit,
    )
    .fetch_all(db)
    .await
}

/// Those placed within some time, latest first, behind a key.
pub(crate) async fn list_placed(
    db: &mut PgConnection,
    placed: &Times,
    status: Option<OrderStatus>,
    before: Option<TimeKey>,
    limit: i64,
) -> sqlx::Result<Vec<Order>> {
    select_orders!(
        "where placed_at >= coalesce($1, '-infinity'::timestamptz) and placed_at < coalesce($2, 'infinity'::timestamptz)
           and (placed_at, id) < (coalesce($3, 'infinity'::timestamptz), coalesce($4, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid))
           and ($5::text is null or status = $5)
         order by placed_at desc, id desc limit $6",
        placed.start,
        placed.end,
        before.map(|key| key.at),
        before.map(|key| key.id),
        status.map(|status| status.to_string()),
        limit,
    )
    .fetch_all(db)
    .await
}

/// Those of a customer, newest first, behind a key.
pub(crate) async fn list_of_customer(
    db: &mut PgConnection,
    customer_id: CustomerId,
    created: &Times,
    placed: &Times,
    status: Option<OrderStatus>,
    before: Option<TimeKey>,
    limit: i64,
) -> sqlx::Result<Vec<Order>> {
    select_orders!(
        "where customer_id = $1
           and created_at >= coalesce($2, '-infinity'::timestamptz) and created_at < coalesce($3, 'infinity'::timestamptz)
           and ($4::timestamptz is null or placed_at >= $4) and ($5::timestamptz is null or placed_at < $5)
           and ($6::text is null or status = $6)
           and (created_at, id) < (coalesce($7, 'infinity'::timestamptz), coalesce($8, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid))
         order by created_at desc, id desc limit $9",
        customer_id as _,
        created.start,
        created.end,
        placed.start,
        placed.end,
        status.map(|status| status.to_string()),
        before.map(|key| key.at),
        before.map(|key| key.id),
        limit,
    )
    .fetch_all(db)
    .await
}
