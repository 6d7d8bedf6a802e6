use ids::CustomerId;
use sqlx::PgConnection;

use crate::{OrdersError, commands::NewCustomer, domain::Customer};

/// Adds those whose e-mail address is free; others are left as they are. One statement however many.
pub(crate) async fn insert(
    tx: &mut PgConnection,
    new: &[NewCustomer],
) -> sqlx::Result<Vec<CustomerId>> {
    let ids: Vec<uuid::Uuid> = new.iter().map(|customer| customer.id.0).collect();
    let names: Vec<String> = new.iter().map(|customer| customer.name.clone()).collect();
    let emails: Vec<String> = new.iter().map(|customer| customer.email.clone()).collect();
    let phones: Vec<String> = new.iter().map(|customer| customer.phone.clone()).collect();
    let metadata: Vec<Option<serde_json::Value>> =
        new.iter().map(|customer| customer.metadata.clone()).collect();
    // By address, so that two batches never wait for each other.
    sqlx::query_scalar!(
        r#"insert into orders.customers (id, name, email, phone, metadata)
           select * from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::jsonb[])
             as new (id, name, email, phone, metadata)
           order by lower(email)
           on conflict (lower(email)) do nothing
           returning id as "id: CustomerId""#,
        &ids,
        &names,
        &emails,
        &phones,
        &metadata as &[Option<serde_json::Value>],
    )
    .fetch_all(tx)
    .await
}

/// Those who have these addresses, in their order. Only Postgres folds case, since it decides what is unique.
pub(crate) async fn find_by_emails(
    db: &mut PgConnection,
    emails: &[String],
) -> sqlx::Result<Vec<Customer>> {
    sqlx::query_as!(
        Customer,
        r#"select c.id as "id: _", c.name, c.email, c.phone, c.created_at, c.metadata, c.version
           from unnest($1::text[]) with ordinality as given (email, place)
           join orders.customers c on lower(c.email) = lower(given.email)
           order by given.place"#,
        emails,
    )
    .fetch_all(db)
    .await
}

pub(crate) async fn find(db: &mut PgConnection, id: CustomerId) -> sqlx::Result<Option<Customer>> {
    sqlx::query_as!(
        Customer,
        r#"select id as "id: _", name, email, phone, created_at, metadata, version
           from orders.customers where id = $1"#,
        id as _,
    )
    .fetch_optional(db)
    .await
}

/// The customer that an earlier request was answered with.
pub(crate) async fn get(db: &mut PgConnection, id: &str) -> Result<Customer, OrdersError> {
    let id: CustomerId = id.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
    find(db, id).await?.ok_or(OrdersError::CustomerNotFound(id))
}

/// Which of these exist.
pub(crate) async fn existing(
    db: &mut PgConnection,
    ids: &[uuid::Uuid],
) -> sqlx::Result<Vec<CustomerId>> {
    sqlx::query_scalar!(
        r#"select id as "id: CustomerId" from orders.customers where id = any($1)"#,
        ids
    )
    .fetch_all(db)
    .await
}

/// Oldest first, behind a key.
pub(crate) async fn list(
    db: &mut PgConnection,
    after: Option<CustomerId>,
    limit: i64,
) -> sqlx::Result<Vec<Customer>> {
    sqlx::query_as!(
        Customer,
        r#"select id as "id: _", name, email, phone, created_at, metadata, version
           from orders.customers
           where $1::uuid is null or id > $1
           order by id limit $2"#,
        after as _,
        limit,
    )
    .fetch_all(db)
    .await
}
