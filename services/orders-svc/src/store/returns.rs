use chrono::{DateTime, Utc};
use ids::{OrderId, OrderItemId, ReturnId};
use money::Money;
use sqlx::PgConnection;
use uuid::Uuid;

use super::TimeKey;
use crate::domain::{Portion, Return, ReturnLine};

pub(crate) async fn insert(
    tx: &mut PgConnection,
    order_id: OrderId,
    returned: &Return,
) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into orders.returns (id, order_id, returned_at, reason, amount, tax_amount) values ($1, $2, $3, $4, $5, $6)",
        returned.id as _,
        order_id as _,
        returned.returned_at,
        returned.reason,
        returned.amount as _,
        returned.tax_amount as _,
    )
    .execute(&mut *tx)
    .await?;
    let items: Vec<Uuid> = returned.lines.iter().map(|line| line.of.item_id.0).collect();
    let restock: Vec<bool> = returned.lines.iter().map(|line| line.restock).collect();
    let skus: Vec<String> = returned.lines.iter().map(|line| line.of.sku.clone()).collect();
    let quantities: Vec<i32> = returned.lines.iter().map(|line| line.of.qty).collect();
    sqlx::query!(
        "insert into orders.return_items (return_id, order_item_id, restock, sku, qty)
         select $1, * from unnest($2::uuid[], $3::bool[], $4::text[], $5::int[])",
        returned.id as _,
        &items,
        &restock,
        &skus,
        &quantities,
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// The return that an earlier request was answered with.
pub(crate) async fn get(
    db: &mut PgConnection,
    order_id: OrderId,
    id: &str,
) -> sqlx::Result<Return> {
    let id: Uuid = id.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
    let header = sqlx::query_as!(
        Header,
        r#"select id as "id: _", returned_at, reason, amount as "amount: _", tax_amount as "tax_amount: _"
           from orders.returns where id = $1 and order_id = $2"#,
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
) -> sqlx::Result<Vec<Return>> {
    let headers = sqlx::query_as!(
        Header,
        r#"select id as "id: _", returned_at, reason, amount as "amount: _", tax_amount as "tax_amount: _"
           from orders.returns
           where order_id = $1 and ($2::timestamptz is null or (returned_at, id) > ($2, $3::uuid))
           order by returned_at, id limit $4"#,
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
    id: ReturnId,
    returned_at: DateTime<Utc>,
    reason: String,
    amount: Money,
    tax_amount: Money,
}

/// One statement however many. Lines are looked up by the order's, which their key begins with.
async fn with_lines(
    db: &mut PgConnection,
    order_id: OrderId,
    headers: Vec<Header>,
) -> sqlx::Result<Vec<Return>> {
    let ids: Vec<Uuid> = headers.iter().map(|header| header.id.0).collect();
    let lines = sqlx::query!(
        r#"select l.return_id as "return_id: ReturnId", l.order_item_id as "item_id: OrderItemId", l.restock, l.sku, l.qty
           from orders.order_items i join orders.return_items l on l.order_item_id = i.id
           where i.order_id = $1 and l.return_id = any($2) order by i.line_no, l.restock desc"#,
        order_id as _,
        &ids,
    )
    .fetch_all(db)
    .await?;
    let empty = |Header { id, returned_at, reason, amount, tax_amount }| {
        let lines = Vec::new();
        Return { id, returned_at, reason, amount, tax_amount, lines }
    };
    let mut returns: Vec<Return> = headers.into_iter().map(empty).collect();
    for line in lines {
        let of = Portion { item_id: line.item_id, sku: line.sku, qty: line.qty };
        let returned = returns.iter_mut().find(|returned| returned.id == line.return_id);
        let returned = returned.ok_or(sqlx::Error::RowNotFound)?;
        returned.lines.push(ReturnLine { of, restock: line.restock });
    }
    Ok(returns)
}
