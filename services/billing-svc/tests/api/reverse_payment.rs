use futures::future::join_all;
use proto::billing::v1::{self as pb, InvoiceStatus};
use tonic::{Code, Status};

use testkit::refusal;

use crate::app::{
    App, allocated, cancelled, credit_note, new_id, oldest_due, payment, refund, unallocated,
    write_off,
};

const TIME: &str = "2026-10-01T12:00:00Z";

async fn ask(app: &App, request: pb::ReversePaymentRequest) -> Result<pb::Payment, Status> {
    Ok(app.client.clone().reverse_payment(request).await?.into_inner().payment.unwrap())
}

fn of(payment: &pb::Payment) -> pb::ReversePaymentRequest {
    pb::ReversePaymentRequest {
        payment_id: payment.payment_id.clone(),
        reason: "no funds".to_owned(),
        ..Default::default()
    }
}

fn amount(amount: &str) -> serde_json::Value {
    serde_json::json!({"amount": amount, "currencyCode": "GBP"})
}

#[tokio::test]
async fn what_it_had_paid_is_owed_again_and_what_it_left_over_is_gone() {
    let app = App::start().await;
    let customer = new_id();
    let full = app.invoice(&customer, "10.00", TIME).await;
    let part = app.invoice(&customer, "10.00", "2026-10-02T12:00:00Z").await;
    let other = app.pay_invoice(&part, "7.00").await;
    let payment = app.pay(&customer, "15.00").await;
    assert_eq!(unallocated(&payment), "2.00");
    let later = app.invoice(&customer, "1.50", "2026-10-03T12:00:00Z").await;
    app.allocate(oldest_due(&customer)).await.unwrap();

    let reversed = ask(&app, of(&payment)).await.unwrap();
    assert_eq!((allocated(&reversed), unallocated(&reversed)), (vec![], "0.00".to_owned()));
    assert_eq!((reversed.reverse_reason.as_str(), &reversed.amount), ("no funds", &payment.amount));
    assert!(reversed.reverse_time.is_some());
    assert_eq!(app.get_payment(&payment).await, reversed);
    assert_eq!(app.state(&full).await.0, "10.00");
    assert_ne!(app.state(&full).await.1, InvoiceStatus::Paid);
    assert_eq!(app.state(&part).await.0, "3.00", "another payment paid the rest");
    assert_eq!(app.state(&later).await.0, "1.50", "through an allocation of credit");
    assert_eq!(app.balance(&customer).await, ("14.50".to_owned(), "0.00".to_owned()));
    assert_eq!(app.get_payment(&other).await, other);
    assert_eq!(app.invoice_of(&full.order_id).await.pay_time, None);

    let owed = |invoice: &pb::Invoice, paid: &str, residual: &str| {
        serde_json::json!({
            "invoiceId": invoice.invoice_id,
            "amount": amount(paid),
            "residual": amount(residual),
            "dueDate": invoice.due_date,
        })
    };
    let data = serde_json::json!({
        "paymentId": payment.payment_id,
        "customerId": customer,
        "amount": amount("15.00"),
        "allocations": [owed(&full, "10.00", "10.00"), owed(&part, "3.00", "3.00"), owed(&later, "1.50", "1.50")],
        "unallocated": amount("0.50"),
        "reverseDate": app.today().await.to_string(),
    });
    let last = app.log.events_of(&payment.payment_id).await.pop().unwrap();
    assert_eq!(last, ("payment.reversed".to_owned(), 2, data));
    let last = app.log.events_of(&full.invoice_id).await.pop().unwrap();
    let ids = serde_json::json!({
        "invoiceId": full.invoice_id, "orderId": full.order_id, "residual": amount("10.00"),
    });
    assert_eq!(last, ("invoice.reopened".to_owned(), 3, ids));
    app.check_books().await;
}

#[tokio::test]
async fn an_invoice_that_was_only_paid_in_part_stays_as_it_is() {
    let app = App::start().await;
    let invoice = app.invoice(&new_id(), "10.00", "2016-10-01T12:00:00Z").await;
    app.sweeper.step().await.unwrap();
    let payment = app.pay_invoice(&invoice, "4.00").await;
    app.reverse(&payment).await;
    assert_eq!(app.state(&invoice).await, ("10.00".to_owned(), InvoiceStatus::Overdue));
    assert_eq!(app.events("invoice.reopened").await.len(), 0);
    assert_eq!(app.log.told_of(&invoice.invoice_id).await.len(), 2);
    app.check_books().await;
}

