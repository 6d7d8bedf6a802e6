//! Placing while inventory-svc is away, slow, or late.

use std::time::Duration;

use proto::{
    inventory::v1::ReservationState,
    orders::v1::{CreateOrderRequest, OrderStatus},
};
use tonic::{Code, Request, Response, Status};
use tonic_types::StatusExt;

use testkit::{eventually, refusal};

use crate::{
    app::{App, WAIT_MAX},
    proxy::Way,
    requests::{new_id, order, placing},
};

/// Panics unless the caller hears that, and when to try again.
#[track_caller]
fn try_again<T: std::fmt::Debug>(answer: Result<Response<T>, Status>, code: Code, reason: &str) {
    let delay = answer.as_ref().unwrap_err().get_details_retry_info();
    assert!(delay.and_then(|info| info.retry_delay).is_some());
    refusal(answer).is(code, reason);
}

async fn placed_at_once(app: &App, request_id: String) -> CreateOrderRequest {
    CreateOrderRequest { request_id, place: true, ..order(&app.customer().await, &[("A", 2)]) }
}

fn within<T>(milliseconds: u64, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(Duration::from_millis(milliseconds));
    request
}

#[tokio::test]
async fn an_order_whose_skus_nobody_can_look_up_is_not_begun() {
    let app = App::start_with_proxy().await;
    app.stock("A", 5, "1.00").await;
    app.proxy.set(Way::Closed);
    let request = placed_at_once(&app, new_id()).await;
    try_again(
        app.client.clone().create_order(request.clone()).await,
        Code::Unavailable,
        "INVENTORY_UNAVAILABLE",
    );
    assert_eq!(app.count("select count(*) from orders.orders").await, 0);
    app.proxy.set(Way::Open);
    app.create(request).await.unwrap();
    app.check_books().await;
}

#[tokio::test]
async fn a_draft_stays_while_inventory_is_away_and_the_same_request_goes_on_with_it() {
    let app = App::start_with_proxy().await;
    app.stock("A", 5, "1.00").await;
    app.proxy.set(Way::RefusesToReserve(Code::Unavailable));
    let request = placed_at_once(&app, new_id()).await;
    for _ in 0..2 {
        let answer = app.client.clone().create_order(request.clone()).await;
        try_again(answer, Code::Unavailable, "INVENTORY_UNAVAILABLE");
        assert_eq!(app.count("select count(*) from orders.orders where status = 'draft'").await, 1);
    }
    app.proxy.set(Way::Open);
    app.set_price("A", "3.00").await;
    let placed = app.create(request).await.unwrap();
    assert_eq!(crate::requests::totals(&placed).0, "6.00", "the price when it is placed");
    assert_eq!(app.told_of(&placed.order_id).await, ["order.created 1", "order.placed 2"]);
    app.check_books().await;
}

/// Nobody could go on with it.
#[tokio::test]
async fn a_draft_without_a_request_id_does_not_stay() {
    let app = App::start_with_proxy().await;
    app.stock("A", 5, "1.00").await;
    app.proxy.set(Way::RefusesToReserve(Code::Unavailable));
    let request = placed_at_once(&app, String::new()).await;
    let answer = app.client.clone().create_order(request).await;
    try_again(answer, Code::Unavailable, "INVENTORY_UNAVAILABLE");
    assert_eq!(app.count("select count(*) from orders.orders").await, 0);
    app.check_books().await;
}

#[tokio::test]
async fn a_draft_is_placed_once_inventory_is_back() {
    let app = App::start_with_proxy().await;
    app.stock("A", 5, "1.00").await;
    let draft = app.draft(&[("A", 2)]).await;
    let away = (Code::Unavailable, "INVENTORY_UNAVAILABLE");
    let late = (Code::DeadlineExceeded, "DEADLINE_EXCEEDED");
    for (said, (code, reason)) in [
        (Code::Unavailable, away),
        (Code::ResourceExhausted, away),
        (Code::Unauthenticated, away),
        (Code::PermissionDenied, away),
        (Code::Internal, away),
        (Code::DeadlineExceeded, late),
        // So a transport calls a deadline that has passed.
        (Code::Cancelled, late),
    ] {
        app.proxy.set(Way::RefusesToReserve(said));
        let answer = app.client.clone().place_order(placing(&draft.order_id)).await;
        assert!(!answer.as_ref().unwrap_err().message().contains("for no reason of the trade"));
        try_again(answer, code, reason);
        assert_eq!(app.order(&draft.order_id).await, draft);
    }
    app.proxy.set(Way::Open);
    app.place(&draft.order_id).await.unwrap();
    app.check_books().await;
}

#[tokio::test]
async fn a_slow_inventory_costs_the_call_and_not_the_order() {
    let app = App::start_with_proxy().await;
    app.stock("A", 5, "1.00").await;
    let draft = app.draft(&[("A", 2)]).await;
    let request = placed_at_once(&app, new_id()).await;
    app.proxy.set(Way::HoldsAnswers);
    let place = app.client.clone().place_order(within(1500, placing(&draft.order_id))).await;
    try_again(place, Code::DeadlineExceeded, "DEADLINE_EXCEEDED");
    let create = app.client.clone().create_order(within(1500, request.clone())).await;
    try_again(create, Code::DeadlineExceeded, "DEADLINE_EXCEEDED");
    app.proxy.holds(2).await;
    assert_eq!(app.levels("A").await, (5, 4), "the stock is reserved, and nobody knows");
    assert_eq!(app.count("select count(*) from orders.orders where status = 'draft'").await, 2);

    app.proxy.set(Way::Open);
    app.place(&draft.order_id).await.unwrap();
    app.create(request).await.unwrap();
    assert_eq!(app.levels("A").await, (5, 4));
    app.check_books().await;
}

