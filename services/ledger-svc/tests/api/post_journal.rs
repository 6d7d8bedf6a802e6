use chrono::{Days, Months};
use proto::{
    common::v1::Money,
    ledger::v1::{Entry, Journal, NewJournal, NewLine, PostJournalRequest},
};
use testkit::refusal;
use tokio::task::JoinSet;
use tonic::Code;

use crate::app::{App, capital, lines, money, new_id};

const DAY: &str = "2026-03-31";

fn request(journal: NewJournal) -> PostJournalRequest {
    PostJournalRequest { journal: Some(journal), ..Default::default() }
}

/// Of (account, debit, credit), where "" is none.
fn journal(of: &[(&str, &str, &str)]) -> NewJournal {
    NewJournal { lines: lines(of), ..capital("1.00", DAY) }
}

/// As `account debit credit ref_type`.
fn shown(journal: &Journal) -> Vec<String> {
    let amount = |money: &Option<Money>| money.clone().unwrap().amount;
    journal
        .entries
        .iter()
        .map(|one| {
            let (debit, credit) = (amount(&one.debit), amount(&one.credit));
            format!("{} {debit} {credit} {}", one.account, one.ref_type)
        })
        .collect()
}

#[tokio::test]
async fn what_is_posted_by_hand_is_in_the_books_and_told_of() {
    let app = App::start().await;
    let posted = app
        .post(NewJournal {
            description: "Rent and its tax".to_owned(),
            ..journal(&[("5000", "100.00", ""), ("2200", "20.00", ""), ("1200", "", "120.00")])
        })
        .await
        .unwrap();
    let expected =
        ["5000 100.00 0.00 journal", "2200 20.00 0.00 journal", "1200 0.00 120.00 journal"];
    assert_eq!(shown(&posted), expected);
    let head = Journal {
        journal_id: posted.journal_id.clone(),
        effective_date: DAY.to_owned(),
        document_date: DAY.to_owned(),
        description: "Rent and its tax".to_owned(),
        source: "ledger".to_owned(),
        event_type: "journal.posted".to_owned(),
        ref_type: "journal".to_owned(),
        ref_id: posted.journal_id.clone(),
        amount: money("120.00"),
        post_time: posted.post_time,
        entries: posted.entries.clone(),
        ..Default::default()
    };
    assert!(posted.post_time.is_some());
    assert_eq!(posted, head);
    assert_eq!(app.get_journal(&posted.journal_id).await.unwrap(), posted);
    assert_eq!(app.balances("").await, ["1200 -120.00", "2200 20.00", "5000 100.00"]);
    let told = app.log.events_of(&posted.journal_id).await;
    let data = serde_json::json!({
        "journalId": posted.journal_id, "refType": "journal", "refId": posted.journal_id,
        "effectiveDate": DAY, "amount": {"amount": "120.00", "currencyCode": "GBP"},
        "lines": [
            {"account": "5000", "debit": {"amount": "100.00", "currencyCode": "GBP"}},
            {"account": "2200", "debit": {"amount": "20.00", "currencyCode": "GBP"}},
            {"account": "1200", "credit": {"amount": "120.00", "currencyCode": "GBP"}},
        ],
    });
    assert_eq!(told, [("journal.posted".to_owned(), 1, data)]);
    app.check_books().await;
}

#[tokio::test]
async fn without_a_day_it_belongs_to_today() {
    let app = App::start().await;
    let posted = app.post(capital("5.00", "")).await.unwrap();
    let today: String =
        sqlx::query_scalar("select (now() at time zone 'Europe/London')::date::text")
            .fetch_one(&app.db)
            .await
            .unwrap();
    // Midnight may pass between the two.
    let posted_on: String = sqlx::query_scalar(
        "select (posted_at at time zone 'Europe/London')::date::text from ledger.journals",
    )
    .fetch_one(&app.db)
    .await
    .unwrap();
    assert_eq!(posted.effective_date, posted_on);
    assert!(posted_on <= today);
}

#[tokio::test]
async fn it_may_be_about_a_document() {
    let app = App::start().await;
    let order = new_id();
    let about =
        NewJournal { ref_type: "order".to_owned(), ref_id: order.clone(), ..capital("5.00", DAY) };
    let posted = app.post(about).await.unwrap();
    assert_eq!((&*posted.ref_type, &posted.ref_id), ("order", &order));
    assert!(posted.entries.iter().all(|one| one.ref_type == "order" && one.ref_id == order));
}

