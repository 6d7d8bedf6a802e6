use std::collections::HashSet;

use futures::future::join_all;
use proto::billing::v1::{self as pb, InvoiceStatus};
use tonic::Code;

use testkit::refusal;

use crate::app::{
    App, allocated, cancelled, credit_note, money, new_id, oldest_due, payment, placed_at, refund,
    unallocated,
};

const EARLY: &str = "2026-10-01T12:00:00Z";
const LATE: &str = "2026-10-02T12:00:00Z";

/// Credit for named invoices.
fn named(customer: &str, parts: &[(&pb::Invoice, &str)]) -> pb::AllocateCreditRequest {
    let part = |(invoice, amount): &(&pb::Invoice, &str)| pb::Allocation {
        invoice_id: invoice.invoice_id.clone(),
        amount: money(amount),
    };
    pb::AllocateCreditRequest {
        allocations: parts.iter().map(part).collect(),
        ..oldest_due(customer)
    }
}

fn paid(done: &pb::CreditAllocation) -> Vec<(String, String)> {
    let part =
        |part: &pb::Allocation| (part.invoice_id.clone(), part.amount.clone().unwrap().amount);
    done.allocations.iter().map(part).collect()
}

#[tokio::test]
async fn money_of_several_payments_and_credit_notes_pays_several_invoices() {
    let app = App::start().await;
    let customer = new_id();
    let first = app.pay(&customer, "5.00").await;
    let sold = app.invoice(&customer, "4.00", EARLY).await;
    app.pay_invoice(&sold, "4.00").await;
    let note = app.credit_note(credit_note(&sold, "3.00")).await.unwrap();
    let last = app.pay(&customer, "20.00").await;
    let early = app.invoice(&customer, "7.00", EARLY).await;
    let late = app.invoice(&customer, "10.00", LATE).await;

    let done = app.allocate(named(&customer, &[(&late, "2.00"), (&early, "7.00")])).await.unwrap();
    let parts = [
        (early.invoice_id.clone(), "7.00".to_owned()),
        (late.invoice_id.clone(), "2.00".to_owned()),
    ];
    assert_eq!(paid(&done), parts, "the oldest due first");
    assert_eq!((&done.amount, &done.customer_id), (&money("9.00"), &customer));
    assert_eq!(done.allocate_date, app.today().await.to_string());
    assert_eq!(app.state(&early).await, ("0.00".to_owned(), InvoiceStatus::Paid));
    assert_eq!(app.state(&late).await.0, "8.00");

    // The oldest credit went first: all of the payment, all of the note, and a part of the other payment.
    let first = app.get_payment(&first).await;
    assert_eq!(
        (allocated(&first), unallocated(&first)),
        (vec![(early.invoice_id.clone(), "5.00".to_owned())], "0.00".to_owned())
    );
    let last = app.get_payment(&last).await;
    assert_eq!(
        (allocated(&last), unallocated(&last)),
        (vec![(late.invoice_id.clone(), "1.00".to_owned())], "19.00".to_owned())
    );
    let request = pb::GetCreditNoteRequest { credit_note_id: note.credit_note_id };
    let note = app.client.clone().get_credit_note(request).await.unwrap().into_inner();
    assert_eq!(note.credit_note.unwrap().unallocated, money("0.00"));

    let amount = |amount: &str| serde_json::json!({"amount": amount, "currencyCode": "GBP"});
    let data = serde_json::json!({
        "allocationId": done.allocation_id,
        "customerId": customer,
        "allocations": [
            {"invoiceId": early.invoice_id, "amount": amount("7.00"), "residual": amount("0.00")},
            {"invoiceId": late.invoice_id, "amount": amount("2.00"), "residual": amount("8.00")},
        ],
        "amount": amount("9.00"),
        "allocateDate": done.allocate_date,
    });
    let told = app.log.events_of(&done.allocation_id).await;
    assert_eq!(told, [("credit.allocated".to_owned(), 1, data)]);
    let last = app.log.told_of(&early.invoice_id).await.pop().unwrap();
    assert_eq!(last, ("invoice.paid".to_owned(), 2));
    app.check_books().await;
}

