use proto::analytics::v1::QuerySalesByHourRequest as Query;
use tonic::Code;

use testkit::refusal;

use crate::{
    app::{App, counted, hours, position, time_text},
    olap::{hours_of_sales, now, sales, time},
};

const SALES: &str = "sales_by_hour";

/// Four hours with 1.00, 2.00, 3.00 and 4.00 sold, at 9, 10, 12 and 13 o'clock.
fn a_morning() -> arrow::array::RecordBatch {
    sales(&[
        ("2026-11-24T09:00:00Z", "1.00", 1),
        ("2026-11-24T10:00:00Z", "2.00", 2),
        ("2026-11-24T12:00:00Z", "3.00", 3),
        ("2026-11-24T13:00:00Z", "4.00", 4),
    ])
}

/// What was sold from and up to these times, in whole pounds.
async fn between(app: &App, start: &str, end: &str) -> Vec<String> {
    let read = |text: &str| (!text.is_empty()).then(|| rpc::to_time(time(text)));
    let query = Query { start_time: read(start), end_time: read(end), ..Query::default() };
    let answer = app.sales(query).await.unwrap();
    assert_eq!(answer.next_page_token, "");
    assert_eq!(counted(answer.watermark.as_ref()), 9, "also when nothing is found");
    let sold = |hour: &proto::analytics::v1::HourOfSales| hour.total_amount.clone().unwrap().amount;
    answer.hours.iter().map(|hour| sold(hour).trim_end_matches(".00").to_owned()).collect()
}

#[tokio::test]
async fn amounts_are_exact_to_the_penny_and_hours_ascend() {
    let app = App::start().await;
    let rows = [
        ("1999-12-31T23:00:00Z", "0.01", 1),
        ("2026-03-29T00:00:00Z", "0.10", 0),
        ("2026-03-29T01:00:00Z", "-0.29", -1),
        ("2026-03-29T02:00:00Z", "0.00", 0),
        ("2026-10-25T00:00:00Z", "999999999999.99", i32::MAX),
        ("2026-10-25T01:00:00Z", "-999999999999.99", i32::MIN),
        ("2099-12-31T23:00:00Z", "90071992547.33", 7),
    ];
    app.olap.publish_table(1, SALES, &sales(&rows));
    let want: Vec<String> =
        rows.iter().map(|(hour, sold, orders)| format!("{hour} {sold} {orders}")).collect();
    assert_eq!(hours(&app.all_sales().await.unwrap()), want);
}

#[tokio::test]
async fn files_of_a_table_are_read_together_in_the_order_of_hours() {
    let app = App::start().await;
    let file = |rows: &[(&str, &str, i32)]| app.olap.file(SALES, &sales(rows));
    let files = vec![
        file(&[("2026-11-24T09:00:00Z", "2.00", 2), ("2026-11-24T11:00:00Z", "4.00", 4)]),
        file(&[("2026-11-24T10:00:00Z", "3.00", 3)]),
        file(&[("2026-11-24T08:00:00Z", "1.00", 1)]),
        file(&[]),
    ];
    app.olap.publish(1, files);
    assert_eq!(
        hours(&app.all_sales().await.unwrap()),
        [
            "2026-11-24T08:00:00Z 1.00 1",
            "2026-11-24T09:00:00Z 2.00 2",
            "2026-11-24T10:00:00Z 3.00 3",
            "2026-11-24T11:00:00Z 4.00 4",
        ]
    );
}

#[tokio::test]
async fn an_hour_that_two_files_have_is_not_shown() {
    let app = App::start().await;
    let one = app.olap.file(SALES, &a_morning());
    let other = app.olap.file(SALES, &sales(&[("2026-11-24T12:00:00Z", "9.00", 9)]));
    app.olap.publish(1, vec![one, other]);
    let refused = refusal(app.all_sales().await);
    refused.is(Code::Internal, "INTERNAL");
    assert_eq!(refused.message, "internal error");
}

