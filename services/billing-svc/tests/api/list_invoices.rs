use proto::billing::v1::{self as pb, InvoiceStatus};
use tonic::Status;

use testkit::refusal;

use crate::app::{App, cancelled, new_id, placed, write_off};

async fn list(
    app: &App,
    request: pb::ListInvoicesRequest,
) -> Result<(Vec<String>, String), Status> {
    let page = app.client.clone().list_invoices(request).await?.into_inner();
    let numbers = page.invoices.into_iter().map(|invoice| invoice.number).collect();
    Ok((numbers, page.next_page_token))
}

#[tokio::test]
async fn the_newest_come_first_page_by_page() {
    let app = App::start().await;
    let customer = new_id();
    let events: Vec<_> = (0..5).map(|_| placed(&new_id(), &customer)).collect();
    app.hear(&events).await;
    let first = pb::ListInvoicesRequest { page_size: 2, ..Default::default() };
    let (numbers, token) = list(&app, first.clone()).await.unwrap();
    assert_eq!(numbers, ["INV-000005", "INV-000004"]);
    // One that comes meanwhile moves nothing.
    app.invoice(&customer, "1.00", "2026-10-01T12:00:00Z").await;
    let second = pb::ListInvoicesRequest { page_token: token, ..first.clone() };
    let (numbers, token) = list(&app, second).await.unwrap();
    assert_eq!(numbers, ["INV-000003", "INV-000002"]);
    let third = pb::ListInvoicesRequest { page_token: token, ..first };
    assert_eq!(list(&app, third).await.unwrap(), (vec!["INV-000001".to_owned()], String::new()));
}

#[tokio::test]
async fn filters_choose_by_customer_and_by_how_it_stands_today() {
    let app = App::start().await;
    let (ann, bob) = (new_id(), new_id());
    let today = app.days_ago(0).await;
    let paid = app.invoice(&ann, "10.00", &today).await; // 1
    app.pay_invoice(&paid, "10.00").await;
    app.invoice(&ann, "10.00", &today).await; // 2, issued
    app.invoice(&bob, "10.00", &today).await; // 3, issued
    app.invoice(&ann, "10.00", "2016-10-01T12:00:00Z").await; // 4, overdue and marked
    app.sweeper.step().await.unwrap();
    app.invoice(&ann, "10.00", "2016-10-01T12:00:00Z").await; // 5, overdue and not marked yet
    let voided = app.invoice(&bob, "10.00", &today).await; // 6
    app.hear(&[cancelled(&voided.order_id)]).await;

    let of = async |customer: &str, status: InvoiceStatus| {
        let request = pb::ListInvoicesRequest {
            customer_id: customer.to_owned(),
            status: status.into(),
            ..Default::default()
        };
        let (numbers, token) = list(&app, request).await.unwrap();
        assert_eq!(token, "");
        numbers
            .iter()
            .map(|number| number.trim_start_matches("INV-00000").to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(of("", InvoiceStatus::Unspecified).await, ["6", "5", "4", "3", "2", "1"]);
    assert_eq!(of(&bob, InvoiceStatus::Unspecified).await, ["6", "3"]);
    assert_eq!(of("", InvoiceStatus::Issued).await, ["3", "2"]);
    assert_eq!(of(&ann, InvoiceStatus::Issued).await, ["2"]);
    assert_eq!(of("", InvoiceStatus::Overdue).await, ["5", "4"]);
    assert_eq!(of(&bob, InvoiceStatus::Overdue).await, [""; 0]);
    assert_eq!(of("", InvoiceStatus::Paid).await, ["1"]);
    assert_eq!(of("", InvoiceStatus::Voided).await, ["6"]);
}

#[tokio::test]
async fn every_bad_field_is_named() {
    let app = App::start().await;
    let bad = pb::ListInvoicesRequest {
        page_size: 1001,
        page_token: "x".to_owned(),
        customer_id: "ann".to_owned(),
        status: 99,
        due_date_from: "soon".to_owned(),
        due_date_to: "2026-02-30".to_owned(),
    };
    refusal(list(&app, bad).await).names(&[
        "page_size",
        "page_token",
        "customer_id",
        "due_date_from",
        "due_date_to",
        "status",
    ]);

    let backwards = pb::ListInvoicesRequest {
        due_date_from: "2026-10-02".to_owned(),
        due_date_to: "2026-10-01".to_owned(),
        ..Default::default()
    };
    refusal(list(&app, backwards).await).names(&["due_date_to"]);

    let customer = new_id();
    app.hear(&[placed(&new_id(), &customer), placed(&new_id(), &customer)]).await;
    let first = pb::ListInvoicesRequest { page_size: 1, ..Default::default() };
    let (_, page_token) = list(&app, first.clone()).await.unwrap();
    let other = pb::ListInvoicesRequest { page_token, customer_id: customer, ..first };
    refusal(list(&app, other).await).names(&["page_token"]);
}

#[tokio::test]
async fn filters_choose_by_due_date_too() {
    let app = App::start().await;
    let (ann, bob) = (new_id(), new_id());
    for (customer, day, due) in [
        (&ann, 1, "2016-10-31"),
        (&bob, 2, "2016-11-01"),
        (&ann, 3, "2016-11-02"),
        (&ann, 4, "2016-11-03"),
    ] {
        let placed = format!("2016-10-{day:02}T12:00:00Z");
        assert_eq!(app.invoice(customer, "10.00", &placed).await.due_date, due);
    }
    let of = async |customer: &str, status: InvoiceStatus, from: &str, to: &str| {
        let request = pb::ListInvoicesRequest {
            customer_id: customer.to_owned(),
            status: status.into(),
            due_date_from: from.to_owned(),
            due_date_to: to.to_owned(),
            ..Default::default()
        };
        list(&app, request).await.unwrap().0
    };
    let any = InvoiceStatus::Unspecified;
    let number = |n: i32| format!("INV-00000{n}");
    assert_eq!(of("", any, "2016-11-01", "").await, [number(4), number(3), number(2)]);
    assert_eq!(of("", any, "", "2016-11-01").await, [number(2), number(1)]);
    assert_eq!(of(&ann, any, "2016-10-31", "2016-11-02").await, [number(3), number(1)]);
    assert_eq!(of("", InvoiceStatus::Overdue, "2016-11-02", "2016-11-02").await, [number(3)]);
    assert_eq!(of("", InvoiceStatus::Issued, "2016-11-02", "2016-11-02").await, [""; 0]);
    let lost = app.invoice(&bob, "1.00", "2016-10-01T12:00:00Z").await;
    app.write_off(write_off(&lost)).await.unwrap();
    assert_eq!(of("", InvoiceStatus::WrittenOff, "", "").await, [number(5)]);
}