#[tokio::test]
async fn without_names_the_oldest_due_is_paid_first_up_to_an_amount() {
    let app = App::start().await;
    let customer = new_id();
    app.pay(&customer, "12.00").await;
    let late = app.invoice(&customer, "10.00", LATE).await;
    let early = app.invoice(&customer, "10.00", EARLY).await;
    let some = pb::AllocateCreditRequest { amount: money("1.00"), ..oldest_due(&customer) };
    let done = app.allocate(some).await.unwrap();
    assert_eq!(paid(&done), [(early.invoice_id.clone(), "1.00".to_owned())]);
    let done = app.allocate(oldest_due(&customer)).await.unwrap();
    assert_eq!(
        paid(&done),
        [
            (early.invoice_id.clone(), "9.00".to_owned()),
            (late.invoice_id.clone(), "2.00".to_owned())
        ]
    );
    assert_eq!(app.balance(&customer).await, ("8.00".to_owned(), "0.00".to_owned()));
    app.check_books().await;
}

#[tokio::test]
async fn more_than_there_is_or_is_owed_is_refused_as_a_whole() {
    let app = App::start().await;
    let customer = new_id();
    let (one, two) =
        (app.invoice(&customer, "10.00", EARLY).await, app.invoice(&customer, "10.00", LATE).await);
    let refused = refusal(app.allocate(oldest_due(&customer)).await);
    refused.is(Code::FailedPrecondition, "CREDIT_SHORT");
    let customer_id = format!("customer_id: {customer}");
    assert_eq!(refused.facts, ["available: 0.00".to_owned(), customer_id.clone()]);
    // A payment for an invoice that there is not is credit.
    let stray = pb::RecordPaymentRequest { invoice_id: new_id(), ..payment(&customer, "15.00") };
    app.record(stray).await.unwrap();

    let refused = refusal(app.allocate(named(&customer, &[(&one, "10.00"), (&two, "5.01")])).await);
    refused.is(Code::FailedPrecondition, "CREDIT_SHORT");
    assert_eq!(refused.facts, ["available: 15.00".to_owned(), customer_id]);
    let refused = refusal(app.allocate(named(&customer, &[(&two, "1.00"), (&one, "10.01")])).await);
    refused.is(Code::FailedPrecondition, "OVER_ALLOCATION");
    assert_eq!(
        refused.facts,
        [format!("invoice_id: {}", one.invoice_id), "residual: 10.00".to_owned()]
    );
    let others = app.invoice(&new_id(), "10.00", EARLY).await;
    let unknown = pb::Invoice { invoice_id: new_id(), ..Default::default() };
    for stranger in [&others, &unknown] {
        let refused =
            refusal(app.allocate(named(&customer, &[(&one, "1.00"), (stranger, "1.00")])).await);
        refused.is(Code::NotFound, "INVOICE_NOT_FOUND");
        assert_eq!(refused.facts, [format!("invoice_id: {}", stranger.invoice_id)]);
    }
    app.hear(&[cancelled(&two.order_id)]).await;
    let refused = refusal(app.allocate(named(&customer, &[(&two, "0.01")])).await);
    refused.is(Code::FailedPrecondition, "OVER_ALLOCATION");
    assert_eq!(app.balance(&customer).await, ("10.00".to_owned(), "15.00".to_owned()));
    assert_eq!(app.events("credit.allocated").await.len(), 0);

    app.allocate(oldest_due(&customer)).await.unwrap();
    let refused = refusal(app.allocate(oldest_due(&customer)).await);
    refused.is(Code::FailedPrecondition, "NOTHING_OWED");
    assert_eq!(refused.facts, [format!("customer_id: {customer}")]);
    app.check_books().await;
}

#[tokio::test]
async fn a_hundred_equal_allocations_at_once_are_one() {
    let app = App::start().await;
    let customer = new_id();
    app.pay(&customer, "100.00").await;
    let invoice = app.invoice(&customer, "100.00", EARLY).await;
    let request = pb::AllocateCreditRequest {
        request_id: new_id(),
        ..named(&customer, &[(&invoice, "3.00")])
    };
    let all = join_all((0..100).map(|_| app.allocate(request.clone()))).await;
    let ids: HashSet<String> = all.into_iter().map(|done| done.unwrap().allocation_id).collect();
    assert_eq!(ids.len(), 1);
    assert_eq!(app.balance(&customer).await, ("97.00".to_owned(), "97.00".to_owned()));
    let other =
        pb::AllocateCreditRequest { amount: money("1.00"), allocations: Vec::new(), ..request };
    refusal(app.allocate(other).await).is(Code::AlreadyExists, "REQUEST_ID_USED");
    app.check_books().await;
}

