use std::collections::HashMap;

use ids::CustomerId;
use sqlx::PgConnection;
use uuid::Uuid;

/// A customer as far as billing knows.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Account {
    /// None for the deployment's.
    pub(crate) terms_days: Option<i32>,
    /// Of the terms' events; 0 before the first.
    pub(crate) version: i32,
}

/// Locks a customer's account until the transaction ends, before anything else of the customer is locked.
pub(crate) async fn lock(tx: &mut PgConnection, id: CustomerId) -> sqlx::Result<Account> {
    sqlx::query!(
        "insert into billing.customer_accounts (customer_id) values ($1) on conflict (customer_id) do nothing",
        id as _,
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query_as!(
        Account,
        "select terms_days, version from billing.customer_accounts where customer_id = $1 for update",
        id as _,
    )
    .fetch_one(tx)
    .await
}

pub(crate) async fn get(db: &mut PgConnection, id: CustomerId) -> sqlx::Result<Account> {
    let found = sqlx::query_as!(
        Account,
        "select terms_days, version from billing.customer_accounts where customer_id = $1",
        id as _,
    )
    .fetch_optional(db)
    .await?;
    Ok(found.unwrap_or_default())
}

/// Writes an account that is locked.
pub(crate) async fn update(
    tx: &mut PgConnection,
    id: CustomerId,
    account: Account,
) -> sqlx::Result<()> {
    sqlx::query!(
        "update billing.customer_accounts set terms_days = $2, version = $3 where customer_id = $1",
        id as _,
        account.terms_days,
        account.version,
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Locks the accounts of customers by their ids, as [`lock`] does, and gives the terms of those who have their own. Two statements however many.
pub(crate) async fn lock_all(
    tx: &mut PgConnection,
    customers: &[Uuid],
) -> sqlx::Result<HashMap<Uuid, u16>> {
    sqlx::query!(
        "insert into billing.customer_accounts (customer_id)
         select distinct id from unnest($1::uuid[]) as wanted (id) order by id
         on conflict (customer_id) do nothing",
        customers,
    )
    .execute(&mut *tx)
    .await?;
    let rows = sqlx::query!(
        "select customer_id, terms_days from billing.customer_accounts where customer_id = any($1)
         order by customer_id for update",
        customers,
    )
    .fetch_all(tx)
    .await?;
    let days =
        rows.into_iter().map(|row| Some((row.customer_id, row.terms_days?.try_into().ok()?)));
    Ok(days.flatten().collect())
}

impl Account {
    pub(crate) fn etag(self) -> String {
        self.version.to_string()
    }
}
