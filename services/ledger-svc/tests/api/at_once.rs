//! Many who post at once never wait for each other in a circle.

use std::sync::Arc;

use proto::ledger::v1::{BatchPostJournalsRequest, NewJournal, ReverseJournalRequest};
use testkit::Dice;
use tokio::task::JoinSet;

use crate::{
    app::{App, lines, new_id},
    events::{Pay, approved, paid, paid_out, refunded},
};

/// Events post on these, too.
const ACCOUNTS: [&str; 6] = ["1200", "2210", "2211", "2230", "3200", "7000"];

/// Some journals on some days, whose lines are on some accounts in no order.
fn some(dice: &Dice) -> BatchPostJournalsRequest {
    let journal = |_| {
        let pairs = (0..3).flat_map(|_| {
            let [debit, credit] = [(); 2].map(|()| *dice.pick(&ACCOUNTS).unwrap());
            [(debit, "1.00", ""), (credit, "", "1.00")]
        });
        NewJournal {
            effective_date: format!("2020-03-{:02}", 1 + dice.roll(5)),
            description: "Some".to_owned(),
            lines: lines(&pairs.collect::<Vec<_>>()),
            ..Default::default()
        }
    };
    BatchPostJournalsRequest { journals: (0..8).map(journal).collect(), ..Default::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_reversals_and_events_of_all_sources_on_the_same_accounts_and_days_all_get_through()
{
    let app = Arc::new(App::start().await);
    let dice = Dice::new(11);
    let mut posting = JoinSet::new();
    for _ in 0..6 {
        let (app, dice) = (Arc::clone(&app), dice.clone());
        posting.spawn(async move {
            for _ in 0..15 {
                let posted = app.client.clone().batch_post_journals(some(&dice)).await.unwrap();
                let posted = posted.into_inner();
                let request = ReverseJournalRequest {
                    journal_id: posted.journals[0].journal_id.clone(),
                    effective_date: "2020-03-05".to_owned(),
                    ..Default::default()
                };
                app.reverse(request).await.unwrap();
            }
        });
    }
    let pay = Pay([500, 70, 24, 61, 25, 15]);
    for _ in 0..60 {
        let day = format!("2020-03-{:02}", 1 + dice.roll(5));
        let (run, payment) = (new_id(), new_id());
        app.hr.publish(&[approved(&run, pay, &day), paid_out(&run, pay, &day)]).await;
        let moved = [refunded(&new_id(), "1.00", &day), paid(&payment, "9.00", &[], "9.00", &day)];
        app.billing.publish(&moved).await;
    }
    posting.join_all().await;
    app.log.catch_up("billing").await;
    app.log.catch_up("hr").await;
    assert_eq!(app.log.dead_letters().await, [""; 0]);
    assert_eq!(app.count("ledger.journals").await, 6 * 15 * 9 + 60 * 4);
    let gone_wrong: i64 = sqlx::query_scalar(
        "select deadlocks from pg_stat_database where datname = current_database()",
    )
    .fetch_one(&app.db)
    .await
    .unwrap();
    assert_eq!(gone_wrong, 0);
    app.check_books().await;
}