#[tokio::test]
async fn one_that_is_late_when_it_is_owed_again_is_overdue_again() {
    let app = App::start().await;
    let invoice = app.invoice(&new_id(), "10.00", "2016-10-01T12:00:00Z").await;
    app.sweeper.step().await.unwrap();
    let payment = app.pay_invoice(&invoice, "10.00").await;
    app.reverse(&payment).await;
    assert_eq!(app.state(&invoice).await, ("10.00".to_owned(), InvoiceStatus::Overdue));
    assert_eq!(app.sweeper.step().await.unwrap(), 1);
    assert_eq!(app.sweeper.step().await.unwrap(), 0);
    let told = app.log.told_of(&invoice.invoice_id).await;
    let told: Vec<&str> = told.iter().map(|(event_type, _)| event_type.as_str()).collect();
    assert_eq!(
        told,
        [
            "invoice.issued",
            "invoice.overdue",
            "invoice.paid",
            "invoice.reopened",
            "invoice.overdue"
        ]
    );
    // Money that comes again comes with a reference of its own, and pays it.
    app.pay_invoice(&invoice, "10.00").await;
    assert_eq!(app.state(&invoice).await.1, InvoiceStatus::Paid);
    app.check_books().await;
}

#[tokio::test]
async fn credit_that_its_credit_note_gave_back_goes_before_the_invoice_is_owed_again() {
    let app = App::start().await;
    let customer = new_id();
    let invoice = app.invoice(&customer, "12.00", TIME).await;
    let payment = app.pay_invoice(&invoice, "5.00").await;
    app.hear(&[cancelled(&invoice.order_id)]).await;
    assert_eq!(app.balance(&customer).await, ("0.00".to_owned(), "5.00".to_owned()));
    app.reverse(&payment).await;
    assert_eq!(app.state(&invoice).await, ("0.00".to_owned(), InvoiceStatus::Voided));
    assert_eq!(app.balance(&customer).await, ("0.00".to_owned(), "0.00".to_owned()));
    let told = &app.events("payment.reversed").await[0];
    assert_eq!((&told["unallocated"], told["allocations"].as_array()), (&amount("5.00"), None));
    assert_eq!(app.events("invoice.reopened").await.len(), 0);
    app.check_books().await;
}

#[tokio::test]
async fn what_its_credit_note_gave_back_and_was_used_since_is_owed_again() {
    let app = App::start().await;
    for used_by_refund in [false, true] {
        let customer = new_id();
        let gone = app.invoice(&customer, "12.00", TIME).await;
        let payment = app.pay_invoice(&gone, "12.00").await;
        app.hear(&[cancelled(&gone.order_id)]).await;
        let next = app.invoice(&customer, "8.00", TIME).await;
        if used_by_refund {
            app.refund(refund(&customer, "8.00")).await.unwrap();
        } else {
            app.allocate(oldest_due(&customer)).await.unwrap();
        }
        app.reverse(&payment).await;
        // 4.00 of credit were there; 8.00 were spent and never paid.
        let invoice = app.find_invoice(&gone.invoice_id, "").await.unwrap();
        assert_eq!(invoice.residual.unwrap().amount, "8.00");
        assert_ne!(app.state(&gone).await.1, InvoiceStatus::Voided);
        let owed = if used_by_refund { "16.00" } else { "8.00" };
        assert_eq!(app.balance(&customer).await, (owed.to_owned(), "0.00".to_owned()));
        app.pay_invoice(&gone, "8.00").await;
        assert_eq!(app.state(&gone).await, ("0.00".to_owned(), InvoiceStatus::Paid));
        let _ = next;
    }
    app.check_books().await;
}

