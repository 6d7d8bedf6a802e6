//! An event that cannot be booked waits aside with its aggregate until it is mended or given up.

use log::{Cause, NewEvent};
use proto::{
    common::v1::Money,
    events::v1::InvoiceIssued,
    log::v1::{
        DeadLetter, DiscardDeadLetterRequest, ListDeadLettersRequest, RetryDeadLettersRequest,
    },
};
use testkit::refusal;
use tonic::{Code, Status};

use crate::{
    app::{App, money, new_id},
    events::{Pay, approved, issued, paid, stock, voided},
};

const DAY: &str = "2026-03-31";

async fn list(app: &App) -> Vec<DeadLetter> {
    let request = ListDeadLettersRequest::default();
    app.event_log.clone().list_dead_letters(request).await.unwrap().into_inner().dead_letters
}

async fn retry(app: &App, subject: &str) -> Result<i32, Status> {
    let request =
        RetryDeadLettersRequest { source: "billing".to_owned(), subject: subject.to_owned() };
    Ok(app.event_log.clone().retry_dead_letters(request).await?.into_inner().applied_count)
}

async fn discard(app: &App, dead_letter_id: &str) -> Result<(), Status> {
    let request = DiscardDeadLetterRequest { dead_letter_id: dead_letter_id.to_owned() };
    app.event_log.clone().discard_dead_letter(request).await.map(|_| ())
}

async fn add_tax_account(app: &App) {
    sqlx::query(
        "insert into ledger.accounts (code, name, type) values ('2200', 'Tax', 'liability')",
    )
    .execute(&app.db)
    .await
    .unwrap();
}

/// Two invoices, one of which needs an account that the chart lacks; both are voided.
async fn one_cannot_be_booked(app: &App) -> (String, Vec<NewEvent>) {
    sqlx::query("delete from ledger.accounts where code = '2200'").execute(&app.db).await.unwrap();
    let (taxed, untaxed) = (new_id(), new_id());
    let events = vec![
        issued(&taxed, "12.00", "2.00", DAY),
        issued(&untaxed, "5.00", "0.00", DAY),
        voided(&taxed, "12.00", "2.00", "2026-04-01"),
        voided(&untaxed, "5.00", "0.00", "2026-04-02"),
    ];
    app.hear_once(&events).await;
    (taxed, events)
}

#[tokio::test]
async fn what_cannot_be_booked_waits_with_its_document_and_the_others_go_on() {
    let app = App::start().await;
    let (taxed, events) = one_cannot_be_booked(&app).await;
    let letters = list(&app).await;
    let found: Vec<_> =
        letters.iter().map(|one| (one.subject.as_str(), one.event_type.as_str())).collect();
    assert_eq!(found, [(&*taxed, "invoice.issued"), (&*taxed, "invoice.voided")]);
    assert!(letters[0].error.contains("ledger_entries_account_fkey"), "{}", letters[0].error);
    assert_eq!(letters[1].error, "parked behind an earlier event of its aggregate");
    assert_eq!((letters[0].source.as_str(), letters[0].sequence), ("billing", 1));
    let kept: serde_json::Value = serde_json::from_str(&letters[0].cloud_event).unwrap();
    assert_eq!(kept["id"], events[0].id().to_string());
    assert_eq!(kept["data"]["amount"]["amount"], "12.00");

    assert!(app.journal(&events[0]).await.is_none() && app.journal(&events[2]).await.is_none());
    assert!(app.journal(&events[1]).await.is_some() && app.journal(&events[3]).await.is_some());
    app.check_books().await;
}

#[tokio::test]
async fn what_was_mended_is_booked_in_its_order_and_what_follows_is_free() {
    let app = App::start().await;
    let (taxed, events) = one_cannot_be_booked(&app).await;
    let refused = refusal(retry(&app, &taxed).await);
    refused.is(Code::FailedPrecondition, "EVENT_STILL_REFUSED");
    assert_eq!(refused.facts, ["sequence: 1"]);
    assert_eq!(list(&app).await.len(), 2, "nothing is lost by trying");

    add_tax_account(&app).await;
    assert_eq!(retry(&app, &taxed).await.unwrap(), 2);
    assert_eq!(list(&app).await, []);
    assert_eq!(app.journal(&events[0]).await.unwrap().effective_date, DAY);
    assert_eq!(app.journal(&events[2]).await.unwrap().effective_date, "2026-04-01");
    assert_eq!(app.balances(DAY).await, ["1100 17.00", "2200 -2.00", "4000 -15.00"]);
    assert_eq!(retry(&app, &taxed).await.unwrap(), 0, "there is nothing left to retry");

    app.hear(&events).await;
    app.hear(&[paid(&new_id(), "1.00", &[(&taxed, "1.00")], "0.00", DAY)]).await;
    assert_eq!(app.count("ledger.journals").await, 5);
    assert_eq!(list(&app).await, []);
    app.check_books().await;
}

#[tokio::test]
async fn a_letter_that_was_mended_itself_is_booked_as_it_now_is() {
    let app = App::start().await;
    let payment = new_id();
    let event = paid(&payment, "5.00", &[], "6.00", DAY);
    app.hear_once(std::slice::from_ref(&event)).await;
    assert_eq!(app.log.dead_letters().await, ["debit 5.00 is not credit 6.00"]);
    let mend = "update ledger.dead_letters
         set payload = jsonb_set(payload, '{data,unallocated,amount}', '\"5.00\"') where subject = $1";
    sqlx::query(mend).bind(&payment).execute(&app.db).await.unwrap();
    assert_eq!(retry(&app, &payment).await.unwrap(), 1);
    let lines = app.journal(&event).await.unwrap().lines;
    assert_eq!(lines[1], format!("2110 0.00 5.00 payment {payment}"));
    app.check_books().await;
}

