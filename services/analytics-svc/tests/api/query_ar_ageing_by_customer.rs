use manifest::tables::OPEN_INVOICES;
use proto::analytics::v1::{
    CustomerAgeing, GetArAgeingRequest, QueryArAgeingByCustomerRequest as Query,
};
use testkit::refusal;
use tonic::Code;

use crate::{
    app::{App, amount, counted},
    olap::ageing,
    rows::{amounts, days, ids},
};

/// The six amounts of a customer, behind the last digit of the id.
fn shown(customer: &CustomerAgeing) -> String {
    let owed = [
        &customer.current,
        &customer.bucket_30,
        &customer.bucket_60,
        &customer.bucket_90,
        &customer.bucket_over_90,
        &customer.total_ar,
    ];
    let owed = owed.map(|money| amount(money.as_ref()));
    format!("{} {}", &customer.customer_id[35..], owed.join(" "))
}

/// What is late is so on the day that had begun in London, and not yet in UTC.
fn publish(app: &App) {
    let total = ["100.00", "3.00", "12.00", "48.00", "64.01", "227.01"];
    let invoices = [
        (2, "2026-07-31", "100.00"),
        (2, "2026-07-30", "1.00"),
        (1, "2026-07-01", "2.00"),
        (1, "2026-06-30", "4.00"),
        (1, "2026-06-01", "8.00"),
        (1, "2026-05-31", "16.00"),
        (1, "2026-05-02", "32.00"),
        (3, "2026-05-01", "64.01"),
    ];
    let column = |of: fn(&(u128, &'static str, &'static str)) -> &'static str| {
        invoices.iter().map(of).collect::<Vec<_>>()
    };
    let rows = vec![
        ids(&(10..18).collect::<Vec<_>>()),
        ids(&invoices.iter().map(|invoice| invoice.0).collect::<Vec<_>>()),
        days(&column(|invoice| invoice.1)),
        amounts(&column(|invoice| invoice.2)),
    ];
    let files = vec![
        app.olap.rows(OPEN_INVOICES, rows),
        app.olap.file("ar_ageing", &ageing(&[("2026-07-30T23:30:00Z", total)])),
    ];
    app.olap.publish(3, files);
}

#[tokio::test]
async fn what_customers_owe_sums_to_what_is_owed() {
    let app = App::start().await;
    publish(&app);
    let mut client = app.client.clone();
    let answer = client.query_ar_ageing_by_customer(Query::default()).await.unwrap().into_inner();
    assert_eq!(answer.as_of_date, "2026-07-31");
    assert_eq!(
        answer.customers.iter().map(shown).collect::<Vec<_>>(),
        [
            "1 0.00 2.00 12.00 48.00 0.00 62.00",
            "2 100.00 1.00 0.00 0.00 0.00 101.00",
            "3 0.00 0.00 0.00 0.00 64.01 64.01"
        ]
    );
    assert_eq!(counted(answer.watermark.as_ref()), 3);
    let whole = app.ageing(GetArAgeingRequest::default()).await.unwrap();
    assert_eq!(amount(whole.total_ar.as_ref()), "227.01");

    let page = Query { page_size: 2, ..Query::default() };
    let first = client.query_ar_ageing_by_customer(page.clone()).await.unwrap().into_inner();
    let rest = Query { page_token: first.next_page_token, ..page };
    let rest = client.query_ar_ageing_by_customer(rest).await.unwrap().into_inner();
    assert_eq!([first.customers, rest.customers].concat(), answer.customers);
}

#[tokio::test]
async fn without_any_day_there_is_none() {
    let app = App::start().await;
    app.olap.publish(3, Vec::new());
    let refused = refusal(app.client.clone().query_ar_ageing_by_customer(Query::default()).await);
    refused.is(Code::NotFound, "AGEING_NOT_FOUND");
    let forged = Query { page_token: "x.1".to_owned(), page_size: -1, ..Query::default() };
    let refused = refusal(app.client.clone().query_ar_ageing_by_customer(forged).await);
    refused.names(&["page_size", "page_token"]);
}