#[tokio::test]
async fn the_same_request_a_hundred_times_at_once_posts_one_journal() {
    let app = App::start().await;
    let request = PostJournalRequest { request_id: new_id(), ..request(capital("5.00", DAY)) };
    let mut calls = JoinSet::new();
    for _ in 0..100 {
        let (mut client, request) = (app.client.clone(), request.clone());
        calls.spawn(async move { client.post_journal(request).await.unwrap().into_inner() });
    }
    let answers = calls.join_all().await;
    assert!(answers.iter().all(|answer| answer == &answers[0]));
    assert_eq!(app.count("ledger.journals").await, 1);
    app.check_books().await;

    let other = PostJournalRequest { journal: Some(capital("5.01", DAY)), ..request };
    let refused = refusal(app.post_request(other).await);
    refused.is(Code::AlreadyExists, "REQUEST_ID_USED");
    assert_eq!(app.count("ledger.journals").await, 1);
}

#[tokio::test]
async fn a_day_is_mistyped_when_it_is_of_another_century_or_more_than_a_year_ahead() {
    let app = App::start().await;
    let a_year = || async { app.today().await.checked_add_months(Months::new(12)).unwrap() };
    let before = a_year().await;
    let last = app.post(capital("1.00", &before.to_string())).await.unwrap();
    assert_eq!(last.effective_date, before.to_string());
    app.post(capital("1.00", "1900-01-01")).await.unwrap();
    for day in ["1899-12-31", "2206-11-24", &(a_year().await + Days::new(1)).to_string()] {
        let refused = refusal(app.post(capital("1.00", day)).await);
        refused.names(&["journal.effective_date"]);
    }
    assert_eq!(app.count("ledger.journals").await, 2);
}

#[tokio::test]
async fn a_request_that_was_refused_can_be_made_again() {
    let app = App::start().await;
    let mut request = PostJournalRequest {
        request_id: new_id(),
        ..request(journal(&[("1210", "1.00", ""), ("3200", "", "1.00")]))
    };
    let refused = refusal(app.post_request(request.clone()).await);
    refused.is(Code::NotFound, "ACCOUNT_NOT_FOUND");
    assert_eq!(refused.facts, ["account: 1210"]);
    assert_eq!(refused.message, "account 1210 is not in the chart");
    request.journal = Some(capital("1.00", DAY));
    app.post_request(request).await.unwrap();
}

#[tokio::test]
async fn a_preview_shows_what_would_be_posted_and_posts_nothing() {
    let app = App::start().await;
    let about =
        NewJournal { ref_type: "invoice".to_owned(), ref_id: new_id(), ..capital("5.00", DAY) };
    let all = [capital("5.00", DAY), about];
    let request_id = new_id();
    let mut previews = Vec::new();
    for journal in all.clone() {
        let preview = PostJournalRequest {
            request_id: request_id.clone(),
            validate_only: true,
            ..request(journal)
        };
        previews.push(app.post_request(preview).await.unwrap());
    }
    for table in ["ledger.journals", "ledger.events_log", "ledger.requests"] {
        assert_eq!(app.count(table).await, 0, "{table}");
    }
    let bad = PostJournalRequest {
        validate_only: true,
        ..request(journal(&[("1100", "1.00", ""), ("3200", "", "1.00")]))
    };
    refusal(app.post_request(bad).await).is(Code::FailedPrecondition, "CONTROL_ACCOUNT");

    for (journal, preview) in all.into_iter().zip(previews) {
        let posted = app.post(journal).await.unwrap();
        assert_eq!(preview, without_keys(posted));
    }
}

/// As it was before it was posted.
fn without_keys(mut posted: Journal) -> Journal {
    let id = std::mem::take(&mut posted.journal_id);
    let without = |ref_id: String| if ref_id == id { String::new() } else { ref_id };
    let entries = posted.entries.into_iter().map(|entry| Entry {
        entry_id: String::new(),
        journal_id: String::new(),
        create_time: None,
        ref_id: without(entry.ref_id),
        ..entry
    });
    let entries = entries.collect();
    Journal { post_time: None, ref_id: without(posted.ref_id), entries, ..posted }
}

