use log::NewEvent;
use proto::{billing::v1::InvoiceStatus, log::v1::RetryDeadLettersRequest};

use crate::app::{App, money, new_id, placed, placed_at};

#[tokio::test]
async fn a_placed_order_gets_an_invoice() {
    let app = App::start().await;
    let (order, customer) = (new_id(), new_id());
    app.hear(&[placed_at(&order, &customer, "120.00", "20.00", "2016-11-24T09:30:00.25Z")]).await;

    let invoice = app.invoice_of(&order).await;
    assert_eq!((&invoice.number, &invoice.customer_id), (&"INV-000001".to_owned(), &customer));
    assert_eq!((invoice.amount, invoice.tax), (money("120.00"), money("20.00")));
    assert_eq!((invoice.residual, invoice.pay_time), (money("120.00"), None));
    let issued = invoice.issue_time.unwrap();
    assert_eq!((issued.seconds, issued.nanos), (1_479_979_800, 250_000_000));
    assert_eq!(invoice.due_date, "2016-12-24");

    let told = app.log.events_of(&invoice.invoice_id).await;
    let data = serde_json::json!({
        "invoiceId": invoice.invoice_id,
        "number": "INV-000001",
        "orderId": order,
        "customerId": customer,
        "amount": {"amount": "120.00", "currencyCode": "GBP"},
        "tax": {"amount": "20.00", "currencyCode": "GBP"},
        "issueTime": "2016-11-24T09:30:00.250+00:00",
        "issueDate": "2016-11-24",
        "dueDate": "2016-12-24",
    });
    assert_eq!(told, [("invoice.issued".to_owned(), 1, data)]);
    app.check_books().await;
}

#[tokio::test]
async fn the_day_of_issuing_is_that_of_the_business() {
    let app = App::start().await;
    // In summer London is an hour ahead; on 2026-10-25 the clocks go back at 01:00 UTC.
    for (place_time, issue_date, due_date) in [
        ("2026-07-01T22:59:59Z", "2026-07-01", "2026-07-31"),
        ("2026-07-01T23:00:00Z", "2026-07-02", "2026-08-01"),
        ("2026-10-24T23:00:00Z", "2026-10-25", "2026-11-24"),
        ("2026-10-25T23:59:59Z", "2026-10-25", "2026-11-24"),
        ("2026-10-26T00:00:00Z", "2026-10-26", "2026-11-25"),
    ] {
        let invoice = app.invoice(&new_id(), "1.00", place_time).await;
        assert_eq!(invoice.due_date, due_date, "{place_time}");
        let (_, _, data) = app.log.events_of(&invoice.invoice_id).await.remove(0);
        assert_eq!(data["issueDate"], issue_date, "{place_time}");
    }
}

#[tokio::test]
async fn an_order_of_nothing_is_paid_as_it_is_invoiced() {
    let app = App::start().await;
    let invoice = app.invoice(&new_id(), "0.00", "2026-10-01T12:00:00Z").await;
    assert_eq!((invoice.status(), invoice.residual), (InvoiceStatus::Paid, money("0.00")));
    assert_eq!(invoice.pay_time, invoice.issue_time);
    let told = app.log.told_of(&invoice.invoice_id).await;
    assert_eq!(told, [("invoice.issued".to_owned(), 1), ("invoice.paid".to_owned(), 2)]);
    let ids = serde_json::json!({"invoiceId": invoice.invoice_id, "orderId": invoice.order_id});
    assert_eq!(app.events("invoice.paid").await, [ids]);
    app.check_books().await;
}

#[tokio::test]
async fn an_order_that_is_placed_twice_has_one_invoice() {
    let app = App::start().await;
    let (order, customer) = (new_id(), new_id());
    let same = [placed(&order, &customer), placed(&order, &customer)];
    // The very same events again, which the position lets through as it never saw them; and the same news anew.
    app.hear(&same).await;
    app.hear(&same).await;
    app.hear(&[placed(&order, &customer)]).await;
    assert_eq!(app.events("invoice.issued").await.len(), 1);
    assert_eq!(app.log.dead_letters().await, [""; 0]);
    let next = app.invoice(&customer, "1.00", "2026-10-01T12:00:00Z").await;
    assert_eq!(next.number, "INV-000002");
    app.check_books().await;
}

#[tokio::test]
async fn imported_history_is_overdue_to_whoever_asks_and_marked_by_the_sweep() {
    let app = App::start().await;
    let invoice = app.invoice(&new_id(), "10.00", "2016-11-24T09:30:00Z").await;
    assert_eq!(invoice.status(), InvoiceStatus::Overdue);
    assert_eq!(app.log.told_of(&invoice.invoice_id).await.len(), 1);
    let stored: String =
        sqlx::query_scalar("select status from billing.invoices").fetch_one(&app.db).await.unwrap();
    assert_eq!(stored, "issued");
}

#[tokio::test]
async fn an_order_that_cannot_be_invoiced_is_put_aside_and_the_others_go_on() {
    let app = App::start().await;
    let customer = new_id();
    let (no_customer, too_much_tax, free_money, good) = (new_id(), new_id(), new_id(), new_id());
    let time = "2026-10-01T12:00:00Z";
    app.hear(&[
        placed_at(&no_customer, "", "1.00", "0.00", time),
        placed_at(&too_much_tax, &customer, "1.00", "1.01", time),
        placed_at(&free_money, &customer, "-1.00", "0.00", time),
        placed(&good, &customer),
    ])
    .await;
    let letters = app.log.dead_letters().await;
    assert_eq!(letters.len(), 3);
    assert_eq!(letters[1..], ["tax 1.01 of a total of 1.00", "-1.00 is negative"]);
    assert_eq!(app.invoice_of(&good).await.number, "INV-000001");
    app.check_books().await;

    let retry = RetryDeadLettersRequest { source: "orders".to_owned(), subject: free_money };
    app.event_log.clone().retry_dead_letters(retry).await.unwrap_err();
}

#[tokio::test]
async fn a_thousand_orders_are_invoiced_in_a_handful_of_transactions() {
    let app = App::start().await;
    let customer = new_id();
    let events: Vec<NewEvent> = (0..1000).map(|_| placed(&new_id(), &customer)).collect();
    app.hear(&events).await;
    let (rows, transactions): (i64, i64) =
        sqlx::query_as("select count(*), count(distinct xmin::text) from billing.invoices")
            .fetch_one(&app.db)
            .await
            .unwrap();
    assert_eq!(rows, 1000);
    assert!(transactions <= 50, "{transactions} transactions");
    app.check_books().await;
}