#[tokio::test]
async fn a_letter_that_is_given_up_frees_those_behind_it() {
    let app = App::start().await;
    let (taxed, events) = one_cannot_be_booked(&app).await;
    add_tax_account(&app).await;
    let letters = list(&app).await;
    discard(&app, &letters[0].dead_letter_id).await.unwrap();
    assert_eq!(list(&app).await, letters[1..]);
    assert_eq!(retry(&app, &taxed).await.unwrap(), 1);
    assert!(app.journal(&events[0]).await.is_none());
    assert!(app.journal(&events[2]).await.is_some());
    let refused = refusal(discard(&app, &letters[0].dead_letter_id).await);
    refused.is(Code::NotFound, "DEAD_LETTER_NOT_FOUND");
    assert_eq!(refused.facts, [format!("dead_letter_id: {}", letters[0].dead_letter_id)]);
}

#[tokio::test]
async fn each_source_has_letters_of_its_own() {
    let app = App::start().await;
    sqlx::query("delete from ledger.accounts where code in ('5000', '7000')")
        .execute(&app.db)
        .await
        .unwrap();
    let shipped = stock("stock.shipped", &new_id(), "", "8.00", DAY);
    let run = approved(&new_id(), Pay([100, 0, 0, 0, 0, 0]), DAY);
    app.inventory.publish(std::slice::from_ref(&shipped)).await;
    app.log.catch_up("inventory").await;
    app.hr.publish(std::slice::from_ref(&run)).await;
    app.log.catch_up("hr").await;
    let mut letters = list(&app).await;
    letters.sort_by(|one, other| one.source.cmp(&other.source));
    let sources: Vec<&str> = letters.iter().map(|one| one.source.as_str()).collect();
    assert_eq!(sources, ["hr", "inventory"]);
    sqlx::query(
        "insert into ledger.accounts (code, name, type) values ('5000', 'Cost', 'expense'), ('7000', 'Wages', 'expense')",
    )
    .execute(&app.db)
    .await
    .unwrap();
    for letter in letters {
        let request = RetryDeadLettersRequest { source: letter.source, subject: letter.subject };
        let answer = app.event_log.clone().retry_dead_letters(request).await.unwrap();
        assert_eq!(answer.into_inner().applied_count, 1);
    }
    assert!(app.journal(&shipped).await.is_some() && app.journal(&run).await.is_some());
    app.check_books().await;
}

#[tokio::test]
async fn every_bad_field_is_named() {
    let app = App::start().await;
    let bad = RetryDeadLettersRequest { source: "orders".to_owned(), subject: String::new() };
    refusal(app.event_log.clone().retry_dead_letters(bad).await).names(&["source", "subject"]);
    refusal(retry(&app, "\0").await).names(&["subject"]);
    refusal(discard(&app, "1").await).names(&["dead_letter_id"]);
}

#[tokio::test]
async fn an_event_that_is_not_sound_is_put_aside_with_the_reason() {
    let app = App::start().await;
    let one = |amount: Option<Money>, tax: Option<Money>, day: &str| {
        let invoice_id = new_id();
        let issue_date = day.to_owned();
        let data = InvoiceIssued { invoice_id, amount, tax, issue_date, ..Default::default() };
        NewEvent::new("invoice.issued", new_id(), 1, &data, &Cause::of_call())
    };
    let euros = Some(Money { amount: "5.00".to_owned(), currency_code: "EUR".to_owned() });
    let five = || money("5.00");
    let not_json = NewEvent::new("invoice.issued", new_id(), 1, &"text", &Cause::of_call());
    let cases = [
        (one(None, five(), DAY), "an amount is missing"),
        (one(five(), None, DAY), "an amount is missing"),
        (one(euros, five(), DAY), "EUR is not the currency here"),
        (one(five(), money("-1.00"), DAY), "-1.00 is negative"),
        (one(five(), money("1.001"), DAY), "more than two decimal places"),
        (one(five(), money("1000000000000.00"), DAY), "amount is out of range"),
        (one(five(), money("a"), DAY), "not a decimal number"),
        (one(five(), money("5.01"), DAY), "a part is larger than the whole"),
        (one(five(), five(), ""), "\"\" is not a day such as 2026-11-24"),
        (one(five(), five(), "31 March"), "\"31 March\" is not a day"),
        (one(five(), five(), "+262000-01-01"), "\"+262000-01-01\" is not a day"),
        (issued("INV-000001", "5.00", "0.00", DAY), "invalid"),
        (paid(&new_id(), "5.00", &[("", "5.00")], "0.00", DAY), "invalid"),
        (paid(&new_id(), "5.00", &[(&new_id(), "5.01")], "0.00", DAY), "a part is larger"),
        (
            paid(&new_id(), "5.00", &[(&new_id(), "3.00")], "1.99", DAY),
            "debit 5.00 is not credit 4.99",
        ),
        (not_json, "the data cannot be read"),
    ];
    let (events, reasons): (Vec<_>, Vec<_>) = cases.into_iter().unzip();
    app.hear_once(&events).await;
    let letters = app.log.dead_letters().await;
    assert_eq!(letters.len(), reasons.len(), "{letters:#?}");
    for (found, expected) in letters.iter().zip(reasons) {
        assert!(found.contains(expected), "{found:?} instead of {expected:?}");
    }
    assert_eq!(app.count("ledger.journals").await, 0);
    let good = issued(&new_id(), "5.00", "0.00", DAY);
    app.hear(std::slice::from_ref(&good)).await;
    assert!(app.journal(&good).await.is_some());
}