#[tokio::test]
async fn only_events_post_on_control_accounts() {
    let app = App::start().await;
    for account in ["1001", "1100", "2110", "2220"] {
        for lines in [
            [(account, "1.00", ""), ("9998", "", "1.00")],
            [("9998", "1.00", ""), (account, "", "1.00")],
        ] {
            let refused = refusal(app.post(journal(&lines)).await);
            refused.is(Code::FailedPrecondition, "CONTROL_ACCOUNT");
            assert_eq!(refused.facts, [format!("account: {account}")]);
        }
    }
    // Nobody else keeps what suppliers and the tax office are owed: it is paid by hand.
    for account in ["2109", "2200", "2210", "2211", "2230"] {
        app.post(journal(&[(account, "1.00", ""), ("1200", "", "1.00")])).await.unwrap();
    }
    app.check_books().await;
}

#[tokio::test]
async fn debit_is_credit_or_the_difference_is_told() {
    let app = App::start().await;
    for (of, why) in [
        ([("1200", "5.00", ""), ("3200", "", "4.99")], "debit 5.00 is not credit 4.99"),
        ([("1200", "5.00", ""), ("3200", "5.00", "")], "debit 10.00 is not credit 0.00"),
    ] {
        let refused = refusal(app.post(journal(&of)).await);
        refused.names(&["journal.lines"]);
        assert_eq!(refused.fields, [format!("journal.lines: {why}")]);
    }
    let most = "999999999999.99";
    let too_much =
        [("1200", most, ""), ("1200", "0.01", ""), ("3200", "", most), ("3200", "", "0.01")];
    refusal(app.post(journal(&too_much)).await).names(&["journal.lines"]);
    assert_eq!(app.count("ledger.journals").await, 0);
}

#[tokio::test]
async fn every_bad_field_is_named() {
    let app = App::start().await;
    refusal(app.post_request(PostJournalRequest::default()).await).names(&["journal"]);
    let euros = Some(Money { amount: "1.00".to_owned(), currency_code: "EUR".to_owned() });
    let bad = PostJournalRequest {
        request_id: "7".to_owned(),
        journal: Some(NewJournal {
            effective_date: "2026-02-30".to_owned(),
            description: String::new(),
            ref_type: "receipt".to_owned(),
            ref_id: "R-1".to_owned(),
            lines: vec![
                NewLine { account: String::new(), debit: money("1.00"), credit: None },
                NewLine { account: "1200".to_owned(), debit: None, credit: None },
                NewLine { account: "1200".to_owned(), debit: money("1.00"), credit: money("1.00") },
                NewLine { account: "1200".to_owned(), debit: money("0.00"), credit: None },
                NewLine { account: "1200".to_owned(), debit: None, credit: money("-1.00") },
                NewLine { account: "1200".to_owned(), debit: None, credit: money("1.001") },
                NewLine { account: "1200".to_owned(), debit: euros, credit: None },
            ],
        }),
        validate_only: false,
    };
    refusal(app.post_request(bad).await).names(&[
        "request_id",
        "journal.effective_date",
        "journal.description",
        "journal.ref_type",
        "journal.ref_id",
        "journal.lines[0].account",
        "journal.lines[1]",
        "journal.lines[2]",
        "journal.lines[3].debit.amount",
        "journal.lines[4].credit.amount",
        "journal.lines[5].credit.amount",
        "journal.lines[6].debit.currency_code",
    ]);
    let one = journal(&[("1200", "1.00", "")]);
    refusal(app.post(one).await).names(&["journal.lines", "journal.lines"]);
    let many = journal(&[("1200", "1.00", ""), ("3200", "", "1.00")].repeat(51));
    refusal(app.post(many).await).names(&["journal.lines"]);
    let long = NewJournal { description: "x".repeat(501), ..capital("1.00", DAY) };
    refusal(app.post(long).await).names(&["journal.description"]);
    let itself =
        NewJournal { ref_type: "journal".to_owned(), ref_id: new_id(), ..capital("1.00", DAY) };
    refusal(app.post(itself).await).names(&["journal.ref_type"]);
    let half = NewJournal { ref_type: "order".to_owned(), ..capital("1.00", DAY) };
    refusal(app.post(half).await).names(&["journal.ref_id"]);
    assert_eq!(app.count("ledger.journals").await, 0);
}

#[tokio::test]
async fn the_longest_journal_and_the_largest_sum_are_posted() {
    let app = App::start().await;
    let many = journal(&[("1200", "9999999999.99", ""), ("3200", "", "9999999999.99")].repeat(50));
    let posted = app.post(many).await.unwrap();
    assert_eq!(posted.entries.len(), 100);
    assert_eq!(posted.amount, money("499999999999.50"));
    app.check_books().await;
}
