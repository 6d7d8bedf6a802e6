use prost_types::Duration;
use proto::inventory::v1::{self as pb, ExtendReservationRequest};
use tonic::{Code, Status};

use testkit::refusal;

use crate::app::{App, new_order};

fn by(order_id: &str, seconds: i64) -> ExtendReservationRequest {
    ExtendReservationRequest {
        request_id: String::new(),
        order_id: order_id.to_owned(),
        ttl: Some(Duration { seconds, nanos: 0 }),
    }
}

async fn extend(app: &App, request: ExtendReservationRequest) -> Result<pb::Reservation, Status> {
    Ok(app.client.clone().extend_reservation(request).await?.into_inner().reservation.unwrap())
}

/// Seconds until a reservation runs out.
async fn left(app: &App) -> f64 {
    sqlx::query_scalar(
        "select extract(epoch from expires_at - now())::float8 from inventory.reservations",
    )
    .fetch_one(&app.db)
    .await
    .unwrap()
}

#[tokio::test]
async fn it_is_held_so_long_from_now_on() {
    let app = App::start().await;
    app.stock("A", 5).await;
    let order = new_order();
    app.reserve(&order, &[("A", 2)]).await.unwrap();
    let extended = extend(&app, by(&order, 604_800)).await.unwrap();
    assert!((604_700.0..=604_800.0).contains(&left(&app).await), "{}", left(&app).await);
    let events = app.log.events_of(&order).await;
    let (event_type, version, data) = &events[1];
    assert_eq!((event_type.as_str(), *version), ("reservation.extended", 2));
    assert_eq!(data["orderId"], order);
    assert!(data["expireTime"].is_string(), "{data}");
    assert_eq!(app.reservation(&order).await.unwrap(), extended);
}

#[tokio::test]
async fn it_is_never_held_shorter() {
    let app = App::start().await;
    app.stock("A", 5).await;
    let order = new_order();
    let reserved = app.reserve(&order, &[("A", 2)]).await.unwrap();
    let same = extend(&app, by(&order, 1)).await.unwrap();
    assert_eq!(same.expire_time, reserved.expire_time);
    assert_eq!(app.log.told_of(&order).await.len(), 1);
}

#[tokio::test]
async fn one_that_ran_out_and_is_still_held_can_be_extended() {
    let app = App::start().await;
    app.stock("A", 5).await;
    let order = new_order();
    app.reserve(&order, &[("A", 2)]).await.unwrap();
    app.run_out(&order, 3600).await;
    extend(&app, by(&order, 600)).await.unwrap();
    assert_eq!(app.sweeper.step().await.unwrap(), 0);
    assert_eq!(app.levels("A").await, (5, 2));
}

#[tokio::test]
async fn the_same_request_again_does_not_extend_once_more() {
    let app = App::start().await;
    app.stock("A", 5).await;
    let order = new_order();
    app.reserve(&order, &[("A", 2)]).await.unwrap();
    let request = ExtendReservationRequest { request_id: new_order(), ..by(&order, 3600) };
    let first = extend(&app, request.clone()).await.unwrap();
    assert_eq!(extend(&app, request.clone()).await.unwrap(), first);
    assert_eq!(app.log.told_of(&order).await.len(), 2);
    let other = ExtendReservationRequest { request_id: request.request_id, ..by(&order, 3601) };
    refusal(extend(&app, other).await).is(Code::AlreadyExists, "REQUEST_ID_USED");
}

#[tokio::test]
async fn only_what_is_held_has_a_time_limit() {
    let app = App::start().await;
    app.stock("A", 5).await;
    let order = new_order();
    refusal(extend(&app, by(&order, 60)).await).is(Code::NotFound, "RESERVATION_NOT_FOUND");
    app.reserve(&order, &[("A", 2)]).await.unwrap();
    app.confirm(&order).await.unwrap();
    let refused = refusal(extend(&app, by(&order, 60)).await);
    refused.is(Code::FailedPrecondition, "RESERVATION_NOT_HELD");
    assert_eq!(refused.facts, [format!("order_id: {order}")]);
    app.release(&order).await.unwrap();
    let refused = refusal(extend(&app, by(&order, 60)).await);
    refused.is(Code::FailedPrecondition, "RESERVATION_RELEASED");
}

#[tokio::test]
async fn every_bad_field_is_named() {
    let app = App::start().await;
    let order = new_order();
    for seconds in [i64::MIN, 0, 604_801, i64::MAX] {
        refusal(extend(&app, by(&order, seconds)).await).names(&["ttl"]);
    }
    let part =
        ExtendReservationRequest { ttl: Some(Duration { seconds: 60, nanos: 1 }), ..by(&order, 0) };
    refusal(extend(&app, part).await).names(&["ttl"]);
    let none = ExtendReservationRequest { ttl: None, request_id: "7".to_owned(), ..by("x", 0) };
    refusal(extend(&app, none).await).names(&["request_id", "order_id", "ttl"]);
}
