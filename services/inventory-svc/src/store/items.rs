use sqlx::PgConnection;

use super::all_written;
use crate::domain::{Item, Level};

/// Locks the items of those SKUs that exist, by SKU.
pub(crate) async fn lock(tx: &mut PgConnection, skus: &[String]) -> sqlx::Result<Vec<Level>> {
    sqlx::query_as!(
        Level,
        r#"select sku, p.name, p.price as "price: _", i.qty_on_hand, i.reserved_qty, i.reorder_point
           from inventory.inventory_items i join inventory.products p using (sku)
           where sku = any($1) order by sku for update of i"#,
        skus,
    )
    .fetch_all(tx)
    .await
}

/// Writes the levels of items whose rows are locked.
pub(crate) async fn update(tx: &mut PgConnection, levels: &[&Level]) -> sqlx::Result<()> {
    if levels.is_empty() {
        return Ok(());
    }
    let skus: Vec<String> = levels.iter().map(|level| level.sku.clone()).collect();
    let on_hand: Vec<i32> = levels.iter().map(|level| level.qty_on_hand).collect();
    let reserved: Vec<i32> = levels.iter().map(|level| level.reserved_qty).collect();
    let reorder: Vec<i32> = levels.iter().map(|level| level.reorder_point).collect();
    let updated = sqlx::query!(
        "update inventory.inventory_items i
         set qty_on_hand = new.on_hand, reserved_qty = new.reserved, reorder_point = new.reorder_point,
             updated_at = now()
         from unnest($1::text[], $2::int[], $3::int[], $4::int[]) as new (sku, on_hand, reserved, reorder_point)
         where i.sku = new.sku",
        &skus,
        &on_hand,
        &reserved,
        &reorder,
    )
    .execute(tx)
    .await?
    .rows_affected();
    all_written(updated, levels.len())
}

pub(crate) async fn find(db: &mut PgConnection, sku: &str) -> sqlx::Result<Option<Item>> {
    sqlx::query_as!(
        Item,
        "select sku, name, qty_on_hand, reserved_qty, reorder_point, updated_at
         from inventory.inventory_items join inventory.products using (sku) where sku = $1",
        sku,
    )
    .fetch_optional(db)
    .await
}

/// By SKU, behind a key; only what is at or below its reorder point, if so asked.
pub(crate) async fn list(
    db: &mut PgConnection,
    low: bool,
    after: Option<&str>,
    limit: i64,
) -> sqlx::Result<Vec<Item>> {
    sqlx::query_as!(
        Item,
        "select sku, name, qty_on_hand, reserved_qty, reorder_point, updated_at
         from inventory.inventory_items join inventory.products using (sku)
         where ($1::text is null or sku > $1)
           and (not $2 or qty_on_hand - reserved_qty <= reorder_point)
         order by sku limit $3",
        after,
        low,
        limit,
    )
    .fetch_all(db)
    .await
}
