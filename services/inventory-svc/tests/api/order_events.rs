use log::NewEvent;
use proto::{inventory::v1::ReservationState, log::v1::RetryDeadLettersRequest};
use tonic::Code;

use testkit::refusal;

use crate::app::{App, cancelled, deleted, new_order, part_cancelled, placed, returned, shipped};

#[tokio::test]
async fn a_placed_order_confirms_its_reservation() {
    let app = App::start().await;
    app.stock("A", 5).await;
    let order = new_order();
    app.reserve(&order, &[("A", 3)]).await.unwrap();
    app.hear(&[placed(&order)]).await;
    assert_eq!(app.reservation(&order).await.unwrap().state(), ReservationState::Confirmed);
    assert_eq!(app.levels("A").await, (5, 3));
    assert_eq!(app.log.told_of(&order).await.len(), 1);
}

#[tokio::test]
async fn a_shipment_takes_goods_off_the_shelf_and_off_the_promise() {
    let app = App::start().await;
    app.stock("A", 5).await;
    app.stock("B", 5).await;
    let (order, shipment) = (new_order(), new_order());
    app.reserve(&order, &[("A", 3), ("B", 1)]).await.unwrap();
    app.hear(&[placed(&order), shipped(&order, &shipment, &[("A", 1), ("A", 1)])]).await;
    let reservation = app.reservation(&order).await.unwrap();
    assert_eq!(reservation.state(), ReservationState::Confirmed);
    assert_eq!(reservation.lines[0].shipped_quantity, 2);
    assert_eq!((app.levels("A").await, app.levels("B").await), ((3, 1), (5, 1)));

    // Two shipments of one order in one batch.
    let rest =
        [shipped(&order, &new_order(), &[("A", 1)]), shipped(&order, &new_order(), &[("B", 1)])];
    app.hear(&rest).await;
    assert_eq!(app.reservation(&order).await.unwrap().state(), ReservationState::Shipped);
    assert_eq!((app.levels("A").await, app.levels("B").await), ((2, 0), (4, 0)));
    app.check_books().await;

    let told = app.log.events_of(&order).await;
    let versions: Vec<i64> = told.iter().map(|(_, version, _)| *version).collect();
    assert_eq!(versions, [1, 2, 3, 4]);
    let (event_type, _, data) = &told[1];
    assert_eq!(event_type, "stock.shipped");
    assert_eq!((&data["orderId"], &data["shipmentId"]), (&order.into(), &shipment.into()));
    let levels = serde_json::json!([{"sku": "A", "quantity": 2, "onHand": 3, "reserved": 1}]);
    assert_eq!(data["levels"], levels);
}

#[tokio::test]
async fn cancelled_and_deleted_orders_give_back_what_is_not_shipped() {
    let app = App::start().await;
    app.stock("A", 10).await;
    let (draft, part, never) = (new_order(), new_order(), new_order());
    app.reserve(&draft, &[("A", 2)]).await.unwrap();
    app.reserve(&part, &[("A", 3)]).await.unwrap();
    app.hear(&[
        placed(&part),
        shipped(&part, &new_order(), &[("A", 1)]),
        deleted(&draft),
        cancelled(&part),
        deleted(&never),
    ])
    .await;
    assert_eq!(app.levels("A").await, (9, 0));
    for order in [&draft, &never] {
        assert_eq!(app.reservation(order).await.unwrap().state(), ReservationState::Released);
    }
    assert_eq!(app.reservation(&part).await.unwrap().state(), ReservationState::Shipped);
    assert_eq!(app.log.told_of(&part).await.last().unwrap(), &("stock.released".to_owned(), 3));
    assert!(app.log.told_of(&never).await.is_empty());
    app.check_books().await;
}

