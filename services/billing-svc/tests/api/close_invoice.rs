//! Voiding and writing off by hand.

use futures::future::join_all;
use proto::billing::v1::{self as pb, InvoiceStatus};
use tonic::Code;

use testkit::refusal;

use crate::app::{App, cancelled, credit_note, money, new_id, refund, void, write_off};

const TIME: &str = "2026-10-01T12:00:00Z";

#[tokio::test]
async fn an_invoice_to_which_nothing_has_happened_is_voided() {
    let app = App::start().await;
    let invoice = app.invoice(&new_id(), "10.00", TIME).await;
    let late = app.invoice(&new_id(), "10.00", "2016-10-01T12:00:00Z").await;
    app.sweeper.step().await.unwrap();
    let free = app.invoice(&new_id(), "0.00", TIME).await;
    for invoice in [&invoice, &late, &free] {
        let voided = app.void(void(invoice)).await.unwrap();
        assert_eq!(
            (voided.status(), voided.close_reason.as_str()),
            (InvoiceStatus::Voided, "a mistake")
        );
        assert_eq!((&voided.residual, &voided.credited), (&money("0.00"), &invoice.amount));
        let again = pb::VoidInvoiceRequest { reason: "another".to_owned(), ..void(invoice) };
        assert_eq!(app.void(again).await.unwrap(), voided, "the first reason stays");
    }
    let (event_type, version, data) = app.log.events_of(&late.invoice_id).await.remove(2);
    assert_eq!((event_type.as_str(), version), ("invoice.voided", 3));
    assert_eq!(data["voidDate"], app.today().await.to_string());
    // Money that comes for it is credit.
    let payment = app.pay_invoice(&invoice, "10.00").await;
    assert_eq!(crate::app::unallocated(&payment), "10.00");
    app.check_books().await;
}

#[tokio::test]
async fn one_of_which_something_was_paid_credited_or_written_off_is_not_voided() {
    let app = App::start().await;
    let paid = app.invoice(&new_id(), "10.00", TIME).await;
    app.pay_invoice(&paid, "10.00").await;
    let part = app.invoice(&new_id(), "10.00", TIME).await;
    app.pay_invoice(&part, "0.01").await;
    let credited = app.invoice(&new_id(), "10.00", TIME).await;
    app.credit_note(credit_note(&credited, "1.00")).await.unwrap();
    let reopened = app.invoice(&new_id(), "10.00", TIME).await;
    let payment = app.pay_invoice(&reopened, "1.00").await;
    app.write_off(write_off(&reopened)).await.unwrap();
    let refused = refusal(app.void(void(&reopened)).await);
    refused.is(Code::FailedPrecondition, "INVOICE_STATE");
    assert_eq!(
        refused.facts,
        [
            "from: written_off".to_owned(),
            format!("invoice_id: {}", reopened.invoice_id),
            "to: voided".to_owned()
        ]
    );
    app.reverse(&payment).await;
    for invoice in [&paid, &part, &credited, &reopened] {
        let refused = refusal(app.void(void(invoice)).await);
        refused.is(Code::FailedPrecondition, "CREDIT_NOTE_NEEDED");
        assert_eq!(refused.facts, [format!("invoice_id: {}", invoice.invoice_id)]);
    }
    app.check_books().await;
}

#[tokio::test]
async fn what_is_still_owed_is_written_off() {
    let app = App::start().await;
    let invoice = app.invoice(&new_id(), "10.00", "2016-10-01T12:00:00Z").await;
    app.pay_invoice(&invoice, "4.00").await;
    let lost = app.write_off(write_off(&invoice)).await.unwrap();
    assert_eq!((lost.status(), &lost.residual), (InvoiceStatus::WrittenOff, &money("0.00")));
    assert_eq!((&lost.paid, &lost.written_off), (&money("4.00"), &money("6.00")));
    assert_eq!(lost.close_reason, "they are bankrupt");
    assert_eq!(app.sweeper.step().await.unwrap(), 0, "it is not overdue any more");
    let (event_type, version, data) = app.log.events_of(&invoice.invoice_id).await.remove(1);
    assert_eq!((event_type.as_str(), version), ("invoice.written_off", 2));
    let expected = serde_json::json!({
        "invoiceId": invoice.invoice_id,
        "orderId": invoice.order_id,
        "customerId": invoice.customer_id,
        "amount": {"amount": "6.00", "currencyCode": "GBP"},
        "writeOffDate": app.today().await.to_string(),
    });
    assert_eq!(data, expected);
    let payment = app.pay_invoice(&invoice, "6.00").await;
    assert_eq!(crate::app::unallocated(&payment), "6.00", "what comes later is credit");
    app.check_books().await;
}

