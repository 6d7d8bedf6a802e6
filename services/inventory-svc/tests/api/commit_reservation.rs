use std::sync::Arc;

use proto::inventory::v1::{CommitReservationRequest, MovementReason, ReservationState};
use tokio::task::JoinSet;
use tonic::Code;

use testkit::refusal;

use crate::app::{App, moved, new_order, placed, shipped};

#[tokio::test]
async fn what_is_named_leaves_and_the_rest_stays_reserved() {
    let app = App::start().await;
    app.stock("A", 5).await;
    app.stock("B", 5).await;
    let (order, first, second) = (new_order(), new_order(), new_order());
    app.reserve(&order, &[("A", 3), ("B", 1)]).await.unwrap();
    app.confirm(&order).await.unwrap();
    let answer = app.commit(&order, &first, &[("A", 1), ("A", 1)]).await.unwrap();
    assert_eq!(moved(&answer.movements), [("A", MovementReason::Shipment, -2, "0.00")]);
    assert_eq!(answer.movements[0].order_id, order);
    let reservation = answer.reservation.unwrap();
    assert_eq!(reservation.state(), ReservationState::Confirmed);
    let shipped: Vec<i32> = reservation.lines.iter().map(|line| line.shipped_quantity).collect();
    assert_eq!(shipped, [2, 0]);
    assert_eq!((app.levels("A").await, app.levels("B").await), ((3, 1), (5, 1)));

    let answer = app.commit(&order, &second, &[]).await.unwrap();
    assert_eq!(answer.movements.len(), 2, "all that was open");
    assert_eq!(answer.reservation.unwrap().state(), ReservationState::Shipped);
    assert_eq!((app.levels("A").await, app.levels("B").await), ((2, 0), (4, 0)));
    app.check_books().await;
    let told = app.log.told_of(&order).await;
    let told: Vec<_> = told.iter().map(|(event, version)| (event.as_str(), *version)).collect();
    assert_eq!(
        told,
        [
            ("stock.reserved", 1),
            ("reservation.confirmed", 2),
            ("stock.shipped", 3),
            ("stock.shipped", 4)
        ]
    );
}

#[tokio::test]
async fn a_held_reservation_that_is_shipped_in_part_is_not_given_back() {
    let app = App::start().await;
    app.stock("A", 5).await;
    let order = new_order();
    app.reserve(&order, &[("A", 3)]).await.unwrap();
    let answer = app.commit(&order, &new_order(), &[("A", 1)]).await.unwrap();
    assert_eq!(answer.reservation.unwrap().state(), ReservationState::Confirmed);
    app.run_out(&order, 3600).await;
    assert_eq!(app.sweeper.step().await.unwrap(), 0);
    assert_eq!(app.levels("A").await, (4, 2));
}

