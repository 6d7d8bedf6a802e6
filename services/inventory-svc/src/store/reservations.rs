use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use ids::OrderId;
use money::Money;
use sqlx::PgConnection;
use uuid::Uuid;

use super::all_written;
use crate::domain::{Reservation, ReservationState, ReservedLine};

/// Adds reservations for those orders that have none yet, in the given state. Waits for other transactions that are adding the same.
pub(crate) async fn insert(
    tx: &mut PgConnection,
    orders: &[Uuid],
    state: ReservationState,
    ttl_s: u32,
) -> sqlx::Result<Vec<Reservation>> {
    sqlx::query_as!(
        Reservation,
        r#"insert into inventory.reservations (order_id, state, expires_at)
           select id, $2, now() + make_interval(secs => $3)
           from unnest($1::uuid[]) as new (id) order by id
           on conflict (order_id) do nothing
           returning order_id as "order_id: _", state as "state: _", expires_at, by_call, version, now() as "seen_at!""#,
        orders,
        state as ReservationState,
        f64::from(ttl_s),
    )
    .fetch_all(tx)
    .await
}

/// Locks those that exist, by order.
pub(crate) async fn lock(tx: &mut PgConnection, orders: &[Uuid]) -> sqlx::Result<Vec<Reservation>> {
    sqlx::query_as!(
        Reservation,
        r#"select order_id as "order_id: _", state as "state: _", expires_at, by_call, version, now() as "seen_at!"
           from inventory.reservations where order_id = any($1) order by order_id for update"#,
        orders,
    )
    .fetch_all(tx)
    .await
}

pub(crate) async fn find(
    db: &mut PgConnection,
    order_id: OrderId,
) -> sqlx::Result<Option<Reservation>> {
    sqlx::query_as!(
        Reservation,
        r#"select order_id as "order_id: _", state as "state: _", expires_at, by_call, version, now() as "seen_at!"
           from inventory.reservations where order_id = $1"#,
        order_id as _,
    )
    .fetch_optional(db)
    .await
}

/// Writes reservations whose rows are locked.
pub(crate) async fn update(
    tx: &mut PgConnection,
    reservations: &[&Reservation],
) -> sqlx::Result<()> {
    if reservations.is_empty() {
        return Ok(());
    }
    let orders: Vec<Uuid> = reservations.iter().map(|one| one.order_id.0).collect();
    let states: Vec<ReservationState> = reservations.iter().map(|one| one.state).collect();
    let expiries: Vec<DateTime<Utc>> = reservations.iter().map(|one| one.expires_at).collect();
    let by_calls: Vec<bool> = reservations.iter().map(|one| one.by_call).collect();
    let versions: Vec<i32> = reservations.iter().map(|one| one.version).collect();
    let updated = sqlx::query!(
        "update inventory.reservations r
         set state = new.state, expires_at = new.expires_at, by_call = new.by_call, version = new.version
         from unnest($1::uuid[], $2::varchar[], $3::timestamptz[], $4::bool[], $5::int[])
           as new (order_id, state, expires_at, by_call, version)
         where r.order_id = new.order_id",
        &orders,
        &states as &[ReservationState],
        &expiries,
        &by_calls,
        &versions,
    )
    .execute(tx)
    .await?
    .rows_affected();
    all_written(updated, reservations.len())
}

/// Takes reservations without lines away, as if they had never been asked for.
pub(crate) async fn delete(tx: &mut PgConnection, orders: &BTreeSet<OrderId>) -> sqlx::Result<()> {
    if orders.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = orders.iter().map(|id| id.0).collect();
    sqlx::query!("delete from inventory.reservations where order_id = any($1)", &ids)
        .execute(tx)
        .await?;
    Ok(())
}

/// By order and SKU.
pub(crate) async fn lines(
    db: &mut PgConnection,
    orders: &[Uuid],
) -> sqlx::Result<Vec<ReservedLine>> {
    sqlx::query_as!(
        ReservedLine,
        r#"select order_id as "order_id: _", sku, qty, shipped_qty, released_qty, shipped_cost as "shipped_cost: _",
                  returned_qty, returned_cost as "returned_cost: _"
           from inventory.reservation_items where order_id = any($1) order by order_id, sku"#,
        orders,
    )
    .fetch_all(db)
    .await
}

