use prost_types::Timestamp;
use proto::billing::v1::{InvoiceStatus, RecordPaymentRequest};

use testkit::refusal;

use crate::app::{App, allocated, cancelled, money, new_id, payment, unallocated};

const EARLY: &str = "2026-10-01T12:00:00Z";
const LATE: &str = "2026-10-02T12:00:00Z";

#[tokio::test]
async fn the_named_invoice_is_paid_and_what_is_too_much_is_credit() {
    let app = App::start().await;
    let customer = new_id();
    let early = app.invoice(&customer, "10.00", EARLY).await;
    let late = app.invoice(&customer, "10.00", LATE).await;
    let part = app.pay_invoice(&late, "4.00").await;
    assert_eq!(allocated(&part), [(late.invoice_id.clone(), "4.00".to_owned())]);
    assert_eq!(unallocated(&part), "0.00");
    assert_eq!(app.state(&late).await.0, "6.00");
    assert_eq!(app.log.told_of(&late.invoice_id).await.len(), 1, "nothing happened to it yet");

    let rest = app.pay_invoice(&late, "7.50").await;
    assert_eq!(allocated(&rest), [(late.invoice_id.clone(), "6.00".to_owned())]);
    assert_eq!(unallocated(&rest), "1.50");
    assert_eq!(app.state(&late).await, ("0.00".to_owned(), InvoiceStatus::Paid));
    assert_eq!(app.state(&early).await.0, "10.00", "the payer did not name it");

    let paid = app.invoice_of(&late.order_id).await;
    assert_eq!(paid.pay_time, rest.receive_time);
    let told = app.log.told_of(&late.invoice_id).await;
    assert_eq!(told.last().unwrap(), &("invoice.paid".to_owned(), 2));
    app.check_books().await;
}

#[tokio::test]
async fn without_a_name_the_oldest_due_is_paid_first() {
    let app = App::start().await;
    let customer = new_id();
    let late = app.invoice(&customer, "10.00", LATE).await;
    let early = app.invoice(&customer, "10.00", EARLY).await;
    let others = app.invoice(&new_id(), "10.00", "2016-10-01T12:00:00Z").await;
    let first = app.pay(&customer, "15.00").await;
    assert_eq!(
        allocated(&first),
        [
            (early.invoice_id.clone(), "10.00".to_owned()),
            (late.invoice_id.clone(), "5.00".to_owned())
        ]
    );
    assert_eq!(app.state(&early).await, ("0.00".to_owned(), InvoiceStatus::Paid));
    assert_eq!(app.state(&late).await.0, "5.00");
    let second = app.pay(&customer, "15.00").await;
    assert_eq!(allocated(&second), [(late.invoice_id.clone(), "5.00".to_owned())]);
    assert_eq!(unallocated(&second), "10.00");
    assert_eq!(app.state(&others).await.0, "10.00");
    app.check_books().await;
}

#[tokio::test]
async fn a_payment_is_told_with_what_it_paid_and_what_is_still_owed() {
    let app = App::start().await;
    let customer = new_id();
    let early = app.invoice(&customer, "10.00", EARLY).await;
    let late = app.invoice(&customer, "10.00", LATE).await;
    // In summer this is the next day in London.
    let receive_time = Some(Timestamp { seconds: 1_782_860_400, nanos: 1_999 });
    let request = RecordPaymentRequest { receive_time, ..payment(&customer, "12.00") };
    let recorded = app.record(request).await.unwrap();
    assert_eq!(recorded.receive_time.unwrap().nanos, 1_000, "to the microsecond");
    let amount = |amount: &str| serde_json::json!({"amount": amount, "currencyCode": "GBP"});
    let data = serde_json::json!({
        "paymentId": recorded.payment_id,
        "customerId": customer,
        "amount": amount("12.00"),
        "allocations": [
            {"invoiceId": early.invoice_id, "amount": amount("10.00"), "residual": amount("0.00")},
            {"invoiceId": late.invoice_id, "amount": amount("2.00"), "residual": amount("8.00")},
        ],
        "unallocated": amount("0.00"),
        "receiveDate": "2026-07-01",
    });
    let told = app.log.events_of(&recorded.payment_id).await;
    assert_eq!(told, [("payment.received".to_owned(), 1, data)]);
    let ids = serde_json::json!({"invoiceId": early.invoice_id, "orderId": early.order_id});
    assert_eq!(app.events("invoice.paid").await, [ids]);
}