#[tokio::test]
async fn a_call_and_an_event_about_one_shipment_ship_once_whichever_comes_first() {
    let app = App::start().await;
    app.stock("A", 10).await;
    let (order, first, second) = (new_order(), new_order(), new_order());
    app.reserve(&order, &[("A", 5)]).await.unwrap();
    app.commit(&order, &first, &[("A", 2)]).await.unwrap();
    app.hear(&[shipped(&order, &first, &[("A", 2)])]).await;
    assert_eq!(app.levels("A").await, (8, 3));
    app.hear(&[shipped(&order, &second, &[("A", 1)])]).await;
    let answer = app.commit(&order, &second, &[("A", 1)]).await.unwrap();
    assert_eq!(answer.movements.len(), 1);
    assert_eq!(app.levels("A").await, (7, 2));
    assert_eq!(app.told("stock.shipped").await.len(), 2);
    assert_eq!(app.log.dead_letters().await, [""; 0]);
    app.check_books().await;

    // An event that says something else about it is put aside.
    app.hear(&[shipped(&order, &second, &[("A", 2)])]).await;
    assert_eq!(
        app.log.dead_letters().await,
        [format!("shipment {second} has left with other contents")]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_call_and_an_event_at_once_ship_once() {
    let app = Arc::new(App::start().await);
    app.stock("A", 100).await;
    for _ in 0..20 {
        let (order, shipment) = (new_order(), new_order());
        app.reserve(&order, &[("A", 2)]).await.unwrap();
        let event = [placed(&order), shipped(&order, &shipment, &[("A", 2)])];
        let (_, answer) = tokio::join!(app.hear(&event), app.commit(&order, &shipment, &[]));
        match answer {
            Ok(answer) => assert_eq!(answer.movements.len(), 1),
            // It came between the two events.
            Err(_) => refusal(answer).is(Code::FailedPrecondition, "ORDER_PLACED"),
        }
    }
    assert_eq!(app.levels("A").await, (60, 0));
    assert_eq!(app.told("stock.shipped").await.len(), 20);
    assert_eq!(app.log.dead_letters().await, [""; 0]);
    app.check_books().await;
}

#[tokio::test]
async fn the_same_shipment_again_answers_the_same_and_with_other_contents_is_refused() {
    let app = App::start().await;
    app.stock("A", 10).await;
    let (order, other, shipment) = (new_order(), new_order(), new_order());
    app.reserve(&order, &[("A", 5)]).await.unwrap();
    app.reserve(&other, &[("A", 5)]).await.unwrap();
    let first = app.commit(&order, &shipment, &[("A", 2)]).await.unwrap();
    assert_eq!(app.commit(&order, &shipment, &[("A", 2)]).await.unwrap(), first);
    assert_eq!(app.commit(&order, &shipment, &[]).await.unwrap(), first);
    for (order, lines) in [(&order, &[("A", 3)][..]), (&other, &[("A", 2)]), (&other, &[])] {
        let refused = refusal(app.commit(order, &shipment, lines).await);
        refused.is(Code::AlreadyExists, "SHIPMENT_EXISTS");
        assert_eq!(refused.facts, [format!("shipment_id: {shipment}")]);
    }
    assert_eq!(app.levels("A").await, (8, 8));
    // No shipment: a delivery has that key.
    let delivery: String = sqlx::query_scalar(
        "select ref_id::text from inventory.stock_movements where reason = 'receipt'",
    )
    .fetch_one(&app.db)
    .await
    .unwrap();
    refusal(app.commit(&order, &delivery, &[]).await).is(Code::AlreadyExists, "SHIPMENT_EXISTS");

    let request = CommitReservationRequest {
        request_id: new_order(),
        order_id: order.clone(),
        shipment_id: new_order(),
        lines: Vec::new(),
    };
    let call = async |request: &CommitReservationRequest| {
        app.client
            .clone()
            .commit_reservation(request.clone())
            .await
            .map(tonic::Response::into_inner)
    };
    let first = call(&request).await.unwrap();
    assert_eq!(call(&request).await.unwrap(), first);
    let other = CommitReservationRequest { shipment_id: new_order(), ..request };
    refusal(call(&other).await).is(Code::AlreadyExists, "REQUEST_ID_USED");
}

#[tokio::test]
async fn no_more_leaves_than_is_open() {
    let app = App::start().await;
    app.stock("A", 10).await;
    app.stock("B", 10).await;
    let (order, shipment) = (new_order(), new_order());
    refusal(app.commit(&order, &shipment, &[]).await).is(Code::NotFound, "RESERVATION_NOT_FOUND");
    app.reserve(&order, &[("A", 2), ("B", 2)]).await.unwrap();
    for lines in [&[("B", 1), ("A", 3)][..], &[("A", 1), ("A", 2)], &[("X", 1)]] {
        let refused = refusal(app.commit(&order, &shipment, lines).await);
        refused.is(Code::FailedPrecondition, "OVER_SHIPMENT");
    }
    let refused = refusal(app.commit(&order, &shipment, &[("A", 3)]).await);
    let order_id = format!("order_id: {order}");
    assert_eq!(refused.facts, ["open: 2", order_id.as_str(), "requested: 3", "sku: A"]);
    assert_eq!((app.levels("A").await, app.levels("B").await), ((10, 2), (10, 2)));
    app.commit(&order, &shipment, &[]).await.unwrap();
    let refused = refusal(app.commit(&order, &new_order(), &[("A", 1)]).await);
    refused.is(Code::FailedPrecondition, "OVER_SHIPMENT");
    let refused = refusal(app.commit(&order, &new_order(), &[]).await);
    refused.is(Code::FailedPrecondition, "RESERVATION_SHIPPED");
    let released = new_order();
    app.release(&released).await.unwrap();
    let refused = refusal(app.commit(&released, &new_order(), &[]).await);
    refused.is(Code::FailedPrecondition, "RESERVATION_RELEASED");
    app.check_books().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn shipping_beside_releasing_moves_each_unit_once() {
    let app = Arc::new(App::start().await);
    app.stock("A", 1000).await;
    let mut pairs = JoinSet::new();
    for _ in 0..40 {
        let app = Arc::clone(&app);
        pairs.spawn(async move {
            let order = new_order();
            app.reserve(&order, &[("A", 2)]).await.unwrap();
            let shipment = new_order();
            let (left, freed) =
                tokio::join!(app.commit(&order, &shipment, &[]), app.release(&order));
            assert!(left.is_ok() != freed.is_ok(), "{left:?} {freed:?}");
            i32::from(left.is_ok()) * 2
        });
    }
    let left: i32 = pairs.join_all().await.into_iter().sum();
    assert_eq!(app.levels("A").await, (1000 - left, 0));
    app.check_books().await;
}

#[tokio::test]
async fn every_bad_field_is_named() {
    let app = App::start().await;
    refusal(app.commit("", "x", &[("a b", 0), ("A", 1_000_001)]).await).names(&[
        "order_id",
        "shipment_id",
        "lines[0].sku",
        "lines[0].quantity",
        "lines[1].quantity",
    ]);
    refusal(app.commit(&new_order(), &new_order(), &[("A", 1); 501]).await).names(&["lines"]);
}
