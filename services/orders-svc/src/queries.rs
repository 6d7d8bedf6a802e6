use ids::OrderId;
use sqlx::PgPool;

use crate::{
    OrdersError,
    domain::{Item, Order, Shipment},
    store,
};

/// An order with its lines and shipments, all of one moment.
pub(crate) async fn whole_order(
    pool: &PgPool,
    id: OrderId,
) -> Result<(Order, Vec<Item>, Vec<Shipment>), OrdersError> {
    let snapshot = "begin isolation level repeatable read, read only";
    let mut tx = pool.begin_with(snapshot).await?;
    let order = store::orders::get(&mut tx, id).await?;
    let items = store::items::of_order(&mut tx, id).await?;
    let shipments = store::shipments::of_order(&mut tx, id).await?;
    tx.commit().await?;
    Ok((order, items, shipments))
}
