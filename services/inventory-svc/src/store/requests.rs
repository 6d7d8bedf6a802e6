use sqlx::PgConnection;
use uuid::Uuid;

/// Forgets requests that this transaction has claimed and then refused.
pub(crate) async fn forget(tx: &mut PgConnection, requests: &[Uuid]) -> sqlx::Result<()> {
    if requests.is_empty() {
        return Ok(());
    }
    sqlx::query!("delete from inventory.requests where request_id = any($1)", requests)
        .execute(tx)
        .await?;
    Ok(())
}
