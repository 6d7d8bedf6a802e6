//! History: orders that keep the time at which they were placed.

use prost_types::Timestamp;
use proto::{
    events::v1::OrderPlaced,
    orders::v1::{CreateOrderRequest, OrderStatus},
};
use tonic::Code;

use testkit::refusal;

use crate::{
    app::App,
    requests::{new_id, order},
};

/// 2010-12-01T08:26:00Z and a bit.
const LONG_AGO: Timestamp = Timestamp { seconds: 1_291_191_960, nanos: 123_456_789 };

fn history(customer: &str, place_time: Timestamp) -> CreateOrderRequest {
    CreateOrderRequest {
        request_id: new_id(),
        place: true,
        place_time: Some(place_time),
        ..order(customer, &[("A", 2)])
    }
}

#[tokio::test]
async fn a_time_of_ones_own_needs_the_permission_even_where_doors_are_open() {
    let app = App::start().await;
    app.stock("A", 5, "1.00").await;
    let request = history(&app.customer().await, LONG_AGO);
    let strangers = [app.client.clone(), app.caller(&["orders.write", "orders.price"])];
    for mut stranger in strangers {
        let refused = refusal(stranger.create_order(request.clone()).await);
        refused.is(Code::PermissionDenied, "PERMISSION_MISSING");
        assert_eq!(refused.facts, ["permission: orders.import"]);
        // Also where the rest is bad.
        let bad = CreateOrderRequest { place_time: Some(LONG_AGO), ..Default::default() };
        assert_eq!(refusal(stranger.create_order(bad).await).code, Code::PermissionDenied);
    }
    assert_eq!(app.count("select count(*) from orders.orders").await, 0);
    app.caller(&["orders.write", "orders.import"]).create_order(request).await.unwrap();
}

#[tokio::test]
async fn history_keeps_its_time() {
    let app = App::start().await;
    app.stock("A", 5, "1.00").await;
    let mut importer = app.caller(&["*"]);
    let request = history(&app.customer().await, LONG_AGO);
    let made = importer.create_order(request.clone()).await.unwrap().into_inner().order.unwrap();
    let to_the_microsecond = Timestamp { nanos: 123_456_000, ..LONG_AGO };
    assert_eq!((made.status(), made.place_time), (OrderStatus::Placed, Some(to_the_microsecond)));
    assert!(made.create_time.unwrap().seconds > LONG_AGO.seconds, "the record is made now");
    assert_eq!(app.order(&made.order_id).await, made);
    let (_, _, data) = app.log.events_of(&made.order_id).await.remove(1);
    let told: OrderPlaced = serde_json::from_value(data).unwrap();
    let told = told.place_time.map(|time| (time.seconds, time.nanos));
    assert_eq!(told, Some((to_the_microsecond.seconds, to_the_microsecond.nanos)));
    let actor: String = sqlx::query_scalar(
        "select payload->>'actor' from orders.events_log where event_type = 'order.placed'",
    )
    .fetch_one(&app.db)
    .await
    .unwrap();
    assert_eq!(actor, "ann");
    let again = importer.create_order(request).await.unwrap().into_inner().order.unwrap();
    assert_eq!(again, made);
    app.check_books().await;
}

#[tokio::test]
async fn history_is_past_and_placed() {
    let app = App::start().await;
    app.stock("A", 5, "1.00").await;
    let mut importer = app.caller(&["*"]);
    let customer = app.customer().await;
    let now = app.count("select extract(epoch from now())::bigint").await;
    let future = history(&customer, Timestamp { seconds: now + 60, nanos: 0 });
    refusal(importer.create_order(future.clone()).await).names(&["place_time"]);
    let with_more =
        CreateOrderRequest { customer_id: new_id(), request_id: "x".to_owned(), ..future };
    refusal(importer.create_order(with_more).await).names(&[
        "request_id",
        "customer_id",
        "place_time",
    ]);
    let draft = CreateOrderRequest { place: false, ..history(&customer, LONG_AGO) };
    refusal(importer.create_order(draft).await).names(&["place_time"]);
    for bad in [
        Timestamp { seconds: i64::MAX, nanos: 0 },
        Timestamp { seconds: 0, nanos: -1 },
        Timestamp { seconds: 253_402_300_800, nanos: 0 },
    ] {
        refusal(importer.create_order(history(&customer, bad)).await).names(&["place_time"]);
    }
    assert_eq!(app.count("select count(*) from orders.orders").await, 0);
    let just_now = history(&customer, Timestamp { seconds: now - 1, nanos: 0 });
    importer.create_order(just_now).await.unwrap();
    app.check_books().await;
}
