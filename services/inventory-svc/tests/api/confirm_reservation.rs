use proto::inventory::v1::{ConfirmReservationRequest, ReservationState};
use tonic::Code;

use testkit::refusal;

use crate::app::{App, new_order, placed};

#[tokio::test]
async fn a_confirmed_reservation_has_no_time_limit_any_more_and_that_is_told_once() {
    let app = App::start().await;
    app.stock("A", 5).await;
    let order = new_order();
    app.reserve(&order, &[("A", 2)]).await.unwrap();
    let confirmed = app.confirm(&order).await.unwrap();
    assert_eq!(confirmed.state(), ReservationState::Confirmed);
    assert_eq!(confirmed.lines.len(), 1);
    assert_eq!(app.confirm(&order).await.unwrap(), confirmed);
    app.hear(&[placed(&order)]).await;
    let told = app.log.told_of(&order).await;
    let told: Vec<_> = told.iter().map(|(event, version)| (event.as_str(), *version)).collect();
    assert_eq!(told, [("stock.reserved", 1), ("reservation.confirmed", 2)]);
    app.run_out(&order, 3600).await;
    assert_eq!(app.sweeper.step().await.unwrap(), 0);
    assert_eq!(app.levels("A").await, (5, 2));
}

#[tokio::test]
async fn the_same_request_again_has_no_second_effect() {
    let app = App::start().await;
    app.stock("A", 5).await;
    let (order, other) = (new_order(), new_order());
    app.reserve(&order, &[("A", 2)]).await.unwrap();
    let request = ConfirmReservationRequest { request_id: new_order(), order_id: order.clone() };
    let first = app.client.clone().confirm_reservation(request.clone()).await.unwrap().into_inner();
    let second = app.client.clone().confirm_reservation(request.clone()).await.unwrap();
    assert_eq!(second.into_inner(), first);
    let request = ConfirmReservationRequest { order_id: other, ..request };
    let refused = refusal(app.client.clone().confirm_reservation(request).await);
    refused.is(Code::AlreadyExists, "REQUEST_ID_USED");
}

#[tokio::test]
async fn what_is_not_held_for_it_cannot_be_confirmed() {
    let app = App::start().await;
    app.stock("A", 5).await;
    let order = new_order();
    refusal(app.confirm(&order).await).is(Code::NotFound, "RESERVATION_NOT_FOUND");
    app.reserve(&order, &[("A", 2)]).await.unwrap();
    app.release(&order).await.unwrap();
    refusal(app.confirm(&order).await).is(Code::FailedPrecondition, "RESERVATION_RELEASED");
    let request = ConfirmReservationRequest { request_id: "7".to_owned(), order_id: String::new() };
    refusal(app.client.clone().confirm_reservation(request).await)
        .names(&["request_id", "order_id"]);
}
