use chrono::{DateTime, Utc};
use futures::future::join_all;
use log::NewEvent;
use proto::billing::v1::InvoiceStatus;

use crate::app::{App, cancelled, new_id, placed_at};

fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

#[tokio::test]
async fn an_invoice_is_marked_on_the_day_after_its_due_date_and_once() {
    let app = App::start().await;
    let invoice = app.invoice(&new_id(), "10.00", "2026-11-01T12:00:00Z").await;
    assert_eq!(invoice.due_date, "2026-12-01");
    assert_eq!(app.sweeper.step_at(time("2026-12-01T23:59:59Z")).await.unwrap(), 0);
    assert_eq!(app.sweeper.step_at(time("2026-12-02T00:00:00Z")).await.unwrap(), 1);
    assert_eq!(app.sweeper.step_at(time("2026-12-03T00:00:00Z")).await.unwrap(), 0);
    let (event_type, version, data) = app.log.events_of(&invoice.invoice_id).await.remove(1);
    assert_eq!((event_type.as_str(), version), ("invoice.overdue", 2));
    let expected = serde_json::json!({
        "invoiceId": invoice.invoice_id,
        "orderId": invoice.order_id,
        "customerId": invoice.customer_id,
        "dueDate": "2026-12-01",
    });
    assert_eq!(data, expected);
    app.check_books().await;
}

#[tokio::test]
async fn when_clocks_change_the_day_still_begins_at_midnight_where_the_business_is() {
    let app = App::start().await;
    // Clocks go back on 2026-10-25, forward on 2027-03-28: both at 01:00 UTC.
    for (placed, due, still, over) in [
        ("2026-09-24T12:00:00Z", "2026-10-24", "2026-10-24T22:59:59Z", "2026-10-24T23:00:00Z"),
        ("2026-09-25T12:00:00Z", "2026-10-25", "2026-10-25T23:59:59Z", "2026-10-26T00:00:00Z"),
        ("2027-02-25T12:00:00Z", "2027-03-27", "2027-03-27T23:59:59Z", "2027-03-28T00:00:00Z"),
        ("2027-02-26T12:00:00Z", "2027-03-28", "2027-03-28T22:59:59Z", "2027-03-28T23:00:00Z"),
    ] {
        let invoice = app.invoice(&new_id(), "10.00", placed).await;
        assert_eq!(invoice.due_date, due);
        assert_eq!(app.sweeper.step_at(time(still)).await.unwrap(), 0, "{still}");
        assert_eq!(app.sweeper.step_at(time(over)).await.unwrap(), 1, "{over}");
    }
}

#[tokio::test]
async fn by_the_database_clock_yesterdays_is_overdue_and_todays_is_not() {
    let app = App::start().await;
    let (yesterday, today) = (app.days_ago(31).await, app.days_ago(30).await);
    let late = app.invoice(&new_id(), "10.00", &yesterday).await;
    let due = app.invoice(&new_id(), "10.00", &today).await;
    assert_eq!((late.status(), due.status()), (InvoiceStatus::Overdue, InvoiceStatus::Issued));
    assert_eq!(app.sweeper.step().await.unwrap(), 1);
    assert_eq!(app.log.told_of(&late.invoice_id).await.len(), 2);
    assert_eq!(app.log.told_of(&due.invoice_id).await.len(), 1);
}

#[tokio::test]
async fn what_is_paid_or_voided_is_not_marked() {
    let app = App::start().await;
    let paid = app.invoice(&new_id(), "10.00", "2016-10-01T12:00:00Z").await;
    app.pay_invoice(&paid, "10.00").await;
    let voided = app.invoice(&new_id(), "10.00", "2016-10-01T12:00:00Z").await;
    app.hear(&[cancelled(&voided.order_id)]).await;
    let part = app.invoice(&new_id(), "10.00", "2016-10-01T12:00:00Z").await;
    app.pay_invoice(&part, "9.99").await;
    assert_eq!(app.sweeper.step().await.unwrap(), 1);
    assert_eq!(app.state(&part).await, ("0.01".to_owned(), InvoiceStatus::Overdue));
    app.check_books().await;
}

#[tokio::test]
async fn after_an_outage_all_are_marked_by_two_sweepers_once_each() {
    let app = App::start().await;
    let customer = new_id();
    let place = |n: i32| {
        let day = n % 28 + 1;
        placed_at(&new_id(), &customer, "1.00", "0.00", &format!("2016-10-{day:02}T12:00:00Z"))
    };
    let events: Vec<NewEvent> = (0..1200).map(place).collect();
    app.hear(&events).await;
    let steps = (0..6).map(|n| if n % 2 == 0 { &app.sweeper } else { &app.other_sweeper });
    let marked = join_all(steps.map(billing_svc::Sweeper::step)).await;
    let marked: usize =
        marked.into_iter().map(Result::unwrap).inspect(|n| assert!(*n <= 500)).sum();
    let mut rest = 0;
    while let more @ 1.. = app.sweeper.step().await.unwrap() {
        rest += more;
    }
    assert_eq!(marked + rest, 1200);
    assert_eq!(app.events("invoice.overdue").await.len(), 1200);
    app.check_books().await;
}
