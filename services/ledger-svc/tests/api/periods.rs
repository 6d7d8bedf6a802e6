//! Months are closed in their order, reopened in the other, and take nothing while they are closed.

use chrono::Days;
use proto::ledger::v1::{
    ClosePeriodRequest, ListEntriesRequest, ListPeriodsRequest, Period, PeriodState,
    PostJournalRequest, ReopenPeriodRequest, ReverseJournalRequest,
};
use testkit::refusal;
use tokio::task::JoinSet;
use tonic::{Code, Status};

use crate::{
    app::{App, capital, new_id},
    events::{Pay, approved, issued, stock},
};

async fn list(app: &App, request: ListPeriodsRequest) -> Result<(Vec<Period>, String), Status> {
    let page = app.client.clone().list_periods(request).await?.into_inner();
    Ok((page.periods, page.next_page_token))
}

/// The oldest months up to one, as `2020-03 closed`, the latest first.
async fn up_to(app: &App, last: &str) -> Vec<String> {
    let request = ListPeriodsRequest { page_size: 1000, ..Default::default() };
    let (periods, _) = list(app, request).await.unwrap();
    periods.iter().filter(|one| one.period.as_str() <= last).map(shown).collect()
}

fn shown(period: &Period) -> String {
    let state = if period.state() == PeriodState::Closed { "closed" } else { "open" };
    format!("{} {state}", period.period)
}

/// The month in which the business is now.
async fn this_month(app: &App) -> String {
    sqlx::query_scalar("select to_char(now() at time zone 'Europe/London', 'YYYY-MM')")
        .fetch_one(&app.db)
        .await
        .unwrap()
}

/// A journal in each of January, February and April 2020.
async fn some_months() -> App {
    let app = App::start().await;
    for day in ["2020-01-31", "2020-02-29", "2020-04-01"] {
        app.post(capital("5.00", day)).await.unwrap();
    }
    app
}

#[tokio::test]
async fn months_are_closed_in_their_order_and_those_without_a_journal_need_not_be() {
    let app = some_months().await;
    let refused = refusal(app.close("2020-02").await);
    refused.is(Code::FailedPrecondition, "PERIOD_OUT_OF_ORDER");
    assert_eq!(refused.facts, ["period: 2020-01"]);
    let closed = app.close("2020-01").await.unwrap();
    assert_eq!(shown(&closed), "2020-01 closed");
    assert!(closed.change_time.is_some());
    assert_eq!(closed.changed_by, "anonymous");
    let refused = refusal(app.close("2020-04").await);
    assert_eq!(refused.facts, ["period: 2020-02"]);
    app.close("2020-02").await.unwrap();
    app.close("2020-04").await.unwrap();
    let expected = ["2020-04 closed", "2020-03 closed", "2020-02 closed", "2020-01 closed"];
    assert_eq!(up_to(&app, "2020-04").await, expected);
    assert_eq!(app.log.told_of("2020-01").await, [("period.closed".to_owned(), 1)]);
    let data = app.log.events_of("2020-04").await.swap_remove(0).2;
    assert_eq!(data, serde_json::json!({"period": "2020-04"}));
    assert_eq!(app.log.told_of("2020-03").await, []);
}

#[tokio::test]
async fn closing_again_is_the_same_and_tells_nothing() {
    let app = some_months().await;
    let first = app.close("2020-01").await.unwrap();
    assert_eq!(app.close("2020-01").await.unwrap(), first);
    // Nothing was ever there, so it is closed with what follows.
    assert_eq!(shown(&app.close("2019-12").await.unwrap()), "2019-12 closed");
    assert_eq!(app.log.told_of("2020-01").await.len(), 1);
    assert_eq!(app.log.told_of("2019-12").await, []);
    assert_eq!(shown(&app.reopen("2020-02").await.unwrap()), "2020-02 open");
    assert_eq!(app.log.told_of("2020-02").await, []);
}

#[tokio::test]
async fn a_month_that_is_not_over_is_not_closed() {
    let app = App::start().await;
    for period in [this_month(&app).await, "9999-12".to_owned()] {
        let refused = refusal(app.close(&period).await);
        refused.is(Code::FailedPrecondition, "PERIOD_NOT_OVER");
        assert_eq!(refused.facts, [format!("period: {period}")]);
    }
    assert_eq!(app.count("ledger.periods").await, 0);
}

#[tokio::test]
async fn the_month_that_was_closed_last_is_reopened_first() {
    let app = some_months().await;
    for period in ["2020-01", "2020-02", "2020-04"] {
        app.close(period).await.unwrap();
    }
    for period in ["2020-02", "2020-03", "2019-12"] {
        let refused = refusal(app.reopen(period).await);
        refused.is(Code::FailedPrecondition, "PERIOD_OUT_OF_ORDER");
        assert_eq!(refused.facts, ["period: 2020-04"]);
    }
    assert_eq!(shown(&app.reopen("2020-04").await.unwrap()), "2020-04 open");
    // With April, March is open, too: it has nothing.
    let expected = ["2020-04 open", "2020-03 open", "2020-02 closed", "2020-01 closed"];
    assert_eq!(up_to(&app, "2020-04").await, expected);
    app.reopen("2020-02").await.unwrap();
    app.post(capital("1.00", "2020-02-01")).await.unwrap();
    app.close("2020-02").await.unwrap();
    let told = [("period.closed", 1), ("period.reopened", 2), ("period.closed", 3)];
    let told = told.map(|(of, at)| (of.to_owned(), at));
    assert_eq!(app.log.told_of("2020-02").await, told);
}

