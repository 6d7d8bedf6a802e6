use chrono::{DateTime, Utc};
use ids::{CustomerId, OrderId};
use money::Money;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    OrdersError,
    domain::{Order, OrderStatus},
};

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
    sqlx::query_as!(
        Order,
        r#"select id as "id: _", customer_id as "customer_id: _", status as "status: _",
                  total_amount as "total_amount: _", tax_amount as "tax_amount: _",
                  created_at, placed_at, paid, cancel_reason, version, metadata
           from orders.orders where id = $1"#,
        id as _,
    )
    .fetch_optional(db)
    .await
}

pub(crate) async fn get(db: &mut PgConnection, id: OrderId) -> Result<Order, OrdersError> {
    find(db, id).await?.ok_or(OrdersError::OrderNotFound(id))
}

/// Locks those that exist, by id. Their keys never change, so foreign keys that point to them need not wait.
pub(crate) async fn lock(tx: &mut PgConnection, ids: &[Uuid]) -> sqlx::Result<Vec<Order>> {
    sqlx::query_as!(
        Order,
        r#"select id as "id: _", customer_id as "customer_id: _", status as "status: _",
                  total_amount as "total_amount: _", tax_amount as "tax_amount: _",
                  created_at, placed_at, paid, cancel_reason, version, metadata
           from orders.orders where id = any($1) order by id for no key update"#,
        ids,
    )
    .fetch_all(tx)
    .await
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
    let placed: Vec<Option<DateTime<Utc>>> = orders.iter().map(|order| order.placed_at).collect();
    let paid: Vec<bool> = orders.iter().map(|order| order.paid).collect();
    let reasons: Vec<String> = orders.iter().map(|order| order.cancel_reason.clone()).collect();
    let versions: Vec<i32> = orders.iter().map(|order| order.version).collect();
    let updated = sqlx::query!(
        "update orders.orders o
         set status = new.status, total_amount = new.total, tax_amount = new.tax,
             placed_at = new.placed_at, paid = new.paid, cancel_reason = new.cancel_reason, version = new.version
         from unnest($1::uuid[], $2::text[], $3::numeric[], $4::numeric[], $5::timestamptz[], $6::bool[], $7::text[], $8::int[])
           as new (id, status, total, tax, placed_at, paid, cancel_reason, version)
         where o.id = new.id",
        &ids,
        &statuses,
        &totals as &[Money],
        &taxes as &[Money],
        &placed as &[Option<DateTime<Utc>>],
        &paid,
        &reasons,
        &versions,
    )
    .execute(tx)
    .await?
    .rows_affected();
    if updated == orders.len() as u64 { Ok(()) } else { Err(sqlx::Error::RowNotFound) }
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

/// Forgets requests that were refused after all.
pub(crate) async fn forget_requests(tx: &mut PgConnection, ids: &[Uuid]) -> sqlx::Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query!("delete from orders.requests where request_id = any($1)", ids).execute(tx).await?;
    Ok(())
}

/// Newest first, behind a key.
pub(crate) async fn list(
    db: &mut PgConnection,
    status: Option<OrderStatus>,
    before: Option<OrderId>,
    limit: i64,
) -> sqlx::Result<Vec<Order>> {
    let status = status.map(|status| status.to_string());
    sqlx::query_as!(
        Order,
        r#"select id as "id: _", customer_id as "customer_id: _", status as "status: _",
                  total_amount as "total_amount: _", tax_amount as "tax_amount: _",
                  created_at, placed_at, paid, cancel_reason, version, metadata
           from orders.orders
           where ($1::text is null or status = $1) and ($2::uuid is null or id < $2)
           order by id desc limit $3"#,
        status,
        before as _,
        limit,
    )
    .fetch_all(db)
    .await
}

/// The same of one customer: a statement of its own, whose plan starts at the customer.
pub(crate) async fn list_of_customer(
    db: &mut PgConnection,
    customer_id: CustomerId,
    status: Option<OrderStatus>,
    before: Option<OrderId>,
    limit: i64,
) -> sqlx::Result<Vec<Order>> {
    let status = status.map(|status| status.to_string());
    sqlx::query_as!(
        Order,
        r#"select id as "id: _", customer_id as "customer_id: _", status as "status: _",
                  total_amount as "total_amount: _", tax_amount as "tax_amount: _",
                  created_at, placed_at, paid, cancel_reason, version, metadata
           from orders.orders
           where customer_id = $1 and ($2::text is null or status = $2) and ($3::uuid is null or id < $3)
           order by id desc limit $4"#,
        customer_id as _,
        status,
        before as _,
        limit,
    )
    .fetch_all(db)
    .await
}