#[tokio::test]
async fn what_is_left_of_an_order_that_is_cancelled_in_part_is_free_and_the_rest_stays_sold() {
    let app = App::start().await;
    app.stock("A", 10).await;
    app.stock("B", 10).await;
    let (order, unshipped) = (new_order(), new_order());
    app.reserve(&order, &[("A", 4), ("B", 2)]).await.unwrap();
    app.reserve(&unshipped, &[("A", 1)]).await.unwrap();
    app.hear(&[
        placed(&order),
        shipped(&order, &new_order(), &[("A", 3)]),
        part_cancelled(&order),
        part_cancelled(&order),
        placed(&unshipped),
        part_cancelled(&unshipped),
    ])
    .await;
    app.hear(&[part_cancelled(&order)]).await;
    let reservation = app.reservation(&order).await.unwrap();
    assert_eq!(reservation.state(), ReservationState::Shipped);
    let lines: Vec<_> = reservation
        .lines
        .iter()
        .map(|l| (l.sku.as_str(), l.quantity, l.shipped_quantity, l.released_quantity))
        .collect();
    assert_eq!(lines, [("A", 4, 3, 1), ("B", 2, 0, 2)]);
    assert_eq!((app.levels("A").await, app.levels("B").await), ((7, 0), (10, 0)));
    let events = app.log.events_of(&order).await;
    assert_eq!(events.len(), 3);
    let (event_type, version, data) = &events[2];
    assert_eq!((event_type.as_str(), *version), ("stock.released", 3));
    let levels = serde_json::json!([
        {"sku": "A", "quantity": 1, "onHand": 7, "reserved": 1},
        {"sku": "B", "quantity": 2, "onHand": 10},
    ]);
    assert_eq!(data["levels"], levels);
    // Of one that nothing has left of, nothing is sold.
    let reservation = app.reservation(&unshipped).await.unwrap();
    assert_eq!(reservation.state(), ReservationState::Released);
    assert_eq!(app.log.dead_letters().await, [""; 0]);
    app.check_books().await;

    let never = new_order();
    app.hear(&[part_cancelled(&never)]).await;
    assert_eq!(app.log.dead_letters().await, [format!("order {never} has no reservation")]);
}

#[tokio::test]
async fn what_comes_back_is_on_hand_again_or_scrapped() {
    let app = App::start().await;
    app.stock("A", 10).await;
    let (order, id) = (new_order(), new_order());
    app.reserve(&order, &[("A", 4)]).await.unwrap();
    let back = [("A", 1, true), ("A", 2, false)];
    // All in one batch.
    app.hear(&[
        placed(&order),
        shipped(&order, &new_order(), &[("A", 3)]),
        part_cancelled(&order),
        returned(&order, &id, &back),
        returned(&order, &id, &back),
    ])
    .await;
    assert_eq!(app.levels("A").await, (8, 0));
    assert_eq!(app.reservation(&order).await.unwrap().state(), ReservationState::Shipped);
    let told = app.log.told_of(&order).await;
    let told: Vec<_> = told.iter().map(|(event, version)| (event.as_str(), *version)).collect();
    assert_eq!(
        told,
        [("stock.reserved", 1), ("stock.shipped", 2), ("stock.released", 3), ("stock.returned", 4)]
    );
    assert_eq!(app.log.told_of(&id).await, [("stock.adjusted".to_owned(), 1)]);
    app.check_books().await;

    app.hear(&[returned(&order, &new_order(), &[("A", 1, true)])]).await;
    let why = format!("1 of A came back from order {order}, of which 0 had left and not come back");
    assert_eq!(app.log.dead_letters().await, [why]);
    assert_eq!(app.levels("A").await, (8, 0));
}

