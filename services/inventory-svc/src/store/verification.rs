use chrono::{DateTime, Utc};
use money::Money;
use sqlx::PgConnection;

/// What an item says, and what follows from its history.
#[derive(Debug)]
pub(crate) struct Proof {
    pub(crate) sku: String,
    pub(crate) reserved: i32,
    pub(crate) on_hand: i32,
    pub(crate) value: Money,
    pub(crate) movement_count: i64,
    /// What open lines of reservations still hold, and how many lines do.
    pub(crate) open: i64,
    pub(crate) open_lines: i64,
    /// The sums of all movements, and their number.
    pub(crate) moved: i64,
    pub(crate) cost: Money,
    pub(crate) movements: i64,
}

/// Those of up to a page of SKUs that exist, by SKU.
pub(crate) async fn proofs(db: &mut PgConnection, skus: &[String]) -> sqlx::Result<Vec<Proof>> {
    sqlx::query_as!(
        Proof,
        r#"select i.sku, i.reserved_qty as reserved, i.qty_on_hand as on_hand, i.value as "value: _", i.movement_count,
                  coalesce(o.open, 0) as "open!", coalesce(o.lines, 0) as "open_lines!",
                  coalesce(m.moved, 0) as "moved!", coalesce(m.cost, 0) as "cost!: Money", coalesce(m.movements, 0) as "movements!"
           from inventory.inventory_items i
           left join (
             select l.sku, sum(l.qty - l.shipped_qty - l.released_qty) as open, count(*) as lines
             from inventory.reservation_items l join inventory.reservations r using (order_id)
             where l.sku = any($1) and l.shipped_qty + l.released_qty < l.qty and r.state in ('held', 'confirmed')
             group by l.sku) o on o.sku = i.sku
           left join (
             select sku, sum(qty) as moved, sum(cost) as cost, count(*) as movements
             from inventory.stock_movements where sku = any($1) group by sku) m on m.sku = i.sku
           where i.sku = any($1) order by i.sku"#,
        skus,
    )
    .fetch_all(db)
    .await
}

/// The next SKUs behind one.
pub(crate) async fn skus(
    db: &mut PgConnection,
    after: &str,
    limit: i64,
) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar!(
        "select sku from inventory.inventory_items where sku > $1 order by sku limit $2",
        after,
        limit,
    )
    .fetch_all(db)
    .await
}

/// When this transaction began.
pub(crate) async fn now(db: &mut PgConnection) -> sqlx::Result<DateTime<Utc>> {
    sqlx::query_scalar!(r#"select now() as "now!""#).fetch_one(db).await
}