#[tokio::test]
async fn what_was_refunded_of_it_is_owed_back_before_there_is_credit_again() {
    let app = App::start().await;
    let customer = new_id();
    let payment = app.pay(&customer, "10.00").await;
    app.refund(refund(&customer, "6.00")).await.unwrap();
    let reversed = app.reverse(&payment).await;
    assert_eq!(
        (unallocated(&reversed), reversed.refunded.unwrap().amount.as_str()),
        ("-6.00".to_owned(), "6.00")
    );
    assert_eq!(app.balance(&customer).await, ("0.00".to_owned(), "-6.00".to_owned()));
    refusal(app.refund(refund(&customer, "0.01")).await)
        .is(Code::FailedPrecondition, "CREDIT_SHORT");

    app.pay(&customer, "8.00").await;
    assert_eq!(app.balance(&customer).await, ("0.00".to_owned(), "2.00".to_owned()));
    let refused = refusal(app.refund(refund(&customer, "2.01")).await);
    assert_eq!(refused.facts[0], "available: 2.00");
    let invoice = app.invoice(&customer, "5.00", TIME).await;
    app.allocate(oldest_due(&customer)).await.unwrap();
    assert_eq!(app.state(&invoice).await.0, "3.00");
    refusal(app.allocate(oldest_due(&customer)).await).is(Code::FailedPrecondition, "CREDIT_SHORT");
    app.check_books().await;
}

#[tokio::test]
async fn a_written_off_invoice_is_owed_again_by_what_bounced_only() {
    let app = App::start().await;
    let invoice = app.invoice(&new_id(), "10.00", TIME).await;
    let payment = app.pay_invoice(&invoice, "3.00").await;
    app.write_off(write_off(&invoice)).await.unwrap();
    app.reverse(&payment).await;
    assert_eq!(app.state(&invoice).await.0, "3.00");
    let again = app.write_off(write_off(&invoice)).await.unwrap();
    assert_eq!(again.written_off.unwrap().amount, "10.00");
    assert_eq!(app.state(&invoice).await, ("0.00".to_owned(), InvoiceStatus::WrittenOff));
    app.check_books().await;
}

#[tokio::test]
async fn after_a_credit_note_of_a_part_the_rest_is_owed_again() {
    let app = App::start().await;
    let customer = new_id();
    let invoice = app.invoice(&customer, "10.00", TIME).await;
    let payment = app.pay_invoice(&invoice, "6.00").await;
    // 4.00 were not owed any more, 3.00 came back.
    app.credit_note(credit_note(&invoice, "7.00")).await.unwrap();
    assert_eq!(app.state(&invoice).await, ("0.00".to_owned(), InvoiceStatus::Paid));
    app.reverse(&payment).await;
    assert_eq!(app.balance(&customer).await, ("3.00".to_owned(), "0.00".to_owned()));
    app.check_books().await;
}

#[tokio::test]
async fn a_hundred_reversals_at_once_are_one_and_the_first_reason_stays() {
    let app = App::start().await;
    let customer = new_id();
    let invoice = app.invoice(&customer, "10.00", TIME).await;
    let payment = app.pay(&customer, "12.00").await;
    let plain = (0..50).map(|_| ask(&app, of(&payment)));
    let request_id = new_id();
    let with_id = pb::ReversePaymentRequest { request_id, ..of(&payment) };
    let equal = (0..50).map(|_| ask(&app, with_id.clone()));
    let (plain, equal) = tokio::join!(join_all(plain), join_all(equal));
    let first = app.get_payment(&payment).await;
    for answer in plain.into_iter().chain(equal) {
        assert_eq!(answer.unwrap(), first);
    }
    let later = pb::ReversePaymentRequest { reason: "another".to_owned(), ..of(&payment) };
    assert_eq!(ask(&app, later).await.unwrap(), first);
    assert_eq!(app.events("payment.reversed").await.len(), 1);
    assert_eq!(app.state(&invoice).await.0, "10.00");
    let other = app.pay(&customer, "1.00").await;
    let other = pb::ReversePaymentRequest { payment_id: other.payment_id, ..with_id };
    refusal(ask(&app, other).await).is(Code::AlreadyExists, "REQUEST_ID_USED");
    app.check_books().await;
}

#[tokio::test]
async fn a_payment_that_bounced_is_not_recorded_again_under_its_reference() {
    let app = App::start().await;
    let request = payment(&new_id(), "10.00");
    let first = app.record(request.clone()).await.unwrap();
    app.reverse(&first).await;
    let with_id = pb::RecordPaymentRequest { request_id: new_id(), ..request.clone() };
    for again in [&request, &with_id] {
        let refused = refusal(app.record(again.clone()).await);
        refused.is(Code::AlreadyExists, "PAYMENT_REVERSED");
        assert_eq!(refused.facts, [format!("payment_id: {}", first.payment_id)]);
    }
    assert_eq!(app.events("payment.received").await.len(), 1);
    let again = pb::RecordPaymentRequest { external_reference: new_id(), ..request };
    assert_eq!(unallocated(&app.record(again).await.unwrap()), "10.00");
    app.check_books().await;
}