#[tokio::test]
async fn a_reservation_that_comes_after_the_cancellation_is_refused() {
    let app = App::start_with_proxy().await;
    app.stock("A", 5, "1.00").await;
    let draft = app.draft(&[("A", 2)]).await;
    app.proxy.set(Way::HoldsRequests);
    let (placing, ()) = tokio::join!(app.place(&draft.order_id), async {
        app.proxy.holds(1).await;
        app.cancel(&draft.order_id).await.unwrap();
        app.settle().await;
        app.proxy.set(Way::Open);
    });
    refusal(placing).is(Code::FailedPrecondition, "ORDER_STATE");
    assert_eq!(app.levels("A").await, (5, 0));
    app.check_books().await;
}

#[tokio::test]
async fn a_reservation_that_comes_after_its_draft_was_given_up_is_refused() {
    let app = App::start_with_proxy().await;
    app.stock("A", 5, "1.00").await;
    let request = placed_at_once(&app, String::new()).await;
    app.proxy.set(Way::HoldsRequests);
    let answer = app.client.clone().create_order(within(1500, request)).await;
    try_again(answer, Code::DeadlineExceeded, "DEADLINE_EXCEEDED");
    eventually("the draft is gone", WAIT_MAX, async || {
        app.count("select count(*) from orders.orders").await == 0
    })
    .await;
    app.settle().await;
    app.proxy.set(Way::Open);
    app.proxy.has_answered(1).await;
    assert_eq!(app.levels("A").await, (5, 0));
    app.check_books().await;
}

#[tokio::test]
async fn an_order_that_was_cancelled_while_its_stock_was_reserved_stays_cancelled() {
    let app = App::start_with_proxy().await;
    app.stock("A", 5, "1.00").await;
    let draft = app.draft(&[("A", 2)]).await;
    app.proxy.set(Way::HoldsAnswers);
    let (placing, ()) = tokio::join!(app.place(&draft.order_id), async {
        app.proxy.holds(1).await;
        app.cancel(&draft.order_id).await.unwrap();
        app.proxy.set(Way::Open);
    });
    refusal(placing).is(Code::FailedPrecondition, "ORDER_STATE");
    app.check_books().await;
    assert_eq!(app.levels("A").await, (5, 0));
    assert_eq!(app.told_of(&draft.order_id).await, ["order.created 1", "order.cancelled 2"]);
}

#[tokio::test]
async fn stock_that_is_held_no_longer_is_not_relied_on() {
    let app = App::start_with_proxy().await;
    app.stock("A", 2, "1.00").await;
    let draft = app.draft(&[("A", 2)]).await;
    app.proxy.set(Way::LeavesFiveSeconds);
    let late = app.place(&draft.order_id).await;
    let refused = refusal(late);
    refused.is(Code::Aborted, "RESERVATION_RAN_OUT");
    assert_eq!(refused.facts, [format!("order_id: {}", draft.order_id)]);
    assert_eq!(app.order(&draft.order_id).await, draft);
    app.proxy.set(Way::Open);
    app.place(&draft.order_id).await.unwrap();
    app.check_books().await;
}

#[tokio::test]
async fn a_draft_whose_stock_was_given_back_reserves_again() {
    let app = App::start_with_proxy().await;
    app.stock("A", 2, "1.00").await;
    let draft = app.draft(&[("A", 2)]).await;
    app.proxy.set(Way::HoldsAnswers);
    let place = app.client.clone().place_order(within(1500, placing(&draft.order_id))).await;
    try_again(place, Code::DeadlineExceeded, "DEADLINE_EXCEEDED");
    app.proxy.holds(1).await;
    app.run_out(&draft.order_id, 3600).await;
    assert_eq!(app.sweeper.step().await.unwrap(), 1, "orders-svc says that it is a draft");
    assert_eq!(app.levels("A").await, (2, 0));
    assert_eq!(app.reservation(&draft.order_id).await.unwrap().state(), ReservationState::Released);
    app.proxy.set(Way::Open);
    let placed = app.place(&draft.order_id).await.unwrap();
    assert_eq!((placed.status(), app.levels("A").await), (OrderStatus::Placed, (2, 2)));
    app.check_books().await;
}

/// The stock came in between the questions of two equal requests, of which the one that was refused is answered last.
#[tokio::test]
async fn an_order_that_an_equal_request_has_placed_is_no_refusal() {
    let app = App::start_with_proxy().await;
    let mut past_proxy = app.start_another_past_proxy().await;
    app.stock("A", 1, "1.00").await;
    let request = placed_at_once(&app, new_id()).await;
    app.proxy.set(Way::HoldsAnswers);
    let (mut client, first) = (app.client.clone(), request.clone());
    let refused = tokio::spawn(async move { client.create_order(first).await });
    app.proxy.holds(1).await;

    app.receive("A", 1).await;
    let mut stranger = app.db.begin().await.unwrap();
    sqlx::query("select from orders.orders for update").execute(&mut *stranger).await.unwrap();
    let placed = tokio::spawn(async move { past_proxy.create_order(request).await });
    app.has_waiting(1).await;
    app.proxy.set(Way::Open);
    app.has_waiting(2).await;
    stranger.rollback().await.unwrap();

    let placed = placed.await.unwrap().unwrap().into_inner().order.unwrap();
    let told = refused.await.unwrap().unwrap().into_inner().order.unwrap();
    assert_eq!((placed.status(), &told), (OrderStatus::Placed, &placed));
    assert_eq!(app.levels("A").await, (2, 2));
    app.check_books().await;
}