#[tokio::test]
async fn times_choose_hours_from_the_first_up_to_but_not_including_the_second() {
    let app = App::start().await;
    app.olap.publish_table(9, SALES, &a_morning());
    let (nine, ten) = ("2026-11-24T09:00:00Z", "2026-11-24T10:00:00Z");
    let (twelve, thirteen) = ("2026-11-24T12:00:00Z", "2026-11-24T13:00:00Z");
    assert_eq!(between(&app, "", "").await, ["1", "2", "3", "4"]);
    assert_eq!(between(&app, ten, "").await, ["2", "3", "4"]);
    assert_eq!(between(&app, "", twelve).await, ["1", "2"]);
    assert_eq!(between(&app, nine, thirteen).await, ["1", "2", "3"]);
    assert_eq!(between(&app, "2026-11-24T09:00:00.000001Z", "").await, ["2", "3", "4"]);
    assert_eq!(between(&app, "", "2026-11-24T12:00:00.000001Z").await, ["1", "2", "3"]);
    assert_eq!(between(&app, "2026-11-24T11:00:00Z", twelve).await, [""; 0]);
    assert_eq!(between(&app, "2030-01-01T00:00:00Z", "").await, [""; 0]);
    assert_eq!(between(&app, "1900-01-01T00:00:00Z", "2999-12-31T00:00:00Z").await.len(), 4);
}

#[tokio::test]
async fn a_table_without_files_is_an_empty_answer() {
    let app = App::start().await;
    app.olap.publish(9, Vec::new());
    assert_eq!(between(&app, "", "").await, [""; 0]);
}

#[tokio::test]
async fn every_answer_says_how_fresh_it_is() {
    let app = App::start().await;
    let mut manifest = app.olap.manifest(41, vec![app.olap.file(SALES, &a_morning())]);
    let counted = |log_id| manifest::Counted { log_id, ..Default::default() };
    manifest.positions.insert("billing".to_owned(), counted(0));
    manifest.written_at = now() - chrono::TimeDelta::seconds(90);
    manifest.write(&app.olap.folder).unwrap();

    let watermark = app.all_sales().await.unwrap().watermark.unwrap();
    assert_eq!(watermark.positions, [position("billing", 0), position("orders", 41)]);
    assert_eq!(time_text(watermark.event_time), "2026-11-24T09:30:00.123456Z");
    assert!((90_000..120_000).contains(&watermark.age_ms), "{}", watermark.age_ms);

    // Before the first event there is no time; a clock that is behind makes nothing younger than new.
    manifest.event_time = None;
    manifest.written_at = now() + chrono::TimeDelta::hours(1);
    manifest.write(&app.olap.folder).unwrap();
    let watermark = app.all_sales().await.unwrap().watermark.unwrap();
    assert_eq!((watermark.event_time, watermark.age_ms), (None, 0));
}

#[tokio::test]
async fn pages_follow_each_other_to_the_last() {
    let app = App::start().await;
    app.olap.publish_table(1, SALES, &a_morning());
    for (size, sizes) in [(1, vec![1, 1, 1, 1]), (2, vec![2, 2]), (3, vec![3, 1]), (4, vec![4])] {
        let mut query = Query { page_size: size, ..Query::default() };
        let (mut all, mut seen) = (Vec::new(), Vec::new());
        loop {
            let answer = app.sales(query.clone()).await.unwrap();
            seen.push(answer.hours.len());
            all.extend(hours(&answer));
            query.page_token = answer.next_page_token;
            if query.page_token.is_empty() || seen.len() > sizes.len() {
                break;
            }
        }
        assert_eq!(seen, sizes);
        assert_eq!(all, hours(&app.all_sales().await.unwrap()));
    }
}

