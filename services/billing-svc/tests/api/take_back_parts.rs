//! What is given up of an order, and what comes back, is credited.

use proto::{billing::v1::InvoiceStatus, log::v1::RetryDeadLettersRequest};

use crate::app::{
    App, cancelled, credit_note, new_id, part_cancelled, placed, placed_at, returned, void,
    write_off,
};

#[tokio::test]
async fn what_is_given_up_of_an_order_is_not_owed_any_more() {
    let app = App::start().await;
    let (order, customer) = (new_id(), new_id());
    app.hear(&[placed_at(&order, &customer, "12.00", "2.00", "2026-10-01T12:00:00Z")]).await;
    let invoice = app.invoice_of(&order).await;
    app.hear(&[part_cancelled(&order, "6.00", "1.00")]).await;
    assert_eq!(app.state(&invoice).await.0, "6.00");
    assert_eq!(app.balance(&customer).await, ("6.00".to_owned(), "0.00".to_owned()));
    let mut told = app.events("credit_note.issued").await;
    told[0]["creditNoteId"].take();
    let amount = |amount: &str| serde_json::json!({"amount": amount, "currencyCode": "GBP"});
    let expected = serde_json::json!({
        "creditNoteId": null,
        "number": "CRN-000001",
        "invoiceId": invoice.invoice_id,
        "customerId": customer,
        "amount": amount("6.00"),
        "tax": amount("1.00"),
        "residual": amount("6.00"),
        "issueDate": app.today().await.to_string(),
        "invoiceResidual": amount("6.00"),
        "orderId": order,
    });
    assert_eq!(told, [expected]);
    app.check_books().await;
}

#[tokio::test]
async fn what_comes_back_of_a_paid_order_is_credit() {
    let app = App::start().await;
    let (order, customer) = (new_id(), new_id());
    app.hear(&[placed(&order, &customer)]).await;
    let invoice = app.invoice_of(&order).await;
    app.pay(&customer, "8.00").await;
    app.hear(&[returned(&order, &new_id(), "5.00", "0.00")]).await;
    assert_eq!(app.state(&invoice).await, ("0.00".to_owned(), InvoiceStatus::Paid));
    assert_eq!(app.balance(&customer).await, ("0.00".to_owned(), "3.00".to_owned()));
    let told = app.log.told_of(&invoice.invoice_id).await;
    let told: Vec<&str> = told.iter().map(|(event_type, _)| event_type.as_str()).collect();
    assert_eq!(told, ["invoice.issued", "credit_note.issued", "invoice.paid"]);
    app.hear(&[returned(&order, &new_id(), "5.00", "0.00")]).await;
    assert_eq!(app.balance(&customer).await, ("0.00".to_owned(), "8.00".to_owned()));
    app.check_books().await;
}

#[tokio::test]
async fn each_counts_once_however_often_it_is_heard() {
    let app = App::start().await;
    let (order, customer) = (new_id(), new_id());
    let (first, second) = (new_id(), new_id());
    let all = || {
        [
            placed(&order, &customer),
            part_cancelled(&order, "1.00", "0.00"),
            returned(&order, &first, "2.00", "0.00"),
            part_cancelled(&order, "1.00", "0.00"),
            returned(&order, &second, "2.00", "0.00"),
            returned(&order, &first, "2.00", "0.00"),
        ]
    };
    app.hear(&all()).await;
    app.hear(&all()).await;
    assert_eq!(app.balance(&customer).await, ("5.00".to_owned(), "0.00".to_owned()));
    assert_eq!(app.events("credit_note.issued").await.len(), 3);
    // Nothing is credited of goods that cost nothing.
    app.hear(&[returned(&order, &new_id(), "0.00", "0.00")]).await;
    assert_eq!(app.events("credit_note.issued").await.len(), 3);
    assert_eq!(app.log.dead_letters().await, [""; 0]);
    app.check_books().await;
}

#[tokio::test]
async fn what_was_credited_by_hand_is_not_credited_again() {
    let app = App::start().await;
    let (order, customer) = (new_id(), new_id());
    app.hear(&[placed_at(&order, &customer, "12.00", "2.00", "2026-10-01T12:00:00Z")]).await;
    let invoice = app.invoice_of(&order).await;
    app.pay(&customer, "12.00").await;
    app.credit_note(credit_note(&invoice, "9.00")).await.unwrap();
    app.hear(&[returned(&order, &new_id(), "6.00", "1.00")]).await;
    assert_eq!(app.balance(&customer).await, ("0.00".to_owned(), "12.00".to_owned()));
    let last = app.events("credit_note.issued").await.pop().unwrap();
    assert_eq!(
        (&last["amount"]["amount"], &last["tax"]["amount"]),
        (&"3.00".into(), &"0.50".into())
    );
    app.hear(&[returned(&order, &new_id(), "6.00", "1.00")]).await;
    assert_eq!(app.events("credit_note.issued").await.len(), 2, "nothing is left");
    assert_eq!(app.log.dead_letters().await, [""; 0]);
    app.check_books().await;
}

