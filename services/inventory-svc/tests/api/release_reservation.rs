use proto::inventory::v1::{ReleaseReservationLine, ReleaseReservationRequest, ReservationState};
use tonic::{Code, Status};

use testkit::refusal;

use crate::app::{App, new_order};

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
    app.confirm(&order).await.unwrap();
    app.commit(&order, &new_order(), &[("A", 1)]).await.unwrap();
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
    app.commit(&order, &new_order(), &[]).await.unwrap();
    assert_eq!(app.reservation(&order).await.unwrap().state(), ReservationState::Shipped);
    let refused = refusal(app.release(&order).await);
    refused.is(Code::FailedPrecondition, "RESERVATION_SHIPPED");
}

async fn release_lines(
    app: &App,
    request_id: &str,
    order_id: &str,
    lines: &[(&str, i32)],
) -> Result<(), Status> {
    let line = |(sku, quantity): &(&str, i32)| ReleaseReservationLine {
        sku: (*sku).to_owned(),
        quantity: *quantity,
    };
    let request = ReleaseReservationRequest {
        request_id: request_id.to_owned(),
        order_id: order_id.to_owned(),
        lines: lines.iter().map(line).collect(),
    };
    app.client.clone().release_reservation(request).await.map(|_| ())
}

#[tokio::test]
async fn a_part_is_released_and_the_rest_stays_reserved() {
    let app = App::start().await;
    app.stock("A", 10).await;
    app.stock("B", 10).await;
    let order = new_order();
    app.reserve(&order, &[("A", 4), ("B", 2)]).await.unwrap();
    release_lines(&app, &new_order(), &order, &[("A", 1), ("B", 2), ("A", 1)]).await.unwrap();
    let reservation = app.reservation(&order).await.unwrap();
    assert_eq!(reservation.state(), ReservationState::Held);
    let lines: Vec<_> = reservation
        .lines
        .iter()
        .map(|l| (l.sku.as_str(), l.quantity, l.released_quantity))
        .collect();
    assert_eq!(lines, [("A", 4, 2), ("B", 2, 2)]);
    assert_eq!((app.levels("A").await, app.levels("B").await), ((10, 2), (10, 0)));
    assert_eq!(app.log.told_of(&order).await[1], ("stock.released".to_owned(), 2));
    app.check_books().await;
    app.reserve(&order, &[("A", 4), ("B", 2)]).await.unwrap();
    assert_eq!(app.levels("A").await, (10, 2), "the same lines again reserve no more");
    app.commit(&order, &new_order(), &[]).await.unwrap();
    assert_eq!(app.levels("A").await, (8, 0));
}

#[tokio::test]
async fn with_nothing_left_open_what_has_left_decides() {
    let app = App::start().await;
    app.stock("A", 10).await;
    let (sold, unsold) = (new_order(), new_order());
    for order in [&sold, &unsold] {
        app.reserve(order, &[("A", 2)]).await.unwrap();
    }
    app.commit(&sold, &new_order(), &[("A", 1)]).await.unwrap();
    release_lines(&app, &new_order(), &sold, &[("A", 1)]).await.unwrap();
    release_lines(&app, &new_order(), &unsold, &[("A", 2)]).await.unwrap();
    assert_eq!(app.reservation(&sold).await.unwrap().state(), ReservationState::Shipped);
    assert_eq!(app.reservation(&unsold).await.unwrap().state(), ReservationState::Released);
    app.release(&sold).await.unwrap();
    app.release(&unsold).await.unwrap();
    assert_eq!(app.levels("A").await, (9, 0));
    refusal(app.reserve(&unsold, &[("A", 2)]).await)
        .is(Code::FailedPrecondition, "RESERVATION_RELEASED");
}

#[tokio::test]
async fn no_more_is_released_than_is_open() {
    let app = App::start().await;
    app.stock("A", 10).await;
    app.stock("B", 10).await;
    let order = new_order();
    let release = async |lines: &[(&str, i32)]| {
        refusal(release_lines(&app, &new_order(), &order, lines).await)
    };
    release(&[("A", 1)]).await.is(Code::NotFound, "RESERVATION_NOT_FOUND");
    app.reserve(&order, &[("A", 4)]).await.unwrap();
    app.commit(&order, &new_order(), &[("A", 3)]).await.unwrap();
    for (sku, requested, open) in [("A", 2, 1), ("B", 1, 0)] {
        let refused = release(&[(sku, requested)]).await;
        refused.is(Code::FailedPrecondition, "OVER_RELEASE");
        let facts = format!("open: {open}, order_id: {order}, requested: {requested}, sku: {sku}");
        assert_eq!(refused.facts.join(", "), facts);
    }
    app.commit(&order, &new_order(), &[]).await.unwrap();
    release(&[("A", 1)]).await.is(Code::FailedPrecondition, "OVER_RELEASE");
    let released = new_order();
    app.release(&released).await.unwrap();
    let refused = refusal(release_lines(&app, &new_order(), &released, &[("A", 1)]).await);
    refused.is(Code::FailedPrecondition, "RESERVATION_RELEASED");
    assert_eq!(app.levels("A").await, (6, 0));
}

#[tokio::test]
async fn a_part_needs_a_request_id_and_is_released_once_by_it() {
    let app = App::start().await;
    app.stock("A", 10).await;
    let (order, request_id) = (new_order(), new_order());
    app.reserve(&order, &[("A", 4)]).await.unwrap();
    refusal(release_lines(&app, "", &order, &[("A", 1)]).await).names(&["request_id"]);
    for _ in 0..2 {
        release_lines(&app, &request_id, &order, &[("A", 1)]).await.unwrap();
    }
    assert_eq!(app.levels("A").await, (10, 3));
    refusal(release_lines(&app, &request_id, &order, &[("A", 2)]).await)
        .is(Code::AlreadyExists, "REQUEST_ID_USED");
    refusal(release_lines(&app, &new_order(), &order, &[("a b", 0)]).await)
        .names(&["lines[0].sku", "lines[0].quantity"]);
    refusal(release_lines(&app, &new_order(), &order, &[("A", 1); 501]).await).names(&["lines"]);
}

#[tokio::test]
async fn an_order_id_must_be_one() {
    let app = App::start().await;
    refusal(app.release("").await).names(&["order_id"]);
    refusal(app.reservation("x").await).names(&["order_id"]);
}
