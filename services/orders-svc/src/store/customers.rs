use std::collections::HashSet;

use ids::CustomerId;
use sqlx::PgConnection;
use uuid::Uuid;

use super::NameKey;
use crate::{OrdersError, commands::NewCustomer, domain::Customer};

/// Customers as the domain has them, by the rest of a statement.
macro_rules! select_customers {
    ($rest:tt $(, $parameter:expr)* $(,)?) => {
        sqlx::query_as!(
            Customer,
            r#"select c.id as "id: _", c.name, c.email, c.phone, c.created_at, c.metadata, c.archived_at, c.version "# + $rest
            $(, $parameter)*
        )
    };
}

/// Adds those whose e-mail address is free; others are left as they are, and locked, so that they have it until they are read. One statement
/// however many.
pub(crate) async fn insert(
    tx: &mut PgConnection,
    new: &[NewCustomer],
) -> sqlx::Result<Vec<CustomerId>> {
    let ids: Vec<Uuid> = new.iter().map(|customer| customer.id.0).collect();
    let names: Vec<String> = new.iter().map(|customer| customer.name.clone()).collect();
    let emails: Vec<String> = new.iter().map(|customer| customer.email.clone()).collect();
    let phones: Vec<String> = new.iter().map(|customer| customer.phone.clone()).collect();
    let metadata: Vec<Option<serde_json::Value>> =
        new.iter().map(|customer| customer.metadata.clone()).collect();
    // By address, so that two batches never wait for each other.
    sqlx::query_scalar!(
        r#"insert into orders.customers as c (id, name, email, phone, metadata)
           select distinct on (lower(email)) id, name, email, phone, metadata
           from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::jsonb[])
             with ordinality as new (id, name, email, phone, metadata, place)
           order by lower(email), place
           on conflict (lower(email)) do update set email = c.email where false
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

/// Writes a customer whose row is locked.
pub(crate) async fn update(tx: &mut PgConnection, customer: &Customer) -> sqlx::Result<()> {
    let updated = sqlx::query!(
        "update orders.customers
         set name = $2, email = $3, phone = $4, metadata = $5, archived_at = $6, version = $7
         where id = $1 and version = $7 - 1",
        customer.id as _,
        customer.name,
        customer.email,
        customer.phone,
        customer.metadata,
        customer.archived_at,
        customer.version,
    )
    .execute(tx)
    .await?
    .rows_affected();
    if updated == 1 { Ok(()) } else { Err(sqlx::Error::RowNotFound) }
}

/// Whether a statement failed because another customer has the e-mail address.
pub(crate) fn is_email_taken(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| error.constraint() == Some("idx_customers_email"))
}

/// Those who have these addresses, in their order. Only Postgres folds case, since it decides what is unique.
pub(crate) async fn find_by_emails(
    db: &mut PgConnection,
    emails: &[String],
) -> sqlx::Result<Vec<Customer>> {
    select_customers!(
        "from unnest($1::text[]) with ordinality as given (email, place)
         join orders.customers c on lower(c.email) = lower(given.email)
         order by given.place",
        emails,
    )
    .fetch_all(db)
    .await
}

/// Those of the ids that exist, each once, in their order.
pub(crate) async fn find_all(db: &mut PgConnection, ids: &[Uuid]) -> sqlx::Result<Vec<Customer>> {
    select_customers!(
        "from orders.customers c where c.id = any($1) order by array_position($1, c.id)",
        ids,
    )
    .fetch_all(db)
    .await
}

pub(crate) async fn get(db: &mut PgConnection, id: CustomerId) -> Result<Customer, OrdersError> {
    find_all(db, &[id.0]).await?.pop().ok_or(OrdersError::CustomerNotFound(id))
}

/// Its key never changes, so foreign keys that point to it need not wait.
pub(crate) async fn lock(tx: &mut PgConnection, id: CustomerId) -> Result<Customer, OrdersError> {
    let locked =
        select_customers!("from orders.customers c where c.id = $1 for no key update", id as _,);
    locked.fetch_optional(tx).await?.ok_or(OrdersError::CustomerNotFound(id))
}

/// Which of these exist, and whether they are archived.
pub(crate) async fn standing(
    db: &mut PgConnection,
    ids: &[Uuid],
) -> sqlx::Result<Vec<(CustomerId, bool)>> {
    let found = sqlx::query!(
        r#"select id as "id: CustomerId", archived_at is not null as "archived!"
           from orders.customers where id = any($1)"#,
        ids
    )
    .fetch_all(db)
    .await?;
    Ok(found.into_iter().map(|row| (row.id, row.archived)).collect())
}

/// Which of these are archived.
pub(crate) async fn archived(
    db: &mut PgConnection,
    ids: &[Uuid],
) -> sqlx::Result<HashSet<CustomerId>> {
    let standing = standing(db, ids).await?;
    Ok(standing.into_iter().filter(|(_, archived)| *archived).map(|(id, _)| id).collect())
}

/// Oldest first, behind a key.
pub(crate) async fn list(
    db: &mut PgConnection,
    show_archived: bool,
    after: Option<CustomerId>,
    limit: i64,
) -> sqlx::Result<Vec<Customer>> {
    select_customers!(
        "from orders.customers c
         where ($1 or c.archived_at is null) and c.id > coalesce($2, '00000000-0000-0000-0000-000000000000'::uuid)
         order by c.id limit $3",
        show_archived,
        after as _,
        limit,
    )
    .fetch_all(db)
    .await
}

/// Those whose names begin so, whatever the case, in the order of their names by code point, behind a key.
pub(crate) async fn list_by_name(
    db: &mut PgConnection,
    prefix: &str,
    show_archived: bool,
    after: Option<&NameKey>,
    limit: i64,
) -> sqlx::Result<Vec<Customer>> {
    // No name goes on with the last code point, which is no character.
    select_customers!(
        r#"from orders.customers c
           where lower(c.name) collate "C" >= lower($1) and lower(c.name) collate "C" < lower($1) || U&'\+10FFFF'
             and (lower(c.name) collate "C", c.id) > (lower(coalesce($2, '')), coalesce($3, '00000000-0000-0000-0000-000000000000'::uuid))
             and ($4 or c.archived_at is null)
           order by lower(c.name) collate "C", c.id limit $5"#,
        prefix,
        after.map(|key| key.name.as_str()),
        after.map(|key| key.id),
        show_archived,
        limit,
    )
    .fetch_all(db)
    .await
}
