use ids::{CustomerId, RefundId};
use sqlx::PgConnection;

use crate::{BillingError, domain::Refund};

/// All columns of the refunds that the rest of the statement chooses.
macro_rules! refunds {
    ($rest:literal $($args:tt)*) => {
        sqlx::query_as!(
            Refund,
            r#"select id as "id: _", customer_id as "customer_id: _", external_reference, amount as "amount: _", refunded_at
               from billing.refunds "# + $rest
            $($args)*
        )
    };
}

/// Nobody else refunds the customer meanwhile: the account is locked.
pub(crate) async fn insert(tx: &mut PgConnection, refund: &Refund) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into billing.refunds (id, customer_id, external_reference, amount, refunded_at) values ($1, $2, $3, $4, $5)",
        refund.id as _,
        refund.customer_id as _,
        refund.external_reference,
        refund.amount as _,
        refund.refunded_at,
    )
    .execute(tx)
    .await?;
    Ok(())
}

pub(crate) async fn get(db: &mut PgConnection, id: RefundId) -> Result<Refund, BillingError> {
    let found = refunds!("where id = $1", id as _).fetch_optional(db).await?;
    found.ok_or(BillingError::RefundNotFound(id))
}

/// A reference is the customer's own: two customers may have the same.
pub(crate) async fn find_by_reference(
    db: &mut PgConnection,
    customer_id: CustomerId,
    reference: &str,
) -> sqlx::Result<Option<Refund>> {
    refunds!("where customer_id = $1 and external_reference = $2", customer_id as _, reference)
        .fetch_optional(db)
        .await
}

/// Newest first, behind a key.
pub(crate) async fn list(
    db: &mut PgConnection,
    before: Option<RefundId>,
    limit: i64,
) -> sqlx::Result<Vec<Refund>> {
    refunds!("where ($1::uuid is null or id < $1) order by id desc limit $2", before as _, limit)
        .fetch_all(db)
        .await
}

pub(crate) async fn list_of_customer(
    db: &mut PgConnection,
    customer_id: CustomerId,
    before: Option<RefundId>,
    limit: i64,
) -> sqlx::Result<Vec<Refund>> {
    refunds!(
        "where customer_id = $1 and ($2::uuid is null or id < $2) order by id desc limit $3",
        customer_id as _,
        before as _,
        limit,
    )
    .fetch_all(db)
    .await
}
