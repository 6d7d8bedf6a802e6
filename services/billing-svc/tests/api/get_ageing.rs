use chrono::{Days, NaiveDate};
use proto::billing::v1 as pb;
use tonic::Status;

use testkit::refusal;

use crate::app::{
    App, cancelled, credit_note, new_id, oldest_due, payment, placed_at, void, write_off,
};

/// Of all customers, or of one.
async fn ageing(app: &App, day: &str, customer: &str) -> pb::GetAgeingResponse {
    let request = pb::GetAgeingRequest {
        as_of_date: day.to_owned(),
        customer_id: customer.to_owned(),
        ..Default::default()
    };
    ask(app, request).await.unwrap()
}

async fn ask(app: &App, request: pb::GetAgeingRequest) -> Result<pb::GetAgeingResponse, Status> {
    Ok(app.client.clone().get_ageing(request).await?.into_inner())
}

/// Current, to 30, to 60, to 90, over 90, and the total.
fn amounts(buckets: &pb::AgeingBuckets) -> [String; 6] {
    [
        &buckets.current,
        &buckets.days_1_to_30,
        &buckets.days_31_to_60,
        &buckets.days_61_to_90,
        &buckets.days_over_90,
        &buckets.total,
    ]
    .map(|amount| amount.clone().unwrap().amount)
}

async fn totals(app: &App, day: &str) -> [String; 6] {
    amounts(&ageing(app, day, "").await.total.unwrap())
}

/// An invoice that is due so many days before a day: terms are 30 days.
async fn late(app: &App, customer: &str, day: &str, days: u64, amount: &str) -> pb::Invoice {
    let day: NaiveDate = day.parse().unwrap();
    let placed = day - Days::new(days + 30);
    let invoice = app.invoice(customer, amount, &format!("{placed}T12:00:00Z")).await;
    assert_eq!(invoice.due_date, (day - Days::new(days)).to_string());
    invoice
}

async fn pay_on(app: &App, invoice: &pb::Invoice, amount: &str, time: &str) {
    let time: chrono::DateTime<chrono::Utc> = time.parse().unwrap();
    let request = pb::RecordPaymentRequest {
        invoice_id: invoice.invoice_id.clone(),
        receive_time: Some(rpc::to_time(time)),
        ..payment(&invoice.customer_id, amount)
    };
    app.record(request).await.unwrap();
}

/// All that is owed and all credit at the end of a day, by the movements themselves.
async fn moved(app: &App, day: &str) -> String {
    sqlx::query_scalar(
        "select coalesce(sum(amount), 0.00)::text from billing.receivable_movements where effective_date <= $1::text::date",
    )
    .bind(day)
    .fetch_one(&app.db)
    .await
    .unwrap()
}

#[tokio::test]
async fn each_invoice_is_in_the_bucket_of_the_days_that_it_is_late() {
    let app = App::start().await;
    let (customer, day) = (new_id(), "2016-11-15");
    for (days, amount) in [
        (0, "0.01"),
        (1, "0.02"),
        (30, "0.04"),
        (31, "0.08"),
        (60, "0.16"),
        (61, "0.32"),
        (90, "0.64"),
        (91, "1.28"),
    ] {
        late(&app, &customer, day, days, amount).await;
    }
    let part = late(&app, &customer, day, 45, "10.00").await;
    pay_on(&app, &part, "9.00", "2016-11-15T12:00:00Z").await;
    pay_on(&app, &part, "0.50", "2016-11-16T12:00:00Z").await;
    let over = late(&app, &customer, day, 75, "20.00").await;
    pay_on(&app, &over, "25.00", "2016-11-01T12:00:00Z").await;
    let credited = late(&app, &customer, day, 20, "30.00").await;
    app.credit_note(credit_note(&credited, "30.00")).await.unwrap();
    let voided = late(&app, &customer, day, 20, "40.00").await;
    app.void(void(&voided)).await.unwrap();
    let lost = late(&app, &customer, day, 200, "50.00").await;
    app.write_off(write_off(&lost)).await.unwrap();

    // What ended after the day was owed on the day, and what was paid after it, too.
    assert_eq!(
        totals(&app, day).await,
        ["0.01", "70.06", "1.24", "0.96", "51.28", "123.55"].map(str::to_owned)
    );
    // A day later one more is late, and 0.50 came.
    assert_eq!(
        totals(&app, "2016-11-16").await,
        ["0.00", "70.03", "0.62", "0.48", "51.92", "123.05"].map(str::to_owned)
    );
    let today = app.today().await.to_string();
    let [.., over_90, total] = totals(&app, &today).await;
    assert_eq!((over_90.as_str(), total.as_str()), ("3.05", "3.05"), "0.50 of the part, and eight");
    let overpaid = app.balance(&customer).await;
    assert_eq!(overpaid, ("3.05".to_owned(), "5.00".to_owned()), "credit is not netted");
    assert_eq!(totals(&app, "").await, totals(&app, &today).await);
    app.check_books().await;
}

