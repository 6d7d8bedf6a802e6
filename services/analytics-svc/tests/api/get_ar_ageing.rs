use proto::analytics::v1::{GetArAgeingRequest as Query, GetArAgeingResponse};
use tonic::Code;

use testkit::refusal;

use crate::{
    app::{App, amount, counted, position},
    olap::ageing,
};

const AGEING: &str = "ar_ageing";

fn on(day: &str) -> Query {
    Query { as_of_date: day.to_owned(), ..Query::default() }
}

/// The five buckets and the total.
fn amounts(answer: &GetArAgeingResponse) -> [&str; 6] {
    [
        &answer.current,
        &answer.bucket_30,
        &answer.bucket_60,
        &answer.bucket_90,
        &answer.bucket_over_90,
        &answer.total_ar,
    ]
    .map(|money| amount(money.as_ref()))
}

/// The day, and the total.
async fn day_and_total(app: &App, day: &str) -> (String, String) {
    let answer = app.ageing(on(day)).await.unwrap();
    (answer.as_of_date.clone(), amount(answer.total_ar.as_ref()).to_owned())
}

/// A total of that day, none of it due.
fn owed(as_of: &'static str, total: &'static str) -> (&'static str, [&'static str; 6]) {
    (as_of, [total, "0.00", "0.00", "0.00", "0.00", total])
}

#[tokio::test]
async fn what_customers_owe_is_exact_in_every_bucket() {
    let app = App::start().await;
    let buckets = ["100.00", "20.02", "3.30", "0.04", "0.00", "123.36"];
    app.olap.publish_table(9, AGEING, &ageing(&[("2026-11-24T12:00:00Z", buckets)]));
    let answer = app.ageing(on("2026-11-24")).await.unwrap();
    assert_eq!(answer.as_of_date, "2026-11-24");
    assert_eq!(amounts(&answer), buckets);
    assert_eq!(counted(answer.watermark.as_ref()), 9);
}

#[tokio::test]
async fn without_a_day_the_newest_is_shown_whichever_file_has_it() {
    let app = App::start().await;
    let file = |rows: &[_]| app.olap.file(AGEING, &ageing(rows));
    let files = vec![
        file(&[owed("2026-11-24T12:00:00Z", "3.00"), owed("2026-11-22T12:00:00Z", "1.00")]),
        file(&[owed("2026-11-23T12:00:00Z", "2.00")]),
    ];
    app.olap.publish(1, files);
    assert_eq!(day_and_total(&app, "").await, ("2026-11-24".to_owned(), "3.00".to_owned()));
    for (day, total) in [("2026-11-22", "1.00"), ("2026-11-23", "2.00"), ("2026-11-24", "3.00")] {
        assert_eq!(day_and_total(&app, day).await, (day.to_owned(), total.to_owned()));
    }
}

#[tokio::test]
async fn a_day_is_one_where_the_business_is() {
    // Summer time: the day begins at 23:00 of the day before.
    let rows = [
        owed("2026-07-01T22:59:59.999999Z", "1.00"),
        owed("2026-07-01T23:00:00Z", "2.00"),
        owed("2026-07-03T22:59:59.999999Z", "3.00"),
    ];
    let london = App::start().await;
    london.olap.publish_table(1, AGEING, &ageing(&rows));
    for (day, total) in [("2026-07-01", "1.00"), ("2026-07-02", "2.00"), ("2026-07-03", "3.00")] {
        assert_eq!(day_and_total(&london, day).await, (day.to_owned(), total.to_owned()));
    }
    assert_eq!(day_and_total(&london, "").await.0, "2026-07-03");

    let auckland = App::start_with(&["--time-zone", "Pacific/Auckland"]).await;
    auckland.olap.publish_table(1, AGEING, &ageing(&rows));
    assert_eq!(day_and_total(&auckland, "").await.0, "2026-07-04");
    // Two of the rows are of one day there; there should be one, and the newest counts.
    assert_eq!(day_and_total(&auckland, "2026-07-02").await.1, "2.00");
    refusal(auckland.ageing(on("2026-07-01")).await).is(Code::NotFound, "AGEING_NOT_FOUND");
}

#[tokio::test]
async fn a_day_without_ageing_is_not_found() {
    let app = App::start().await;
    let days = ["2026-11-24T12:00:00Z", "2026-11-22T12:00:00Z"].map(|time| owed(time, "3.00"));
    app.olap.publish_table(1, AGEING, &ageing(&days));
    for day in ["2026-11-23", "2026-11-25", "1900-01-01", "2999-12-31"] {
        let refused = refusal(app.ageing(on(day)).await);
        refused.is(Code::NotFound, "AGEING_NOT_FOUND");
        let asked = format!("as_of_date: {day}");
        assert_eq!(refused.facts, [&asked, "first_date: 2026-11-22", "last_date: 2026-11-24"]);
        assert_eq!(
            refused.message,
            format!(
                "there is no ageing for {day}: the first is of 2026-11-22, the last of 2026-11-24"
            )
        );
    }

    app.olap.publish(2, Vec::new());
    let refused = refusal(app.ageing(on("")).await);
    refused.is(Code::NotFound, "AGEING_NOT_FOUND");
    assert_eq!(refused.message, "there is no ageing for any day");
}

#[tokio::test]
async fn every_bad_field_is_named() {
    let app = App::start().await;
    app.olap.publish(1, Vec::new());
    for day in ["24.11.2026", "2026-02-30", "2026-11-24' or true --"] {
        let bad = Query { min_position: vec![position("orders", -1)], ..on(day) };
        refusal(app.ageing(bad).await).names(&["as_of_date", "min_position[0].sequence"]);
    }
}
