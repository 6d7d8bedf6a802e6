use futures::future::join_all;
use proto::orders::v1::{CancelOrderRequest, OrderStatus};
use tonic::Code;

use testkit::refusal;

use crate::{
    app::App,
    requests::{cancelling, new_id, shipping},
};

#[tokio::test]
async fn a_placed_order_gives_its_stock_back() {
    let app = App::start().await;
    app.stock("A", 5, "1.00").await;
    let order = app.placed(&[("A", 3)]).await;
    assert_eq!(app.levels("A").await, (5, 3));
    let reason = "the customer has moved".to_owned();
    let request = CancelOrderRequest { reason: reason.clone(), ..cancelling(&order.order_id) };
    let cancelled = app.cancel_as(request).await.unwrap();
    assert_eq!((cancelled.status(), &cancelled.cancel_reason), (OrderStatus::Cancelled, &reason));
    assert_eq!((&cancelled.lines, cancelled.place_time), (&order.lines, order.place_time));
    assert_eq!(app.order(&order.order_id).await, cancelled);
    assert_eq!(app.told_of(&order.order_id).await[2..], ["order.cancelled 3"]);
    let (_, _, data) = app.log.events_of(&order.order_id).await.remove(2);
    assert!(!data.to_string().contains("moved"), "what people write is not published");
    app.check_books().await;
    assert_eq!(app.levels("A").await, (5, 0));
}

#[tokio::test]
async fn a_draft_is_cancelled_and_cannot_be_placed_any_more() {
    let app = App::start().await;
    app.stock("A", 5, "1.00").await;
    let draft = app.draft(&[("A", 3)]).await;
    let cancelled = app.cancel(&draft.order_id).await.unwrap();
    assert_eq!((cancelled.status(), cancelled.place_time), (OrderStatus::Cancelled, None));
    refusal(app.place(&draft.order_id).await).is(Code::FailedPrecondition, "ORDER_STATE");
    app.check_books().await;
    assert_eq!(app.told_of(&draft.order_id).await, ["order.created 1", "order.cancelled 2"]);
}

#[tokio::test]
async fn cancelling_twice_cancels_once() {
    let app = App::start().await;
    app.stock("A", 5, "1.00").await;
    let order = app.placed(&[("A", 3)]).await;
    let why = CancelOrderRequest { reason: "x".to_owned(), ..cancelling(&order.order_id) };
    let cancelled = app.cancel_as(why).await.unwrap();
    let other = CancelOrderRequest { reason: "y".to_owned(), ..cancelling(&order.order_id) };
    assert_eq!(app.cancel_as(other).await.unwrap(), cancelled);
    let all = join_all((0..50).map(|_| app.cancel(&order.order_id))).await;
    assert!(all.into_iter().all(|again| again.unwrap() == cancelled));
    assert_eq!(app.told_of(&order.order_id).await.len(), 3);
    app.check_books().await;
}

#[tokio::test]
async fn what_has_left_is_not_cancelled() {
    let app = App::start().await;
    app.stock("A", 9, "1.00").await;
    let (parts, whole) = (app.placed(&[("A", 3)]).await, app.placed(&[("A", 1)]).await);
    let complete = app.placed(&[("A", 1)]).await;
    let line = parts.lines[0].line_id.as_str();
    app.ship_as(shipping(&parts.order_id, &[(line, 1)])).await.unwrap();
    app.ship(&parts.order_id).await.unwrap();
    app.ship(&whole.order_id).await.unwrap();
    app.hear_paid(&[&complete.order_id]).await;
    app.ship(&complete.order_id).await.unwrap();
    for (order, from) in [(&parts, "shipped"), (&whole, "shipped"), (&complete, "completed")] {
        let refused = refusal(app.cancel(&order.order_id).await);
        refused.is(Code::FailedPrecondition, "ORDER_STATE");
        let facts = [
            format!("from: {from}"),
            format!("order_id: {}", order.order_id),
            "to: cancelled".to_owned(),
        ];
        assert_eq!(refused.facts, facts);
    }
    app.check_books().await;
    assert_eq!(app.levels("A").await, (4, 0));
}

#[tokio::test]
async fn every_bad_field_is_named() {
    let app = App::start().await;
    let bad = CancelOrderRequest {
        request_id: "x".to_owned(),
        order_id: "7".to_owned(),
        reason: "x".repeat(256),
    };
    refusal(app.cancel_as(bad).await).names(&["request_id", "order_id", "reason"]);
    refusal(app.cancel("").await).names(&["order_id"]);
    let nothing = new_id();
    let refused = refusal(app.cancel(&nothing).await);
    refused.is(Code::NotFound, "ORDER_NOT_FOUND");
    assert_eq!(refused.facts, [format!("order_id: {nothing}")]);
}

#[tokio::test]
async fn a_request_id_is_for_one_request() {
    let app = App::start().await;
    app.stock("A", 9, "1.00").await;
    let (one, two) = (app.placed(&[("A", 3)]).await, app.placed(&[("A", 1)]).await);
    let request = CancelOrderRequest {
        request_id: new_id(),
        reason: "Å".repeat(255),
        ..cancelling(&one.order_id)
    };
    let cancelled = app.cancel_as(request.clone()).await.unwrap();
    assert_eq!(app.cancel_as(request.clone()).await.unwrap(), cancelled);
    let others = [
        CancelOrderRequest { order_id: two.order_id.clone(), ..request.clone() },
        CancelOrderRequest { reason: String::new(), ..request.clone() },
    ];
    for other in others {
        let refused = refusal(app.cancel_as(other).await);
        refused.is(Code::AlreadyExists, "REQUEST_ID_USED");
        assert_eq!(refused.facts, [format!("request_id: {}", request.request_id)]);
    }
    assert_eq!(app.order(&two.order_id).await, two);

    // What was refused is not remembered.
    app.ship(&two.order_id).await.unwrap();
    let late = CancelOrderRequest { request_id: new_id(), ..cancelling(&two.order_id) };
    refusal(app.cancel_as(late.clone()).await).is(Code::FailedPrecondition, "ORDER_STATE");
    let three = app.placed(&[("A", 1)]).await;
    app.cancel_as(CancelOrderRequest { order_id: three.order_id, ..late }).await.unwrap();
    app.check_books().await;
}