#[tokio::test]
async fn on_every_day_the_buckets_are_what_account_1100_is() {
    let app = App::start().await;
    let (ann, bob) = (new_id(), new_id());
    for (customer, days) in [(&ann, 3), (&bob, 40), (&ann, 70), (&bob, 100)] {
        let invoice = late(&app, customer, "2016-12-01", days, "10.00").await;
        pay_on(&app, &invoice, "4.00", &format!("2016-11-{:02}T12:00:00Z", 1 + days % 28)).await;
    }
    let ahead = app.invoice(&ann, "7.00", "2016-11-20T12:00:00Z").await;
    pay_on(&app, &ahead, "7.00", "2016-11-10T12:00:00Z").await;
    let mut day: NaiveDate = "2016-07-20".parse().unwrap();
    while day <= "2017-01-20".parse().unwrap() {
        let text = day.to_string();
        let answer = ageing(&app, &text, "").await;
        let [buckets @ .., total] = amounts(&answer.total.unwrap());
        assert_eq!(total, moved(&app, &text).await, "{day}");
        let pence = |text: &String| text.replace('.', "").parse::<i64>().unwrap();
        assert_eq!(buckets.iter().map(pence).sum::<i64>(), pence(&total), "{day}");
        let customers = answer.customers.iter().map(|one| {
            let [.., total] = amounts(one.buckets.as_ref().unwrap());
            pence(&total)
        });
        assert_eq!(customers.sum::<i64>(), pence(&total), "{day}");
        day = day + Days::new(1);
    }
    // 6.00 of another one, and money for one that was not issued yet.
    let early = ageing(&app, "2016-11-15", &ann).await.total.unwrap();
    assert_eq!(amounts(&early)[0], "-1.00");
}

#[tokio::test]
async fn when_clocks_change_days_are_still_those_of_the_business() {
    let app = App::start().await;
    let customer = new_id();
    // Clocks went back on 2016-10-30: half past eleven at night was the next day before it, and the same day after it.
    for (placed, due, amount) in [
        ("2016-10-15T23:30:00Z", "2016-11-15", "0.01"),
        ("2016-10-16T22:30:00Z", "2016-11-15", "0.02"),
        ("2016-10-16T23:30:00Z", "2016-11-16", "0.04"),
        ("2016-10-30T23:30:00Z", "2016-11-29", "0.08"),
        // And forward on 2016-03-27.
        ("2016-03-26T23:30:00Z", "2016-04-25", "0.16"),
        ("2016-03-27T23:30:00Z", "2016-04-27", "0.32"),
    ] {
        let invoice = app.invoice(&customer, amount, placed).await;
        assert_eq!(invoice.due_date, due, "{placed}");
    }
    let on = async |day: &str| {
        let [current, to_30, .., total] = totals(&app, day).await;
        (current, to_30, total)
    };
    let all = |current: &str, late: &str, total: &str| {
        (current.to_owned(), late.to_owned(), total.to_owned())
    };
    assert_eq!(on("2016-03-26").await, all("0.16", "0.00", "0.16"));
    assert_eq!(on("2016-03-27").await, all("0.16", "0.00", "0.16"));
    assert_eq!(on("2016-03-28").await, all("0.48", "0.00", "0.48"));
    assert_eq!(on("2016-04-26").await, all("0.32", "0.16", "0.48"));
    assert_eq!(on("2016-11-15").await, all("0.15", "0.00", "0.63"), "due that day is not late");
    assert_eq!(on("2016-11-16").await, all("0.12", "0.03", "0.63"));
    assert_eq!(on("2016-11-29").await, all("0.08", "0.07", "0.63"));
    assert_eq!(on("2016-11-30").await, all("0.00", "0.15", "0.63"));
}

