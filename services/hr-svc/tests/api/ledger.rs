//! What the books answer: a run keeps the journals that book what it told.

use std::time::Duration;

use log::{Cause, NewEvent};
use proto::{
    events::v1::JournalPosted,
    hr::v1::{self as pb, PayrollRun},
};

use testkit::eventually;

use crate::{
    app::{App, WAIT_MAX, ann, new_id},
    payroll::regular,
};

impl App {
    /// Publishes the books' events, and waits until this service has applied them or put them aside.
    async fn hear(&self, events: &[NewEvent]) {
        self.ledger.publish(events).await;
        self.log.catch_up("ledger").await;
    }

    /// The key of a run's event of a type.
    async fn event(&self, run: &PayrollRun, event_type: &str) -> String {
        sqlx::query_scalar(
            "select payload->>'id' from hr.events_log where payload->>'subject' = $1 and event_type = $2",
        )
        .bind(&run.payroll_run_id)
        .bind(event_type)
        .fetch_one(&self.db)
        .await
        .unwrap()
    }

    /// The key of the newest event of a run.
    async fn newest_event(&self, run: &PayrollRun) -> String {
        sqlx::query_scalar(
            "select payload->>'id' from hr.events_log where payload->>'subject' = $1 order by id desc limit 1",
        )
        .bind(&run.payroll_run_id)
        .fetch_one(&self.db)
        .await
        .unwrap()
    }
}

fn posted(ref_type: &str, ref_id: &str, source_event_id: &str) -> (String, NewEvent) {
    let journal_id = new_id();
    let data = JournalPosted {
        journal_id: journal_id.clone(),
        source_event_id: source_event_id.to_owned(),
        ref_type: ref_type.to_owned(),
        ref_id: ref_id.to_owned(),
        ..Default::default()
    };
    let event = NewEvent::new("journal.posted", &journal_id, 1, &data, &Cause::of_call());
    (journal_id, event)
}

#[tokio::test]
async fn a_run_keeps_the_journals_of_what_it_told() {
    let app = App::start().await;
    app.hire(120_000, "2024-01-01").await;
    let run = app.run(regular("2024-05")).await;
    let id = run.payroll_run_id.as_str();
    let (booked, event) = posted("payroll", id, &app.newest_event(&run).await);
    app.hear(&[event]).await;
    app.pay_run(&run, "").await.unwrap();
    let (paid, event) = posted("payroll", id, &app.newest_event(&run).await);
    app.hear(&[event]).await;
    let seen = app.get_run(id).await.unwrap();
    assert_eq!((&seen.journal_id, &seen.payment_journal_id), (&booked, &paid));
    assert_eq!((seen.reversal_journal_id.as_str(), seen.etag.as_str()), ("", "3"));
    let (_, mirror) = app.reverse(&run).await.unwrap();
    // The reversal may be booked for the run or for its mirror.
    let reversal = app.event(&run, "payroll.reversed").await;
    let (reversed, event) = posted("payroll", &mirror.payroll_run_id, &reversal);
    app.hear(&[event]).await;
    let seen = app.get_run(id).await.unwrap();
    assert_eq!(
        [&seen.reversal_journal_id, &seen.repayment_journal_id, &seen.etag],
        [reversed.as_str(), "", "5"]
    );
    let (repaid, event) = posted("payroll", id, &app.event(&run, "payroll.repaid").await);
    app.hear(&[event]).await;
    let seen = app.get_run(id).await.unwrap();
    assert_eq!(
        [
            seen.journal_id,
            seen.payment_journal_id,
            seen.reversal_journal_id,
            seen.repayment_journal_id
        ],
        [booked, paid, reversed, repaid]
    );
    assert!(app.log.dead_letters().await.is_empty());
}

