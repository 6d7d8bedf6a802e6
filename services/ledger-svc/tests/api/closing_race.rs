//! No journal slips into a month that is closed meanwhile, or by hand onto an account that is locked.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use proto::ledger::v1::{LockAccountRequest, UnlockAccountRequest};
use sqlx::AssertSqlSafe;
use testkit::{eventually, refusal};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};
use tonic::Code;

use crate::{
    app::{App, WAIT_MAX, capital, new_id},
    events::issued,
};

const A_WHILE: Duration = Duration::from_millis(300);

/// A journal of March 2020, in the words of Postgres.
fn in_march() -> String {
    let journal = new_id();
    let entry = |account: &str, debit: u8, credit: u8| {
        format!(
            "(gen_random_uuid(), '{journal}', '{account}', {debit}, {credit}, 'journal', '{journal}')"
        )
    };
    format!(
        "insert into ledger.journals (id, source, source_event_id, event_type, ref_type, ref_id, effective_date)
         values ('{journal}', 'billing', gen_random_uuid(), 'test.made', 'journal', '{journal}', '2020-03-31');
         insert into ledger.ledger_entries (id, journal_id, account, debit, credit, ref_type, ref_id) values {}, {}",
        entry("1200", 5, 0),
        entry("3200", 0, 5)
    )
}

#[tokio::test]
async fn who_closes_waits_for_a_journal_that_is_on_its_way() {
    let app = App::start().await;
    let mut tx = app.db.begin().await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(in_march())).execute(&mut *tx).await.unwrap();
    let mut closing = std::pin::pin!(app.close("2020-03"));
    assert!(timeout(A_WHILE, &mut closing).await.is_err(), "closed before the journal was there");
    tx.commit().await.unwrap();
    closing.await.unwrap();
    assert_eq!(app.balances("2020-03-31").await, ["1200 5.00", "3200 -5.00"]);
}

#[tokio::test]
async fn who_posts_waits_for_one_who_closes() {
    let app = App::start().await;
    let mut tx = app.db.begin().await.unwrap();
    sqlx::raw_sql(
        "insert into ledger.periods (month, state, version, changed_at, changed_by)
         values ('2020-03-01', 'closed', 1, now(), 'test')",
    )
    .execute(&mut *tx)
    .await
    .unwrap();
    let mut posting = std::pin::pin!(app.post(capital("5.00", "2020-03-31")));
    assert!(timeout(A_WHILE, &mut posting).await.is_err(), "posted while the month was closed");
    let event = issued(&new_id(), "1.00", "0.00", "2020-03-31");
    app.billing.publish(std::slice::from_ref(&event)).await;
    sleep(A_WHILE).await;
    assert_eq!(app.count("ledger.journals").await, 0);
    tx.commit().await.unwrap();
    refusal(posting.await).is(Code::FailedPrecondition, "PERIOD_CLOSED");
    app.log.catch_up("billing").await;
    assert_eq!(app.journal(&event).await.unwrap().effective_date, "2020-04-01");
}

#[tokio::test]
async fn postgres_itself_refuses_a_journal_of_a_closed_month() {
    let app = App::start().await;
    app.close("2020-03").await.unwrap();
    for url in [app.database.url("ledger_svc"), app.database.admin_url()] {
        let pool = sqlx::PgPool::connect(&url).await.unwrap();
        let refused = sqlx::raw_sql(AssertSqlSafe(in_march())).execute(&pool).await.unwrap_err();
        let refused = refused.into_database_error().unwrap();
        assert_eq!(refused.constraint(), Some("journals_effective_date_check"), "{refused}");
    }
    let april = in_march().replace("2020-03-31", "2020-04-01");
    sqlx::raw_sql(AssertSqlSafe(april)).execute(&app.db).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn however_many_post_while_a_month_is_closed_it_stays_as_it_was_when_it_was_closed() {
    let app = Arc::new(App::start().await);
    for round in 0..8 {
        let (over, posted) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
        let mut posting = JoinSet::new();
        for _ in 0..6 {
            let (app, over, posted) = (Arc::clone(&app), Arc::clone(&over), Arc::clone(&posted));
            posting.spawn(async move {
                while !over.load(Ordering::Relaxed) {
                    match app.post(capital("1.00", "2020-03-31")).await {
                        Ok(_) => {
                            posted.fetch_add(1, Ordering::Relaxed);
                        }
                        refused => {
                            refusal(refused).is(Code::FailedPrecondition, "PERIOD_CLOSED");
                        }
                    }
                }
            });
        }
        let (telling, told) = (Arc::clone(&app), Arc::clone(&over));
        let events = tokio::spawn(async move {
            while !told.load(Ordering::Relaxed) {
                telling.billing.publish(&[issued(&new_id(), "1.00", "0.00", "2020-03-31")]).await;
                sleep(Duration::from_millis(3)).await;
            }
        });
        eventually("somebody posts", WAIT_MAX, async || posted.load(Ordering::Relaxed) > 5).await;
        sleep(Duration::from_millis(7 * round)).await;
        app.close("2020-03").await.unwrap();
        let at_closing = app.balances("2020-03-31").await;
        sleep(Duration::from_millis(100)).await;
        over.store(true, Ordering::Relaxed);
        posting.join_all().await;
        events.await.unwrap();
        app.log.catch_up("billing").await;
        assert_eq!(app.balances("2020-03-31").await, at_closing, "round {round}");
        app.reopen("2020-03").await.unwrap();
    }
    let late: i64 = sqlx::query_scalar(
        "select count(*) from ledger.journals where effective_date = '2020-04-01' and document_date = '2020-03-31'",
    )
    .fetch_one(&app.db)
    .await
    .unwrap();
    assert!(late > 0, "no event came late");
    assert_eq!(app.log.dead_letters().await, [""; 0]);
    app.check_books().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn however_many_post_while_an_account_is_locked_nothing_is_posted_by_hand_after_that() {
    let app = Arc::new(App::start().await);
    let (over, posted) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let mut posting = JoinSet::new();
    for _ in 0..6 {
        let (app, over, posted) = (Arc::clone(&app), Arc::clone(&over), Arc::clone(&posted));
        posting.spawn(async move {
            while !over.load(Ordering::Relaxed) {
                match app.post(capital("1.00", "2020-03-31")).await {
                    Ok(_) => {
                        posted.fetch_add(1, Ordering::Relaxed);
                    }
                    refused => refusal(refused).is(Code::FailedPrecondition, "ACCOUNT_LOCKED"),
                }
            }
        });
    }
    for _ in 0..5 {
        let before = posted.load(Ordering::Relaxed);
        eventually("somebody posts", WAIT_MAX, async || {
            posted.load(Ordering::Relaxed) > before + 5
        })
        .await;
        let code = "3200".to_owned();
        let lock = LockAccountRequest { code: code.clone(), ..Default::default() };
        app.client.clone().lock_account(lock).await.unwrap();
        let when_locked = app.balances("").await;
        sleep(Duration::from_millis(50)).await;
        assert_eq!(app.balances("").await, when_locked);
        let unlock = UnlockAccountRequest { code, ..Default::default() };
        app.client.clone().unlock_account(unlock).await.unwrap();
    }
    over.store(true, Ordering::Relaxed);
    posting.join_all().await;
    app.check_books().await;
}
