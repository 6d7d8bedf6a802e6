//! The journal of each event, by the table of the design. All events come twice.

use log::{Cause, NewEvent};
use proto::events::v1::{InvoiceOverdue, InvoicePaid};

use crate::{
    app::{App, Journal, money, new_id},
    events::{allocated, bounced, credited, issued, paid, refunded, voided, written_off},
};

const DAY: &str = "2026-03-31";

/// A journal all of whose lines refer to one invoice.
fn journal(event_type: &str, effective_date: &str, invoice: &str, lines: &[&str]) -> Journal {
    Journal::of(&format!("invoice {invoice}"), event_type, effective_date, lines)
}

#[tokio::test]
async fn an_issued_invoice_is_owed_as_sales_and_tax() {
    let app = App::start().await;
    let (taxed, untaxed, all_tax) = (new_id(), new_id(), new_id());
    let events = [
        issued(&taxed, "120.05", "20.01", DAY),
        issued(&untaxed, "0.01", "0.00", "2016-02-29"),
        issued(&all_tax, "3.00", "3.00", DAY),
    ];
    app.hear(&events).await;
    let expected = [
        journal(
            "invoice.issued",
            DAY,
            &taxed,
            &["1100 120.05 0.00", "4000 0.00 100.04", "2200 0.00 20.01"],
        ),
        journal("invoice.issued", "2016-02-29", &untaxed, &["1100 0.01 0.00", "4000 0.00 0.01"]),
        journal("invoice.issued", DAY, &all_tax, &["1100 3.00 0.00", "2200 0.00 3.00"]),
    ];
    for (event, expected) in events.iter().zip(expected) {
        assert_eq!(app.journal(event).await, Some(expected));
    }
    app.check_books().await;
}

#[tokio::test]
async fn a_voided_invoice_is_mirrored_on_the_day_of_voiding() {
    let app = App::start().await;
    let invoice = new_id();
    let event = voided(&invoice, "120.05", "20.01", "2026-04-01");
    app.hear(&[issued(&invoice, "120.05", "20.01", DAY)]).await;
    app.hear(std::slice::from_ref(&event)).await;
    let lines = ["4000 100.04 0.00", "2200 20.01 0.00", "1100 0.00 120.05"];
    let expected = journal("invoice.voided", "2026-04-01", &invoice, &lines);
    assert_eq!(app.journal(&event).await, Some(expected));
    assert_eq!(app.balances(DAY).await, ["1100 120.05", "2200 -20.01", "4000 -100.04"]);
    assert_eq!(app.balances("").await, ["1100 0.00", "2200 0.00", "4000 0.00"]);
    app.check_books().await;
}

#[tokio::test]
async fn money_pays_invoices_and_what_is_too_much_is_the_customers() {
    let app = App::start().await;
    let (first, second, payment) = (new_id(), new_id(), new_id());
    let event = paid(&payment, "160.00", &[(&first, "120.00"), (&second, "29.99")], "10.01", DAY);
    app.hear(std::slice::from_ref(&event)).await;
    let expected = Journal {
        event_type: "payment.received".to_owned(),
        effective_date: DAY.to_owned(),
        document: format!("invoice {first}"),
        lines: vec![
            format!("1200 120.00 0.00 invoice {first}"),
            format!("1100 0.00 120.00 invoice {first}"),
            format!("1200 29.99 0.00 invoice {second}"),
            format!("1100 0.00 29.99 invoice {second}"),
            format!("1200 10.01 0.00 payment {payment}"),
            format!("2110 0.00 10.01 payment {payment}"),
        ],
    };
    assert_eq!(app.journal(&event).await, Some(expected));
    app.check_books().await;
}

#[tokio::test]
async fn part_payments_leave_the_rest_owed() {
    let app = App::start().await;
    let invoice = new_id();
    app.hear(&[issued(&invoice, "12.00", "2.00", DAY)]).await;
    let parts = [("5.00", "2026-04-01", "7.00"), ("6.99", "2026-04-03", "0.01")];
    for (amount, date, left) in parts {
        let event = paid(&new_id(), amount, &[(&invoice, amount)], "0.00", date);
        app.hear(std::slice::from_ref(&event)).await;
        let lines = [format!("1200 {amount} 0.00"), format!("1100 0.00 {amount}")];
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let expected = journal("payment.received", date, &invoice, &lines);
        assert_eq!(app.journal(&event).await, Some(expected));
        assert_eq!(app.balances(date).await[0], format!("1100 {left}"));
    }
    assert_eq!(app.balances("2026-04-02").await[..2], ["1100 7.00", "1200 5.00"]);
    app.check_books().await;
}