#[tokio::test]
async fn an_order_that_was_credited_in_part_is_taken_back_by_the_rest() {
    let app = App::start().await;
    let customer = new_id();
    let (unpaid, whole) = (new_id(), new_id());
    app.hear(&[placed(&unpaid, &customer), placed(&whole, &customer)]).await;
    let (one, two) = (app.invoice_of(&unpaid).await, app.invoice_of(&whole).await);
    app.credit_note(credit_note(&one, "4.00")).await.unwrap();
    app.credit_note(credit_note(&two, "10.00")).await.unwrap();
    app.hear(&[cancelled(&unpaid), cancelled(&whole)]).await;
    assert_eq!(app.state(&one).await, ("0.00".to_owned(), InvoiceStatus::Voided));
    assert_eq!(
        app.state(&two).await,
        ("0.00".to_owned(), InvoiceStatus::Paid),
        "by its credit note"
    );
    assert_eq!(app.balance(&customer).await, ("0.00".to_owned(), "0.00".to_owned()));
    assert_eq!(app.events("credit_note.issued").await.len(), 3);
    assert_eq!(app.events("invoice.voided").await.len(), 0, "a part of it was credited");
    app.check_books().await;
}

#[tokio::test]
async fn orders_whose_invoice_was_voided_by_hand_can_be_cancelled_and_return() {
    let app = App::start().await;
    let customer = new_id();
    let (gone, back) = (new_id(), new_id());
    app.hear(&[placed(&gone, &customer), placed(&back, &customer)]).await;
    for order in [&gone, &back] {
        app.void(void(&app.invoice_of(order).await)).await.unwrap();
    }
    app.hear(&[cancelled(&gone), returned(&back, &new_id(), "5.00", "0.00")]).await;
    assert_eq!(app.log.dead_letters().await, [""; 0]);
    assert_eq!(app.balance(&customer).await, ("0.00".to_owned(), "0.00".to_owned()));
    assert_eq!(app.events("credit_note.issued").await.len(), 0);
    assert_eq!(app.events("invoice.voided").await.len(), 2);
    app.check_books().await;
}

#[tokio::test]
async fn what_was_written_off_is_lost_and_only_what_was_paid_is_credited() {
    let app = App::start().await;
    let customer = new_id();
    let (gone, back, kept) = (new_id(), new_id(), new_id());
    app.hear(&[placed(&gone, &customer), placed(&back, &customer), placed(&kept, &customer)]).await;
    for order in [&gone, &back, &kept] {
        let invoice = app.invoice_of(order).await;
        app.pay_invoice(&invoice, "3.00").await;
        app.write_off(write_off(&invoice)).await.unwrap();
    }
    // All of it comes back: 3.00 were paid. Of half of it nothing had been paid; of the other half 3.00.
    app.hear(&[
        cancelled(&gone),
        returned(&back, &new_id(), "5.00", "0.00"),
        returned(&back, &new_id(), "5.00", "0.00"),
        returned(&kept, &new_id(), "7.00", "0.00"),
    ])
    .await;
    assert_eq!(app.log.dead_letters().await, [""; 0]);
    assert_eq!(app.balance(&customer).await, ("0.00".to_owned(), "6.00".to_owned()));
    for order in [&gone, &back, &kept] {
        let invoice = app.invoice_of(order).await;
        assert_eq!(app.state(&invoice).await, ("0.00".to_owned(), InvoiceStatus::WrittenOff));
    }
    assert_eq!(app.events("credit_note.issued").await.len(), 2);
    app.check_books().await;
}

#[tokio::test]
async fn one_without_an_invoice_is_put_aside_and_can_be_tried_again() {
    let app = App::start().await;
    let (order, customer) = (new_id(), new_id());
    let refused = returned(&order, "R-1", "1.00", "0.00");
    let unknown = returned(&order, &new_id(), "4.00", "0.00");
    app.hear(&[unknown]).await;
    assert_eq!(app.log.dead_letters().await, [format!("order {order} has no invoice")]);
    let retry = RetryDeadLettersRequest { source: "orders".to_owned(), subject: order.clone() };
    app.event_log.clone().retry_dead_letters(retry.clone()).await.unwrap_err();
    // Its invoice comes by another way, as when a lost log is mended.
    let other = new_id();
    app.hear(&[placed(&other, &customer)]).await;
    sqlx::query("update billing.invoices set order_id = $1::uuid")
        .bind(&order)
        .execute(&app.db)
        .await
        .unwrap();
    app.event_log.clone().retry_dead_letters(retry).await.unwrap();
    assert_eq!(app.balance(&customer).await, ("6.00".to_owned(), "0.00".to_owned()));
    app.hear(&[refused]).await;
    assert_eq!(app.log.dead_letters().await.len(), 1, "a key that cannot be read");
}
