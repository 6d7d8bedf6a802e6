//! Whose a reservation is once it is confirmed: its order's, which is shipped and returned in orders-svc, or that of the program that confirmed
//! it by a call.

use proto::inventory::v1::{ReleaseReservationLine, ReleaseReservationRequest, ReservationState};
use tonic::{Code, Status};

use testkit::refusal;

use crate::app::{App, new_order, part_cancelled, placed, returned, shipped};

async fn release_one(app: &App, order_id: &str) -> Result<(), Status> {
    let line = ReleaseReservationLine { sku: "A".to_owned(), quantity: 1 };
    let request = ReleaseReservationRequest {
        request_id: new_order(),
        order_id: order_id.to_owned(),
        lines: vec![line],
    };
    app.client.clone().release_reservation(request).await.map(|_| ())
}

/// Panics unless no call ships, gives up or takes back anything of it.
async fn check_left_to_its_order(app: &App, order: &str) {
    let before = (app.levels("A").await, app.event_count().await);
    let refusals = [
        refusal(app.commit(order, &new_order(), &[]).await),
        refusal(app.commit(order, &new_order(), &[("A", 1)]).await),
        refusal(app.release(order).await),
        refusal(release_one(app, order).await),
        refusal(app.take_back(order, &new_order(), &[("A", 1, true)]).await),
    ];
    for refused in refusals {
        refused.is(Code::FailedPrecondition, "ORDER_PLACED");
        assert_eq!(refused.facts, [format!("order_id: {order}")]);
        let why = format!("order {order} is placed: ship, cancel or return the order");
        assert_eq!(refused.message, why);
    }
    assert_eq!((app.levels("A").await, app.event_count().await), before);
}

/// Five of A reserved, of ten.
async fn with_reserved(order: &str) -> App {
    let app = App::start().await;
    app.stock("A", 10).await;
    app.reserve(order, &[("A", 5)]).await.unwrap();
    app
}

#[tokio::test]
async fn what_belongs_to_an_order_is_left_to_its_events() {
    let order = new_order();
    let app = with_reserved(&order).await;
    app.hear(&[placed(&order)]).await;
    check_left_to_its_order(&app, &order).await;
    // Confirming by a call, too, does not make it anybody else's.
    app.confirm(&order).await.unwrap();
    app.hear(&[shipped(&order, &new_order(), &[("A", 3)])]).await;
    check_left_to_its_order(&app, &order).await;
    app.hear(&[returned(&order, &new_order(), &[("A", 1, true)])]).await;
    app.hear(&[shipped(&order, &new_order(), &[("A", 2)])]).await;
    assert_eq!(app.reservation(&order).await.unwrap().state(), ReservationState::Shipped);
    check_left_to_its_order(&app, &order).await;
    app.hear(&[returned(&order, &new_order(), &[("A", 4, true)])]).await;
    assert_eq!(app.levels("A").await, (10, 0));
    assert_eq!(app.log.dead_letters().await, [""; 0]);
    app.check_books().await;
    app.check_versions().await;
}

#[tokio::test]
async fn what_a_call_has_confirmed_goes_on_by_calls_until_its_order_is_placed() {
    let order = new_order();
    let app = with_reserved(&order).await;
    app.confirm(&order).await.unwrap();
    let (shipment, back) = (new_order(), new_order());
    let left = app.commit(&order, &shipment, &[("A", 2)]).await.unwrap();
    release_one(&app, &order).await.unwrap();
    let came = app.take_back(&order, &back, &[("A", 1, false)]).await.unwrap();
    assert_eq!(app.levels("A").await, (8, 2));

    app.hear(&[placed(&order)]).await;
    check_left_to_its_order(&app, &order).await;
    // What has moved by then has moved once, for the order and for who asks again.
    app.hear(&[shipped(&order, &shipment, &[("A", 2)])]).await;
    app.hear(&[returned(&order, &back, &[("A", 1, false)])]).await;
    let again = app.commit(&order, &shipment, &[("A", 2)]).await.unwrap();
    assert_eq!(again.movements, left.movements);
    assert_eq!(app.take_back(&order, &back, &[("A", 1, false)]).await.unwrap(), came);
    assert_eq!(app.levels("A").await, (8, 2));
    check_left_to_its_order(&app, &order).await;
    app.hear(&[shipped(&order, &new_order(), &[("A", 2)])]).await;
    assert_eq!(app.levels("A").await, (6, 0));
    assert_eq!(app.log.dead_letters().await, [""; 0]);
    app.check_books().await;
    app.check_versions().await;
}

#[tokio::test]
async fn what_a_call_has_shipped_before_anybody_confirmed_it_goes_on_by_calls() {
    let order = new_order();
    let app = with_reserved(&order).await;
    app.commit(&order, &new_order(), &[("A", 2)]).await.unwrap();
    app.commit(&order, &new_order(), &[("A", 1)]).await.unwrap();
    app.take_back(&order, &new_order(), &[("A", 3, true)]).await.unwrap();
    app.release(&order).await.unwrap();
    assert_eq!(app.levels("A").await, (10, 0));
    // All of it is over when its order is placed: it is the order's nevertheless.
    app.hear(&[placed(&order)]).await;
    let refused = refusal(app.take_back(&order, &new_order(), &[("A", 1, true)]).await);
    refused.is(Code::FailedPrecondition, "ORDER_PLACED");
    app.release(&order).await.unwrap();
    assert_eq!(app.log.dead_letters().await, [""; 0]);
}

#[tokio::test]
async fn an_order_that_is_shipped_without_having_been_heard_of_owns_its_reservation() {
    let order = new_order();
    let app = with_reserved(&order).await;
    app.confirm(&order).await.unwrap();
    app.hear(&[shipped(&order, &new_order(), &[("A", 2)])]).await;
    check_left_to_its_order(&app, &order).await;
}

#[tokio::test]
async fn releasing_again_what_a_part_cancelled_order_gave_up_changes_nothing() {
    let order = new_order();
    let app = with_reserved(&order).await;
    app.hear(&[placed(&order), shipped(&order, &new_order(), &[("A", 2)]), part_cancelled(&order)])
        .await;
    let before = app.event_count().await;
    app.release(&order).await.unwrap();
    assert_eq!((app.levels("A").await, app.event_count().await), ((8, 0), before));
}

#[tokio::test]
async fn drafts_are_given_up_by_calls() {
    let order = new_order();
    let app = with_reserved(&order).await;
    release_one(&app, &order).await.unwrap();
    app.release(&order).await.unwrap();
    assert_eq!(app.levels("A").await, (10, 0));
}
