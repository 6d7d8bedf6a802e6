use chrono::{DateTime, Utc};
use ids::{OrderId, ShipmentId};
use sqlx::PgConnection;
use uuid::Uuid;

use super::items;
use crate::domain::{Shipment, ShipmentLine};

pub(crate) async fn insert(
    tx: &mut PgConnection,
    order_id: OrderId,
    id: ShipmentId,
    lines: Vec<ShipmentLine>,
) -> sqlx::Result<Shipment> {
    let shipped_at = sqlx::query_scalar!(
        "insert into orders.shipments (id, order_id) values ($1, $2) returning shipped_at",
        id as _,
        order_id as _,
    )
    .fetch_one(&mut *tx)
    .await?;
    let items: Vec<Uuid> = lines.iter().map(|line| line.item_id.0).collect();
    let skus: Vec<String> = lines.iter().map(|line| line.sku.clone()).collect();
    let quantities: Vec<i32> = lines.iter().map(|line| line.qty).collect();
    sqlx::query!(
        "insert into orders.shipment_items (shipment_id, order_item_id, sku, qty)
         select $1, * from unnest($2::uuid[], $3::text[], $4::int[])",
        id as _,
        &items,
        &skus,
        &quantities,
    )
    .execute(tx)
    .await?;
    Ok(Shipment { id, shipped_at, lines })
}

/// Oldest first.
pub(crate) async fn of_order(
    db: &mut PgConnection,
    order_id: OrderId,
) -> sqlx::Result<Vec<Shipment>> {
    struct Header {
        id: ShipmentId,
        shipped_at: DateTime<Utc>,
    }
    let headers = sqlx::query_as!(
        Header,
        r#"select id as "id: _", shipped_at from orders.shipments where order_id = $1 order by shipped_at, id"#,
        order_id as _,
    )
    .fetch_all(&mut *db)
    .await?;
    if headers.is_empty() {
        return Ok(Vec::new());
    }
    let lines = items::shipped_lines(db, order_id).await?;
    let of = |id: ShipmentId| {
        lines
            .iter()
            .filter(move |line| line.shipment_id == id.0)
            .map(|line| ShipmentLine {
                item_id: line.item_id,
                sku: line.sku.clone(),
                qty: line.qty,
            })
            .collect()
    };
    Ok(headers
        .into_iter()
        .map(|Header { id, shipped_at }| Shipment { id, shipped_at, lines: of(id) })
        .collect())
}