#[tokio::test]
async fn what_is_not_owed_is_not_written_off() {
    let app = App::start().await;
    let paid = app.invoice(&new_id(), "10.00", TIME).await;
    app.pay_invoice(&paid, "10.00").await;
    let voided = app.invoice(&new_id(), "10.00", TIME).await;
    app.hear(&[cancelled(&voided.order_id)]).await;
    for (invoice, from) in [(&paid, "paid"), (&voided, "voided")] {
        let refused = refusal(app.write_off(write_off(invoice)).await);
        refused.is(Code::FailedPrecondition, "INVOICE_STATE");
        assert_eq!(
            refused.facts,
            [
                format!("from: {from}"),
                format!("invoice_id: {}", invoice.invoice_id),
                "to: written_off".to_owned()
            ]
        );
    }
    app.check_books().await;
}

/// A payment bounced meanwhile, so that something is owed again.
#[tokio::test]
async fn an_answered_request_closes_nothing_that_was_opened_again_since() {
    let app = App::start().await;
    let lost = app.invoice(&new_id(), "10.00", TIME).await;
    let bounced = app.pay_invoice(&lost, "4.00").await;
    let request = pb::WriteOffInvoiceRequest { request_id: new_id(), ..write_off(&lost) };
    app.write_off(request.clone()).await.unwrap();
    app.reverse(&bounced).await;
    let again = app.write_off(request).await.unwrap();
    assert_eq!((&again.residual, &again.written_off), (&money("4.00"), &money("6.00")));
    assert_eq!(app.events("invoice.written_off").await.len(), 1);
    let rest = app.write_off(write_off(&lost)).await.unwrap();
    assert_eq!((&rest.residual, &rest.written_off), (&money("0.00"), &money("10.00")));

    let customer = new_id();
    let cancelled_order = app.invoice(&customer, "10.00", TIME).await;
    let bounced = app.pay_invoice(&cancelled_order, "10.00").await;
    app.hear(&[cancelled(&cancelled_order.order_id)]).await;
    let request = pb::VoidInvoiceRequest { request_id: new_id(), ..void(&cancelled_order) };
    let voided = app.void(request.clone()).await.unwrap();
    assert_eq!(voided.status(), InvoiceStatus::Voided);
    app.refund(refund(&customer, "10.00")).await.unwrap();
    app.reverse(&bounced).await;
    let now = app.invoice_of(&cancelled_order.order_id).await;
    assert_ne!(now.status(), InvoiceStatus::Voided);
    assert_eq!(app.void(request).await.unwrap(), now);
    app.check_books().await;
}

#[tokio::test]
async fn a_hundred_at_once_close_an_invoice_once_and_one_way() {
    let app = App::start().await;
    let invoice = app.invoice(&new_id(), "10.00", TIME).await;
    let equal = pb::WriteOffInvoiceRequest { request_id: new_id(), ..write_off(&invoice) };
    let all = join_all((0..100).map(|_| app.write_off(equal.clone()))).await;
    let first = app.find_invoice(&invoice.invoice_id, "").await.unwrap();
    for lost in all {
        assert_eq!(lost.unwrap(), first);
    }
    assert_eq!(app.events("invoice.written_off").await.len(), 1);
    let other = app.invoice(&new_id(), "10.00", TIME).await;
    let reused = pb::WriteOffInvoiceRequest { request_id: equal.request_id, ..write_off(&other) };
    refusal(app.write_off(reused).await).is(Code::AlreadyExists, "REQUEST_ID_USED");

    let equal = pb::VoidInvoiceRequest { request_id: new_id(), ..void(&other) };
    let all = join_all((0..100).map(|_| app.void(equal.clone()))).await;
    let first = app.find_invoice(&other.invoice_id, "").await.unwrap();
    for voided in all {
        assert_eq!(voided.unwrap(), first);
    }
    assert_eq!(app.events("invoice.voided").await.len(), 1);

    // Paid, voided and written off at once: whoever is first wins.
    for _ in 0..10 {
        let invoice = app.invoice(&new_id(), "10.00", TIME).await;
        let voids = join_all((0..3).map(|_| app.void(void(&invoice))));
        let losses = join_all((0..3).map(|_| app.write_off(write_off(&invoice))));
        let payments = join_all((0..3).map(|_| app.pay_invoice(&invoice, "10.00")));
        tokio::join!(voids, losses, payments);
    }
    app.check_books().await;
}

#[tokio::test]
async fn an_unknown_invoice_is_not_found_and_every_bad_field_is_named() {
    let app = App::start().await;
    let unknown = pb::Invoice { invoice_id: new_id(), ..Default::default() };
    refusal(app.void(void(&unknown)).await).is(Code::NotFound, "INVOICE_NOT_FOUND");
    refusal(app.write_off(write_off(&unknown)).await).is(Code::NotFound, "INVOICE_NOT_FOUND");
    let bad = pb::VoidInvoiceRequest {
        request_id: "x".to_owned(),
        invoice_id: "INV-000001".to_owned(),
        reason: "r".repeat(501),
    };
    refusal(app.void(bad).await).names(&["request_id", "invoice_id", "reason"]);
    let bad = pb::WriteOffInvoiceRequest { request_id: "x".to_owned(), ..Default::default() };
    refusal(app.write_off(bad).await).names(&["request_id", "invoice_id", "reason"]);
}
