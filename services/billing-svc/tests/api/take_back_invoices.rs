use log::{Cause, NewEvent};
use proto::{billing::v1::InvoiceStatus, events::v1::OrderCancelled};

use crate::app::{App, cancelled, money, new_id, placed, placed_at};

#[tokio::test]
async fn what_nobody_has_paid_is_voided_on_the_day_of_cancelling() {
    let app = App::start().await;
    let (order, customer) = (new_id(), new_id());
    let place_time = app.days_ago(3).await;
    app.hear(&[placed_at(&order, &customer, "12.00", "2.00", &place_time)]).await;
    app.hear(&[cancelled(&order)]).await;

    let invoice = app.invoice_of(&order).await;
    assert_eq!((invoice.status(), &invoice.residual), (InvoiceStatus::Voided, &money("0.00")));
    assert_eq!((&invoice.amount, &invoice.pay_time), (&money("12.00"), &None));
    let (event_type, version, data) = app.log.events_of(&invoice.invoice_id).await.remove(1);
    assert_eq!((event_type.as_str(), version), ("invoice.voided", 2));
    let expected = serde_json::json!({
        "invoiceId": invoice.invoice_id,
        "orderId": order,
        "amount": {"amount": "12.00", "currencyCode": "GBP"},
        "tax": {"amount": "2.00", "currencyCode": "GBP"},
        "voidDate": app.today().await.to_string(),
    });
    assert_eq!(data, expected);
    app.check_books().await;
}

#[tokio::test]
async fn what_was_paid_in_part_is_credited() {
    let app = App::start().await;
    let (order, customer) = (new_id(), new_id());
    app.hear(&[placed_at(&order, &customer, "12.00", "2.00", "2026-10-01T12:00:00Z")]).await;
    let invoice = app.invoice_of(&order).await;
    let payment = app.pay_invoice(&invoice, "5.00").await;
    app.hear(&[cancelled(&order)]).await;

    assert_eq!(app.state(&invoice).await, ("0.00".to_owned(), InvoiceStatus::Voided));
    let mut notes = app.events("credit_note.issued").await;
    notes[0]["creditNoteId"].take();
    let expected = serde_json::json!({
        "creditNoteId": null,
        "number": "CRN-000001",
        "invoiceId": invoice.invoice_id,
        "customerId": customer,
        "amount": {"amount": "12.00", "currencyCode": "GBP"},
        "tax": {"amount": "2.00", "currencyCode": "GBP"},
        "residual": {"amount": "7.00", "currencyCode": "GBP"},
        "issueDate": app.today().await.to_string(),
        "invoiceResidual": {"amount": "0.00", "currencyCode": "GBP"},
        "orderId": order,
    });
    assert_eq!(notes, [expected]);
    let last = app.log.told_of(&invoice.invoice_id).await.pop().unwrap();
    assert_eq!(last, ("credit_note.issued".to_owned(), 2));
    assert_eq!(app.events("invoice.voided").await, [serde_json::Value::Null; 0]);

    // What happened stays as it happened.
    let request = proto::billing::v1::GetPaymentRequest { payment_id: payment.payment_id.clone() };
    let still = app.client.clone().get_payment(request).await.unwrap().into_inner().payment;
    assert_eq!(still, Some(payment));
    app.check_books().await;
}

#[tokio::test]
async fn what_was_paid_in_full_is_credited_in_full() {
    let app = App::start().await;
    let invoice = app.invoice(&new_id(), "12.00", "2026-10-01T12:00:00Z").await;
    app.pay_invoice(&invoice, "12.00").await;
    app.hear(&[cancelled(&invoice.order_id)]).await;
    let note = &app.events("credit_note.issued").await[0];
    assert_eq!(note["residual"]["amount"], "0.00");
    let voided = app.invoice_of(&invoice.order_id).await;
    assert_eq!(voided.status(), InvoiceStatus::Voided);
    assert!(voided.pay_time.is_some(), "it was paid, and when stays known");
    app.check_books().await;
}

#[tokio::test]
async fn an_order_that_is_cancelled_twice_is_taken_back_once() {
    let app = App::start().await;
    let customer = new_id();
    let (unpaid, paid) = (new_id(), new_id());
    app.hear(&[placed(&paid, &customer)]).await;
    app.pay(&customer, "10.00").await;
    let all =
        [placed(&unpaid, &customer), cancelled(&unpaid), cancelled(&unpaid), cancelled(&paid)];
    app.hear(&all).await;
    app.hear(&all).await;
    app.hear(&[cancelled(&unpaid), cancelled(&paid), placed(&paid, &customer)]).await;
    assert_eq!(app.events("invoice.issued").await.len(), 2);
    assert_eq!(app.events("invoice.voided").await.len(), 1);
    assert_eq!(app.events("credit_note.issued").await.len(), 1);
    assert_eq!(app.log.dead_letters().await, [""; 0]);
    app.check_books().await;
}

#[tokio::test]
async fn overdue_and_free_invoices_are_voided_too() {
    let app = App::start().await;
    let late = app.invoice(&new_id(), "10.00", "2016-10-01T12:00:00Z").await;
    assert_eq!(app.sweeper.step().await.unwrap(), 1);
    let free = app.invoice(&new_id(), "0.00", "2026-10-01T12:00:00Z").await;
    app.hear(&[cancelled(&late.order_id), cancelled(&free.order_id)]).await;
    for invoice in [&late, &free] {
        assert_eq!(app.state(invoice).await.1, InvoiceStatus::Voided);
        let last = app.log.told_of(&invoice.invoice_id).await.pop().unwrap();
        assert_eq!(last, ("invoice.voided".to_owned(), 3));
    }
    app.check_books().await;
}

#[tokio::test]
async fn a_cancelled_draft_has_no_invoice_to_take_back() {
    let app = App::start().await;
    let order = new_id();
    let data = OrderCancelled { order_id: order.clone(), ..Default::default() };
    app.hear(&[NewEvent::new("order.cancelled", &order, 2, &data, &Cause::of_call())]).await;
    assert_eq!(app.log.dead_letters().await, [""; 0]);
    let told: i64 = sqlx::query_scalar("select count(*) from billing.events_log")
        .fetch_one(&app.db)
        .await
        .unwrap();
    assert_eq!(told, 0);
}

#[tokio::test]
async fn an_order_that_was_placed_and_has_no_invoice_is_put_aside() {
    let app = App::start().await;
    let (order, good, customer) = (new_id(), new_id(), new_id());
    app.hear(&[cancelled(&order), placed(&good, &customer)]).await;
    assert_eq!(app.log.dead_letters().await, [format!("order {order} has no invoice")]);
    app.invoice_of(&good).await;
}
