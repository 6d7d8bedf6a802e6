use proto::billing::v1 as pb;

use testkit::refusal;

use crate::app::{App, new_id, payment, refund};

async fn on(app: &App, customer: &str, day: &str) -> [String; 3] {
    let request = pb::GetCustomerBalanceRequest {
        customer_id: customer.to_owned(),
        as_of_date: day.to_owned(),
    };
    let balance = app.client.clone().get_customer_balance(request).await.unwrap().into_inner();
    [balance.owed, balance.overdue, balance.credit].map(|amount| amount.unwrap().amount)
}

#[tokio::test]
async fn it_is_that_of_the_end_of_a_day() {
    let app = App::start().await;
    let customer = new_id();
    app.invoice(&customer, "10.00", "2016-10-01T12:00:00Z").await;
    app.invoice(&customer, "20.00", "2016-10-21T12:00:00Z").await;
    let time: chrono::DateTime<chrono::Utc> = "2016-11-10T12:00:00Z".parse().unwrap();
    let receive_time = Some(rpc::to_time(time));
    let request = pb::RecordPaymentRequest { receive_time, ..payment(&customer, "35.00") };
    app.record(request).await.unwrap();
    app.invoice(&new_id(), "99.00", "2016-10-01T12:00:00Z").await;
    app.refund(refund(&customer, "1.00")).await.unwrap();

    for (day, expected) in [
        ("2016-09-30", ["0.00", "0.00", "0.00"]),
        ("2016-10-01", ["10.00", "0.00", "0.00"]),
        ("2016-10-31", ["30.00", "0.00", "0.00"]),
        ("2016-11-01", ["30.00", "10.00", "0.00"]),
        ("2016-11-09", ["30.00", "10.00", "0.00"]),
        ("2016-11-10", ["0.00", "0.00", "5.00"]),
        ("", ["0.00", "0.00", "4.00"]),
    ] {
        assert_eq!(on(&app, &customer, day).await, expected, "{day}");
    }
    assert_eq!(on(&app, &new_id(), "").await, ["0.00", "0.00", "0.00"]);
}

#[tokio::test]
async fn every_bad_field_is_named() {
    let app = App::start().await;
    let bad = pb::GetCustomerBalanceRequest {
        customer_id: String::new(),
        as_of_date: "2016-13-01".to_owned(),
    };
    refusal(app.client.clone().get_customer_balance(bad).await)
        .names(&["customer_id", "as_of_date"]);
}
