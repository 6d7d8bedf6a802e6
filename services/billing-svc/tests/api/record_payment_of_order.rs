//! A till knows the order before its invoice is there: the money finds the invoice whichever comes first.

use proto::billing::v1::{InvoiceStatus, Payment, RecordPaymentRequest};
use tonic::Code;

use testkit::refusal;

use crate::app::{
    App, allocated, cancelled, money, new_id, oldest_due, payment, placed, placed_at, refund,
    unallocated, void,
};

const TIME: &str = "2026-10-01T12:00:00Z";

fn of_order(order: &str, customer: &str, amount: &str) -> RecordPaymentRequest {
    RecordPaymentRequest { order_id: order.to_owned(), ..payment(customer, amount) }
}

async fn pay(app: &App, order: &str, customer: &str, amount: &str) -> Payment {
    app.record(of_order(order, customer, amount)).await.unwrap()
}

#[tokio::test]
async fn it_pays_the_invoice_of_its_order_and_nothing_that_is_due_before() {
    let app = App::start().await;
    let customer = new_id();
    let older = app.invoice(&customer, "10.00", "2016-10-01T12:00:00Z").await;
    let invoice = app.invoice(&customer, "10.00", TIME).await;
    let paid = pay(&app, &invoice.order_id, &customer, "12.00").await;
    assert_eq!(allocated(&paid), [(invoice.invoice_id.clone(), "10.00".to_owned())]);
    assert_eq!(unallocated(&paid), "2.00");
    assert_eq!(app.state(&invoice).await, ("0.00".to_owned(), InvoiceStatus::Paid));
    assert_eq!(app.state(&older).await.0, "10.00");
    app.check_books().await;
}

#[tokio::test]
async fn it_waits_for_the_invoice_and_pays_it_as_it_is_issued() {
    let app = App::start().await;
    let (order, customer) = (new_id(), new_id());
    // It owes another invoice, which is none of this money's business.
    let older = app.invoice(&customer, "10.00", TIME).await;
    let waiting = pay(&app, &order, &customer, "12.00").await;
    assert_eq!((allocated(&waiting).len(), unallocated(&waiting)), (0, "12.00".to_owned()));

    let event = placed(&order, &customer);
    app.hear(&[event]).await;
    let invoice = app.invoice_of(&order).await;
    assert_eq!((invoice.status(), &invoice.paid), (InvoiceStatus::Paid, &money("10.00")));
    assert!(invoice.pay_time.is_some());
    let paid = app.get_payment(&waiting).await;
    assert_eq!(allocated(&paid), [(invoice.invoice_id.clone(), "10.00".to_owned())]);
    assert_eq!(unallocated(&paid), "2.00");
    assert_eq!(app.state(&older).await.0, "10.00");

    // All of it in one transaction, in this order, because the order was placed.
    let told: Vec<(String, bool)> = sqlx::query_as(
        "select event_type, payload ? 'causationid' from billing.events_log
         where xmin = (select xmin from billing.events_log order by id desc limit 1) order by id",
    )
    .fetch_all(&app.db)
    .await
    .unwrap();
    let expected = ["invoice.issued", "credit.allocated", "invoice.paid"];
    assert_eq!(told, expected.map(|event_type| (event_type.to_owned(), true)));
    let mut allocation = app.events("credit.allocated").await.remove(0);
    allocation.as_object_mut().unwrap().remove("allocationId").unwrap();
    assert_eq!(
        allocation,
        serde_json::json!({
            "customerId": customer,
            "allocations": [{
                "invoiceId": invoice.invoice_id,
                "amount": {"amount": "10.00", "currencyCode": "GBP"},
                "residual": {"amount": "0.00", "currencyCode": "GBP"},
            }],
            "amount": {"amount": "10.00", "currencyCode": "GBP"},
            "allocateDate": app.today().await.to_string(),
        })
    );

    // Once, however often the news comes.
    app.hear(&[placed(&order, &customer), placed(&order, &customer)]).await;
    assert_eq!(app.events("credit.allocated").await.len(), 1);
    assert_eq!(app.get_payment(&waiting).await, paid);
    app.check_books().await;
}

#[tokio::test]
async fn all_that_waits_for_an_order_pays_it_the_oldest_first() {
    let app = App::start().await;
    let (order, other, customer) = (new_id(), new_id(), new_id());
    let first = pay(&app, &order, &customer, "4.00").await;
    let second = pay(&app, &order, &customer, "9.00").await;
    let part = pay(&app, &other, &customer, "3.00").await;
    app.hear(&[placed(&order, &customer), placed(&other, &customer)]).await;
    let invoice = app.invoice_of(&order).await.invoice_id;
    let of = |amount: &str| [(invoice.clone(), amount.to_owned())];
    assert_eq!(allocated(&app.get_payment(&first).await), of("4.00"));
    let second = app.get_payment(&second).await;
    assert_eq!(
        (allocated(&second), unallocated(&second)),
        (of("6.00").to_vec(), "3.00".to_owned())
    );
    let (residual, status) = app.state(&app.invoice_of(&other).await).await;
    assert_eq!((residual.as_str(), status), ("7.00", InvoiceStatus::Overdue));
    // What is left over is no longer for the order: its invoice was there.
    app.reverse(&part).await;
    assert_eq!(app.state(&app.invoice_of(&other).await).await.0, "10.00");
    app.check_books().await;
}