#[tokio::test]
async fn money_without_an_invoice_is_the_customers() {
    let app = App::start().await;
    let payment = new_id();
    let event = paid(&payment, "3.00", &[], "3.00", DAY);
    app.hear(std::slice::from_ref(&event)).await;
    let lines = ["1200 3.00 0.00", "2110 0.00 3.00"];
    let expected = Journal::of(&format!("payment {payment}"), "payment.received", DAY, &lines);
    assert_eq!(app.journal(&event).await, Some(expected));
    app.check_books().await;
}

#[tokio::test]
async fn a_payment_that_is_taken_back_is_owed_again_and_no_credit_any_more() {
    let app = App::start().await;
    let (first, second, payment) = (new_id(), new_id(), new_id());
    let shares = [(first.as_str(), "12.00"), (second.as_str(), "3.00")];
    app.hear(&[paid(&payment, "20.00", &shares, "5.00", DAY)]).await;
    let event = bounced(&payment, "20.00", &shares, "5.00", "2026-04-02");
    app.hear(std::slice::from_ref(&event)).await;
    let expected = Journal {
        event_type: "payment.reversed".to_owned(),
        effective_date: "2026-04-02".to_owned(),
        document: format!("invoice {first}"),
        lines: vec![
            format!("1200 0.00 12.00 invoice {first}"),
            format!("1100 12.00 0.00 invoice {first}"),
            format!("1200 0.00 3.00 invoice {second}"),
            format!("1100 3.00 0.00 invoice {second}"),
            format!("1200 0.00 5.00 payment {payment}"),
            format!("2110 5.00 0.00 payment {payment}"),
        ],
    };
    assert_eq!(app.journal(&event).await, Some(expected));
    assert_eq!(app.balances(DAY).await, ["1100 -15.00", "1200 20.00", "2110 -5.00"]);
    assert_eq!(app.balances("").await, ["1100 0.00", "1200 0.00", "2110 0.00"]);
    app.check_books().await;
}

#[tokio::test]
async fn credit_that_pays_invoices_is_owed_no_more_on_either_side() {
    let app = App::start().await;
    let (first, second) = (new_id(), new_id());
    app.hear(&[
        paid(&new_id(), "20.00", &[], "20.00", DAY),
        issued(&first, "12.00", "0.00", DAY),
        issued(&second, "30.00", "0.00", DAY),
    ])
    .await;
    let event = allocated("19.00", &[(&first, "12.00"), (&second, "7.00")], "2026-04-02");
    app.hear(std::slice::from_ref(&event)).await;
    let expected = Journal {
        event_type: "credit.allocated".to_owned(),
        effective_date: "2026-04-02".to_owned(),
        document: format!("invoice {first}"),
        lines: vec![
            format!("2110 12.00 0.00 invoice {first}"),
            format!("1100 0.00 12.00 invoice {first}"),
            format!("2110 7.00 0.00 invoice {second}"),
            format!("1100 0.00 7.00 invoice {second}"),
        ],
    };
    assert_eq!(app.journal(&event).await, Some(expected));
    assert_eq!(app.balances("").await[..3], ["1100 23.00", "1200 20.00", "2110 -1.00"]);
    app.check_books().await;
}

#[tokio::test]
async fn what_is_written_off_is_bad_debt() {
    let app = App::start().await;
    let invoice = new_id();
    app.hear(&[issued(&invoice, "12.00", "2.00", DAY)]).await;
    let event = written_off(&invoice, "12.00", "2026-06-30");
    app.hear(std::slice::from_ref(&event)).await;
    let lines = ["8100 12.00 0.00", "1100 0.00 12.00"];
    let expected = journal("invoice.written_off", "2026-06-30", &invoice, &lines);
    assert_eq!(app.journal(&event).await, Some(expected));
    app.check_books().await;
}

