use std::collections::BTreeSet;

use chrono::Days;
use proto::ledger::v1::{Journal, LockAccountRequest, ReverseJournalRequest};
use testkit::refusal;
use tokio::task::JoinSet;
use tonic::Code;

use crate::{
    app::{App, capital, new_id},
    events::issued,
};

const DAY: &str = "2026-03-31";

fn of(journal_id: &str) -> ReverseJournalRequest {
    ReverseJournalRequest { journal_id: journal_id.to_owned(), ..Default::default() }
}

fn on(journal: &Journal, day: &str) -> ReverseJournalRequest {
    ReverseJournalRequest { effective_date: day.to_owned(), ..of(&journal.journal_id) }
}

#[tokio::test]
async fn a_reversal_mirrors_its_original_on_a_day_of_its_own_and_each_names_the_other() {
    let app = App::start().await;
    let original = app.post(capital("5.00", DAY)).await.unwrap();
    let reversal = app.reverse(on(&original, "2026-04-02")).await.unwrap();
    let lines: Vec<_> = reversal
        .entries
        .iter()
        .map(|one| {
            let (debit, credit) = (one.debit.clone().unwrap(), one.credit.clone().unwrap());
            format!("{} {} {} {}", one.account, debit.amount, credit.amount, one.ref_id)
        })
        .collect();
    let document = &original.journal_id;
    assert_eq!(lines, [format!("1200 0.00 5.00 {document}"), format!("3200 5.00 0.00 {document}")]);
    assert_eq!(reversal.effective_date, "2026-04-02");
    assert_eq!(reversal.description, "Reversal of Capital paid in");
    assert_eq!(reversal.reverses_journal_id, original.journal_id);
    let original = app.get_journal(&original.journal_id).await.unwrap();
    assert_eq!(original.reversed_by_journal_id, reversal.journal_id);

    assert_eq!(app.balances(DAY).await, ["1200 5.00", "3200 -5.00"]);
    assert_eq!(app.balances("2026-04-02").await, ["1200 0.00", "3200 0.00"]);
    let (_, _, data) = app.log.events_of(&reversal.journal_id).await.swap_remove(0);
    assert_eq!(data["reversesJournalId"], original.journal_id);
    app.check_books().await;
}

#[tokio::test]
async fn without_a_day_it_is_today_or_the_journals_day_if_that_is_later() {
    let app = App::start().await;
    let past = app.post(capital("5.00", DAY)).await.unwrap();
    let before = app.today().await.to_string();
    let reversal = app.reverse(of(&past.journal_id)).await.unwrap();
    assert!([before, app.today().await.to_string()].contains(&reversal.effective_date));
    let ahead = (app.today().await + Days::new(300)).to_string();
    let future = app.post(capital("5.00", &ahead)).await.unwrap();
    let reversal = app.reverse(of(&future.journal_id)).await.unwrap();
    assert_eq!(reversal.effective_date, ahead);
}

#[tokio::test]
async fn a_hundred_at_once_reverse_it_once_and_all_are_answered_the_same() {
    let app = App::start().await;
    for with_request in [false, true] {
        let original = app.post(capital("5.00", DAY)).await.unwrap();
        let mut calls = JoinSet::new();
        for _ in 0..100 {
            let request_id = if with_request { new_id() } else { String::new() };
            let request = ReverseJournalRequest { request_id, ..on(&original, "2026-04-02") };
            let mut client = app.client.clone();
            calls.spawn(async move { client.reverse_journal(request).await.unwrap().into_inner() });
        }
        let answers = calls.join_all().await;
        let ids: BTreeSet<String> =
            answers.into_iter().map(|answer| answer.journal.unwrap().journal_id).collect();
        assert_eq!(ids.len(), 1);
    }
    assert_eq!(app.count("ledger.journals").await, 4);
    assert_eq!(app.balances("").await, ["1200 0.00", "3200 0.00"]);
    app.check_books().await;
}

