use std::collections::HashSet;

use futures::future::join_all;
use proto::billing::v1::{self as pb, InvoiceStatus};
use tonic::{Code, Status};

use testkit::refusal;

use crate::app::{App, credit_note, money, new_id, placed_at, void, write_off};

const TIME: &str = "2026-10-01T12:00:00Z";

async fn get(app: &App, id: &str) -> Result<pb::CreditNote, Status> {
    let request = pb::GetCreditNoteRequest { credit_note_id: id.to_owned() };
    Ok(app.client.clone().get_credit_note(request).await?.into_inner().credit_note.unwrap())
}

async fn list(
    app: &App,
    request: pb::ListCreditNotesRequest,
) -> Result<(Vec<String>, String), Status> {
    let page = app.client.clone().list_credit_notes(request).await?.into_inner();
    let numbers = page.credit_notes.into_iter().map(|note| note.number);
    Ok((numbers.collect(), page.next_page_token))
}

/// An invoice with tax.
async fn taxed(app: &App, amount: &str, tax: &str) -> pb::Invoice {
    let order = new_id();
    app.hear(&[placed_at(&order, &new_id(), amount, tax, TIME)]).await;
    app.invoice_of(&order).await
}

#[tokio::test]
async fn what_is_owed_falls_first_and_the_rest_is_credit() {
    let app = App::start().await;
    let invoice = taxed(&app, "12.00", "2.00").await;
    app.pay_invoice(&invoice, "5.00").await;
    let first = app.credit_note(credit_note(&invoice, "6.00")).await.unwrap();
    let (zero, amount, tax) = (money("0.00"), money("6.00"), money("1.00"));
    assert_eq!((&first.amount, &first.tax, &first.credited), (&amount, &tax, &zero));
    assert_eq!((first.number.as_str(), first.reason.as_str()), ("CRN-000001", "it was broken"));
    assert_eq!(get(&app, &first.credit_note_id).await.unwrap(), first);
    assert_eq!(app.state(&invoice).await.0, "1.00");

    let second = app.credit_note(credit_note(&invoice, "3.00")).await.unwrap();
    assert_eq!((&second.credited, &second.unallocated), (&money("2.00"), &money("2.00")));
    assert_eq!(app.state(&invoice).await, ("0.00".to_owned(), InvoiceStatus::Paid));
    let shown = app.find_invoice(&invoice.invoice_id, "").await.unwrap();
    assert_eq!((shown.paid, shown.credited), (money("5.00"), money("7.00")));
    assert_eq!(shown.pay_time, second.issue_time);
    assert_eq!(app.balance(&invoice.customer_id).await, ("0.00".to_owned(), "2.00".to_owned()));

    let today = app.today().await.to_string();
    let amount = |amount: &str| serde_json::json!({"amount": amount, "currencyCode": "GBP"});
    let told = |note: &pb::CreditNote, all: &str, tax: &str, residual: &str, left: &str| {
        serde_json::json!({
            "creditNoteId": note.credit_note_id,
            "number": note.number,
            "invoiceId": invoice.invoice_id,
            "customerId": invoice.customer_id,
            "amount": amount(all),
            "tax": amount(tax),
            "residual": amount(residual),
            "issueDate": today,
            "invoiceResidual": amount(left),
            "orderId": invoice.order_id,
        })
    };
    let events = app.log.events_of(&invoice.invoice_id).await;
    let ids = serde_json::json!({"invoiceId": invoice.invoice_id, "orderId": invoice.order_id});
    let expected = [
        ("credit_note.issued".to_owned(), 2, told(&first, "6.00", "1.00", "6.00", "1.00")),
        ("credit_note.issued".to_owned(), 3, told(&second, "3.00", "0.50", "1.00", "0.00")),
        ("invoice.paid".to_owned(), 4, ids),
    ];
    assert_eq!(events[1..], expected);
    app.check_books().await;
}

#[tokio::test]
async fn neither_more_than_is_left_nor_more_tax_than_is_left_can_be_credited() {
    let app = App::start().await;
    let invoice = taxed(&app, "12.00", "2.00").await;
    let with_tax = |amount: &str, tax: &str| pb::IssueCreditNoteRequest {
        tax: money(tax),
        ..credit_note(&invoice, amount)
    };
    let refused = refusal(app.credit_note(credit_note(&invoice, "12.01")).await);
    refused.is(Code::FailedPrecondition, "OVER_CREDIT");
    assert_eq!(
        refused.facts,
        ["available: 12.00".to_owned(), format!("invoice_id: {}", invoice.invoice_id)]
    );
    let refused = refusal(app.credit_note(with_tax("5.00", "2.01")).await);
    refused.is(Code::FailedPrecondition, "TAX_NOT_LEFT");
    assert_eq!(refused.facts, ["least: 0.00", "most: 2.00"]);
    // All net and no tax, as for goods without any.
    app.credit_note(with_tax("7.00", "0.00")).await.unwrap();
    let refused = refusal(app.credit_note(with_tax("4.00", "0.99")).await);
    assert_eq!(refused.facts, ["least: 1.00", "most: 2.00"]);
    let refused = refusal(app.credit_note(credit_note(&invoice, "5.01")).await);
    assert_eq!(refused.facts[0], "available: 5.00");
    // The rest of the tax comes with the rest of the amount.
    let rest = app.credit_note(credit_note(&invoice, "5.00")).await.unwrap();
    assert_eq!(rest.tax, money("2.00"));
    refusal(app.credit_note(credit_note(&invoice, "0.01")).await)
        .is(Code::FailedPrecondition, "OVER_CREDIT");
    app.check_books().await;
}