#[tokio::test]
async fn today_by_the_databases_clock() {
    let app = App::start().await;
    let customer = new_id();
    for (days, amount) in [
        (30, "0.01"),
        (31, "0.02"),
        (60, "0.04"),
        (61, "0.08"),
        (90, "0.16"),
        (91, "0.32"),
        (120, "0.64"),
        (121, "1.28"),
    ] {
        let placed = app.days_ago(days).await;
        app.invoice(&customer, amount, &placed).await;
    }
    let order = new_id();
    let placed = app.days_ago(100).await;
    app.hear(&[placed_at(&order, &customer, "9.00", "1.50", &placed)]).await;
    app.hear(&[cancelled(&order)]).await;
    // A bounce makes it owed again, as late as it is.
    let bounced = app.pay(&customer, "1.28").await;
    app.reverse(&bounced).await;
    assert_eq!(
        totals(&app, "").await,
        ["0.01", "0.06", "0.24", "0.96", "1.28", "2.55"].map(str::to_owned)
    );
    app.pay(&customer, "1.50").await;
    assert_eq!(
        totals(&app, "").await,
        ["0.01", "0.06", "0.24", "0.74", "0.00", "1.05"].map(str::to_owned)
    );
    // In ten days, if nobody pays.
    let later = (app.today().await + Days::new(10)).to_string();
    assert_eq!(
        totals(&app, &later).await,
        ["0.00", "0.03", "0.12", "0.48", "0.42", "1.05"].map(str::to_owned)
    );
    app.check_books().await;
}

#[tokio::test]
async fn customers_come_page_by_page_and_the_total_is_that_of_all() {
    let app = App::start().await;
    let mut customers: Vec<String> = (0..5).map(|_| new_id()).collect();
    customers.sort();
    for customer in &customers {
        app.invoice(customer, "10.00", "2016-10-01T12:00:00Z").await;
    }
    let settled = new_id();
    app.invoice(&settled, "3.00", "2016-10-01T12:00:00Z").await;
    app.pay(&settled, "4.00").await;
    assert_eq!(
        app.allocate(oldest_due(&settled)).await.unwrap_err().code(),
        tonic::Code::FailedPrecondition
    );

    let (mut seen, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = pb::GetAgeingRequest { page_size: 2, page_token, ..Default::default() };
        let page = ask(&app, request).await.unwrap();
        assert_eq!(amounts(&page.total.unwrap())[5], "50.00");
        assert!(page.customers.len() <= 2);
        seen.extend(page.customers.into_iter().map(|one| one.customer_id));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(seen, customers);
    let one = ageing(&app, "", &customers[3]).await;
    assert_eq!(one.customers.len(), 1);
    assert_eq!(amounts(&one.total.unwrap())[5], "10.00");
    let nobody = ageing(&app, "", &new_id()).await;
    assert_eq!(
        (nobody.customers.len(), &amounts(&nobody.total.unwrap())[5]),
        (0, &"0.00".to_owned())
    );
}

#[tokio::test]
async fn every_bad_field_is_named() {
    let app = App::start().await;
    let bad = pb::GetAgeingRequest {
        as_of_date: "yesterday".to_owned(),
        customer_id: "ann".to_owned(),
        page_size: -1,
        page_token: "x".to_owned(),
    };
    refusal(ask(&app, bad).await).names(&["page_size", "page_token", "as_of_date", "customer_id"]);
}