#[tokio::test]
async fn a_refund_leaves_the_bank_and_refers_to_itself() {
    let app = App::start().await;
    let refund = new_id();
    let event = refunded(&refund, "4.50", DAY);
    app.hear(std::slice::from_ref(&event)).await;
    let lines = ["2110 4.50 0.00", "1200 0.00 4.50"];
    let expected = Journal::of(&format!("payment {refund}"), "refund.issued", DAY, &lines);
    assert_eq!(app.journal(&event).await, Some(expected));
    app.check_books().await;
}

#[tokio::test]
async fn a_credit_note_for_a_part_leaves_the_rest_owed() {
    let app = App::start().await;
    let invoice = new_id();
    app.hear(&[
        issued(&invoice, "12.00", "2.00", DAY),
        paid(&new_id(), "5.00", &[(&invoice, "5.00")], "0.00", DAY),
    ])
    .await;
    // 7.00 are owed: the note takes all of that and gives 1.00 back.
    let event = credited(&invoice, "8.00", "1.33", "7.00", "2026-04-01");
    app.hear(std::slice::from_ref(&event)).await;
    let lines = ["4090 6.67 0.00", "2200 1.33 0.00", "1100 0.00 7.00", "2110 0.00 1.00"];
    let expected = journal("credit_note.issued", "2026-04-01", &invoice, &lines);
    assert_eq!(app.journal(&event).await, Some(expected));
    assert_eq!(app.balances("").await[..3], ["1100 0.00", "1200 5.00", "2110 -1.00"]);
    app.check_books().await;
}

#[tokio::test]
async fn a_credit_note_takes_what_is_still_owed_and_gives_back_what_was_paid() {
    let app = App::start().await;
    let (none_paid, part_paid, all_paid) = (new_id(), new_id(), new_id());
    let notes = [
        (&none_paid, "12.00", &["1100 0.00 12.00"][..]),
        (&part_paid, "7.01", &["1100 0.00 7.01", "2110 0.00 4.99"]),
        (&all_paid, "0.00", &["2110 0.00 12.00"]),
    ];
    for (invoice, residual, credits) in notes {
        let event = credited(invoice, "12.00", "2.00", residual, "2026-04-01");
        app.hear(&[issued(invoice, "12.00", "2.00", DAY)]).await;
        app.hear(std::slice::from_ref(&event)).await;
        let lines = [&["4090 10.00 0.00", "2200 2.00 0.00"], credits].concat();
        let expected = journal("credit_note.issued", "2026-04-01", invoice, &lines);
        assert_eq!(app.journal(&event).await, Some(expected), "{residual}");
    }
    app.check_books().await;
}

#[tokio::test]
async fn what_moves_no_money_is_not_booked() {
    let app = App::start().await;
    let (invoice, cause) = (new_id(), Cause::of_call());
    let ids = InvoicePaid { invoice_id: invoice.clone(), ..Default::default() };
    let late = InvoiceOverdue { invoice_id: invoice.clone(), ..Default::default() };
    app.hear(&[
        issued(&invoice, "0.00", "0.00", DAY),
        NewEvent::new("invoice.paid", &invoice, 2, &ids, &cause),
        NewEvent::new("invoice.overdue", &invoice, 3, &late, &cause),
        voided(&invoice, "0.00", "0.00", DAY),
    ])
    .await;
    assert_eq!(app.log.dead_letters().await, [""; 0]);
    for table in ["ledger.journals", "ledger.ledger_entries", "ledger.events_log"] {
        assert_eq!(app.count(table).await, 0, "{table}");
    }
}

#[tokio::test]
async fn an_amount_without_a_currency_is_in_the_deployments() {
    let app = App::start().await;
    let invoice = new_id();
    let mut amount = money("5.00").unwrap();
    amount.currency_code.clear();
    let data = proto::events::v1::InvoiceIssued {
        invoice_id: invoice.clone(),
        amount: Some(amount.clone()),
        tax: Some(proto::common::v1::Money { amount: "0.00".to_owned(), ..amount }),
        issue_date: DAY.to_owned(),
        ..Default::default()
    };
    let event = NewEvent::new("invoice.issued", &invoice, 1, &data, &Cause::of_call());
    app.hear(std::slice::from_ref(&event)).await;
    let lines = ["1100 5.00 0.00", "4000 0.00 5.00"];
    assert_eq!(app.journal(&event).await, Some(journal("invoice.issued", DAY, &invoice, &lines)));
}
