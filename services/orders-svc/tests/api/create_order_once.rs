use std::collections::HashSet;

use futures::future::join_all;
use proto::orders::v1::{CreateOrderRequest, OrderStatus};
use tonic::Code;

use testkit::refusal;

use crate::{
    app::App,
    requests::{line, new_id, order},
};

#[tokio::test]
async fn the_same_request_again_answers_with_the_order_as_it_is_now() {
    let app = App::start().await;
    app.stock("A", 9, "1.00").await;
    let customer = app.customer().await;
    let draft = CreateOrderRequest { request_id: new_id(), ..order(&customer, &[("A", 1)]) };
    let placed = CreateOrderRequest { request_id: new_id(), place: true, ..draft.clone() };
    let (made, sold) =
        (app.create(draft.clone()).await.unwrap(), app.create(placed.clone()).await.unwrap());
    assert_eq!(app.create(draft.clone()).await.unwrap(), made);
    assert_eq!(app.create(placed.clone()).await.unwrap(), sold);

    app.cancel(&made.order_id).await.unwrap();
    assert_eq!(app.create(draft).await.unwrap(), app.order(&made.order_id).await);
    app.settle().await;
    app.ship(&sold.order_id).await.unwrap();
    let again = app.create(placed).await.unwrap();
    assert_eq!(again, app.order(&sold.order_id).await);
    assert_eq!((again.status(), again.shipments.len()), (OrderStatus::Shipped, 1));
    assert_eq!(app.count("select count(*) from orders.orders").await, 2);
    app.check_books().await;
}

#[tokio::test]
async fn an_order_that_was_placed_and_then_cancelled_is_answered_too() {
    let app = App::start().await;
    app.stock("A", 9, "1.00").await;
    let request = CreateOrderRequest {
        request_id: new_id(),
        place: true,
        ..order(&app.customer().await, &[("A", 1)])
    };
    let sold = app.create(request.clone()).await.unwrap();
    app.cancel(&sold.order_id).await.unwrap();
    let again = app.create(request).await.unwrap();
    assert_eq!((again.order_id, again.status), (sold.order_id, OrderStatus::Cancelled.into()));
    app.check_books().await;
}

#[tokio::test]
async fn a_request_id_is_for_one_request_of_one_method() {
    let app = App::start().await;
    app.stock("A", 9, "1.00").await;
    let request =
        CreateOrderRequest { request_id: new_id(), ..order(&app.customer().await, &[("A", 1)]) };
    let made = app.create(request.clone()).await.unwrap();
    let others = [
        CreateOrderRequest { place: true, ..request.clone() },
        CreateOrderRequest { lines: vec![line("A", 2)], ..request.clone() },
        CreateOrderRequest { customer_id: app.customer().await, ..request.clone() },
    ];
    for other in others {
        let refused = refusal(app.create(other).await);
        refused.is(Code::AlreadyExists, "REQUEST_ID_USED");
        assert_eq!(refused.facts, [format!("request_id: {}", request.request_id)]);
    }
    let of_a_customer = proto::orders::v1::CreateCustomerRequest {
        request_id: request.request_id.clone(),
        ..crate::requests::customer("ann@example.com")
    };
    refusal(app.create_customer(of_a_customer).await).is(Code::AlreadyExists, "REQUEST_ID_USED");
    assert_eq!(app.order(&made.order_id).await, made);
    assert_eq!(app.count("select count(*) from orders.orders").await, 1);
}

#[tokio::test]
async fn a_refused_request_is_not_remembered() {
    let app = App::start().await;
    app.stock("A", 1, "1.00").await;
    let request = CreateOrderRequest {
        request_id: new_id(),
        place: true,
        ..order(&app.customer().await, &[("A", 2)])
    };
    for _ in 0..2 {
        refusal(app.create(request.clone()).await).is(Code::FailedPrecondition, "STOCK_SHORT");
    }
    let smaller = CreateOrderRequest { lines: vec![line("A", 1)], ..request };
    app.create(smaller.clone()).await.unwrap();
    app.create(smaller).await.unwrap();
    app.check_books().await;
    assert_eq!(app.levels("A").await, (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hundred_equal_requests_at_once_are_one_order() {
    let app = App::start().await;
    app.stock("A", 500, "1.00").await;
    let clients = [app.client.clone(), app.start_another().await];
    for place in [false, true] {
        let request = CreateOrderRequest {
            request_id: new_id(),
            place,
            ..order(&app.customer().await, &[("A", 2)])
        };
        let calls = (0..100).map(|n| {
            let (mut client, request) = (clients[n % 2].clone(), request.clone());
            async move { client.create_order(request).await }
        });
        let answers = join_all(calls).await;
        let ids: HashSet<String> = answers
            .into_iter()
            .map(|answer| answer.unwrap().into_inner().order.unwrap().order_id)
            .collect();
        assert_eq!(ids.len(), 1);
        let told = app.told_of(ids.iter().next().unwrap()).await;
        let expected = ["order.created 1", "order.placed 2"];
        assert_eq!(told, expected[..if place { 2 } else { 1 }]);
    }
    assert_eq!(app.levels("A").await, (500, 2));
    app.check_books().await;
}

/// Whoever is refused takes the draft away under the hands of the others.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hundred_equal_requests_for_too_much_leave_nothing() {
    let app = App::start().await;
    app.stock("A", 1, "1.00").await;
    let clients = [app.client.clone(), app.start_another().await];
    let request = CreateOrderRequest {
        request_id: new_id(),
        place: true,
        ..order(&app.customer().await, &[("A", 2)])
    };
    let calls = (0..100).map(|n| {
        let (mut client, request) = (clients[n % 2].clone(), request.clone());
        async move { client.create_order(request).await }
    });
    let mut short = 0;
    for answer in join_all(calls).await {
        let refused = refusal(answer);
        if refused.reason == "STOCK_SHORT" {
            refused.is(Code::FailedPrecondition, "STOCK_SHORT");
            short += 1;
        } else {
            refused.is(Code::Aborted, "ORDER_CHANGED");
        }
    }
    assert!(short > 0);
    let rows =
        "select (select count(*) from orders.orders) + (select count(*) from orders.requests)";
    assert_eq!(app.count(rows).await, 0);
    app.check_books().await;

    app.receive("A", 1).await;
    app.create(request).await.unwrap();
    app.check_books().await;
}
