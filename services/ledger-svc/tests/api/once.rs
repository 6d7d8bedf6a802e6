//! An event is booked once, however often and by whichever way it comes.

use log::NewEvent;

use testkit::eventually;

use crate::{
    app::{App, WAIT_MAX, new_id},
    events::{credited, issued, paid},
};

const DAY: &str = "2026-03-31";

/// Three events of an invoice, each booked differently.
fn story() -> Vec<NewEvent> {
    let invoice = new_id();
    vec![
        issued(&invoice, "12.00", "2.00", DAY),
        paid(&new_id(), "5.00", &[(&invoice, "5.00")], "0.00", DAY),
        credited(&invoice, "12.00", "2.00", "7.00", DAY),
    ]
}

/// Panics unless so many stories are in the books, each once.
async fn are_booked(app: &App, stories: usize) {
    assert_eq!(app.log.dead_letters().await, [""; 0]);
    let stories = i64::try_from(stories).unwrap();
    assert_eq!(app.count("ledger.journals").await, stories * 3);
    assert_eq!(app.count("ledger.ledger_entries").await, stories * 9);
    let bank = app.balances("").await.swap_remove(1);
    assert_eq!(bank, format!("1200 {}.00", stories * 5));
    app.check_books().await;
}

#[tokio::test]
async fn the_same_event_twice_at_once_and_again_later_is_booked_once() {
    let app = App::start().await;
    let story = story();
    app.hear(&story).await;
    app.hear(&story).await;
    are_booked(&app, 1).await;
}

#[tokio::test]
async fn a_replay_from_the_very_first_books_nothing_anew() {
    let app = App::start().await;
    for _ in 0..5 {
        app.hear_once(&story()).await;
    }
    let reset = "update ledger.consumer_positions
         set log_id = 0, stream_sequence = 0, event_id = '00000000-0000-0000-0000-000000000000'";
    sqlx::query(reset).execute(&app.db).await.unwrap();
    // Notices with the next one that it is not where it was, and begins again.
    app.hear_once(&story()).await;
    are_booked(&app, 6).await;
}

#[tokio::test]
async fn a_stream_that_was_purged_and_filled_again_books_nothing_anew() {
    let app = App::start().await;
    for _ in 0..5 {
        app.hear_once(&story()).await;
    }
    app.stream("BILLING").await.purge().await.unwrap();
    eventually("the stream is filled again", WAIT_MAX, async || {
        app.stream("BILLING").await.cached_info().state.messages == 15
    })
    .await;
    // One that was there all the time, and one that comes new to the stream.
    app.hear_once(&story()).await;
    are_booked(&app, 6).await;
    app.start_another().await;
    app.hear_once(&story()).await;
    are_booked(&app, 7).await;
}

#[tokio::test]
async fn two_replicas_book_each_event_once() {
    let app = App::start().await;
    app.start_another().await;
    for _ in 0..40 {
        app.billing.publish(&story()).await;
    }
    app.log.catch_up("billing").await;
    are_booked(&app, 40).await;
}

#[tokio::test]
async fn a_thousand_events_are_booked_in_a_handful_of_transactions() {
    let app = App::start().await;
    let events: Vec<NewEvent> =
        (0..1000).map(|_| issued(&new_id(), "12.00", "2.00", DAY)).collect();
    app.hear(&events).await;
    let (journals, transactions): (i64, i64) =
        sqlx::query_as("select count(*), count(distinct xmin::text) from ledger.journals")
            .fetch_one(&app.db)
            .await
            .unwrap();
    assert_eq!(journals, 1000);
    assert!(transactions <= 50, "{transactions} transactions");
    assert_eq!(app.balances("").await, ["1100 12000.00", "2200 -2000.00", "4000 -10000.00"]);
    app.check_books().await;
}
