use ids::{OrderId, OrderItemId};
use money::Money;
use rust_decimal::Decimal;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::domain::{Item, Portion, ReturnLine};

/// Adds the lines of new drafts. One statement however many.
pub(crate) async fn insert(
    tx: &mut PgConnection,
    drafts: &[(OrderId, &[Item])],
) -> sqlx::Result<()> {
    let all =
        || drafts.iter().flat_map(|(order_id, items)| items.iter().map(move |i| (order_id, i)));
    let ids: Vec<Uuid> = all().map(|(_, item)| item.id.0).collect();
    let orders: Vec<Uuid> = all().map(|(order_id, _)| order_id.0).collect();
    let skus: Vec<String> = all().map(|(_, item)| item.sku.clone()).collect();
    let quantities: Vec<i32> = all().map(|(_, item)| item.qty).collect();
    let prices: Vec<Money> = all().map(|(_, item)| item.price).collect();
    let agreed: Vec<bool> = all().map(|(_, item)| item.price_agreed).collect();
    let rates: Vec<Decimal> = all().map(|(_, item)| item.tax_rate).collect();
    let numbers: Vec<i32> = drafts.iter().flat_map(|(_, items)| (1..).take(items.len())).collect();
    sqlx::query!(
        "insert into orders.order_items (id, order_id, sku, qty, price, price_agreed, tax_rate, line_no)
         select * from unnest($1::uuid[], $2::uuid[], $3::text[], $4::int[], $5::numeric[], $6::bool[], $7::numeric[], $8::int[])",
        &ids,
        &orders,
        &skus,
        &quantities,
        &prices as &[Money],
        &agreed,
        &rates,
        &numbers,
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// In the order in which they were given.
pub(crate) async fn of_order(db: &mut PgConnection, order_id: OrderId) -> sqlx::Result<Vec<Item>> {
    let items = of_orders(db, &[order_id.0]).await?;
    Ok(items.into_iter().map(|(_, item)| item).collect())
}

/// Those of each order, in the order in which they were given.
pub(crate) async fn of_orders(
    db: &mut PgConnection,
    orders: &[Uuid],
) -> sqlx::Result<Vec<(OrderId, Item)>> {
    let found = sqlx::query!(
        r#"select order_id as "order_id: OrderId", id as "id: OrderItemId", sku, qty, price as "price: Money", price_agreed, tax_rate,
                  shipped_qty, cancelled_qty, returned_qty
           from orders.order_items where order_id = any($1) order by line_no"#,
        orders,
    )
    .fetch_all(db)
    .await?;
    Ok(found
        .into_iter()
        .map(|row| {
            let item = Item {
                id: row.id,
                sku: row.sku,
                qty: row.qty,
                price: row.price,
                price_agreed: row.price_agreed,
                tax_rate: row.tax_rate,
                shipped_qty: row.shipped_qty,
                cancelled_qty: row.cancelled_qty,
                returned_qty: row.returned_qty,
            };
            (row.order_id, item)
        })
        .collect())
}

/// Writes the prices that an order keeps once it is placed.
pub(crate) async fn update_prices(tx: &mut PgConnection, items: &[&Item]) -> sqlx::Result<()> {
    if items.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = items.iter().map(|item| item.id.0).collect();
    let prices: Vec<Money> = items.iter().map(|item| item.price).collect();
    let updated = sqlx::query!(
        "update orders.order_items i set price = new.price
         from unnest($1::uuid[], $2::numeric[]) as new (id, price) where i.id = new.id",
        &ids,
        &prices as &[Money],
    )
    .execute(tx)
    .await?
    .rows_affected();
    if updated == items.len() as u64 { Ok(()) } else { Err(sqlx::Error::RowNotFound) }
}

/// Adds what leaves with a shipment to what has left before. The check on the columns refuses more than was ordered.
pub(crate) async fn add_shipped(tx: &mut PgConnection, lines: &[Portion]) -> sqlx::Result<()> {
    let (ids, quantities) = columns(lines.iter());
    let updated = sqlx::query!(
        "update orders.order_items i set shipped_qty = shipped_qty + shipped.qty
         from unnest($1::uuid[], $2::int[]) as shipped (id, qty) where i.id = shipped.id",
        &ids,
        &quantities,
    );
    all(updated.execute(tx).await?.rows_affected(), &ids)
}

/// Notes what is given up. The check on the columns refuses what has left.
pub(crate) async fn add_cancelled(tx: &mut PgConnection, lines: &[Portion]) -> sqlx::Result<()> {
    let (ids, quantities) = columns(lines.iter());
    let updated = sqlx::query!(
        "update orders.order_items i set cancelled_qty = cancelled_qty + cancelled.qty
         from unnest($1::uuid[], $2::int[]) as cancelled (id, qty) where i.id = cancelled.id",
        &ids,
        &quantities,
    );
    all(updated.execute(tx).await?.rows_affected(), &ids)
}

/// Adds what comes back to what came back before; a line may be there twice. The check on the column refuses more than has left.
pub(crate) async fn add_returned(tx: &mut PgConnection, lines: &[ReturnLine]) -> sqlx::Result<()> {
    let (mut ids, quantities) = columns(lines.iter().map(|line| &line.of));
    let updated = sqlx::query!(
        r#"update orders.order_items i set returned_qty = returned_qty + returned.qty
           from (select id, sum(qty)::int as qty from unnest($1::uuid[], $2::int[]) as line (id, qty) group by id) returned
           where i.id = returned.id"#,
        &ids,
        &quantities,
    );
    let updated = updated.execute(tx).await?.rows_affected();
    // In the order's order: a line's parts are neighbours.
    ids.dedup();
    all(updated, &ids)
}

/// Takes the lines of a draft whose row is locked away, so that others can stand for them.
pub(crate) async fn delete_of_draft(tx: &mut PgConnection, order_id: OrderId) -> sqlx::Result<()> {
    sqlx::query!("delete from orders.order_items where order_id = $1", order_id as _)
        .execute(tx)
        .await?;
    Ok(())
}

fn columns<'a>(lines: impl Iterator<Item = &'a Portion>) -> (Vec<Uuid>, Vec<i32>) {
    lines.map(|line| (line.item_id.0, line.qty)).unzip()
}

fn all(updated: u64, ids: &[Uuid]) -> sqlx::Result<()> {
    if updated == ids.len() as u64 { Ok(()) } else { Err(sqlx::Error::RowNotFound) }
}