#[tokio::test]
async fn nothing_is_posted_by_hand_into_a_closed_month() {
    let app = some_months().await;
    let original = app.post(capital("7.00", "2020-01-15")).await.unwrap();
    app.close("2020-01").await.unwrap();
    let in_january = || capital("5.00", "2020-01-31");
    let preview = PostJournalRequest {
        journal: Some(in_january()),
        validate_only: true,
        ..Default::default()
    };
    for answer in [app.post(in_january()).await, app.post_request(preview).await] {
        let refused = refusal(answer);
        refused.is(Code::FailedPrecondition, "PERIOD_CLOSED");
        assert_eq!(refused.facts, ["closed_through: 2020-01", "period: 2020-01"]);
    }
    let earlier = refusal(app.post(capital("5.00", "2019-06-30")).await);
    assert_eq!(earlier.facts, ["closed_through: 2020-01", "period: 2019-06"]);
    let reversal = |day: &str| ReverseJournalRequest {
        journal_id: original.journal_id.clone(),
        effective_date: day.to_owned(),
        ..Default::default()
    };
    let refused = refusal(app.reverse(reversal("2020-01-31")).await);
    refused.is(Code::FailedPrecondition, "PERIOD_CLOSED");
    app.reverse(reversal("2020-02-01")).await.unwrap();
    app.post(capital("5.00", "2020-02-01")).await.unwrap();
    assert_eq!(app.balances("2020-01-31").await, ["1200 12.00", "3200 -12.00"]);
    app.check_books().await;
}

#[tokio::test]
async fn a_late_event_is_posted_on_the_first_open_day_and_keeps_its_own() {
    let app = some_months().await;
    app.close("2020-01").await.unwrap();
    let (late, later, on_time) = (new_id(), new_id(), new_id());
    app.hear(&[
        issued(&late, "1.00", "0.00", "2020-01-31"),
        issued(&later, "2.00", "0.00", "2019-06-30"),
        issued(&on_time, "4.00", "0.00", "2020-02-02"),
    ])
    .await;
    app.hear_from("inventory", &[stock("stock.received", "", &new_id(), "8.00", "2020-01-01")])
        .await;
    app.hear_from("hr", &[approved(&new_id(), Pay([1600, 0, 0, 0, 0, 0]), "2020-01-31")]).await;
    assert_eq!(app.log.dead_letters().await, [""; 0]);

    let request = ListEntriesRequest { account: "1100".to_owned(), ..Default::default() };
    let (entries, _) = app.entries(request).await.unwrap();
    let dates = entries.iter().map(|one| (one.effective_date.as_str(), one.document_date.as_str()));
    let expected =
        [("2020-02-02", "2020-02-02"), ("2020-02-01", "2019-06-30"), ("2020-02-01", "2020-01-31")];
    assert_eq!(dates.collect::<Vec<_>>(), expected);
    let journal = app.get_journal(&entries[1].journal_id).await.unwrap();
    assert_eq!((&*journal.effective_date, &*journal.document_date), expected[1]);
    let told = app.log.events_of(&journal.journal_id).await.swap_remove(0).2;
    assert_eq!(told["effectiveDate"], "2020-02-01");
    assert_eq!(app.balances("2020-01-31").await, ["1200 5.00", "3200 -5.00"]);
    let february = ["1001 8.00", "1100 3.00", "1200 5.00", "2109 -8.00", "2220 -16.00"];
    assert_eq!(app.balances("2020-02-01").await[..5], february);
    app.check_books().await;
}

#[tokio::test]
async fn after_december_comes_january() {
    let app = App::start().await;
    app.close("2019-12").await.unwrap();
    let invoice = new_id();
    app.hear(&[issued(&invoice, "1.00", "0.00", "2019-12-31")]).await;
    assert_eq!(app.balances("2019-12-31").await, [""; 0]);
    assert_eq!(app.balances("2020-01-01").await, ["1100 1.00", "4000 -1.00"]);
    // One that was closed is listed though it has no journal.
    assert_eq!(up_to(&app, "2020-01").await, ["2020-01 open", "2019-12 closed"]);
}

