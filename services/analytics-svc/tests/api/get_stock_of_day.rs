use manifest::tables::STOCK_BY_DAY;
use proto::analytics::v1::GetStockSnapshotRequest as Query;
use testkit::refusal;

use crate::{
    app::{App, levels, time_text},
    olap::stock,
    rows::{Column, days, times},
};

/// A SKU has a row only for days on which it moved.
fn publish(app: &App) {
    let write = |rows: &[(&'static str, i32, i32, &'static str, &'static str)]| {
        app.olap.rows(
            STOCK_BY_DAY,
            vec![
                Column::Text(rows.iter().map(|row| row.0).collect()),
                Column::Int(rows.iter().map(|row| row.1).collect()),
                Column::Int(rows.iter().map(|row| row.2).collect()),
                times(&rows.iter().map(|row| row.3).collect::<Vec<_>>()),
                days(&rows.iter().map(|row| row.4).collect::<Vec<_>>()),
            ],
        )
    };
    let first = write(&[
        ("MUG", 10, 0, "2026-07-01T09:00:00Z", "2026-07-01"),
        ("TEA", 5, 1, "2026-07-01T10:00:00Z", "2026-07-01"),
    ]);
    let second = write(&[
        ("MUG", 7, 2, "2026-07-03T09:00:00Z", "2026-07-03"),
        ("JAR", 1, 0, "2026-07-04T09:00:00Z", "2026-07-04"),
    ]);
    let now = [("JAR", 1, 0), ("MUG", 7, 2), ("TEA", 5, 1)];
    let now = app.olap.file("stock_snapshot", &stock("2026-07-04T09:00:00Z", &now));
    app.olap.publish(1, vec![first, second, now]);
}

fn on(day: &str) -> Query {
    Query { as_of_date: day.to_owned(), ..Query::default() }
}

#[tokio::test]
async fn stock_of_a_day_is_as_it_was_at_its_end() {
    let app = App::start().await;
    publish(&app);
    let early = ["MUG 10 0", "TEA 5 1"];
    for (day, expected, since) in [
        ("2026-07-01", early.as_slice(), "2026-07-01T10:00:00Z"),
        ("2026-07-02", &early, "2026-07-01T10:00:00Z"),
        ("2026-07-03", &["MUG 7 2", "TEA 5 1"], "2026-07-03T09:00:00Z"),
        ("2026-07-05", &["JAR 1 0", "MUG 7 2", "TEA 5 1"], "2026-07-04T09:00:00Z"),
    ] {
        let answer = app.stock(on(day)).await.unwrap();
        assert_eq!(levels(&answer), expected, "{day}");
        assert_eq!(time_text(answer.snapshot_time), since);
    }
    let before = app.stock(on("2026-06-30")).await.unwrap();
    assert!(before.levels.is_empty() && before.snapshot_time.is_none());
}

#[tokio::test]
async fn a_day_is_paged_and_filtered_like_now() {
    let app = App::start().await;
    publish(&app);
    let one = Query { page_size: 1, skus: vec!["TEA".into(), "JAR".into()], ..on("2026-07-09") };
    let first = app.stock(one.clone()).await.unwrap();
    assert_eq!(levels(&first), ["JAR 1 0"]);
    let next = Query { page_token: first.next_page_token, ..one.clone() };
    let second = app.stock(next.clone()).await.unwrap();
    assert_eq!(levels(&second), ["TEA 5 1"]);
    assert_eq!(second.next_page_token, "");
    let other_day = Query { as_of_date: "2026-07-01".to_owned(), ..next };
    refusal(app.stock(other_day).await).names(&["page_token"]);
    refusal(app.stock(on("yesterday")).await).names(&["as_of_date"]);
}
