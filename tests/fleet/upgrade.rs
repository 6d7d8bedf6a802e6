//! A shop that has traded on the first release goes on with this one.

use proto::{
    billing::v1::RecordPaymentRequest,
    orders::v1::{CancelOrderRequest, ListOrdersRequest, OrderStatus, ShipOrderRequest},
};
use sqlx::{Connection, PgConnection};
use testkit::TestDb;

use crate::world::{World, money};

#[tokio::test]
async fn services_wait_until_their_schema_is_up_to_date() {
    let database = TestDb::start_at(Some(1)).await;
    let mut world = World::begin_on(database, &[]).await;
    let schemas = ["orders", "inventory", "billing", "hr", "ledger"];
    world.launch_before_migrations(&schemas).await;
}

const OF_EACH_ACCOUNT: &str = "select string_agg(account || ' ' || balance, ', ' order by account)
    from (select account, sum(debit - credit) as balance from ledger.ledger_entries group by account) b";

#[tokio::test]
async fn a_database_of_the_first_release_is_brought_up_to_date_and_goes_on() {
    let database = TestDb::start_at(Some(1)).await;
    let mut db = PgConnection::connect(&database.admin_url()).await.unwrap();
    sqlx::raw_sql(include_str!("../data/first-release.sql")).execute(&mut db).await.unwrap();
    let query = format!("select ({OF_EACH_ACCOUNT})::text");
    let before: String =
        sqlx::query_scalar(sqlx::AssertSqlSafe(query)).fetch_one(&mut db).await.unwrap();
    db.close().await.unwrap();

    // The bus is new: all that was published is published again, and has no second effect.
    let world = World::start_on(database, &[]).await;
    world.verify().await;
    assert_eq!(world.sql(OF_EACH_ACCOUNT).await, before);

    // What was begun is brought to its end.
    let request =
        ListOrdersRequest { status: OrderStatus::Placed.into(), ..ListOrdersRequest::default() };
    let placed = world.orders().list_orders(request).await.unwrap().into_inner().orders;
    assert_eq!(placed.len(), 3);
    for (order, index) in placed.iter().zip(0..) {
        let order_id = order.order_id.clone();
        let request = RecordPaymentRequest {
            customer_id: order.customer_id.clone(),
            external_reference: format!("upgraded-{index}"),
            amount: money("2.00"),
            ..Default::default()
        };
        world.billing().record_payment(request).await.unwrap();
        // The second has left in part: the rest of it is given up.
        if index == 1 {
            let request = CancelOrderRequest { order_id, ..CancelOrderRequest::default() };
            world.orders().cancel_order(request).await.unwrap();
        } else {
            let request = ShipOrderRequest { order_id, ..ShipOrderRequest::default() };
            world.orders().ship_order(request).await.unwrap();
        }
    }
    world.verify().await;
}
