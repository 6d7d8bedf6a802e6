//! A database that is full of what the first release has written.

use proto::inventory::v1::AdjustmentReason;
use sqlx::{Connection, PgConnection};
use testkit::{TestDb, refusal};
use tonic::Code;

use crate::app::{App, new_order, returned, shipped};

/// Deliveries and orders in every state, as version 1 of the schema keeps them.
const FIRST_RELEASE: &str = "
insert into inventory.products (sku, name, price)
  select sku, 'a ' || sku, 1 from unnest(array['A', 'B', 'C', 'D']) sku;
insert into inventory.inventory_items (sku, qty_on_hand, reserved_qty, reorder_point) values
  ('A', 5, 4, 0), ('B', 2, 2, 1), ('C', 0, 0, 0), ('D', 0, 0, 3);
insert into inventory.reservations (order_id, state, expires_at) values
  ('00000000-0000-7000-8000-000000000001', 'held', now()),
  ('00000000-0000-7000-8000-000000000002', 'confirmed', now()),
  ('00000000-0000-7000-8000-000000000003', 'shipped', now()),
  ('00000000-0000-7000-8000-000000000004', 'released', now()),
  ('00000000-0000-7000-8000-000000000005', 'released', now()),
  ('00000000-0000-7000-8000-000000000006', 'lapsed', now());
insert into inventory.reservation_items (order_id, sku, qty, shipped_qty) values
  ('00000000-0000-7000-8000-000000000001', 'A', 1, 0),
  ('00000000-0000-7000-8000-000000000002', 'A', 4, 1),
  ('00000000-0000-7000-8000-000000000002', 'B', 2, 0),
  ('00000000-0000-7000-8000-000000000003', 'A', 2, 2),
  ('00000000-0000-7000-8000-000000000004', 'A', 3, 0),
  ('00000000-0000-7000-8000-000000000005', 'B', 3, 1);
insert into inventory.stock_movements (id, sku, qty, reason, ref_id, recorded_at)
  select gen_random_uuid(), sku, qty, reason, gen_random_uuid(), now() - age * interval '1 hour'
  from (values ('A', 8, 'receipt', 9), ('A', -1, 'shipment', 8), ('A', -2, 'shipment', 7),
               ('B', 3, 'receipt', 9), ('B', -1, 'shipment', 8)) m (sku, qty, reason, age);
";

#[tokio::test]
async fn the_first_releases_stock_balances_and_goes_on() {
    let database = TestDb::start_at(Some(1)).await;
    let mut db = PgConnection::connect(&database.admin_url()).await.unwrap();
    sqlx::raw_sql(FIRST_RELEASE).execute(&mut db).await.unwrap();
    schema::migrate(&database.admin_url()).await.unwrap();

    let levels: Vec<(String, i64, bool, bool, String)> = sqlx::query_as(
        "select sku, movement_count, reorder_told, low, value::text from inventory.inventory_items order by sku",
    )
    .fetch_all(&mut db)
    .await
    .unwrap();
    let levels: Vec<_> = levels
        .iter()
        .map(|(sku, n, told, low, worth)| (sku.as_str(), *n, *told, *low, worth.as_str()))
        .collect();
    assert_eq!(
        levels,
        [
            ("A", 3, false, false, "0.00"),
            ("B", 2, true, true, "0.00"),
            // Nobody wanted to be told.
            ("C", 0, false, true, "0.00"),
            ("D", 0, true, true, "0.00"),
        ]
    );
    let numbers: Vec<(i64, i32)> = sqlx::query_as(
        "select sequence, qty from inventory.stock_movements where sku = 'A' order by sequence",
    )
    .fetch_all(&mut db)
    .await
    .unwrap();
    assert_eq!(numbers, [(1, 8), (2, -1), (3, -2)]);
    let states: Vec<String> = sqlx::query_scalar(
        "select string_agg(sku || ' ' || qty - shipped_qty - released_qty, ', ' order by sku) || ': ' || state
         from inventory.reservations join inventory.reservation_items using (order_id)
         group by order_id, state order by order_id",
    )
    .fetch_all(&mut db)
    .await
    .unwrap();
    assert_eq!(
        states,
        ["A 1: held", "A 3, B 2: confirmed", "A 0: shipped", "A 0: released", "B 0: shipped"]
    );

    // A service of the first release goes on until it is replaced.
    sqlx::raw_sql(
        "update inventory.inventory_items set qty_on_hand = 7, reserved_qty = 4, reorder_point = 0 where sku = 'A';
         insert into inventory.stock_movements (id, sku, qty, reason, ref_id)
         select gen_random_uuid(), 'A', 1, 'receipt', gen_random_uuid() from generate_series(1, 2)",
    )
    .execute(&mut db)
    .await
    .unwrap();
    let app = App::start_on(database).await;
    app.check_books().await;
    assert_eq!(app.item("A").await.movement_count, 5);
    app.adjust(AdjustmentReason::Lost, &[("A", -2)]).await.unwrap();
    let order = "00000000-0000-7000-8000-000000000002";
    app.buy("A", 1, "6").await;
    // What was confirmed or shipped by then belongs to its order; what was held does not.
    for order in [order, "00000000-0000-7000-8000-000000000003"] {
        let refused = refusal(app.take_back(order, &new_order(), &[("A", 1, true)]).await);
        refused.is(Code::FailedPrecondition, "ORDER_PLACED");
    }
    refusal(app.commit(order, &new_order(), &[]).await)
        .is(Code::FailedPrecondition, "ORDER_PLACED");
    let left = shipped(order, &new_order(), &[("A", 3), ("B", 2)]);
    app.hear(&[left, returned(order, &new_order(), &[("A", 4, true)])]).await;
    assert_eq!(app.log.dead_letters().await, [""; 0]);
    // A sixth of 6.00 each: what left before costs were known brings its part of the three.
    assert_eq!((app.levels("A").await, app.value("A").await), ((7, 1), "6.00".into()));
    app.release("00000000-0000-7000-8000-000000000001").await.unwrap();
    assert_eq!(app.levels("A").await, (7, 0));
    app.check_books().await;
    app.check_account().await;
}
