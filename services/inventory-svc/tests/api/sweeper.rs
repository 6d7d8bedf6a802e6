use proto::{inventory::v1::ReservationState, orders::v1::OrderStatus};
use tonic::Code;

use testkit::{eventually, refusal};

use crate::app::{App, WAIT_MAX, new_order, placed};

/// Longer ago than the grace.
const LONG_AGO_S: i32 = 120;

/// Sweeps until so many are settled, and no more: on a machine that stalls an answer can come too late for its step, and the next one asks
/// again.
async fn settle(app: &App, count: usize) {
    let mut settled = 0;
    eventually("all are settled", WAIT_MAX, async || {
        settled += app.sweeper.step().await.unwrap();
        settled >= count
    })
    .await;
    assert_eq!(settled, count);
}

async fn held(app: &App) -> String {
    let order = new_order();
    app.reserve(&order, &[("A", 2)]).await.unwrap();
    order
}

#[tokio::test]
async fn a_reservation_that_ran_out_follows_its_order() {
    let app = App::start().await;
    app.stock("A", 100).await;
    let fates = [
        (OrderStatus::Placed, ReservationState::Confirmed),
        (OrderStatus::Shipped, ReservationState::Confirmed),
        (OrderStatus::Completed, ReservationState::Confirmed),
        (OrderStatus::Draft, ReservationState::Released),
        (OrderStatus::Cancelled, ReservationState::Released),
        // Not found.
        (OrderStatus::Unspecified, ReservationState::Released),
    ];
    let mut orders = Vec::new();
    for (status, state) in fates {
        let order = held(&app).await;
        app.run_out(&order, LONG_AGO_S).await;
        if status != OrderStatus::Unspecified {
            app.orders.know(&order, status);
        }
        orders.push((order, status, state));
    }
    settle(&app, 6).await;
    for (order, status, state) in &orders {
        assert_eq!(app.reservation(order).await.unwrap().state(), *state, "{status:?}");
        let told = if *state == ReservationState::Released { 2 } else { 1 };
        assert_eq!(app.log.told_of(order).await.len(), told, "{status:?}");
    }
    assert_eq!(app.levels("A").await, (100, 6));
    for (order, ..) in orders.iter().filter(|(.., state)| *state == ReservationState::Confirmed) {
        let refused = refusal(app.release(order).await);
        refused.is(Code::FailedPrecondition, "ORDER_PLACED");
    }
    app.check_books().await;
    assert_eq!(app.sweeper.step().await.unwrap(), 0);
}

#[tokio::test]
async fn a_draft_can_reserve_again_but_an_order_that_is_over_cannot() {
    let app = App::start().await;
    app.stock("A", 100).await;
    let (draft, over) = (held(&app).await, held(&app).await);
    app.orders.know(&draft, OrderStatus::Draft);
    for order in [&draft, &over] {
        app.run_out(order, LONG_AGO_S).await;
    }
    settle(&app, 2).await;
    assert!(app.reservation(&draft).await.unwrap().lines.is_empty());
    app.reserve(&draft, &[("A", 5)]).await.unwrap();
    refusal(app.reserve(&over, &[("A", 2)]).await)
        .is(Code::FailedPrecondition, "RESERVATION_RELEASED");

    app.hear(&[placed(&draft)]).await;
    let versions: Vec<i64> = app.log.told_of(&draft).await.into_iter().map(|(_, v)| v).collect();
    assert_eq!(versions, [1, 2, 3]);
    assert_eq!(app.levels("A").await, (100, 5));
    app.check_books().await;
}

#[tokio::test]
async fn what_has_time_or_grace_left_stays() {
    let app = App::start().await;
    app.stock("A", 100).await;
    let (fresh, in_grace) = (held(&app).await, held(&app).await);
    app.run_out(&in_grace, 30).await;
    assert_eq!(app.sweeper.step().await.unwrap(), 0);
    for order in [fresh, in_grace] {
        assert_eq!(app.reservation(&order).await.unwrap().state(), ReservationState::Held);
    }
}

#[tokio::test]
async fn while_orders_cannot_be_asked_everything_stays() {
    let app = App::start().await;
    app.stock("A", 100).await;
    let order = held(&app).await;
    app.run_out(&order, LONG_AGO_S).await;
    app.orders.set_away(true);
    assert_eq!(app.sweeper.step().await.unwrap(), 0);
    assert_eq!(app.levels("A").await, (100, 2));
    app.orders.set_away(false);
    settle(&app, 1).await;
    assert_eq!(app.levels("A").await, (100, 0));
}

#[tokio::test]
async fn two_sweepers_release_once() {
    let app = App::start().await;
    app.stock("A", 100).await;
    let mut orders = Vec::new();
    for _ in 0..20 {
        let order = held(&app).await;
        app.run_out(&order, LONG_AGO_S).await;
        orders.push(order);
    }
    let (one, other) = tokio::join!(app.sweeper.step(), app.sweeper.step());
    settle(&app, 20 - one.unwrap() - other.unwrap()).await;
    for order in orders {
        assert_eq!(app.log.told_of(&order).await.len(), 2);
    }
    assert_eq!(app.levels("A").await, (100, 0));
}
