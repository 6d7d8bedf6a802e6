use proto::ledger::v1::{BatchPostJournalsRequest, Journal, NewJournal};
use testkit::refusal;
use tokio::task::JoinSet;
use tonic::{Code, Status};

use crate::app::{App, capital, lines, new_id};

const DAY: &str = "2026-03-31";

async fn post(app: &App, request: BatchPostJournalsRequest) -> Result<Vec<Journal>, Status> {
    Ok(app.client.clone().batch_post_journals(request).await?.into_inner().journals)
}

fn batch(journals: Vec<NewJournal>) -> BatchPostJournalsRequest {
    BatchPostJournalsRequest { journals, ..Default::default() }
}

fn amounts(journals: &[Journal]) -> Vec<String> {
    journals.iter().map(|journal| journal.amount.clone().unwrap().amount).collect()
}

#[tokio::test]
async fn all_are_posted_in_their_order_and_each_is_told_of() {
    let app = App::start().await;
    let all = (1..=100).map(|n| capital(&format!("{n}.00"), DAY)).collect();
    let posted = post(&app, batch(all)).await.unwrap();
    let expected: Vec<String> = (1..=100).map(|n| format!("{n}.00")).collect();
    assert_eq!(amounts(&posted), expected);
    assert!(posted.iter().all(|journal| journal.entries.len() == 2));
    assert_eq!(app.get_journal(&posted[41].journal_id).await.unwrap(), posted[41]);
    assert_eq!(app.balances("").await, ["1200 5050.00", "3200 -5050.00"]);
    let transactions: i64 =
        sqlx::query_scalar("select count(distinct xmin::text) from ledger.journals")
            .fetch_one(&app.db)
            .await
            .unwrap();
    assert_eq!(transactions, 1);
    app.check_books().await;
}

#[tokio::test]
async fn none_is_posted_when_one_is_to_blame_which_is_named_by_its_place() {
    let app = App::start().await;
    let on = |account: &str| NewJournal {
        lines: lines(&[(account, "1.00", ""), ("3200", "", "1.00")]),
        ..capital("1.00", DAY)
    };
    let good = || capital("1.00", DAY);
    let refused = refusal(post(&app, batch(vec![good(), on("1100")])).await);
    refused.is(Code::FailedPrecondition, "CONTROL_ACCOUNT");
    assert_eq!(refused.facts, ["account: 1100", "journal: 1"]);
    let refused = refusal(post(&app, batch(vec![good(), good(), on("1210")])).await);
    refused.is(Code::NotFound, "ACCOUNT_NOT_FOUND");
    assert_eq!(refused.facts, ["account: 1210", "journal: 2"]);
    assert_eq!(refused.message, "journal 2: account 1210 is not in the chart");
    let refused = refusal(post(&app, batch(vec![good(), capital("1.00", "2206-11-24")])).await);
    refused.names(&["journals[1].effective_date"]);
    let unbalanced =
        NewJournal { lines: lines(&[("1200", "1.00", ""), ("3200", "", "2.00")]), ..good() };
    let bad = batch(vec![NewJournal { description: String::new(), ..good() }, unbalanced]);
    refusal(post(&app, bad).await).names(&["journals[0].description", "journals[1].lines"]);
    for table in ["ledger.journals", "ledger.ledger_entries", "ledger.events_log"] {
        assert_eq!(app.count(table).await, 0, "{table}");
    }
}

#[tokio::test]
async fn the_same_request_a_hundred_times_at_once_posts_one_batch() {
    let app = App::start().await;
    let request = BatchPostJournalsRequest {
        request_id: new_id(),
        ..batch(vec![capital("1.00", DAY), capital("2.00", DAY), capital("3.00", DAY)])
    };
    let mut calls = JoinSet::new();
    for _ in 0..100 {
        let (mut client, request) = (app.client.clone(), request.clone());
        calls.spawn(async move { client.batch_post_journals(request).await.unwrap().into_inner() });
    }
    let answers = calls.join_all().await;
    assert!(answers.iter().all(|answer| answer == &answers[0]));
    assert_eq!(amounts(&answers[0].journals), ["1.00", "2.00", "3.00"]);
    assert_eq!(app.count("ledger.journals").await, 3);
    let other = BatchPostJournalsRequest { journals: vec![capital("1.00", DAY)], ..request };
    refusal(post(&app, other).await).is(Code::AlreadyExists, "REQUEST_ID_USED");
    app.check_books().await;
}

#[tokio::test]
async fn a_preview_posts_nothing() {
    let app = App::start().await;
    let all = vec![capital("1.00", DAY), capital("2.00", DAY)];
    let preview = BatchPostJournalsRequest { validate_only: true, ..batch(all) };
    let preview = post(&app, preview).await.unwrap();
    assert_eq!(amounts(&preview), ["1.00", "2.00"]);
    assert!(preview.iter().all(|journal| journal.journal_id.is_empty()));
    assert_eq!(app.count("ledger.journals").await, 0);
}

#[tokio::test]
async fn a_batch_has_a_size() {
    let app = App::start().await;
    refusal(post(&app, batch(Vec::new())).await).names(&["journals"]);
    refusal(post(&app, batch(vec![capital("1.00", DAY); 101])).await).names(&["journals"]);
    let long = NewJournal {
        lines: lines(&[("1200", "1.00", ""), ("3200", "", "1.00")].repeat(46)),
        ..capital("1.00", DAY)
    };
    refusal(post(&app, batch(vec![long.clone(); 11])).await).names(&["journals"]);
    assert_eq!(post(&app, batch(vec![long; 10])).await.unwrap().len(), 10);
    app.check_books().await;
}
