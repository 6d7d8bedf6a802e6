use ids::ShipmentId;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::domain::Movement;

/// Why stock moved; a check on the column knows the same names.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Reason {
    Receipt,
    Shipment,
}

/// Writes movements down. The same SKU of the same document twice is refused by `stock_movements_ref_id_sku_key`.
pub(crate) async fn insert(
    tx: &mut PgConnection,
    reason: Reason,
    movements: &[Movement],
) -> sqlx::Result<()> {
    if movements.is_empty() {
        return Ok(());
    }
    let reason = match reason {
        Reason::Receipt => "receipt",
        Reason::Shipment => "shipment",
    };
    let ids: Vec<Uuid> = movements.iter().map(|_| Uuid::now_v7()).collect();
    let skus: Vec<String> = movements.iter().map(|movement| movement.sku.clone()).collect();
    let quantities: Vec<i32> = movements.iter().map(|movement| movement.qty).collect();
    let refs: Vec<Uuid> = movements.iter().map(|movement| movement.ref_id).collect();
    sqlx::query!(
        "insert into inventory.stock_movements (id, sku, qty, reason, ref_id)
         select id, sku, qty, $1, ref_id
         from unnest($2::uuid[], $3::text[], $4::int[], $5::uuid[]) as new (id, sku, qty, ref_id)",
        reason,
        &ids,
        &skus,
        &quantities,
        &refs,
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Which of these shipments have left already.
pub(crate) async fn known_shipments(
    tx: &mut PgConnection,
    shipments: &[Uuid],
) -> sqlx::Result<Vec<ShipmentId>> {
    sqlx::query_scalar!(
        r#"select distinct ref_id as "ref_id: ShipmentId" from inventory.stock_movements where ref_id = any($1)"#,
        shipments,
    )
    .fetch_all(tx)
    .await
}