/// The very same again, as new events: at the position redelivered ones are skipped before they are looked at.
#[tokio::test]
async fn each_event_twice_has_one_effect() {
    let app = App::start().await;
    app.stock("A", 10).await;
    let (whole, part, shipment, other) = (new_order(), new_order(), new_order(), new_order());
    app.reserve(&whole, &[("A", 2)]).await.unwrap();
    app.reserve(&part, &[("A", 5)]).await.unwrap();
    let all: [fn(&[&str; 4]) -> NewEvent; 6] = [
        |ids| placed(ids[0]),
        |ids| shipped(ids[0], ids[2], &[("A", 2)]),
        |ids| returned(ids[0], ids[1], &[("A", 1, true)]),
        |ids| placed(ids[1]),
        |ids| shipped(ids[1], ids[3], &[("A", 1)]),
        |ids| cancelled(ids[1]),
    ];
    let ids = [whole.as_str(), part.as_str(), shipment.as_str(), other.as_str()];
    // Twice in one batch, and once more in a later one, each.
    for event in all {
        app.hear(&[event(&ids), event(&ids)]).await;
        app.hear(&[event(&ids)]).await;
    }
    assert_eq!(app.levels("A").await, (8, 0));
    assert_eq!(app.log.dead_letters().await, [""; 0]);
    assert_eq!(app.log.told_of(&whole).await.len(), 3);
    assert_eq!(app.log.told_of(&part).await.len(), 3);
    app.check_books().await;
}

#[tokio::test]
async fn an_order_that_is_placed_without_stock_is_put_aside_and_the_others_go_on() {
    let app = App::start().await;
    app.stock("A", 10).await;
    let (unreserved, released, good) = (new_order(), new_order(), new_order());
    app.release(&released).await.unwrap();
    app.reserve(&good, &[("A", 1)]).await.unwrap();
    app.hear(&[placed(&unreserved), placed(&released), placed(&good)]).await;
    assert_eq!(
        app.log.dead_letters().await,
        [
            format!("order {unreserved} has no reservation"),
            format!("the reservation of order {released} was released"),
        ]
    );
    assert_eq!(app.reservation(&good).await.unwrap().state(), ReservationState::Confirmed);

    // Once the stock is there, the letter is applied.
    app.reserve(&unreserved, &[("A", 1)]).await.unwrap();
    let mut log = app.event_log.clone();
    let retry = |order: &str| RetryDeadLettersRequest {
        source: "orders".to_owned(),
        subject: order.to_owned(),
    };
    let applied = log.retry_dead_letters(retry(&unreserved)).await.unwrap().into_inner();
    assert_eq!(applied.applied_count, 1);
    assert_eq!(app.reservation(&unreserved).await.unwrap().state(), ReservationState::Confirmed);
    let still = refusal(log.retry_dead_letters(retry(&released)).await);
    assert_eq!(still.code, Code::FailedPrecondition);
}

#[tokio::test]
async fn a_shipment_of_more_than_is_reserved_is_put_aside() {
    let app = App::start().await;
    app.stock("A", 10).await;
    let order = new_order();
    app.reserve(&order, &[("A", 2)]).await.unwrap();
    app.hear(&[placed(&order), shipped(&order, &new_order(), &[("A", 3)])]).await;
    let why = format!("3 of A left for order {order}, for which 2 were still reserved");
    assert_eq!(app.log.dead_letters().await, [why]);
    assert_eq!(app.levels("A").await, (10, 2));
    app.check_books().await;
}

#[tokio::test]
async fn a_thousand_placed_orders_are_confirmed_in_a_handful_of_statements() {
    let app = App::start().await;
    app.stock("A", 10_000).await;
    let orders: Vec<String> = (0..1000).map(|_| new_order()).collect();
    sqlx::query(
        "insert into inventory.reservations (order_id, state, expires_at)
         select id::uuid, 'held', now() from unnest($1::text[]) id",
    )
    .bind(&orders)
    .execute(&app.db)
    .await
    .unwrap();
    let events: Vec<NewEvent> = orders.iter().map(|order| placed(order)).collect();
    app.hear(&events).await;
    let rows: (i64, i64) = sqlx::query_as(
        "select count(*) filter (where state = 'confirmed'), count(distinct xmin::text) from inventory.reservations",
    )
    .fetch_one(&app.db)
    .await
    .unwrap();
    assert_eq!(rows.0, 1000);
    assert!(rows.1 <= 50, "{} transactions", rows.1);
}