#[tokio::test]
async fn a_new_version_between_pages_neither_repeats_nor_skips_an_hour() {
    let app = App::start().await;
    app.olap.publish_table(1, SALES, &a_morning());
    let mut query = Query { page_size: 2, ..Query::default() };
    let answer = app.sales(query.clone()).await.unwrap();
    assert_eq!(hours(&answer), ["2026-11-24T09:00:00Z 1.00 1", "2026-11-24T10:00:00Z 2.00 2"]);

    // An hour before the page's end comes, one after it changes, one goes, and two come.
    let newer = sales(&[
        ("2026-11-24T08:00:00Z", "8.00", 8),
        ("2026-11-24T09:00:00Z", "1.00", 1),
        ("2026-11-24T10:00:00Z", "2.00", 2),
        ("2026-11-24T11:00:00Z", "1.10", 1),
        ("2026-11-24T12:00:00Z", "3.50", 5),
        ("2026-11-24T14:00:00Z", "5.00", 5),
    ]);
    app.olap.publish_table(2, SALES, &newer);
    query.page_token = answer.next_page_token;
    let answer = app.sales(query.clone()).await.unwrap();
    assert_eq!(hours(&answer), ["2026-11-24T11:00:00Z 1.10 1", "2026-11-24T12:00:00Z 3.50 5"]);
    assert_eq!(counted(answer.watermark.as_ref()), 2);

    query.page_token = answer.next_page_token;
    let answer = app.sales(query).await.unwrap();
    assert_eq!(hours(&answer), ["2026-11-24T14:00:00Z 5.00 5"]);
    assert_eq!(answer.next_page_token, "");
}

#[tokio::test]
async fn a_page_has_1000_hours_by_itself_and_10000_at_most() {
    let app = App::start().await;
    app.olap.publish_table(1, SALES, &hours_of_sales(10_001, "1.00", 1));
    let answer = app.all_sales().await.unwrap();
    assert_eq!(answer.hours.len(), 1000);
    assert_ne!(answer.next_page_token, "");

    let largest = Query { page_size: 10_000, ..Query::default() };
    let answer = app.sales(largest.clone()).await.unwrap();
    assert_eq!(answer.hours.len(), 10_000);
    let rest = Query { page_token: answer.next_page_token, ..largest };
    let answer = app.sales(rest).await.unwrap();
    assert_eq!((answer.hours.len(), answer.next_page_token.as_str()), (1, ""));
}

#[tokio::test]
async fn every_bad_field_is_named() {
    let app = App::start().await;
    app.olap.publish_table(1, SALES, &a_morning());
    let bad = Query {
        start_time: Some(prost_types::Timestamp { seconds: 0, nanos: -1 }),
        end_time: Some(prost_types::Timestamp { seconds: i64::MAX, nanos: 0 }),
        page_size: 10_001,
        page_token: "x".to_owned(),
        min_position: vec![position("orders", 1), position("order", -1), position("hr", 1)],
    };
    refusal(app.sales(bad).await).names(&[
        "start_time",
        "end_time",
        "page_size",
        "page_token",
        "min_position[1].source",
        "min_position[1].sequence",
        "min_position[2].source",
    ]);

    let nine = Some(rpc::to_time(time("2026-11-24T09:00:00Z")));
    let none = Query { start_time: nine, end_time: nine, ..Query::default() };
    refusal(app.sales(none).await).names(&["end_time"]);
    let many = Query { min_position: vec![position("orders", 1); 17], ..Query::default() };
    refusal(app.sales(many).await).names(&["min_position"]);
    let few = Query { page_size: -1, ..Query::default() };
    refusal(app.sales(few).await).names(&["page_size"]);
}

#[tokio::test]
async fn a_token_is_good_for_its_own_list_only() {
    let app = App::start().await;
    app.olap.publish_table(1, SALES, &a_morning());
    let first = Query { page_size: 1, ..Query::default() };
    let page_token = app.sales(first.clone()).await.unwrap().next_page_token;
    let start_time = Some(rpc::to_time(time("2026-11-24T09:00:00Z")));
    let other = Query { page_token: page_token.clone(), start_time, ..first.clone() };
    refusal(app.sales(other).await).names(&["page_token"]);

    let (list, _) = page_token.split_once('.').unwrap();
    let forged = Query { page_token: format!("{list}.1 or true"), ..first.clone() };
    refusal(app.sales(forged).await).names(&["page_token"]);
    for (key, rest) in [
        ("2026-11-24T12:00:00Z", 1),
        ("9999-12-31T23:59:59.999999Z", 0),
        ("+262142-12-31T23:59:59.999999999Z", 0),
        ("0000-01-01T00:00:00Z", 4),
        ("-9999-01-01T00:00:00Z", 4),
    ] {
        let query = Query { page_token: format!("{list}.{key}"), ..Query::default() };
        assert_eq!(app.sales(query).await.unwrap().hours.len(), rest, "{key}");
    }
}
