use ids::OrderId;
use money::Money;
use pg::FilteredRead;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::domain::{Movement, NewMovement, Reason};

/// Writes movements down. The same SKU of the same document twice is refused by `stock_movements_ref_id_sku_reason_key`.
pub(crate) async fn insert(tx: &mut PgConnection, movements: &[NewMovement]) -> sqlx::Result<()> {
    if movements.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = movements.iter().map(|_| Uuid::now_v7()).collect();
    let skus: Vec<String> = movements.iter().map(|one| one.sku.clone()).collect();
    let sequences: Vec<i64> = movements.iter().map(|one| one.sequence).collect();
    let quantities: Vec<i32> = movements.iter().map(|one| one.qty).collect();
    let costs: Vec<Money> = movements.iter().map(|one| one.cost).collect();
    let reasons: Vec<Reason> = movements.iter().map(|one| one.document.reason).collect();
    let documents: Vec<Uuid> = movements.iter().map(|one| one.document.id).collect();
    let orders: Vec<Option<OrderId>> = movements.iter().map(|one| one.document.order_id).collect();
    sqlx::query!(
        "insert into inventory.stock_movements (id, sku, sequence, qty, cost, reason, ref_id, order_id)
         select * from unnest($1::uuid[], $2::text[], $3::bigint[], $4::int[], $5::numeric[], $6::varchar[], $7::uuid[], $8::uuid[])",
        &ids,
        &skus,
        &sequences,
        &quantities,
        &costs as &[Money],
        &reasons as &[Reason],
        &documents,
        &orders as &[Option<OrderId>],
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// What documents have moved, by document, SKU and reason.
pub(crate) async fn of_documents(
    db: &mut PgConnection,
    documents: &[Uuid],
) -> sqlx::Result<Vec<Movement>> {
    sqlx::query_as!(
        Movement,
        r#"select id, sku, sequence, qty, cost as "cost: _", reason as "reason: _", ref_id, order_id as "order_id: _", recorded_at
           from inventory.stock_movements where ref_id = any($1) order by ref_id, sku, reason"#,
        documents,
    )
    .fetch_all(db)
    .await
}

/// Of a SKU, the newest first, below a sequence number.
pub(crate) async fn list_of_sku(
    db: &mut FilteredRead,
    sku: &str,
    document: Option<Uuid>,
    below: Option<i64>,
    limit: i64,
) -> sqlx::Result<Vec<Movement>> {
    sqlx::query_as!(
        Movement,
        r#"select id, sku, sequence, qty, cost as "cost: _", reason as "reason: _", ref_id, order_id as "order_id: _", recorded_at
           from inventory.stock_movements
           where sku = $1 and ($2::uuid is null or ref_id = $2) and ($3::bigint is null or sequence < $3)
           order by sequence desc limit $4"#,
        sku,
        document,
        below,
        limit,
    )
    .fetch_all(&mut **db)
    .await
}

/// Of a document, by SKU and reason, behind a pair of both.
pub(crate) async fn list_of_document(
    db: &mut PgConnection,
    document: Uuid,
    after: Option<&(String, String)>,
    limit: i64,
) -> sqlx::Result<Vec<Movement>> {
    let (after_sku, after_reason) = after.map_or(("", ""), |(sku, reason)| (sku, reason));
    sqlx::query_as!(
        Movement,
        r#"select id, sku, sequence, qty, cost as "cost: _", reason as "reason: _", ref_id, order_id as "order_id: _", recorded_at
           from inventory.stock_movements
           where ref_id = $1 and (sku, reason) > ($2, $3)
           order by sku, reason limit $4"#,
        document,
        after_sku,
        after_reason,
        limit,
    )
    .fetch_all(db)
    .await
}