#[tokio::test]
async fn money_that_finds_no_invoice_becomes_credit() {
    let app = App::start().await;
    let customer = new_id();
    let open = app.invoice(&customer, "10.00", EARLY).await;
    let others = app.invoice(&new_id(), "10.00", EARLY).await;
    let voided = app.invoice(&customer, "10.00", EARLY).await;
    app.hear(&[cancelled(&voided.order_id)]).await;
    let paid = app.invoice(&customer, "10.00", EARLY).await;
    app.pay_invoice(&paid, "10.00").await;

    for invoice_id in [new_id(), others.invoice_id, voided.invoice_id, paid.invoice_id] {
        let request = RecordPaymentRequest { invoice_id, ..payment(&customer, "3.00") };
        let recorded = app.record(request).await.unwrap();
        assert_eq!((allocated(&recorded), unallocated(&recorded)), (vec![], "3.00".to_owned()));
    }
    let stranger = app.pay(&new_id(), "3.00").await;
    assert_eq!((allocated(&stranger), unallocated(&stranger)), (vec![], "3.00".to_owned()));
    assert_eq!(app.state(&open).await.0, "10.00");
    app.check_books().await;
}

#[tokio::test]
async fn an_overdue_invoice_can_be_paid() {
    let app = App::start().await;
    let customer = new_id();
    let invoice = app.invoice(&customer, "10.00", "2016-10-01T12:00:00Z").await;
    app.sweeper.step().await.unwrap();
    app.pay(&customer, "4.00").await;
    assert_eq!(app.state(&invoice).await, ("6.00".to_owned(), InvoiceStatus::Overdue));
    app.pay(&customer, "6.00").await;
    assert_eq!(app.state(&invoice).await, ("0.00".to_owned(), InvoiceStatus::Paid));
    let told = app.log.told_of(&invoice.invoice_id).await;
    assert_eq!(told.last().unwrap(), &("invoice.paid".to_owned(), 3));
    app.check_books().await;
}

#[tokio::test]
async fn money_cannot_come_in_the_future() {
    let app = App::start().await;
    let at = |seconds| Some(Timestamp { seconds, nanos: 0 });
    let now: i64 = sqlx::query_scalar("select extract(epoch from now())::bigint")
        .fetch_one(&app.db)
        .await
        .unwrap();
    let request = payment(&new_id(), "1.00");
    let future = RecordPaymentRequest { receive_time: at(now + 60), ..request.clone() };
    refusal(app.record(future).await).names(&["receive_time"]);
    let past = RecordPaymentRequest { receive_time: at(now - 60), ..request };
    assert_eq!(app.record(past).await.unwrap().receive_time, at(now - 60));
}

#[tokio::test]
async fn every_bad_field_is_named() {
    let app = App::start().await;
    let bad = RecordPaymentRequest {
        request_id: "x".to_owned(),
        customer_id: String::new(),
        external_reference: "r".repeat(65),
        amount: money("0.00"),
        invoice_id: "INV-000001".to_owned(),
        receive_time: Some(Timestamp { seconds: i64::MAX, nanos: 0 }),
        ..Default::default()
    };
    refusal(app.record(bad).await).names(&[
        "request_id",
        "customer_id",
        "external_reference",
        "amount.amount",
        "invoice_id",
        "receive_time",
    ]);
    refusal(app.record(RecordPaymentRequest::default()).await).names(&[
        "customer_id",
        "external_reference",
        "amount",
    ]);
    for reference in [" BACS1", "BACS1 ", "BACS1\n", " "] {
        let request = RecordPaymentRequest {
            external_reference: reference.to_owned(),
            ..payment(&new_id(), "1.00")
        };
        refusal(app.record(request).await).names(&["external_reference"]);
    }
    let inside = RecordPaymentRequest {
        external_reference: "BACS 1".to_owned(),
        ..payment(&new_id(), "1.00")
    };
    app.record(inside).await.unwrap();
    for amount in ["-1.00", "1.001", "1e3", "", "1000000000000.00"] {
        let request = payment(&new_id(), amount);
        refusal(app.record(request).await).names(&["amount.amount"]);
    }
    let mut euros = payment(&new_id(), "1.00");
    euros.amount.as_mut().unwrap().currency_code = "EUR".to_owned();
    refusal(app.record(euros).await).names(&["amount.currency_code"]);
    let mut ours = payment(&new_id(), "999999999999.99");
    ours.amount.as_mut().unwrap().currency_code = String::new();
    assert_eq!(unallocated(&app.record(ours).await.unwrap()), "999999999999.99");
}