#[tokio::test]
async fn the_request_that_recorded_a_payment_is_answered_with_it_after_it_bounced_too() {
    let app = App::start().await;
    let request = pb::RecordPaymentRequest { request_id: new_id(), ..payment(&new_id(), "10.00") };
    let first = app.record(request.clone()).await.unwrap();
    let reversed = app.reverse(&first).await;
    assert_eq!(app.record(request.clone()).await.unwrap(), reversed);
    let other = pb::RecordPaymentRequest { request_id: new_id(), ..request };
    refusal(app.record(other).await).is(Code::AlreadyExists, "PAYMENT_REVERSED");
    assert_eq!(app.events("payment.received").await.len(), 1);
    app.check_books().await;
}

#[tokio::test]
async fn credit_that_is_used_while_its_payment_is_reversed_is_not_used_twice() {
    let app = App::start().await;
    let customer = new_id();
    let payments = join_all((0..10).map(|_| app.pay(&customer, "10.00"))).await;
    join_all((0..10).map(|_| app.invoice(&customer, "9.00", TIME))).await;
    let reversals = payments.iter().map(|payment| ask(&app, of(payment)));
    let uses = (0..10).map(|_| app.allocate(oldest_due(&customer)));
    let refunds = (0..10).map(|_| app.refund(refund(&customer, "2.00")));
    let (reversals, _, refunds) =
        tokio::join!(join_all(reversals), join_all(uses), join_all(refunds));
    reversals.into_iter().for_each(|reversed| drop(reversed.unwrap()));
    let refunded = 2 * refunds.iter().filter(|refund| refund.is_ok()).count();
    let (owed, credit) = app.balance(&customer).await;
    assert_eq!(owed, "90.00", "no money is left");
    let expected = if refunded == 0 { "0.00".to_owned() } else { format!("-{refunded}.00") };
    assert_eq!(credit, expected);
    app.check_books().await;
}

#[tokio::test]
async fn an_unknown_payment_is_not_found_and_every_bad_field_is_named() {
    let app = App::start().await;
    let unknown = pb::Payment { payment_id: new_id(), ..Default::default() };
    let refused = refusal(ask(&app, of(&unknown)).await);
    refused.is(Code::NotFound, "PAYMENT_NOT_FOUND");
    assert_eq!(refused.facts, [format!("payment_id: {}", unknown.payment_id)]);
    let bad = pb::ReversePaymentRequest {
        request_id: "x".to_owned(),
        payment_id: "y".to_owned(),
        reason: "r".repeat(501),
    };
    refusal(ask(&app, bad).await).names(&["request_id", "payment_id", "reason"]);
    let bad = pb::ReversePaymentRequest::default();
    refusal(ask(&app, bad).await).names(&["payment_id", "reason"]);
}

#[tokio::test]
async fn what_was_given_back_and_spent_is_owed_even_when_the_order_is_cancelled() {
    let app = App::start().await;
    let customer = new_id();
    let invoice = app.invoice(&customer, "10.00", TIME).await;
    let payment = app.pay_invoice(&invoice, "10.00").await;
    app.credit_note(credit_note(&invoice, "4.00")).await.unwrap();
    app.refund(refund(&customer, "4.00")).await.unwrap();
    app.reverse(&payment).await;
    assert_eq!(app.state(&invoice).await.0, "10.00");
    app.hear(&[cancelled(&invoice.order_id)]).await;
    assert_eq!(app.log.dead_letters().await, [""; 0]);
    assert_eq!(app.state(&invoice).await.0, "4.00", "the refund");
    app.pay_invoice(&invoice, "4.00").await;
    assert_eq!(app.state(&invoice).await, ("0.00".to_owned(), InvoiceStatus::Paid));
    assert_eq!(app.balance(&customer).await, ("0.00".to_owned(), "0.00".to_owned()));
    app.check_books().await;
}
