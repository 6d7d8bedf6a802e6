//! What billing-svc says of invoices, and orders that complete by it.

use proto::{
    log::v1::{ListDeadLettersRequest, RetryDeadLettersRequest},
    orders::v1::OrderStatus,
};

use crate::{
    app::App,
    requests::{new_id, shipping},
};

#[tokio::test]
async fn an_order_completes_when_it_is_shipped_and_then_paid() {
    let app = App::start().await;
    app.stock("A", 9, "1.00").await;
    let order = app.placed(&[("A", 1)]).await;
    let (shipped, _) = app.ship(&order.order_id).await.unwrap();
    assert!(!shipped.paid);
    app.hear_paid(&[&order.order_id]).await;
    let completed = app.order(&order.order_id).await;
    assert_eq!((completed.status(), completed.paid), (OrderStatus::Completed, true));
    assert_ne!(completed.etag, shipped.etag);
    let told = app.told_of(&order.order_id).await;
    assert_eq!(told[2..], ["order.shipped 3", "order.completed 4"]);
    app.check_books().await;
}

#[tokio::test]
async fn an_order_completes_when_it_is_paid_and_then_shipped() {
    let app = App::start().await;
    app.stock("A", 9, "1.00").await;
    let order = app.placed(&[("A", 2)]).await;
    app.hear_paid(&[&order.order_id]).await;
    let paid = app.order(&order.order_id).await;
    assert_eq!((paid.status(), paid.paid), (OrderStatus::Placed, true));
    assert_ne!(paid.etag, order.etag);
    let line = order.lines[0].line_id.as_str();
    let (part, _) = app.ship_as(shipping(&order.order_id, &[(line, 1)])).await.unwrap();
    assert_eq!(part.status(), OrderStatus::Placed);
    let (completed, _) = app.ship(&order.order_id).await.unwrap();
    assert_eq!((completed.status(), completed.paid), (OrderStatus::Completed, true));
    let told = app.told_of(&order.order_id).await;
    assert_eq!(told[2..], ["order.shipped 3", "order.shipped 4", "order.completed 5"]);
    app.check_books().await;
}

#[tokio::test]
async fn an_order_whose_payment_is_taken_back_is_shipped_again_and_completes_again() {
    let app = App::start().await;
    app.stock("A", 9, "1.00").await;
    let order = app.placed(&[("A", 2)]).await;
    app.ship(&order.order_id).await.unwrap();
    app.hear_paid(&[&order.order_id]).await;
    app.hear_reopened(&order.order_id).await;
    let reopened = app.order(&order.order_id).await;
    assert_eq!((reopened.status(), reopened.paid), (OrderStatus::Shipped, false));
    // Told twice, it is the same.
    app.hear_reopened(&order.order_id).await;
    assert_eq!(app.order(&order.order_id).await, reopened);
    app.hear_paid(&[&order.order_id]).await;
    assert_eq!(app.order(&order.order_id).await.status(), OrderStatus::Completed);
    let told = app.log.events_of(&order.order_id).await;
    let kinds: Vec<_> = told.iter().map(|(kind, _, _)| kind.as_str()).collect();
    assert_eq!(kinds[3..], ["order.completed", "order.reopened", "order.completed"]);
    assert_eq!(told[4].2, serde_json::json!({ "orderId": order.order_id }));
    app.check_books().await;
}

#[tokio::test]
async fn a_payment_that_is_taken_back_before_all_is_shipped_lets_nothing_complete() {
    let app = App::start().await;
    app.stock("A", 9, "1.00").await;
    let (order, cancelled) = (app.placed(&[("A", 2)]).await, app.placed(&[("A", 2)]).await);
    app.cancel(&cancelled.order_id).await.unwrap();
    for id in [&order.order_id, &cancelled.order_id] {
        app.hear_paid(&[id]).await;
        app.hear_reopened(id).await;
        assert!(!app.order(id).await.paid);
    }
    assert_eq!(app.order(&cancelled.order_id).await.status(), OrderStatus::Cancelled);
    let (shipped, _) = app.ship(&order.order_id).await.unwrap();
    assert_eq!((shipped.status(), shipped.paid), (OrderStatus::Shipped, false));
    assert_eq!(app.told_of(&order.order_id).await[2..], ["order.shipped 3"]);
    app.check_books().await;
}