#[tokio::test]
async fn what_answers_nothing_is_passed_over_or_put_aside() {
    let app = App::start().await;
    app.hire(120_000, "2024-01-01").await;
    let run = app.run(regular("2024-05")).await;
    let id = run.payroll_run_id.as_str();
    let event_id = app.newest_event(&run).await;
    let (_, of_invoice) = posted("invoice", &new_id(), &new_id());
    let (_, by_hand) = posted("payroll", id, "");
    let (_, of_nobody) = posted("payroll", &new_id(), &event_id);
    let (_, of_other) = posted("payroll", id, &new_id());
    let (_, broken) = posted("payroll", "x", &event_id);
    app.hear(&[of_invoice, by_hand]).await;
    assert!(app.log.dead_letters().await.is_empty());
    app.hear(&[of_nobody, of_other, broken]).await;
    let put_aside = app.log.dead_letters().await;
    assert_eq!(put_aside.len(), 3, "{put_aside:?}");
    assert!(put_aside[..2].iter().all(|why| why.contains("never told of event")), "{put_aside:?}");
    assert_eq!(app.get_run(id).await.unwrap(), run);
    // Others are heard of all the same.
    let (journal, event) = posted("payroll", id, &event_id);
    app.hear(&[event]).await;
    assert_eq!(app.get_run(id).await.unwrap().journal_id, journal);
}

#[tokio::test]
async fn an_answer_that_comes_again_says_the_same() {
    let app = App::start().await;
    app.hire(120_000, "2024-01-01").await;
    let run = app.run(regular("2024-05")).await;
    let (journal, event) = posted("payroll", &run.payroll_run_id, &app.newest_event(&run).await);
    app.hear(&[event]).await;
    let first = app.get_run(&run.payroll_run_id).await.unwrap();
    assert_eq!(first.journal_id, journal);
    // The whole log once more, as after a restore.
    sqlx::query("delete from hr.consumer_positions").execute(&app.db).await.unwrap();
    let (_, other) = posted("invoice", &new_id(), &new_id());
    app.hear(&[other]).await;
    assert_eq!(app.get_run(&run.payroll_run_id).await.unwrap(), first);
    assert!(app.log.dead_letters().await.is_empty());
}

/// The journals come in another order than that in which whoever pays locks the runs of a month.
#[tokio::test]
async fn the_books_and_those_who_pay_do_not_wait_for_each_other() {
    let app = App::start().await;
    app.hire(120_000, "2024-01-01").await;
    let first = app.run(regular("2024-05")).await;
    let bob = pb::CreateEmployeeRequest {
        payroll_group: "shop-2".to_owned(),
        hire_date: "2024-01-01".to_owned(),
        ..ann()
    };
    app.create(bob).await.unwrap();
    let request =
        pb::CreatePayrollRunRequest { payroll_group: "shop-2".to_owned(), ..regular("2024-05") };
    let second = app.run(request).await;
    let mut answers = Vec::new();
    for run in [&second, &first] {
        answers.push(posted("payroll", &run.payroll_run_id, &app.newest_event(run).await).1);
    }

    let mut stranger = app.db.begin().await.unwrap();
    sqlx::query("select from hr.payroll_runs where id = $1::uuid for update")
        .bind(&first.payroll_run_id)
        .execute(&mut *stranger)
        .await
        .unwrap();
    let waiting = "select count(*) from pg_stat_activity
                   where datname = current_database() and usename = 'hr_svc' and wait_event_type = 'Lock'";
    let are_waiting = async |count: i64| {
        eventually("statements wait", WAIT_MAX, async || {
            sqlx::query_scalar::<_, i64>(waiting).fetch_one(&app.db).await.unwrap() == count
        })
        .await;
    };
    let frees_both = async {
        are_waiting(1).await;
        app.ledger.publish(&answers).await;
        are_waiting(2).await;
        stranger.rollback().await.unwrap();
    };
    let (paid, ()) = tokio::join!(app.pay_run(&second, ""), frees_both);
    paid.unwrap();
    app.log.catch_up("ledger").await;
    // A session tells the statistics of its past after a second, with its next statement.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    for run in [&first, &second].repeat(10) {
        assert_ne!(app.get_run(&run.payroll_run_id).await.unwrap().journal_id, "");
    }
    app.ledger.publish(&[posted("payroll", &first.payroll_run_id, "").1]).await;
    app.log.catch_up("ledger").await;
    let deadlocks = "select deadlocks from pg_stat_database where datname = current_database()";
    assert_eq!(sqlx::query_scalar::<_, i64>(deadlocks).fetch_one(&app.db).await.unwrap(), 0);
}