#[tokio::test]
async fn what_is_void_or_written_off_is_not_credited() {
    let app = App::start().await;
    let voided = taxed(&app, "12.00", "2.00").await;
    app.void(void(&voided)).await.unwrap();
    let refused = refusal(app.credit_note(credit_note(&voided, "0.01")).await);
    refused.is(Code::FailedPrecondition, "OVER_CREDIT");
    assert_eq!(refused.facts[0], "available: 0.00");

    let lost = taxed(&app, "12.00", "2.00").await;
    app.pay_invoice(&lost, "5.00").await;
    app.write_off(write_off(&lost)).await.unwrap();
    let refused = refusal(app.credit_note(credit_note(&lost, "5.01")).await);
    assert_eq!(refused.facts[0], "available: 5.00", "what was paid");
    let note = app.credit_note(credit_note(&lost, "5.00")).await.unwrap();
    assert_eq!(note.credited, money("5.00"));
    assert_eq!(app.state(&lost).await, ("0.00".to_owned(), InvoiceStatus::WrittenOff));
    app.check_books().await;
}

#[tokio::test]
async fn a_hundred_equal_requests_are_one_credit_note_and_a_hundred_others_never_too_much() {
    let app = App::start().await;
    let invoice = taxed(&app, "100.00", "16.67").await;
    let equal =
        pb::IssueCreditNoteRequest { request_id: new_id(), ..credit_note(&invoice, "1.00") };
    let all = join_all((0..100).map(|_| app.credit_note(equal.clone()))).await;
    let ids: HashSet<String> = all.into_iter().map(|note| note.unwrap().credit_note_id).collect();
    assert_eq!(ids.len(), 1);
    let other = pb::IssueCreditNoteRequest { amount: money("2.00"), ..equal };
    refusal(app.credit_note(other).await).is(Code::AlreadyExists, "REQUEST_ID_USED");

    let all = join_all((0..100).map(|_| app.credit_note(credit_note(&invoice, "3.00")))).await;
    assert_eq!(all.iter().filter(|note| note.is_ok()).count(), 33);
    assert_eq!(app.state(&invoice).await, ("0.00".to_owned(), InvoiceStatus::Paid));
    assert_eq!(app.events("invoice.paid").await.len(), 1);
    app.check_books().await;
}

#[tokio::test]
async fn credit_notes_are_listed_newest_first_page_by_page() {
    let app = App::start().await;
    let (one, two) = (taxed(&app, "9.00", "0.00").await, taxed(&app, "9.00", "0.00").await);
    for invoice in [&one, &two, &one, &one] {
        app.credit_note(credit_note(invoice, "1.00")).await.unwrap();
    }
    let number = |n: i32| format!("CRN-00000{n}");
    let by_invoice = pb::ListCreditNotesRequest {
        invoice_id: one.invoice_id.clone(),
        page_size: 2,
        ..Default::default()
    };
    let by_customer = pb::ListCreditNotesRequest {
        customer_id: one.customer_id.clone(),
        page_size: 2,
        ..Default::default()
    };
    for request in [by_invoice, by_customer] {
        let (page, page_token) = list(&app, request.clone()).await.unwrap();
        assert_eq!(page, [number(4), number(3)]);
        let next = pb::ListCreditNotesRequest { page_token, ..request };
        assert_eq!(list(&app, next).await.unwrap(), (vec![number(1)], String::new()));
    }
    let both = pb::ListCreditNotesRequest {
        invoice_id: one.invoice_id,
        customer_id: two.customer_id,
        ..Default::default()
    };
    assert_eq!(list(&app, both).await.unwrap().0, [""; 0]);
    let all = list(&app, pb::ListCreditNotesRequest::default()).await.unwrap().0;
    assert_eq!(all, [number(4), number(3), number(2), number(1)]);
}

#[tokio::test]
async fn what_is_unknown_is_not_found_and_every_bad_field_is_named() {
    let app = App::start().await;
    let id = new_id();
    let refused = refusal(get(&app, &id).await);
    refused.is(Code::NotFound, "CREDIT_NOTE_NOT_FOUND");
    assert_eq!(refused.facts, [format!("credit_note_id: {id}")]);
    refusal(get(&app, "x").await).names(&["credit_note_id"]);
    let unknown = pb::Invoice { invoice_id: new_id(), ..Default::default() };
    refusal(app.credit_note(credit_note(&unknown, "1.00")).await)
        .is(Code::NotFound, "INVOICE_NOT_FOUND");
    let bad = pb::IssueCreditNoteRequest {
        request_id: "x".to_owned(),
        invoice_id: String::new(),
        amount: None,
        tax: money("-1.00"),
        reason: " ".to_owned(),
    };
    refusal(app.credit_note(bad).await).names(&[
        "request_id",
        "invoice_id",
        "amount",
        "tax.amount",
        "reason",
    ]);
    let bad = pb::IssueCreditNoteRequest { tax: money("1.01"), ..credit_note(&unknown, "1.00") };
    refusal(app.credit_note(bad).await).names(&["tax.amount"]);
    let bad = pb::ListCreditNotesRequest {
        page_size: -1,
        page_token: "x".to_owned(),
        customer_id: "ann".to_owned(),
        invoice_id: "INV-000001".to_owned(),
    };
    refusal(list(&app, bad).await).names(&["page_size", "page_token", "customer_id", "invoice_id"]);
}
