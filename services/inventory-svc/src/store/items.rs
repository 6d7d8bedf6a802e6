use money::Money;
use sqlx::PgConnection;

use super::{all_written, movements};
use crate::domain::{Item, Level, Shelf};

/// Locks the items of those SKUs that exist, by SKU.
pub(crate) async fn lock(tx: &mut PgConnection, skus: &[String]) -> sqlx::Result<Vec<Level>> {
    sqlx::query_as!(
        Level,
        r#"select sku, p.name, p.price as "price: _", i.archived, i.qty_on_hand, i.reserved_qty, i.reorder_point,
                  i.value as "value: _", i.movement_count, i.reorder_told, i.version, now() as "seen_at!"
           from inventory.inventory_items i join inventory.products p using (sku)
           where sku = any($1) order by sku for update of i"#,
        skus,
    )
    .fetch_all(tx)
    .await
}

/// Writes items whose rows are locked.
pub(crate) async fn update(tx: &mut PgConnection, levels: &[&Level]) -> sqlx::Result<()> {
    if levels.is_empty() {
        return Ok(());
    }
    let skus: Vec<String> = levels.iter().map(|level| level.sku.clone()).collect();
    let archived: Vec<bool> = levels.iter().map(|level| level.archived).collect();
    let on_hand: Vec<i32> = levels.iter().map(|level| level.qty_on_hand).collect();
    let reserved: Vec<i32> = levels.iter().map(|level| level.reserved_qty).collect();
    let reorder: Vec<i32> = levels.iter().map(|level| level.reorder_point).collect();
    let values: Vec<Money> = levels.iter().map(|level| level.value).collect();
    let movements: Vec<i64> = levels.iter().map(|level| level.movement_count).collect();
    let told: Vec<bool> = levels.iter().map(|level| level.reorder_told).collect();
    let versions: Vec<i32> = levels.iter().map(|level| level.version).collect();
    let updated = sqlx::query!(
        "update inventory.inventory_items i
         set archived = new.archived, qty_on_hand = new.on_hand, reserved_qty = new.reserved,
             reorder_point = new.reorder_point, value = new.worth, movement_count = new.movements,
             reorder_told = new.told, version = new.version, updated_at = now()
         from unnest($1::text[], $2::bool[], $3::int[], $4::int[], $5::int[], $6::numeric[], $7::bigint[], $8::bool[], $9::int[])
           as new (sku, archived, on_hand, reserved, reorder_point, worth, movements, told, version)
         where i.sku = new.sku",
        &skus,
        &archived,
        &on_hand,
        &reserved,
        &reorder,
        &values as &[Money],
        &movements,
        &told,
        &versions,
    )
    .execute(tx)
    .await?
    .rows_affected();
    all_written(updated, levels.len())
}

/// Writes what has changed of a shelf, and its movements.
pub(crate) async fn save(tx: &mut PgConnection, shelf: &Shelf) -> sqlx::Result<()> {
    update(tx, &shelf.changed_levels()).await?;
    movements::insert(tx, shelf.movements()).await
}

/// Those that exist, by SKU.
pub(crate) async fn find_all(db: &mut PgConnection, skus: &[String]) -> sqlx::Result<Vec<Item>> {
    sqlx::query_as!(
        Item,
        r#"select sku, name, archived, qty_on_hand, reserved_qty, reorder_point, value as "value: _", movement_count,
                  i.version, i.updated_at
           from inventory.inventory_items i join inventory.products using (sku)
           where sku = any($1) order by sku"#,
        skus,
    )
    .fetch_all(db)
    .await
}

/// By SKU, behind a key. Of archived products only what is on hand, unless asked.
pub(crate) async fn list(
    db: &mut PgConnection,
    show_archived: bool,
    after: Option<&str>,
    limit: i64,
) -> sqlx::Result<Vec<Item>> {
    sqlx::query_as!(
        Item,
        r#"select sku, name, archived, qty_on_hand, reserved_qty, reorder_point, value as "value: _", movement_count,
                  i.version, i.updated_at
           from inventory.inventory_items i join inventory.products using (sku)
           where ($1::text is null or sku > $1) and (not archived or qty_on_hand > 0 or $2)
           order by sku limit $3"#,
        after,
        show_archived,
        limit,
    )
    .fetch_all(db)
    .await
}

/// The same of what is at or below its reorder point, which has an index of its own.
pub(crate) async fn list_low(
    db: &mut PgConnection,
    show_archived: bool,
    after: Option<&str>,
    limit: i64,
) -> sqlx::Result<Vec<Item>> {
    sqlx::query_as!(
        Item,
        r#"select sku, name, archived, qty_on_hand, reserved_qty, reorder_point, value as "value: _", movement_count,
                  i.version, i.updated_at
           from inventory.inventory_items i join inventory.products using (sku)
           where low and ($1::text is null or sku > $1) and (not archived or qty_on_hand > 0 or $2)
           order by sku limit $3"#,
        after,
        show_archived,
        limit,
    )
    .fetch_all(db)
    .await
}
