use std::collections::HashSet;

use futures::future::join_all;
use proto::billing::v1 as pb;
use tonic::{Code, Status};

use testkit::refusal;

use crate::app::{App, credit_note, money, new_id, refund, unallocated};

async fn get(app: &App, refund_id: &str) -> Result<pb::Refund, Status> {
    let request = pb::GetRefundRequest { refund_id: refund_id.to_owned() };
    Ok(app.client.clone().get_refund(request).await?.into_inner().refund.unwrap())
}

async fn list(app: &App, request: pb::ListRefundsRequest) -> Result<(Vec<String>, String), Status> {
    let page = app.client.clone().list_refunds(request).await?.into_inner();
    let ids = page.refunds.into_iter().map(|refund| refund.refund_id).collect();
    Ok((ids, page.next_page_token))
}

#[tokio::test]
async fn credit_is_paid_back_the_oldest_first() {
    let app = App::start().await;
    let customer = new_id();
    let sold = app.invoice(&customer, "4.00", "2026-10-01T12:00:00Z").await;
    let bought = app.pay_invoice(&sold, "4.00").await;
    let note = app.credit_note(credit_note(&sold, "4.00")).await.unwrap();
    let payment = app.pay(&customer, "10.00").await;
    let done = app.refund(refund(&customer, "6.00")).await.unwrap();
    assert_eq!((&done.amount, &done.customer_id), (&money("6.00"), &customer));
    assert_eq!(get(&app, &done.refund_id).await.unwrap(), done);
    assert_eq!(app.balance(&customer).await, ("0.00".to_owned(), "8.00".to_owned()));

    let request = pb::GetCreditNoteRequest { credit_note_id: note.credit_note_id };
    let note = app.client.clone().get_credit_note(request).await.unwrap().into_inner();
    assert_eq!(note.credit_note.unwrap().unallocated, money("0.00"));
    let payment = app.get_payment(&payment).await;
    assert_eq!((unallocated(&payment), payment.refunded), ("8.00".to_owned(), money("2.00")));
    assert_eq!(app.get_payment(&bought).await, bought, "its money went where it went");
    let data = serde_json::json!({
        "refundId": done.refund_id,
        "customerId": customer,
        "amount": {"amount": "6.00", "currencyCode": "GBP"},
        "refundDate": app.today().await.to_string(),
    });
    assert_eq!(app.log.events_of(&done.refund_id).await, [("refund.issued".to_owned(), 1, data)]);
    app.check_books().await;
}

#[tokio::test]
async fn no_more_than_the_customers_credit_is_paid_back() {
    let app = App::start().await;
    let customer = new_id();
    app.pay(&customer, "10.00").await;
    app.pay(&new_id(), "99.00").await;
    let request = pb::RefundCreditRequest { request_id: new_id(), ..refund(&customer, "10.01") };
    let refused = refusal(app.refund(request.clone()).await);
    refused.is(Code::FailedPrecondition, "CREDIT_SHORT");
    let customer_id = format!("customer_id: {customer}");
    assert_eq!(refused.facts, ["available: 10.00".to_owned(), customer_id]);
    app.pay(&customer, "0.01").await;
    app.refund(request).await.unwrap();
    let refused = refusal(app.refund(refund(&new_id(), "0.01")).await);
    assert_eq!(refused.facts[0], "available: 0.00");
    app.check_books().await;
}

#[tokio::test]
async fn a_hundred_equal_refunds_at_once_are_one() {
    let app = App::start().await;
    let customer = new_id();
    app.pay(&customer, "100.00").await;
    let plain = refund(&customer, "3.00");
    let with_id = pb::RefundCreditRequest { request_id: new_id(), ..refund(&customer, "3.00") };
    for request in [&plain, &with_id] {
        let all = join_all((0..100).map(|_| app.refund(request.clone()))).await;
        let ids: HashSet<String> = all.into_iter().map(|done| done.unwrap().refund_id).collect();
        assert_eq!(ids.len(), 1);
    }
    assert_eq!(app.balance(&customer).await.1, "94.00");
    let first = app.refund(plain.clone()).await.unwrap();
    let other = pb::RefundCreditRequest { amount: money("3.01"), ..plain.clone() };
    let refused = refusal(app.refund(other).await);
    refused.is(Code::AlreadyExists, "REFUND_DIFFERS");
    assert_eq!(refused.facts, [format!("refund_id: {}", first.refund_id)]);
    let other = pb::RefundCreditRequest { external_reference: new_id(), ..with_id };
    refusal(app.refund(other).await).is(Code::AlreadyExists, "REQUEST_ID_USED");
    // Another customer's reference is another one.
    let stranger = new_id();
    app.pay(&stranger, "3.00").await;
    app.refund(pb::RefundCreditRequest { customer_id: stranger, ..plain }).await.unwrap();
    app.check_books().await;
}

#[tokio::test]
async fn refunds_are_listed_newest_first_page_by_page() {
    let app = App::start().await;
    let (ann, bob) = (new_id(), new_id());
    let mut ids = Vec::new();
    for customer in [&ann, &bob, &ann, &ann] {
        app.pay(customer, "1.00").await;
        ids.push(app.refund(refund(customer, "1.00")).await.unwrap().refund_id);
    }
    let of_ann =
        pb::ListRefundsRequest { customer_id: ann.clone(), page_size: 2, ..Default::default() };
    let (page, page_token) = list(&app, of_ann.clone()).await.unwrap();
    assert_eq!(page, [ids[3].clone(), ids[2].clone()]);
    let next = pb::ListRefundsRequest { page_token, ..of_ann };
    assert_eq!(list(&app, next).await.unwrap(), (vec![ids[0].clone()], String::new()));
    let all = list(&app, pb::ListRefundsRequest::default()).await.unwrap().0;
    assert_eq!(all, ids.iter().rev().cloned().collect::<Vec<_>>());
}

#[tokio::test]
async fn an_unknown_refund_is_not_found_and_every_bad_field_is_named() {
    let app = App::start().await;
    let id = new_id();
    let refused = refusal(get(&app, &id).await);
    refused.is(Code::NotFound, "REFUND_NOT_FOUND");
    assert_eq!(refused.facts, [format!("refund_id: {id}")]);
    refusal(get(&app, "x").await).names(&["refund_id"]);
    let bad = pb::RefundCreditRequest {
        request_id: "x".to_owned(),
        customer_id: "ann".to_owned(),
        amount: money("0.00"),
        external_reference: "r".repeat(65),
    };
    refusal(app.refund(bad).await).names(&[
        "request_id",
        "customer_id",
        "amount.amount",
        "external_reference",
    ]);
    for reference in [" BACS1", "BACS1 "] {
        let mut request = refund(&new_id(), "1.00");
        request.external_reference = reference.to_owned();
        refusal(app.refund(request).await).names(&["external_reference"]);
    }
    let bad = pb::ListRefundsRequest {
        page_size: 1001,
        page_token: "x".to_owned(),
        customer_id: "ann".to_owned(),
    };
    refusal(list(&app, bad).await).names(&["page_size", "page_token", "customer_id"]);
}
