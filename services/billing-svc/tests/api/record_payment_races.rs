use std::collections::HashSet;

use futures::future::join_all;
use proto::billing::v1::{InvoiceStatus, RecordPaymentRequest};

use crate::app::{App, cancelled, new_id, payment, placed, placed_at};

const TIME: &str = "2026-10-01T12:00:00Z";

async fn count(app: &App, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(&app.db).await.unwrap()
}

#[tokio::test]
async fn a_hundred_equal_payments_at_once_are_one() {
    let app = App::start().await;
    let customer = new_id();
    let invoice = app.invoice(&customer, "10.00", TIME).await;
    let plain = payment(&customer, "4.00");
    let with_id = RecordPaymentRequest { request_id: new_id(), ..payment(&customer, "4.00") };
    let stranger = payment(&new_id(), "4.00");
    let (named, unknown) = (invoice.order_id.clone(), new_id());
    let of_order = RecordPaymentRequest { order_id: named, ..payment(&customer, "1.00") };
    let ahead = RecordPaymentRequest { order_id: unknown, ..payment(&customer, "4.00") };
    for request in [plain, with_id, stranger, of_order, ahead] {
        let all = join_all((0..100).map(|_| app.record(request.clone()))).await;
        let ids: HashSet<String> =
            all.into_iter().map(|payment| payment.unwrap().payment_id).collect();
        assert_eq!(ids.len(), 1);
    }
    assert_eq!(count(&app, "select count(*) from billing.payments").await, 5);
    assert_eq!(app.state(&invoice).await.0, "1.00");
    app.check_books().await;
}

#[tokio::test]
async fn a_hundred_payments_of_one_invoice_at_once_never_overpay_it() {
    let app = App::start().await;
    let customer = new_id();
    let invoice = app.invoice(&customer, "100.00", TIME).await;
    let requests = (0..100).map(|n| RecordPaymentRequest {
        // Half name it, the others pay what is due.
        invoice_id: if n % 2 == 0 { invoice.invoice_id.clone() } else { String::new() },
        ..payment(&customer, "3.00")
    });
    for payment in join_all(requests.map(|request| app.record(request))).await {
        payment.unwrap();
    }
    assert_eq!(app.state(&invoice).await, ("0.00".to_owned(), InvoiceStatus::Paid));
    let credit = "select sum(unallocated * 100)::bigint from billing.payments";
    assert_eq!(count(&app, credit).await, 20_000, "300.00 came for 100.00");
    assert_eq!(app.events("invoice.paid").await.len(), 1);
    assert_eq!(app.log.told_of(&invoice.invoice_id).await.len(), 2);
    app.check_books().await;
}

#[tokio::test]
async fn a_hundred_payments_of_an_order_while_it_is_invoiced_pay_it_once() {
    let app = App::start().await;
    let (order, customer) = (new_id(), new_id());
    let placed = [placed_at(&order, &customer, "100.00", "0.00", TIME)];
    let all = (0..100)
        .map(|_| RecordPaymentRequest { order_id: order.clone(), ..payment(&customer, "3.00") });
    let (all, ()) =
        tokio::join!(join_all(all.map(|request| app.record(request))), app.hear(&placed));
    all.into_iter().for_each(|payment| drop(payment.unwrap()));
    let invoice = app.invoice_of(&order).await;
    assert_eq!(app.state(&invoice).await, ("0.00".to_owned(), InvoiceStatus::Paid));
    assert_eq!(app.balance(&customer).await, ("0.00".to_owned(), "200.00".to_owned()));
    assert_eq!(app.events("invoice.paid").await.len(), 1);
    app.check_books().await;
}

#[tokio::test]
async fn orders_that_are_paid_while_they_are_invoiced_do_not_stay_unpaid() {
    let app = App::start().await;
    let customers = [new_id(), new_id(), new_id()];
    let sales: Vec<(String, &String)> =
        customers.iter().cycle().take(200).map(|customer| (new_id(), customer)).collect();
    for some in sales.chunks(20) {
        let events: Vec<_> = some.iter().map(|(order, customer)| placed(order, customer)).collect();
        // One till after the other, while they are invoiced.
        let tills = async {
            for (order, customer) in some {
                let order_id = order.clone();
                let paid = RecordPaymentRequest { order_id, ..payment(customer, "10.00") };
                app.record(paid).await.unwrap();
            }
        };
        tokio::join!(app.hear(&events), tills);
    }
    let unpaid = "select count(*) from billing.invoices where status <> 'paid'";
    assert_eq!(count(&app, unpaid).await, 0);
    let credit = "select sum(unallocated * 100)::bigint from billing.payments";
    assert_eq!(count(&app, credit).await, 0);
    let both = "select count(distinct kind) from billing.receivable_movements where kind in ('payment', 'allocation')";
    assert_eq!(count(&app, both).await, 2, "either has found the other");
    app.check_books().await;
}

#[tokio::test]
async fn payments_of_many_invoices_do_not_wait_in_a_circle() {
    let app = App::start().await;
    let customer = new_id();
    let orders: Vec<String> = (0..20).map(|_| new_id()).collect();
    app.hear(&orders.iter().map(|order| placed(order, &customer)).collect::<Vec<_>>()).await;
    let payments = (0..60).map(|_| payment(&customer, "7.00")).map(|request| app.record(request));
    let cancellations = async {
        for some in orders.chunks(4) {
            app.hear(&some.iter().rev().map(|order| cancelled(order)).collect::<Vec<_>>()).await;
        }
    };
    let sweeps = async {
        for _ in 0..20 {
            let later = "2027-10-01T12:00:00Z".parse().unwrap();
            app.sweeper.step_at(later).await.unwrap();
        }
    };
    let (payments, (), ()) = tokio::join!(join_all(payments), cancellations, sweeps);
    for payment in payments {
        payment.unwrap();
    }
    assert_eq!(app.log.dead_letters().await, [""; 0]);
    assert_eq!(
        count(&app, "select count(*) from billing.invoices where status <> 'voided'").await,
        0
    );
    let credit = "select ((select sum(unallocated) from billing.payments)
                          + (select coalesce(sum(credited), 0) from billing.credit_notes))::bigint";
    assert_eq!(count(&app, credit).await, 420, "all of the money is credit");
    app.check_books().await;
}
