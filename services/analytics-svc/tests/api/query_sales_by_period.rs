use proto::analytics::v1::{
    Period, QuerySalesByPeriodRequest as Query, QuerySalesByPeriodResponse,
};
use testkit::refusal;

use crate::{
    app::{App, amount, counted, position},
    olap::sales,
};

fn by(period: Period) -> Query {
    Query { period: period.into(), ..Query::default() }
}

/// As `first last amount orders`.
fn shown(answer: &QuerySalesByPeriodResponse) -> Vec<String> {
    let periods = answer.periods.iter().map(|of| {
        let sold = amount(of.total_amount.as_ref());
        format!("{} {} {sold} {}", of.start_date, of.end_date, of.order_count)
    });
    periods.collect()
}

async fn ask(app: &App, query: Query) -> QuerySalesByPeriodResponse {
    app.client.clone().query_sales_by_period(query).await.unwrap().into_inner()
}

/// Over the end of a year, with summer time, and in files whose hours do not follow each other.
fn publish(app: &App) {
    let first = sales(&[
        ("2026-07-31T22:59:00Z", "1.00", 1),
        ("2026-07-31T23:00:00Z", "2.00", 1),
        ("2026-12-31T23:00:00Z", "4.00", 1),
    ]);
    let second = sales(&[
        ("2027-01-01T00:00:00Z", "8.01", 1),
        ("2027-01-03T23:00:00Z", "16.00", 2),
        ("2027-01-04T00:00:00Z", "32.00", 3),
        // All of it was cancelled.
        ("2027-02-01T00:00:00Z", "0.00", 0),
    ]);
    let files = [first, second].map(|rows| app.olap.file("sales_by_hour", &rows));
    app.olap.publish(9, files.to_vec());
}

#[tokio::test]
async fn sales_add_up_by_business_day_week_and_month() {
    let app = App::start().await;
    publish(&app);
    let days = ask(&app, by(Period::Day)).await;
    assert_eq!(
        shown(&days),
        [
            "2026-07-31 2026-07-31 1.00 1",
            "2026-08-01 2026-08-01 2.00 1",
            "2026-12-31 2026-12-31 4.00 1",
            "2027-01-01 2027-01-01 8.01 1",
            "2027-01-03 2027-01-03 16.00 2",
            "2027-01-04 2027-01-04 32.00 3",
        ]
    );
    assert_eq!(counted(days.watermark.as_ref()), 9);
    // Weeks go on over the end of a year.
    assert_eq!(
        shown(&ask(&app, by(Period::Week)).await),
        [
            "2026-07-27 2026-08-02 3.00 2",
            "2026-12-28 2027-01-03 28.01 4",
            "2027-01-04 2027-01-10 32.00 3"
        ]
    );
    assert_eq!(
        shown(&ask(&app, by(Period::Month)).await),
        [
            "2026-07-01 2026-07-31 1.00 1",
            "2026-08-01 2026-08-31 2.00 1",
            "2026-12-01 2026-12-31 4.00 1",
            "2027-01-01 2027-01-31 56.01 6"
        ]
    );
}

#[tokio::test]
async fn days_are_those_of_the_business() {
    let app = App::start_with(&["--time-zone", "Pacific/Auckland"]).await;
    publish(&app);
    let months = shown(&ask(&app, by(Period::Month)).await);
    assert_eq!(months[0], "2026-08-01 2026-08-31 3.00 2");
}

#[tokio::test]
async fn only_hours_of_the_days_asked_for_count() {
    let app = App::start().await;
    publish(&app);
    let within = |start: &str, end: &str| Query {
        start_date: start.to_owned(),
        end_date: end.to_owned(),
        ..by(Period::Month)
    };
    let cases = [
        (within("2026-08-01", ""), "2026-08-01 2026-08-31 2.00 1", 3),
        (within("", "2026-07-31"), "2026-07-01 2026-07-31 1.00 1", 1),
        (within("2027-01-03", "2027-01-03"), "2027-01-01 2027-01-31 16.00 2", 1),
        (within("1900-01-01", "2999-12-31"), "2026-07-01 2026-07-31 1.00 1", 4),
    ];
    for (query, first, count) in cases {
        let periods = shown(&ask(&app, query.clone()).await);
        assert_eq!((periods[0].as_str(), periods.len()), (first, count), "{query:?}");
    }
}

#[tokio::test]
async fn pages_join_to_the_whole() {
    let app = App::start().await;
    publish(&app);
    let all = shown(&ask(&app, by(Period::Day)).await);
    let (mut paged, mut query) = (Vec::new(), Query { page_size: 2, ..by(Period::Day) });
    loop {
        let page = ask(&app, query.clone()).await;
        assert!(page.periods.len() <= 2);
        paged.extend(shown(&page));
        query.page_token = page.next_page_token;
        if query.page_token.is_empty() {
            break;
        }
    }
    assert_eq!(paged, all);
    let other = Query {
        page_token: ask(&app, Query { page_size: 1, ..by(Period::Day) }).await.next_page_token,
        ..by(Period::Week)
    };
    refusal(app.client.clone().query_sales_by_period(other).await).names(&["page_token"]);
}

#[tokio::test]
async fn every_bad_field_is_named() {
    let app = App::start().await;
    publish(&app);
    let bad = Query {
        period: 0,
        start_date: "2026-11-25".to_owned(),
        end_date: "2026-11-24".to_owned(),
        page_size: 10_001,
        page_token: "x".to_owned(),
        min_position: vec![position("hr", 1)],
    };
    let refused = refusal(app.client.clone().query_sales_by_period(bad).await);
    refused.names(&["period", "end_date", "page_size", "page_token", "min_position[0].source"]);
    let bad = Query {
        period: 7,
        start_date: "' or 1".to_owned(),
        end_date: "x".to_owned(),
        ..Query::default()
    };
    let refused = refusal(app.client.clone().query_sales_by_period(bad).await);
    refused.names(&["period", "start_date", "end_date"]);
}