#[tokio::test]
async fn a_hundred_at_once_close_or_reopen_it_once() {
    let app = some_months().await;
    for with_request in [false, true] {
        let request_id = if with_request { new_id() } else { String::new() };
        let request = ClosePeriodRequest { request_id, period: "2020-01".to_owned() };
        let mut calls = JoinSet::new();
        for _ in 0..100 {
            let (mut client, request) = (app.client.clone(), request.clone());
            calls.spawn(async move { client.close_period(request).await.unwrap().into_inner() });
        }
        let answers = calls.join_all().await;
        assert!(answers.iter().all(|answer| answer == &answers[0]));
        let request_id = if with_request { new_id() } else { String::new() };
        let request = ReopenPeriodRequest { request_id, period: "2020-01".to_owned() };
        let mut calls = JoinSet::new();
        for _ in 0..100 {
            let (mut client, request) = (app.client.clone(), request.clone());
            calls.spawn(async move { client.reopen_period(request).await.unwrap().into_inner() });
        }
        let answers = calls.join_all().await;
        assert!(answers.iter().all(|answer| answer == &answers[0]));
    }
    let versions: Vec<i64> =
        app.log.told_of("2020-01").await.into_iter().map(|(_, version)| version).collect();
    assert_eq!(versions, [1, 2, 3, 4]);
}

#[tokio::test]
async fn a_request_id_is_for_one_request() {
    let app = some_months().await;
    let (request_id, period) = (new_id(), "2020-01".to_owned());
    let close = ClosePeriodRequest { request_id: request_id.clone(), period: period.clone() };
    app.client.clone().close_period(close.clone()).await.unwrap();
    let other = ClosePeriodRequest { period: "2020-02".to_owned(), ..close.clone() };
    refusal(app.client.clone().close_period(other).await)
        .is(Code::AlreadyExists, "REQUEST_ID_USED");
    let other = ReopenPeriodRequest { request_id, period };
    refusal(app.client.clone().reopen_period(other).await)
        .is(Code::AlreadyExists, "REQUEST_ID_USED");
    // What was answered closes nothing anew.
    app.reopen("2020-01").await.unwrap();
    app.client.clone().close_period(close).await.unwrap();
    assert_eq!(up_to(&app, "2020-01").await, ["2020-01 open"]);
}

#[tokio::test]
async fn months_are_listed_from_the_first_journal_to_now_page_by_page_and_by_state() {
    let app = some_months().await;
    app.close("2020-01").await.unwrap();
    app.close("2020-02").await.unwrap();
    let now = this_month(&app).await;
    let of = |state: PeriodState| ListPeriodsRequest {
        page_size: 1000,
        state: state.into(),
        ..Default::default()
    };
    let (all, token) = list(&app, of(PeriodState::Unspecified)).await.unwrap();
    assert_eq!(token, "");
    assert_eq!(all[0].period, now);
    assert_eq!(all[all.len() - 1].period, "2020-01");
    assert!(all.windows(2).all(|two| two[0].period > two[1].period));
    let (closed, _) = list(&app, of(PeriodState::Closed)).await.unwrap();
    assert_eq!(closed, all[all.len() - 2..]);
    let (open, _) = list(&app, of(PeriodState::Open)).await.unwrap();
    assert_eq!(open, all[..all.len() - 2]);
    assert!(open.iter().all(|one| one.change_time.is_none() && one.changed_by.is_empty()));

    let mut request = ListPeriodsRequest { page_size: 7, ..Default::default() };
    let mut paged = Vec::new();
    loop {
        let (page, token) = list(&app, request.clone()).await.unwrap();
        assert!(page.len() <= 7);
        paged.extend(page);
        if token.is_empty() {
            break;
        }
        request.page_token = token;
    }
    assert_eq!(paged, all);
    // A journal of the future makes months up to it.
    let ahead = (app.today().await + Days::new(300)).to_string();
    app.post(capital("1.00", &ahead)).await.unwrap();
    let (page, _) = list(&app, ListPeriodsRequest::default()).await.unwrap();
    assert_eq!((page.len(), &*page[0].period), (50, &ahead[..7]));
}

#[tokio::test]
async fn books_without_a_journal_have_the_current_month() {
    let app = App::start().await;
    let now = this_month(&app).await;
    let (periods, _) = list(&app, ListPeriodsRequest::default()).await.unwrap();
    assert_eq!(periods.iter().map(shown).collect::<Vec<_>>(), [format!("{now} open")]);
    let closed = ListPeriodsRequest { state: PeriodState::Closed.into(), ..Default::default() };
    assert_eq!(list(&app, closed).await.unwrap(), (Vec::new(), String::new()));
}

#[tokio::test]
async fn every_bad_field_is_named() {
    let app = App::start().await;
    for period in ["", "2020", "2020-13", "2020-1", "2020-01-01", "+2020-01", "0000-01", "x"] {
        refusal(app.close(period).await).names(&["period"]);
        refusal(app.reopen(period).await).names(&["period"]);
    }
    let bad = ClosePeriodRequest { request_id: "1".to_owned(), period: String::new() };
    refusal(app.client.clone().close_period(bad).await).names(&["request_id", "period"]);
    let bad = ListPeriodsRequest { page_size: 1001, page_token: "x".to_owned(), state: 7 };
    refusal(list(&app, bad).await).names(&["page_size", "page_token", "state"]);
}
