use ids::OrderId;
use sqlx::PgConnection;
use uuid::Uuid;

/// Whether a request was answered with an order, and that was not taken back.
pub(crate) async fn made(
    db: &mut PgConnection,
    id: Option<Uuid>,
    order_id: OrderId,
) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"select exists (select from orders.requests where request_id = $1 and resource_id = $2) as "made!""#,
        id,
        order_id.to_string(),
    )
    .fetch_one(db)
    .await
}

/// Forgets requests that were refused after all.
pub(crate) async fn forget(tx: &mut PgConnection, ids: &[Uuid]) -> sqlx::Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query!("delete from orders.requests where request_id = any($1)", ids).execute(tx).await?;
    Ok(())
}
