use ids::{OrderId, OrderItemId};
use money::Money;
use rust_decimal::Decimal;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::domain::{Item, ShipmentLine};

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
    sqlx::query_as!(
        Item,
        r#"select id as "id: _", sku, qty, price as "price: _", price_agreed, tax_rate, shipped_qty
           from orders.order_items where order_id = $1 order by line_no"#,
        order_id as _,
    )
    .fetch_all(db)
    .await
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

/// Adds what leaves with a shipment to what has left before. The check on the column refuses more than was ordered.
pub(crate) async fn add_shipped(tx: &mut PgConnection, lines: &[ShipmentLine]) -> sqlx::Result<()> {
    let ids: Vec<Uuid> = lines.iter().map(|line| line.item_id.0).collect();
    let quantities: Vec<i32> = lines.iter().map(|line| line.qty).collect();
    let updated = sqlx::query!(
        "update orders.order_items i set shipped_qty = shipped_qty + shipped.qty
         from unnest($1::uuid[], $2::int[]) as shipped (id, qty) where i.id = shipped.id",
        &ids,
        &quantities,
    )
    .execute(tx)
    .await?
    .rows_affected();
    if updated == lines.len() as u64 { Ok(()) } else { Err(sqlx::Error::RowNotFound) }
}

/// Whether anything of an order has left.
pub(crate) async fn any_shipped(tx: &mut PgConnection, order_id: OrderId) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"select exists (select from orders.order_items where order_id = $1 and shipped_qty > 0) as "any!""#,
        order_id as _,
    )
    .fetch_one(tx)
    .await
}

/// A line of a shipment with the shipment it belongs to.
#[derive(Debug)]
pub(crate) struct ShippedLine {
    pub(crate) shipment_id: Uuid,
    pub(crate) item_id: OrderItemId,
    pub(crate) sku: String,
    pub(crate) qty: i32,
}

pub(crate) async fn shipped_lines(
    db: &mut PgConnection,
    order_id: OrderId,
) -> sqlx::Result<Vec<ShippedLine>> {
    sqlx::query_as!(
        ShippedLine,
        r#"select l.shipment_id, l.order_item_id as "item_id: _", l.sku, l.qty
           from orders.shipment_items l
           join orders.shipments s on s.id = l.shipment_id
           join orders.order_items i on i.id = l.order_item_id
           where s.order_id = $1 order by s.shipped_at, s.id, i.line_no"#,
        order_id as _,
    )
    .fetch_all(db)
    .await
}
