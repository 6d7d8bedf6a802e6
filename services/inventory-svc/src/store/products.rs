use money::Money;
use sqlx::PgConnection;

use crate::domain::{NewProduct, Product};

/// Characters that the column holds.
const NAME_MAX: usize = 255;

/// Adds those whose SKU is free, each with an item of nothing, and gives their SKUs.
pub(crate) async fn insert(tx: &mut PgConnection, new: &[NewProduct]) -> sqlx::Result<Vec<String>> {
    let skus: Vec<String> = new.iter().map(|product| product.sku.clone()).collect();
    let names: Vec<String> = new.iter().map(|product| product.name.clone()).collect();
    let descriptions: Vec<String> = new.iter().map(|product| product.description.clone()).collect();
    let prices: Vec<Money> = new.iter().map(|product| product.price).collect();
    sqlx::query_scalar!(
        r#"with product as (
             insert into inventory.products (sku, name, description, price)
             select * from unnest($1::text[], $2::text[], $3::text[], $4::numeric[]) as new (sku, name, description, price)
             order by sku
             on conflict (sku) do nothing
             returning sku
           )
           insert into inventory.inventory_items (sku) select sku from product
           returning sku"#,
        &skus,
        &names,
        &descriptions,
        &prices as &[Money],
    )
    .fetch_all(tx)
    .await
}

/// Those that exist, by SKU.
pub(crate) async fn find_all(db: &mut PgConnection, skus: &[String]) -> sqlx::Result<Vec<Product>> {
    sqlx::query_as!(
        Product,
        r#"select sku, name, description, price as "price: _", created_at, updated_at, archived_at, version
           from inventory.products where sku = any($1) order by sku"#,
        skus,
    )
    .fetch_all(db)
    .await
}

/// Locks one, so that its SKU can still be referred to.
pub(crate) async fn lock(tx: &mut PgConnection, sku: &str) -> sqlx::Result<Option<Product>> {
    sqlx::query_as!(
        Product,
        r#"select sku, name, description, price as "price: _", created_at, updated_at, archived_at, version
           from inventory.products where sku = $1 for no key update"#,
        sku,
    )
    .fetch_optional(tx)
    .await
}

/// Writes a product whose row is locked as its next version, archived or not, and gives it as it is then.
pub(crate) async fn update(
    tx: &mut PgConnection,
    product: &Product,
    archived: bool,
) -> sqlx::Result<Product> {
    sqlx::query_as!(
        Product,
        r#"update inventory.products
           set name = $2, description = $3, price = $4, version = version + 1, updated_at = now(),
               archived_at = case when $5 then coalesce(archived_at, now()) end
           where sku = $1 and version = $6
           returning sku, name, description, price as "price: _", created_at, updated_at, archived_at, version"#,
        product.sku,
        product.name,
        product.description,
        product.price as Money,
        archived,
        product.version,
    )
    .fetch_one(tx)
    .await
}

/// By SKU, behind a key; archived ones only when asked for.
pub(crate) async fn list(
    db: &mut PgConnection,
    show_archived: bool,
    after: Option<&str>,
    limit: i64,
) -> sqlx::Result<Vec<Product>> {
    sqlx::query_as!(
        Product,
        r#"select sku, name, description, price as "price: _", created_at, updated_at, archived_at, version
           from inventory.products
           where ($1::text is null or sku > $1) and (archived_at is null or $2) order by sku limit $3"#,
        after,
        show_archived,
        limit,
    )
    .fetch_all(db)
    .await
}

/// Those whose name starts so, by name (in the order of its bytes) and SKU, behind a pair of both. The index on names serves the bounds.
pub(crate) async fn list_by_name(
    db: &mut PgConnection,
    prefix: &str,
    show_archived: bool,
    after: Option<&(String, String)>,
    limit: i64,
) -> sqlx::Result<Vec<Product>> {
    let (after_name, after_sku) =
        after.map_or((prefix, ""), |(name, sku)| (name.as_str(), sku.as_str()));
    // Not below any name that starts so: none is longer, and no character is higher.
    let beyond = format!("{prefix}{}", "\u{10FFFF}".repeat(NAME_MAX));
    sqlx::query_as!(
        Product,
        r#"select sku, name, description, price as "price: _", created_at, updated_at, archived_at, version
           from inventory.products
           where name ~>=~ $1 and name ~<=~ $2 and (name ~>~ $1 or sku > $3) and (archived_at is null or $4)
           order by name using ~<~, sku limit $5"#,
        after_name,
        beyond,
        after_sku,
        show_archived,
        limit,
    )
    .fetch_all(db)
    .await
}
