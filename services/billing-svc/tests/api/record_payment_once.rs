use proto::billing::v1::RecordPaymentRequest;
use tonic::Code;

use testkit::refusal;

use crate::app::{App, money, new_id, payment, unallocated};

const TIME: &str = "2026-10-01T12:00:00Z";

#[tokio::test]
async fn the_same_payment_again_answers_with_the_first() {
    let app = App::start().await;
    let customer = new_id();
    app.invoice(&customer, "10.00", TIME).await;
    let named = app.invoice(&customer, "10.00", TIME).await;
    let by_due = payment(&customer, "4.00");
    let by_name =
        RecordPaymentRequest { invoice_id: named.invoice_id, ..payment(&customer, "4.00") };
    for request in [by_due, by_name] {
        let first = app.record(request.clone()).await.unwrap();
        assert_eq!(app.record(request.clone()).await.unwrap(), first);
        let with_id = RecordPaymentRequest { request_id: new_id(), ..request };
        assert_eq!(app.record(with_id.clone()).await.unwrap(), first);
        assert_eq!(app.record(with_id).await.unwrap(), first);
    }
    assert_eq!(app.events("payment.received").await.len(), 2);
    app.check_books().await;
}

#[tokio::test]
async fn the_same_reference_for_something_else_is_refused() {
    let app = App::start().await;
    let customer = new_id();
    let invoice = app.invoice(&customer, "10.00", TIME).await;
    let request = payment(&customer, "4.00");
    let first = app.record(request.clone()).await.unwrap();
    let other_amount = RecordPaymentRequest { amount: money("4.01"), ..request.clone() };
    let other_invoice =
        RecordPaymentRequest { invoice_id: invoice.invoice_id.clone(), ..request.clone() };
    for other in [other_amount, other_invoice] {
        let with_id = RecordPaymentRequest { request_id: new_id(), ..other.clone() };
        for other in [other, with_id] {
            let refused = refusal(app.record(other).await);
            refused.is(Code::AlreadyExists, "PAYMENT_DIFFERS");
            assert_eq!(refused.facts, [format!("payment_id: {}", first.payment_id)]);
        }
    }
    assert_eq!(app.state(&invoice).await.0, "6.00");
    let others = RecordPaymentRequest { customer_id: new_id(), ..request };
    assert_eq!(unallocated(&app.record(others).await.unwrap()), "4.00", "a reference of its own");
    app.check_books().await;
}

#[tokio::test]
async fn a_request_id_is_for_one_request() {
    let app = App::start().await;
    let request = RecordPaymentRequest { request_id: new_id(), ..payment(&new_id(), "4.00") };
    let first = app.record(request.clone()).await.unwrap();
    assert_eq!(app.record(request.clone()).await.unwrap(), first);
    let others = [
        RecordPaymentRequest { external_reference: new_id(), ..request.clone() },
        RecordPaymentRequest { amount: money("4.01"), ..request.clone() },
    ];
    for other in others {
        let refused = refusal(app.record(other).await);
        refused.is(Code::AlreadyExists, "REQUEST_ID_USED");
        assert_eq!(refused.facts, [format!("request_id: {}", request.request_id)]);
    }
    assert_eq!(app.events("payment.received").await.len(), 1);
}

#[tokio::test]
async fn what_happens_is_told_with_the_request_that_asked_for_it() {
    let app = App::start().await;
    let customer = new_id();
    let invoice = app.invoice(&customer, "4.00", TIME).await;
    let request = RecordPaymentRequest { request_id: new_id(), ..payment(&customer, "4.00") };
    app.record(request.clone()).await.unwrap();
    let told: Vec<(String, Option<String>, bool)> = sqlx::query_as(
        "select event_type, payload->>'requestid', payload ? 'causationid' from billing.events_log order by id",
    )
    .fetch_all(&app.db)
    .await
    .unwrap();
    let asked = Some(request.request_id);
    let by = |event_type: &str, asked: &Option<String>, caused| {
        (event_type.to_owned(), asked.clone(), caused)
    };
    assert_eq!(
        told,
        [
            by("invoice.issued", &None, true),
            by("payment.received", &asked, false),
            by("invoice.paid", &asked, false)
        ]
    );
    assert_eq!(app.state(&invoice).await.0, "0.00");
}

#[tokio::test]
async fn a_refused_request_leaves_nothing_behind() {
    let app = App::start().await;
    let mut request = RecordPaymentRequest { request_id: new_id(), ..payment(&new_id(), "4.00") };
    request.receive_time = Some(prost_types::Timestamp { seconds: 32_503_680_000, nanos: 0 });
    refusal(app.record(request.clone()).await).names(&["receive_time"]);
    request.receive_time = None;
    app.record(request).await.unwrap();
}