#[tokio::test]
async fn what_was_used_refunded_or_bounced_meanwhile_is_not_there_any_more() {
    let app = App::start().await;
    let customer = new_id();
    let (used, refunded, bounced) = (new_id(), new_id(), new_id());
    pay(&app, &used, &customer, "10.00").await;
    app.invoice(&customer, "6.00", TIME).await;
    app.allocate(oldest_due(&customer)).await.unwrap();
    app.hear(&[placed(&used, &customer)]).await;
    assert_eq!(app.state(&app.invoice_of(&used).await).await.0, "6.00");

    pay(&app, &refunded, &customer, "10.00").await;
    app.refund(refund(&customer, "10.00")).await.unwrap();
    let back = pay(&app, &bounced, &customer, "10.00").await;
    app.reverse(&back).await;
    app.hear(&[placed(&refunded, &customer), placed(&bounced, &customer)]).await;
    for order in [refunded, bounced] {
        assert_eq!(app.state(&app.invoice_of(&order).await).await.0, "10.00");
    }
    app.check_books().await;
}

#[tokio::test]
async fn one_customer_does_not_pay_the_order_of_another() {
    let app = App::start().await;
    let (before, after, ann, bob) = (new_id(), new_id(), new_id(), new_id());
    let early = pay(&app, &before, &bob, "10.00").await;
    app.hear(&[placed(&before, &ann), placed(&after, &ann)]).await;
    let late = pay(&app, &after, &bob, "10.00").await;
    for (order, payment) in [(before, early), (after, late)] {
        assert_eq!(app.state(&app.invoice_of(&order).await).await.0, "10.00");
        assert_eq!(unallocated(&app.get_payment(&payment).await), "10.00");
    }
    app.check_books().await;
}

#[tokio::test]
async fn an_order_that_owes_nothing_leaves_the_money_as_credit() {
    let app = App::start().await;
    let customer = new_id();
    let (free, gone) = (new_id(), new_id());
    pay(&app, &free, &customer, "1.00").await;
    pay(&app, &gone, &customer, "10.00").await;
    // It is invoiced, paid and cancelled at once.
    app.hear(&[
        placed_at(&free, &customer, "0.00", "0.00", TIME),
        placed(&gone, &customer),
        cancelled(&gone),
    ])
    .await;
    assert_eq!(app.invoice_of(&gone).await.status(), InvoiceStatus::Voided);
    let voided = app.invoice(&customer, "10.00", TIME).await;
    app.void(void(&voided)).await.unwrap();
    pay(&app, &voided.order_id, &customer, "10.00").await;
    assert_eq!(app.balance(&customer).await, ("0.00".to_owned(), "21.00".to_owned()));
    assert_eq!(app.log.dead_letters().await, [""; 0]);
    app.check_books().await;
}

#[tokio::test]
async fn a_bounced_one_that_had_waited_is_owed_again() {
    let app = App::start().await;
    let (order, customer) = (new_id(), new_id());
    let waiting = pay(&app, &order, &customer, "12.00").await;
    app.hear(&[placed(&order, &customer)]).await;
    app.reverse(&waiting).await;
    assert_eq!(app.state(&app.invoice_of(&order).await).await.0, "10.00");
    assert_eq!(app.balance(&customer).await, ("10.00".to_owned(), "0.00".to_owned()));
    app.check_books().await;
}

#[tokio::test]
async fn the_order_is_part_of_what_was_paid() {
    let app = App::start().await;
    let customer = new_id();
    let request = of_order(&new_id(), &customer, "10.00");
    let first = app.record(request.clone()).await.unwrap();
    assert_eq!(app.record(request.clone()).await.unwrap(), first);
    for order_id in [new_id(), String::new()] {
        let other = RecordPaymentRequest { order_id, ..request.clone() };
        let refused = refusal(app.record(other).await);
        refused.is(Code::AlreadyExists, "PAYMENT_DIFFERS");
        assert_eq!(refused.facts, [format!("payment_id: {}", first.payment_id)]);
    }
    let both = RecordPaymentRequest { invoice_id: new_id(), ..request.clone() };
    refusal(app.record(both).await).names(&["order_id"]);
    let bad = RecordPaymentRequest { order_id: "x".to_owned(), ..request };
    refusal(app.record(bad).await).names(&["order_id"]);
}

#[tokio::test]
async fn a_thousand_paid_orders_are_invoiced_and_paid_in_a_handful_of_transactions() {
    let app = App::start().await;
    let customers: Vec<String> = (0..10).map(|_| new_id()).collect();
    let sales: Vec<(String, &String)> =
        customers.iter().cycle().take(1000).map(|customer| (new_id(), customer)).collect();
    for some in sales.chunks(100) {
        let some = some.iter().map(|(order, customer)| pay(&app, order, customer, "10.00"));
        futures::future::join_all(some).await;
    }
    let events: Vec<_> = sales.iter().map(|(order, customer)| placed(order, customer)).collect();
    app.hear(&events).await;
    let (paid, transactions): (i64, i64) = sqlx::query_as(
        "select count(*) filter (where status = 'paid'), count(distinct xmin::text) from billing.invoices",
    )
    .fetch_one(&app.db)
    .await
    .unwrap();
    assert_eq!(paid, 1000);
    assert!(transactions <= 50, "{transactions} transactions");
    app.check_books().await;
}
