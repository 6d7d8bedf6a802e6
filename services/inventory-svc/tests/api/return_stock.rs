use proto::inventory::v1::{MovementReason, ReturnStockLine, ReturnStockRequest};
use tonic::Code;

use testkit::refusal;

use crate::app::{App, moved, new_order, returned};

/// An order that was shipped three of A, of five.
async fn with_shipped(order: &str) -> App {
    let app = App::start().await;
    app.stock("A", 5).await;
    app.reserve(order, &[("A", 3)]).await.unwrap();
    app.commit(order, &new_order(), &[]).await.unwrap();
    app
}

#[tokio::test]
async fn what_comes_back_is_on_hand_unless_it_is_scrapped() {
    let order = new_order();
    let app = with_shipped(&order).await;
    let back =
        app.take_back(&order, &new_order(), &[("A", 1, true), ("A", 1, false)]).await.unwrap();
    assert_eq!(
        moved(&back),
        [("A", MovementReason::Return, 2, "0.00"), ("A", MovementReason::Scrapped, -1, "0.00")]
    );
    assert!(back.iter().all(|movement| movement.order_id == order));
    assert_eq!(app.levels("A").await, (3, 0));
    assert_eq!(app.reservation(&order).await.unwrap().lines[0].returned_quantity, 2);
    let events = app.log.events_of(&order).await;
    let (event_type, version, data) = &events[2];
    assert_eq!((event_type.as_str(), *version), ("stock.returned", 3));
    let levels = serde_json::json!([{"sku": "A", "quantity": 2, "onHand": 4}]);
    assert_eq!(data["levels"], levels, "before any is scrapped");
    app.check_books().await;
}

#[tokio::test]
async fn no_more_comes_back_than_has_left_and_not_come_back() {
    let order = new_order();
    let app = with_shipped(&order).await;
    app.stock("B", 5).await;
    refusal(app.take_back(&new_order(), &new_order(), &[("A", 1, true)]).await)
        .is(Code::NotFound, "RESERVATION_NOT_FOUND");
    for lines in [&[("A", 4, true)][..], &[("A", 2, true), ("A", 2, false)], &[("B", 1, true)]] {
        let refused = refusal(app.take_back(&order, &new_order(), lines).await);
        refused.is(Code::FailedPrecondition, "OVER_RETURN");
        assert!(refused.facts.contains(&format!("order_id: {order}")));
    }
    app.take_back(&order, &new_order(), &[("A", 2, true)]).await.unwrap();
    let refused = refusal(app.take_back(&order, &new_order(), &[("A", 2, true)]).await);
    refused.is(Code::FailedPrecondition, "OVER_RETURN");
    let order_id = format!("order_id: {order}");
    assert_eq!(refused.facts, ["open: 1", order_id.as_str(), "requested: 2", "sku: A"]);
    app.take_back(&order, &new_order(), &[("A", 1, true)]).await.unwrap();
    assert_eq!(app.levels("A").await, (5, 0));
}

#[tokio::test]
async fn what_was_not_shipped_does_not_come_back() {
    let app = App::start().await;
    app.stock("A", 5).await;
    let order = new_order();
    app.reserve(&order, &[("A", 3)]).await.unwrap();
    app.commit(&order, &new_order(), &[("A", 1)]).await.unwrap();
    refusal(app.take_back(&order, &new_order(), &[("A", 2, true)]).await)
        .is(Code::FailedPrecondition, "OVER_RETURN");
    app.take_back(&order, &new_order(), &[("A", 1, true)]).await.unwrap();
    assert_eq!(app.levels("A").await, (5, 2));
    // Also when the rest was given up.
    app.release(&order).await.unwrap();
    app.check_books().await;
}

#[tokio::test]
async fn the_same_return_again_changes_nothing_by_call_and_by_event() {
    let order = new_order();
    let app = with_shipped(&order).await;
    let (one, other) = (new_order(), new_order());
    let lines = [("A", 1, true), ("A", 1, false)];
    let first = app.take_back(&order, &one, &lines).await.unwrap();
    assert_eq!(app.take_back(&order, &one, &lines).await.unwrap(), first);
    app.hear(&[returned(&order, &one, &lines)]).await;
    app.hear(&[returned(&order, &other, &[("A", 1, true)])]).await;
    app.take_back(&order, &other, &[("A", 1, true)]).await.unwrap();
    assert_eq!(app.levels("A").await, (4, 0));
    assert_eq!(app.told("stock.returned").await.len(), 2);
    assert_eq!(app.told("stock.adjusted").await.len(), 1);
    for lines in [&[("A", 2, true)][..], &[("A", 2, false)], &[("A", 1, true)]] {
        let refused = refusal(app.take_back(&order, &one, lines).await);
        refused.is(Code::AlreadyExists, "RETURN_EXISTS");
        assert_eq!(refused.facts, [format!("return_id: {one}")]);
    }
    assert_eq!(app.log.dead_letters().await, [""; 0]);
    app.hear(&[returned(&order, &one, &[("A", 3, true)])]).await;
    let aside = [format!("return {one} has come with other contents")];
    assert_eq!(app.log.dead_letters().await, aside);
}

#[tokio::test]
async fn every_bad_field_is_named_and_a_request_is_answered_once() {
    let order = new_order();
    let app = with_shipped(&order).await;
    refusal(app.take_back("x", "", &[("a b", 0, true)]).await).names(&[
        "order_id",
        "return_id",
        "lines[0].sku",
        "lines[0].quantity",
    ]);
    refusal(app.take_back(&order, &new_order(), &[]).await).names(&["lines"]);
    refusal(app.take_back(&order, &new_order(), &[("A", 1, true); 501]).await).names(&["lines"]);
    let line = ReturnStockLine { sku: "A".to_owned(), quantity: 1, restock: true };
    let request = ReturnStockRequest {
        request_id: new_order(),
        order_id: order,
        return_id: new_order(),
        lines: vec![line],
    };
    let call = async |request: &ReturnStockRequest| {
        app.client.clone().return_stock(request.clone()).await.map(tonic::Response::into_inner)
    };
    let first = call(&request).await.unwrap();
    assert_eq!(call(&request).await.unwrap(), first);
    let other = ReturnStockRequest { return_id: new_order(), ..request };
    refusal(call(&other).await).is(Code::AlreadyExists, "REQUEST_ID_USED");
}