#[tokio::test]
async fn the_same_again_answers_with_the_reversal_and_anything_else_is_refused() {
    let app = App::start().await;
    let original = app.post(capital("5.00", DAY)).await.unwrap();
    let request = ReverseJournalRequest {
        request_id: new_id(),
        description: "Paid in twice".to_owned(),
        ..on(&original, "2026-04-02")
    };
    let reversal = app.reverse(request.clone()).await.unwrap();
    let other_request = ReverseJournalRequest { request_id: new_id(), ..request.clone() };
    for again in [request.clone(), other_request, of(&original.journal_id)] {
        assert_eq!(app.reverse(again).await.unwrap(), reversal);
    }
    let why =
        ReverseJournalRequest { description: "Why not".to_owned(), ..of(&original.journal_id) };
    for other in [on(&original, "2026-04-03"), why] {
        let refused = refusal(app.reverse(other).await);
        refused.is(Code::FailedPrecondition, "ALREADY_REVERSED");
        let facts = [
            format!("journal_id: {}", original.journal_id),
            format!("reversed_by_journal_id: {}", reversal.journal_id),
        ];
        assert_eq!(refused.facts, facts);
    }
    let used = ReverseJournalRequest { effective_date: String::new(), ..request };
    refusal(app.reverse(used).await).is(Code::AlreadyExists, "REQUEST_ID_USED");
    assert_eq!(app.count("ledger.journals").await, 2);
}

#[tokio::test]
async fn a_reversal_is_not_reversed_but_posted_anew() {
    let app = App::start().await;
    let original = app.post(capital("5.00", DAY)).await.unwrap();
    let reversal = app.reverse(of(&original.journal_id)).await.unwrap();
    let refused = refusal(app.reverse(of(&reversal.journal_id)).await);
    refused.is(Code::FailedPrecondition, "JOURNAL_IS_REVERSAL");
    assert_eq!(refused.facts, [format!("journal_id: {}", reversal.journal_id)]);
}

#[tokio::test]
async fn a_journal_of_an_event_is_corrected_by_its_service() {
    let app = App::start().await;
    app.hear(&[issued(&new_id(), "5.00", "0.00", DAY)]).await;
    let id: String = sqlx::query_scalar("select id::text from ledger.journals")
        .fetch_one(&app.db)
        .await
        .unwrap();
    let refused = refusal(app.reverse(of(&id)).await);
    refused.is(Code::FailedPrecondition, "JOURNAL_OF_EVENT");
    assert_eq!(refused.facts, [format!("journal_id: {id}"), "source: billing".to_owned()]);
    assert_eq!(app.count("ledger.journals").await, 1);
}

#[tokio::test]
async fn it_is_not_before_its_journal_not_years_ahead_not_on_a_locked_account_and_not_without_one()
{
    let app = App::start().await;
    let original = app.post(capital("5.00", DAY)).await.unwrap();
    refusal(app.reverse(on(&original, "2026-03-30")).await).names(&["effective_date"]);
    let ahead = (app.today().await + Days::new(368)).to_string();
    refusal(app.reverse(on(&original, &ahead)).await).names(&["effective_date"]);
    let lock = LockAccountRequest { code: "3200".to_owned(), ..Default::default() };
    app.client.clone().lock_account(lock).await.unwrap();
    let refused = refusal(app.reverse(of(&original.journal_id)).await);
    refused.is(Code::FailedPrecondition, "ACCOUNT_LOCKED");
    assert_eq!(refused.facts, ["account: 3200"]);
    let nobody = new_id();
    let refused = refusal(app.reverse(of(&nobody)).await);
    refused.is(Code::NotFound, "JOURNAL_NOT_FOUND");
    assert_eq!(refused.facts, [format!("journal_id: {nobody}")]);
    assert_eq!(app.count("ledger.journals").await, 1);
}

#[tokio::test]
async fn every_bad_field_is_named() {
    let app = App::start().await;
    let bad = ReverseJournalRequest {
        request_id: "1".to_owned(),
        journal_id: "J-1".to_owned(),
        effective_date: "today".to_owned(),
        description: "x".repeat(501),
    };
    let named = ["request_id", "journal_id", "effective_date", "description"];
    refusal(app.reverse(bad).await).names(&named);
}
