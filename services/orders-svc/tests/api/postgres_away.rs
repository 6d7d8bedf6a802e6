//! orders-svc while its database cannot be used.

use proto::orders::v1::{
    BatchCreateCustomersRequest, CancelOrderRequest, CreateCustomerRequest, CreateOrderRequest,
    GetCustomerRequest, ListCustomersRequest, ListOrdersRequest, OrderStatus, PlaceOrderRequest,
    ShipOrderRequest,
};
use tonic::{Code, Response, Status};
use tonic_types::StatusExt;

use testkit::{eventually, refusal};

use crate::{
    app::{App, WAIT_MAX},
    requests::{cancelling, customer, new_id, order, placing, shipping},
};

/// Panics unless the caller hears that, and when to try again.
#[track_caller]
fn is_away<T: std::fmt::Debug>(answer: Result<Response<T>, Status>) {
    let delay = answer.as_ref().unwrap_err().get_details_retry_info();
    assert!(delay.and_then(|info| info.retry_delay).is_some());
    let refused = refusal(answer);
    refused.is(Code::Unavailable, "DATABASE_UNAVAILABLE");
    assert_eq!(refused.message, "the database cannot be used now");
}

#[tokio::test]
async fn every_call_is_told_to_try_again_and_then_has_one_effect() {
    let app = App::start().await;
    app.stock("A", 9, "1.00").await;
    let (draft, sold) = (app.draft(&[("A", 1)]).await, app.placed(&[("A", 1)]).await);
    let other = app.placed(&[("A", 1)]).await;
    let ann = CreateCustomerRequest { request_id: new_id(), ..customer("ann@example.com") };
    let bob = BatchCreateCustomersRequest { requests: vec![customer("bob@example.com")] };
    let create = CreateOrderRequest {
        request_id: new_id(),
        place: true,
        ..order(&draft.customer_id, &[("A", 1)])
    };
    let place = PlaceOrderRequest { request_id: new_id(), ..placing(&draft.order_id) };
    let ship = ShipOrderRequest { request_id: new_id(), ..shipping(&sold.order_id, &[]) };
    let cancel = CancelOrderRequest { request_id: new_id(), ..cancelling(&other.order_id) };

    app.close_the_database().await;
    let mut client = app.client.clone();
    is_away(client.create_customer(ann.clone()).await);
    is_away(client.batch_create_customers(bob.clone()).await);
    is_away(client.get_customer(GetCustomerRequest { customer_id: new_id() }).await);
    is_away(client.list_customers(ListCustomersRequest::default()).await);
    is_away(client.create_order(create.clone()).await);
    is_away(client.place_order(place.clone()).await);
    is_away(client.list_orders(ListOrdersRequest::default()).await);
    is_away(client.ship_order(ship.clone()).await);
    is_away(client.cancel_order(cancel.clone()).await);
    assert_eq!(refusal(app.find_order(&draft.order_id).await).reason, "DATABASE_UNAVAILABLE");
    app.open_the_database().await;

    for _ in 0..2 {
        client.create_customer(ann.clone()).await.unwrap();
        client.batch_create_customers(bob.clone()).await.unwrap();
        client.create_order(create.clone()).await.unwrap();
        client.place_order(place.clone()).await.unwrap();
        client.ship_order(ship.clone()).await.unwrap();
        client.cancel_order(cancel.clone()).await.unwrap();
    }
    assert_eq!(app.count("select count(*) from orders.customers").await, 5);
    assert_eq!(app.count("select count(*) from orders.orders").await, 4);
    app.check_books().await;
}

#[tokio::test]
async fn a_session_that_ends_while_placing_costs_the_call_and_not_the_order() {
    let app = App::start().await;
    app.stock("A", 9, "1.00").await;
    let draft = app.draft(&[("A", 1)]).await;
    let mut stranger = app.db.begin().await.unwrap();
    sqlx::query("select from orders.orders for update").execute(&mut *stranger).await.unwrap();
    let mut client = app.client.clone();
    let request = placing(&draft.order_id);
    let place = tokio::spawn(async move { client.place_order(request).await });
    let end = "select count(pg_terminate_backend(pid)) from pg_stat_activity
               where datname = current_database() and usename = 'orders_svc' and wait_event_type = 'Lock'";
    eventually("the session has ended", WAIT_MAX, async || app.count(end).await == 1).await;
    is_away(place.await.unwrap());
    stranger.rollback().await.unwrap();
    assert_eq!(app.order(&draft.order_id).await, draft);
    let placed = app.place(&draft.order_id).await.unwrap();
    assert_eq!((placed.status(), app.levels("A").await), (OrderStatus::Placed, (9, 1)));
    app.check_books().await;
}