#[tokio::test]
async fn credit_payments_refunds_and_credit_notes_at_once_never_overpay_or_overdraw() {
    let app = App::start().await;
    let customer = new_id();
    app.pay(&customer, "60.00").await;
    let invoice = app.invoice(&customer, "100.00", EARLY).await;
    let credit = (0..40).map(|_| app.allocate(named(&customer, &[(&invoice, "2.00")])));
    let payments = (0..20).map(|_| app.pay_invoice(&invoice, "3.00"));
    let refunds = (0..20).map(|_| app.refund(refund(&customer, "1.00")));
    let notes = (0..10).map(|_| app.credit_note(credit_note(&invoice, "4.00")));
    let (credit, _, refunds, notes) =
        tokio::join!(join_all(credit), join_all(payments), join_all(refunds), join_all(notes));
    for refused in credit.into_iter().filter_map(Result::err) {
        let refused = refusal::<()>(Err(refused));
        assert!(
            ["CREDIT_SHORT", "OVER_ALLOCATION"].contains(&refused.reason.as_str()),
            "{refused:?}"
        );
    }
    for refused in refunds.into_iter().filter_map(Result::err) {
        refusal::<()>(Err(refused)).is(Code::FailedPrecondition, "CREDIT_SHORT");
    }
    notes.into_iter().for_each(|note| drop(note.unwrap()));
    app.check_books().await;
}

#[tokio::test]
async fn a_payment_pays_only_so_many_invoices_that_its_reversal_can_tell_them_all() {
    let app = App::start().await;
    let customer = new_id();
    let place = |_| placed_at(&new_id(), &customer, "1.00", "0.00", EARLY);
    app.hear(&(0..1003).map(place).collect::<Vec<_>>()).await;
    let large = app.pay(&customer, "1002.00").await;
    assert_eq!((large.allocations.len(), unallocated(&large).as_str()), (1000, "2.00"));
    let one = pb::AllocateCreditRequest { amount: money("1.00"), ..oldest_due(&customer) };
    app.allocate(one.clone()).await.unwrap();
    let facts = |available: &str, refundable: &str| {
        [
            format!("available: {available}"),
            format!("customer_id: {customer}"),
            format!("refundable: {refundable}"),
        ]
    };
    let refused = refusal(app.allocate(one).await);
    refused.is(Code::FailedPrecondition, "CREDIT_SPREAD");
    assert_eq!(refused.facts, facts("0.00", "1.00"));
    // Other credit is used, and says how far it reaches.
    let last = app.invoice(&customer, "1.00", LATE).await;
    let stray = pb::RecordPaymentRequest { invoice_id: new_id(), ..payment(&customer, "0.50") };
    app.record(stray).await.unwrap();
    let refused = refusal(app.allocate(named(&customer, &[(&last, "0.51")])).await);
    refused.is(Code::FailedPrecondition, "CREDIT_SPREAD");
    assert_eq!(refused.facts, facts("0.50", "1.50"));
    app.refund(refund(&customer, "1.00")).await.unwrap();
    app.reverse(&large).await;
    assert_eq!(app.balance(&customer).await, ("1004.00".to_owned(), "-0.50".to_owned()));
    app.check_books().await;
}

#[tokio::test]
async fn every_bad_field_is_named() {
    let app = App::start().await;
    let invoice = pb::Invoice { invoice_id: new_id(), ..Default::default() };
    let nameless = pb::Invoice::default();
    let bad = pb::AllocateCreditRequest {
        request_id: "x".to_owned(),
        amount: money("1.00"),
        ..named("", &[(&invoice, "1.00"), (&invoice, "0.00"), (&nameless, "-1.00")])
    };
    refusal(app.allocate(bad).await).names(&[
        "request_id",
        "customer_id",
        "amount",
        "allocations[1].invoice_id",
        "allocations[1].amount.amount",
        "allocations[2].invoice_id",
        "allocations[2].amount.amount",
    ]);
    let nothing = pb::AllocateCreditRequest { amount: money("0.00"), ..oldest_due(&new_id()) };
    refusal(app.allocate(nothing).await).names(&["amount.amount"]);
    let invoices: Vec<pb::Invoice> =
        (0..1001).map(|_| pb::Invoice { invoice_id: new_id(), ..Default::default() }).collect();
    let parts: Vec<(&pb::Invoice, &str)> = invoices.iter().map(|one| (one, "1.00")).collect();
    refusal(app.allocate(named(&new_id(), &parts)).await).names(&["allocations"]);
}
