use chrono::{DateTime, Utc};
use ids::{OrderId, OrderItemId, ShipmentId};
use sqlx::PgConnection;
use uuid::Uuid;

use super::TimeKey;
use crate::domain::{Portion, Shipment};

pub(crate) async fn insert(
    tx: &mut PgConnection,
    order_id: OrderId,
    id: ShipmentId,
    lines: Vec<Portion>,
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

/// The shipment that an earlier request was answered with.
pub(crate) async fn get(
    db: &mut PgConnection,
    order_id: OrderId,
    id: &str,
) -> sqlx::Result<Shipment> {
    let id: Uuid = id.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
    let header = sqlx::query_as!(
        Header,
        r#"select id as "id: _", shipped_at from orders.shipments where id = $1 and order_id = $2"#,
        id,
        order_id as _,
    )
    .fetch_one(&mut *db)
    .await?;
    with_lines(db, order_id, vec![header]).await?.pop().ok_or(sqlx::Error::RowNotFound)
}

/// Oldest first, behind a key.
pub(crate) async fn of_order(
    db: &mut PgConnection,
    order_id: OrderId,
    after: Option<TimeKey>,
    limit: i64,
) -> sqlx::Result<Vec<Shipment>> {
    let headers = sqlx::query_as!(
        Header,
        r#"select id as "id: _", shipped_at from orders.shipments
           where order_id = $1 and ($2::timestamptz is null or (shipped_at, id) > ($2, $3::uuid))
           order by shipped_at, id limit $4"#,
        order_id as _,
        after.map(|key| key.at),
        after.map(|key| key.id),
        limit,
    )
    .fetch_all(&mut *db)
    .await?;
    if headers.is_empty() { Ok(Vec::new()) } else { with_lines(db, order_id, headers).await }
}

#[derive(Debug)]
struct Header {
    id: ShipmentId,
    shipped_at: DateTime<Utc>,
}

/// One statement however many. Lines are looked up by the order's, which their key begins with.
async fn with_lines(
    db: &mut PgConnection,
    order_id: OrderId,
    headers: Vec<Header>,
) -> sqlx::Result<Vec<Shipment>> {
    let ids: Vec<Uuid> = headers.iter().map(|header| header.id.0).collect();
    let lines = sqlx::query!(
        r#"select l.shipment_id as "shipment_id: ShipmentId", l.order_item_id as "item_id: OrderItemId", l.sku, l.qty
           from orders.order_items i join orders.shipment_items l on l.order_item_id = i.id
           where i.order_id = $1 and l.shipment_id = any($2) order by i.line_no"#,
        order_id as _,
        &ids,
    )
    .fetch_all(db)
    .await?;
    let mut shipments: Vec<Shipment> = headers
        .into_iter()
        .map(|Header { id, shipped_at }| Shipment { id, shipped_at, lines: Vec::new() })
        .collect();
    for line in lines {
        let portion = Portion { item_id: line.item_id, sku: line.sku, qty: line.qty };
        let shipment = shipments.iter_mut().find(|shipment| shipment.id == line.shipment_id);
        shipment.ok_or(sqlx::Error::RowNotFound)?.lines.push(portion);
    }
    Ok(shipments)
}