#[tokio::test]
async fn payments_that_come_and_go_in_one_batch_count_in_their_order() {
    let app = App::start().await;
    app.stock("A", 9, "1.00").await;
    let order = app.placed(&[("A", 2)]).await;
    app.ship(&order.order_id).await.unwrap();
    app.hear_in_one_batch(&order.order_id, &[true, false, false, true, true, false]).await;
    let now = app.order(&order.order_id).await;
    assert_eq!((now.status(), now.paid), (OrderStatus::Shipped, false));
    let told = app.told_of(&order.order_id).await;
    let expected =
        ["order.completed 4", "order.reopened 5", "order.completed 6", "order.reopened 7"];
    assert_eq!(told[3..], expected);
    app.check_books().await;
}

/// As new events: at the position redelivered ones are skipped before they are looked at.
#[tokio::test]
async fn each_payment_twice_has_one_effect() {
    let app = App::start().await;
    app.stock("A", 9, "1.00").await;
    let (early, late) = (app.placed(&[("A", 1)]).await, app.placed(&[("A", 1)]).await);
    app.ship(&early.order_id).await.unwrap();
    let ids = [early.order_id.as_str(), late.order_id.as_str()];
    // Twice in one batch, and once more in a later one, each.
    app.hear_paid(&[ids[0], ids[1], ids[0], ids[1]]).await;
    app.hear_paid(&ids).await;
    app.ship(&late.order_id).await.unwrap();
    app.hear_paid(&ids).await;
    for id in ids {
        assert_eq!(app.order(id).await.status(), OrderStatus::Completed);
        assert_eq!(app.told_of(id).await[2..], ["order.shipped 3", "order.completed 4"]);
    }
    app.check_books().await;
}

#[tokio::test]
async fn a_payment_leaves_drafts_and_cancelled_orders_what_they_are() {
    let app = App::start().await;
    app.stock("A", 9, "1.00").await;
    let (draft, cancelled) = (app.draft(&[("A", 1)]).await, app.placed(&[("A", 1)]).await);
    app.cancel(&cancelled.order_id).await.unwrap();
    app.hear_paid(&[&draft.order_id, &cancelled.order_id]).await;
    let statuses =
        [app.order(&draft.order_id).await.status(), app.order(&cancelled.order_id).await.status()];
    assert_eq!(statuses, [OrderStatus::Draft, OrderStatus::Cancelled]);
    app.check_books().await;
}

#[tokio::test]
async fn a_payment_for_nothing_known_is_put_aside_and_the_others_go_on() {
    let app = App::start().await;
    app.stock("A", 9, "1.00").await;
    let (nothing, order) = (new_id(), app.placed(&[("A", 1)]).await);
    app.hear_paid(&[&nothing, &order.order_id, "7"]).await;
    assert!(app.order(&order.order_id).await.paid);
    let mut letters = app.dead_letters().await;
    letters.sort();
    assert_eq!(letters[1], format!("order {nothing} does not exist"));
    assert!(letters[0].contains("invalid"), "{letters:?}");

    // It can be tried again by hand, and still says why.
    let mut log = app.event_log.clone();
    let listed = log.list_dead_letters(ListDeadLettersRequest::default()).await.unwrap();
    let listed = listed.into_inner().dead_letters;
    let letter = listed.iter().find(|letter| letter.error.contains(&nothing)).unwrap();
    let request =
        RetryDeadLettersRequest { source: "billing".to_owned(), subject: letter.subject.clone() };
    let still = log.retry_dead_letters(request.clone()).await.unwrap_err();
    assert_eq!(still.code(), tonic::Code::FailedPrecondition);
    sqlx::query("update orders.dead_letters set payload = replace(payload::text, $1, $2)::jsonb")
        .bind(&nothing)
        .bind(&order.order_id)
        .execute(&app.db)
        .await
        .unwrap();
    let applied = log.retry_dead_letters(request).await.unwrap().into_inner();
    assert_eq!(applied.applied_count, 1);
}

/// Payments of orders that are being shipped at this moment.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn orders_complete_whichever_comes_first() {
    let app = App::start().await;
    app.stock("A", 100, "1.00").await;
    let mut orders = Vec::new();
    for _ in 0..25 {
        orders.push(app.placed(&[("A", 1)]).await.order_id);
    }
    let ids: Vec<&str> = orders.iter().map(String::as_str).collect();
    let ship = futures::future::join_all(ids.iter().map(|id| app.ship(id)));
    let pay = async {
        for some in ids.chunks(5) {
            app.hear_paid(some).await;
        }
    };
    let (shipped, ()) = tokio::join!(ship, pay);
    assert!(shipped.iter().all(Result::is_ok));
    let left = "select count(*) from orders.orders where status <> 'completed'";
    assert_eq!(app.count(left).await, 0);
    app.check_books().await;
    assert_eq!(app.deadlocks().await, 0);
}
