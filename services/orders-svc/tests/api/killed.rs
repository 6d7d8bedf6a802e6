//! orders-svc as a process that is killed at any instant.

use std::{collections::HashMap, time::Duration};

use futures::future::join_all;
use proto::orders::v1::{CreateOrderRequest, OrderStatus};
use tokio::task::JoinSet;

use crate::{
    app::{App, Orders},
    proxy::Way,
    requests::{new_id, order},
};

async fn selling(app: &App, quantity: i32) -> CreateOrderRequest {
    let customer = app.customer().await;
    CreateOrderRequest { request_id: new_id(), place: true, ..order(&customer, &[("A", quantity)]) }
}

/// Kills the process when the stock of an order is reserved and the order is not placed.
async fn kill_while_placing(app: &mut App, request: CreateOrderRequest) -> String {
    app.proxy.set(Way::HoldsAnswers);
    let mut client = app.client.clone();
    let call = tokio::spawn(async move { client.create_order(request).await });
    app.proxy.holds(1).await;
    app.kill();
    call.await.unwrap().unwrap_err();
    app.proxy.set(Way::Open);
    sqlx::query_scalar("select id::text from orders.orders where status = 'draft'")
        .fetch_one(&app.db)
        .await
        .unwrap()
}

#[tokio::test]
async fn killed_between_reservation_and_commit_the_same_request_goes_on() {
    let mut app = App::start_as_process().await;
    app.stock("A", 5, "1.00").await;
    let request = selling(&app, 2).await;
    let draft = kill_while_placing(&mut app, request.clone()).await;
    assert_eq!(app.levels("A").await, (5, 2));
    app.restart().await;
    let placed = app.create(request).await.unwrap();
    assert_eq!((&placed.order_id, placed.status()), (&draft, OrderStatus::Placed));
    assert_eq!(app.told_of(&draft).await, ["order.created 1", "order.placed 2"]);
    app.check_books().await;
    assert_eq!(app.levels("A").await, (5, 2));
}

#[tokio::test]
async fn killed_between_reservation_and_commit_the_stock_comes_back() {
    let mut app = App::start_as_process().await;
    app.stock("A", 2, "1.00").await;
    let request = selling(&app, 2).await;
    let draft = kill_while_placing(&mut app, request.clone()).await;
    app.restart().await;
    assert_eq!(app.sweeper.step().await.unwrap(), 0, "its time has not run out");
    app.run_out(&draft, 3600).await;
    assert_eq!(app.sweeper.step().await.unwrap(), 1);
    assert_eq!(app.levels("A").await, (2, 0));
    app.check_books().await;

    // Somebody else buys the last, and the first comes back too late.
    let other = selling(&app, 2).await;
    app.create(other).await.unwrap();
    let late = testkit::refusal(app.create(request).await);
    late.is(tonic::Code::FailedPrecondition, "STOCK_SHORT");
    assert_eq!(app.count("select count(*) from orders.orders").await, 1);
    app.check_books().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn killed_again_and_again_every_request_is_one_order() {
    let mut app = App::start_as_process().await;
    app.stock("A", 100_000, "1.00").await;
    let mut requests = Vec::new();
    for _ in 0..120 {
        requests.push(selling(&app, 3).await);
    }
    let mut callers = JoinSet::new();
    for some in requests.chunks(20) {
        let (mut client, some) = (app.client.clone(), some.to_vec());
        callers.spawn(async move {
            let mut answers = Vec::new();
            for request in some {
                answers.push((request.request_id.clone(), insist(&mut client, request).await));
            }
            answers
        });
    }
    // No two of these instants are alike.
    for pause in [35, 50, 20, 90, 65, 130, 45, 75, 110, 28] {
        tokio::time::sleep(Duration::from_millis(pause)).await;
        app.kill();
        app.restart().await;
    }
    let answered: HashMap<String, String> =
        callers.join_all().await.into_iter().flatten().collect();
    assert_eq!(answered.len(), 120);
    assert_eq!(app.count("select count(*) from orders.orders where status = 'placed'").await, 120);
    assert_eq!(app.count("select count(*) from orders.orders").await, 120);
    app.check_books().await;
    assert_eq!(app.levels("A").await, (100_000, 360));

    // What was answered then is answered now.
    for again in join_all(requests.iter().map(|request| app.create(request.clone()))).await {
        let again = again.unwrap();
        assert!(answered.values().any(|order_id| *order_id == again.order_id));
    }
    assert_eq!(app.count("select count(*) from orders.orders").await, 120);
}

/// Sends the same request until it is answered, as a careful caller does.
async fn insist(client: &mut Orders, request: CreateOrderRequest) -> String {
    loop {
        match client.create_order(request.clone()).await {
            Ok(answer) => return answer.into_inner().order.unwrap().order_id,
            Err(status) => {
                use tonic::Code::{Cancelled, Internal, Unavailable, Unknown};
                // A transport that breaks has many names.
                let broken = [Cancelled, Internal, Unavailable, Unknown].contains(&status.code());
                assert!(broken, "{status:?}");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }
}
