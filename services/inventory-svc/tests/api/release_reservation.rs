use proto::inventory::v1::ReservationState;
use tonic::Code;

use testkit::refusal;

use crate::app::{App, new_order, placed, shipped};

#[tokio::test]
async fn what_was_reserved_is_free_again() {
    let app = App::start().await;
    app.stock("A", 5).await;
    let order = new_order();
    app.reserve(&order, &[("A", 2)]).await.unwrap();
    app.release(&order).await.unwrap();
    assert_eq!(app.levels("A").await, (5, 0));
    assert_eq!(app.reservation(&order).await.unwrap().state(), ReservationState::Released);
    let events = app.log.events_of(&order).await;
    assert_eq!(events.len(), 2);
    let (event_type, version, data) = &events[1];
    assert_eq!((event_type.as_str(), *version), ("stock.released", 2));
    assert_eq!(data["levels"], serde_json::json!([{"sku": "A", "quantity": 2, "onHand": 5}]));
}

#[tokio::test]
async fn releasing_twice_is_the_same_as_once() {
    let app = App::start().await;
    app.stock("A", 5).await;
    let order = new_order();
    app.reserve(&order, &[("A", 2)]).await.unwrap();
    app.release(&order).await.unwrap();
    app.release(&order).await.unwrap();
    assert_eq!(app.levels("A").await, (5, 0));
    assert_eq!(app.log.told_of(&order).await.len(), 2);
}

#[tokio::test]
async fn a_reservation_that_comes_after_its_release_is_refused() {
    let app = App::start().await;
    app.stock("A", 5).await;
    let order = new_order();
    app.release(&order).await.unwrap();
    assert!(app.log.events_of(&order).await.is_empty());
    let refused = refusal(app.reserve(&order, &[("A", 2)]).await);
    refused.is(Code::FailedPrecondition, "RESERVATION_RELEASED");
    assert_eq!(refused.facts, [format!("order_id: {order}")]);
    assert_eq!(app.levels("A").await, (5, 0));
}

#[tokio::test]
async fn only_what_is_not_shipped_is_free_again() {
    let app = App::start().await;
    app.stock("A", 5).await;
    let order = new_order();
    app.reserve(&order, &[("A", 3)]).await.unwrap();
    app.hear(&[placed(&order), shipped(&order, &new_order(), &[("A", 1)])]).await;
    app.release(&order).await.unwrap();
    assert_eq!(app.levels("A").await, (4, 0));
    app.check_books().await;
}

#[tokio::test]
async fn what_is_shipped_cannot_be_released() {
    let app = App::start().await;
    app.stock("A", 5).await;
    let order = new_order();
    app.reserve(&order, &[("A", 3)]).await.unwrap();
    app.hear(&[placed(&order), shipped(&order, &new_order(), &[("A", 3)])]).await;
    assert_eq!(app.reservation(&order).await.unwrap().state(), ReservationState::Shipped);
    let refused = refusal(app.release(&order).await);
    refused.is(Code::FailedPrecondition, "RESERVATION_SHIPPED");
}

#[tokio::test]
async fn an_order_id_must_be_one() {
    let app = App::start().await;
    refusal(app.release("").await).names(&["order_id"]);
    refusal(app.reservation("x").await).names(&["order_id"]);
}