pub(crate) async fn insert_lines(
    tx: &mut PgConnection,
    lines: &[&ReservedLine],
) -> sqlx::Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    let orders: Vec<Uuid> = lines.iter().map(|line| line.order_id.0).collect();
    let skus: Vec<String> = lines.iter().map(|line| line.sku.clone()).collect();
    let quantities: Vec<i32> = lines.iter().map(|line| line.qty).collect();
    sqlx::query!(
        "insert into inventory.reservation_items (order_id, sku, qty)
         select * from unnest($1::uuid[], $2::text[], $3::int[])",
        &orders,
        &skus,
        &quantities,
    )
    .execute(tx)
    .await?;
    Ok(())
}

pub(crate) async fn delete_lines(
    tx: &mut PgConnection,
    orders: &BTreeSet<OrderId>,
) -> sqlx::Result<()> {
    if orders.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = orders.iter().map(|id| id.0).collect();
    sqlx::query!("delete from inventory.reservation_items where order_id = any($1)", &ids)
        .execute(tx)
        .await?;
    Ok(())
}

/// Writes what has become of each line.
pub(crate) async fn update_lines(
    tx: &mut PgConnection,
    lines: &[&ReservedLine],
) -> sqlx::Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    let orders: Vec<Uuid> = lines.iter().map(|line| line.order_id.0).collect();
    let skus: Vec<String> = lines.iter().map(|line| line.sku.clone()).collect();
    let shipped: Vec<i32> = lines.iter().map(|line| line.shipped_qty).collect();
    let released: Vec<i32> = lines.iter().map(|line| line.released_qty).collect();
    let shipped_costs: Vec<Money> = lines.iter().map(|line| line.shipped_cost).collect();
    let returned: Vec<i32> = lines.iter().map(|line| line.returned_qty).collect();
    let returned_costs: Vec<Money> = lines.iter().map(|line| line.returned_cost).collect();
    let updated = sqlx::query!(
        "update inventory.reservation_items i
         set shipped_qty = new.shipped, released_qty = new.released, shipped_cost = new.shipped_cost,
             returned_qty = new.returned, returned_cost = new.returned_cost
         from unnest($1::uuid[], $2::text[], $3::int[], $4::int[], $5::numeric[], $6::int[], $7::numeric[])
           as new (order_id, sku, shipped, released, shipped_cost, returned, returned_cost)
         where i.order_id = new.order_id and i.sku = new.sku",
        &orders,
        &skus,
        &shipped,
        &released,
        &shipped_costs as &[Money],
        &returned,
        &returned_costs as &[Money],
    )
    .execute(tx)
    .await?
    .rows_affected();
    all_written(updated, lines.len())
}

/// Open ones by order, behind a key.
pub(crate) async fn list_open(
    db: &mut PgConnection,
    after: Option<OrderId>,
    limit: i64,
) -> sqlx::Result<Vec<Reservation>> {
    sqlx::query_as!(
        Reservation,
        r#"select order_id as "order_id: _", state as "state: _", expires_at, by_call, version, now() as "seen_at!"
           from inventory.reservations
           where state in ('held', 'confirmed') and ($1::uuid is null or order_id > $1)
           order by order_id limit $2"#,
        after as _,
        limit,
    )
    .fetch_all(db)
    .await
}

/// Open ones that still hold some of a SKU, by order, behind a key: each open one is asked for the SKU.
pub(crate) async fn list_of_sku(
    db: &mut PgConnection,
    sku: &str,
    after: Option<OrderId>,
    limit: i64,
) -> sqlx::Result<Vec<Reservation>> {
    sqlx::query_as!(
        Reservation,
        r#"select order_id as "order_id: _", r.state as "state: _", r.expires_at, r.by_call, r.version, now() as "seen_at!"
           from inventory.reservations r join inventory.reservation_items i using (order_id)
           where r.state in ('held', 'confirmed') and i.sku = $1 and i.shipped_qty + i.released_qty < i.qty
             and ($2::uuid is null or order_id > $2)
           order by order_id limit $3"#,
        sku,
        after as _,
        limit,
    )
    .fetch_all(db)
    .await
}

/// Held ones that ran out longer ago than the grace, the oldest first.
pub(crate) async fn run_out(
    db: &mut PgConnection,
    grace_s: i64,
    limit: i64,
) -> sqlx::Result<Vec<OrderId>> {
    sqlx::query_scalar!(
        r#"select order_id as "order_id: OrderId" from inventory.reservations
           where state = 'held' and expires_at < now() - $1::bigint * interval '1 second'
           order by expires_at limit $2"#,
        grace_s,
        limit,
    )
    .fetch_all(db)
    .await
}
