use std::sync::Arc;

use tokio::task::JoinSet;
use tonic::Code;

use testkit::{eventually, refusal};

use crate::app::{App, WAIT_MAX, new_order, placed, shipped};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fifty_units_go_to_fifty_of_two_hundred_orders() {
    let app = Arc::new(App::start().await);
    app.stock("HOT", 50).await;
    let mut orders = JoinSet::new();
    for _ in 0..200 {
        let app = Arc::clone(&app);
        orders.spawn(async move { app.reserve(&new_order(), &[("HOT", 1)]).await });
    }
    let (mut won, mut lost) = (0, 0);
    for answer in orders.join_all().await {
        if answer.is_ok() {
            won += 1;
            continue;
        }
        let refused = refusal(answer);
        refused.is(Code::FailedPrecondition, "STOCK_SHORT");
        assert_eq!(refused.facts, ["HOT: requested 1, available 0"]);
        lost += 1;
    }
    assert_eq!((won, lost), (50, 150));
    assert_eq!(app.levels("HOT").await, (50, 50));
    app.check_books().await;

    // Levels after each order, in the order of the log: each unit goes once.
    let reserved: Vec<i64> = sqlx::query_scalar(
        "select (payload->'data'->'levels'->0->>'reserved')::bigint from inventory.events_log
         where event_type = 'stock.reserved' order by id",
    )
    .fetch_all(&app.db)
    .await
    .unwrap();
    assert_eq!(reserved, (1..=50).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn orders_over_the_same_skus_in_opposite_order_never_lock_each_other_out() {
    let app = Arc::new(App::start().await);
    let skus = ["A", "B", "C", "D"];
    for sku in skus {
        app.stock(sku, 100_000).await;
    }
    let mut callers = JoinSet::new();
    for caller in 0..16 {
        let app = Arc::clone(&app);
        callers.spawn(async move {
            for round in 0..15 {
                let order = new_order();
                let mut lines = skus.map(|sku| (sku, 1 + (caller + round) % 3));
                if caller % 2 == 0 {
                    lines.reverse();
                }
                app.reserve(&order, &lines).await.unwrap();
                match caller % 4 {
                    0 => app.release(&order).await.unwrap(),
                    1 => drop(
                        app.receive(skus[usize::try_from(round).unwrap() % 4], 1).await.unwrap(),
                    ),
                    2 if round % 5 == 0 => {
                        app.hear(&[
                            placed(&order),
                            shipped(&order, &new_order(), &[("B", 1), ("A", 1)]),
                        ])
                        .await;
                    }
                    _ => (),
                }
            }
        });
    }
    callers.join_all().await;
    app.check_books().await;
    assert_eq!(app.log.dead_letters().await, [""; 0]);
    assert_eq!(app.deadlocks().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_same_order_at_once_is_reserved_once_and_answered_alike() {
    let app = Arc::new(App::start().await);
    app.stock("A", 5).await;
    for _ in 0..5 {
        let order = new_order();
        let mut callers = JoinSet::new();
        for _ in 0..8 {
            let (app, order) = (Arc::clone(&app), order.clone());
            callers.spawn(async move { app.reserve(&order, &[("A", 1)]).await.unwrap() });
        }
        let answers = callers.join_all().await;
        assert!(answers.iter().all(|answer| *answer == answers[0]));
        assert_eq!(app.log.told_of(&order).await, [("stock.reserved".to_owned(), 1)]);
    }
    assert_eq!(app.levels("A").await, (5, 5));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_release_beside_a_reservation_leaves_nothing_reserved() {
    let app = Arc::new(App::start().await);
    app.stock("A", 1000).await;
    let mut pairs = JoinSet::new();
    for _ in 0..60 {
        let app = Arc::clone(&app);
        pairs.spawn(async move {
            let order = new_order();
            let (reserved, released) =
                tokio::join!(app.reserve(&order, &[("A", 2)]), app.release(&order));
            released.unwrap();
            if reserved.is_err() {
                refusal(reserved).is(Code::FailedPrecondition, "RESERVATION_RELEASED");
            }
        });
    }
    pairs.join_all().await;
    assert_eq!(app.levels("A").await, (1000, 0));
    app.check_books().await;
}

/// A deadlock that this service did not make: a transaction of somebody else who locks items the other way round.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_deadlock_is_tried_again_and_no_caller_sees_it() {
    let app = Arc::new(App::start().await);
    for sku in ["A", "B", "C"] {
        app.stock(sku, 100).await;
    }
    let lock = "select from inventory.inventory_items where sku = $1 for update";
    let who_waits = "select count(*) from pg_stat_activity
                     where datname = current_database() and wait_event_type = 'Lock'";
    let waiting = async |count: i64| {
        eventually("they wait for locks", WAIT_MAX, async || {
            let waiting = sqlx::query_scalar::<_, i64>(who_waits).fetch_one(&app.db).await.unwrap();
            waiting == count
        })
        .await;
    };
    for _ in 0..3 {
        let mut stranger = app.db.begin().await.unwrap();
        // Leaves it to the service to notice the deadlock.
        sqlx::query("set local deadlock_timeout = '10min'").execute(&mut *stranger).await.unwrap();
        sqlx::query(lock).bind("C").execute(&mut *stranger).await.unwrap();
        // Postgres looks for a deadlock once per wait, so the service's wait for C is the last to begin.
        let mut gate = app.db.begin().await.unwrap();
        sqlx::query(lock).bind("B").execute(&mut *gate).await.unwrap();
        let reserving = tokio::spawn({
            let app = Arc::clone(&app);
            async move { app.reserve(&new_order(), &[("A", 1), ("B", 1), ("C", 1)]).await }
        });
        waiting(1).await;
        let locking = tokio::spawn(async move {
            sqlx::query(lock).bind("A").execute(&mut *stranger).await.unwrap();
            stranger.commit().await.unwrap();
        });
        waiting(2).await;
        gate.commit().await.unwrap();
        locking.await.unwrap();
        reserving.await.unwrap().unwrap();
    }
    assert_eq!(app.levels("A").await, (100, 3));
    eventually("Postgres has told", WAIT_MAX, async || app.deadlocks().await >= 3).await;
}
