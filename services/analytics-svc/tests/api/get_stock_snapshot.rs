use proto::analytics::v1::GetStockSnapshotRequest as Query;
use tonic::Code;

use testkit::refusal;

use crate::{
    app::{App, counted, levels, position, time_text},
    olap::stock,
};

const STOCK: &str = "stock_snapshot";
const TAKEN: &str = "2026-11-24T09:30:00.123456Z";

fn only(skus: &[&str]) -> Query {
    Query { skus: skus.iter().map(|sku| (*sku).to_owned()).collect(), ..Query::default() }
}

async fn start() -> App {
    let app = App::start().await;
    let rows = [("TEA/1.5", 12, 2), ("MUG", 5, 0), ("mug", 7, 7), ("A_B-C", 0, 0)];
    app.olap.publish_table(9, STOCK, &stock(TAKEN, &rows));
    app
}

#[tokio::test]
async fn stock_is_shown_by_sku() {
    let app = start().await;
    let answer = app.stock(Query::default()).await.unwrap();
    assert_eq!(levels(&answer), ["A_B-C 0 0", "MUG 5 0", "TEA/1.5 12 2", "mug 7 7"]);
    assert_eq!(answer.next_page_token, "");
    assert_eq!(time_text(answer.snapshot_time), TAKEN);
    assert_eq!(counted(answer.watermark.as_ref()), 9);
}

#[tokio::test]
async fn skus_choose_and_one_that_is_unknown_is_not_in_the_answer() {
    let app = start().await;
    let some = app.stock(only(&["TEA/1.5", "NO-SUCH", "MUG", "MUG"])).await.unwrap();
    assert_eq!(levels(&some), ["MUG 5 0", "TEA/1.5 12 2"]);
    let none = app.stock(only(&["NO-SUCH"])).await.unwrap();
    assert_eq!(levels(&none), [""; 0]);
    assert_eq!(time_text(none.snapshot_time), TAKEN);
    assert_eq!(counted(none.watermark.as_ref()), 9);
}

#[tokio::test]
async fn files_of_a_table_are_read_together_and_the_newest_level_dates_the_snapshot() {
    let app = App::start().await;
    let file = |taken: &str, rows: &[(&str, i32, i32)]| app.olap.file(STOCK, &stock(taken, rows));
    let files = vec![
        file("2026-11-23T23:59:59Z", &[("MUG", 9, 1), ("TEA", 3, 0)]),
        file("2026-11-24T09:30:00Z", &[("CUP", 5, 0)]),
        file("2026-11-22T23:59:59Z", &[("POT", 8, 8)]),
    ];
    app.olap.publish(1, files);
    let answer = app.stock(Query::default()).await.unwrap();
    assert_eq!(levels(&answer), ["CUP 5 0", "MUG 9 1", "POT 8 8", "TEA 3 0"]);
    assert_eq!(time_text(answer.snapshot_time), "2026-11-24T09:30:00Z");
}

#[tokio::test]
async fn a_sku_that_two_files_have_is_not_shown() {
    let app = App::start().await;
    let file = |qty: i32| app.olap.file(STOCK, &stock(TAKEN, &[("MUG", qty, 0)]));
    app.olap.publish(1, vec![file(1), file(2)]);
    refusal(app.stock(Query::default()).await).is(Code::Internal, "INTERNAL");
}

#[tokio::test]
async fn without_any_stock_there_is_no_time_of_a_snapshot() {
    let app = App::start().await;
    app.olap.publish(9, Vec::new());
    for _ in 0..2 {
        let answer = app.stock(Query::default()).await.unwrap();
        assert_eq!((answer.levels.len(), answer.snapshot_time), (0, None));
        assert_eq!(counted(answer.watermark.as_ref()), 9);
        // A file without rows is the same.
        app.olap.publish_table(9, STOCK, &stock(TAKEN, &[]));
    }
}

#[tokio::test]
async fn pages_follow_each_other_with_the_same_skus() {
    let app = start().await;
    let mut query = Query { page_size: 2, ..only(&["mug", "MUG", "TEA/1.5", "NO-SUCH"]) };
    let first = app.stock(query.clone()).await.unwrap();
    assert_eq!(levels(&first), ["MUG 5 0", "TEA/1.5 12 2"]);

    // Another version: what is behind the page's end comes as it is now.
    let rows = [("MUG", 4, 0), ("TEA/1.5", 11, 0), ("mug", 6, 6), ("new", 1, 1)];
    app.olap.publish_table(10, STOCK, &stock("2026-11-24T10:00:00Z", &rows));
    query.page_token = first.next_page_token;
    let second = app.stock(query.clone()).await.unwrap();
    assert_eq!(levels(&second), ["mug 6 6"]);
    assert_eq!(second.next_page_token, "");

    let others = Query { page_token: query.page_token, ..only(&["mug"]) };
    refusal(app.stock(others).await).names(&["page_token"]);
}

#[tokio::test]
async fn a_thousand_skus_may_be_asked_for() {
    let app = App::start().await;
    let skus: Vec<String> = (0..2001).map(|sku| format!("SKU-{sku:04}")).collect();
    let rows: Vec<_> = (0..).zip(&skus).map(|(qty, sku)| (sku.as_str(), qty, 1)).collect();
    app.olap.publish_table(1, STOCK, &stock(TAKEN, &rows));
    let wanted = |count: usize| Query {
        skus: skus.iter().rev().step_by(2).take(count).cloned().collect(),
        page_size: 1000,
        ..Query::default()
    };
    let answer = app.stock(wanted(1000)).await.unwrap();
    assert_eq!(answer.levels.len(), 1000);
    assert_eq!(levels(&answer)[..2], ["SKU-0002 2 1", "SKU-0004 4 1"]);
    assert_eq!(answer.next_page_token, "");
    refusal(app.stock(wanted(1001)).await).names(&["skus"]);

    let by_itself = app.stock(Query::default()).await.unwrap();
    assert_eq!(by_itself.levels.len(), 1000);
    let all = Query { page_size: 10_000, ..Query::default() };
    assert_eq!(app.stock(all).await.unwrap().levels.len(), 2001);
}

#[tokio::test]
async fn every_bad_field_is_named() {
    let app = start().await;
    let long = "x".repeat(65);
    let bad = Query {
        page_size: 10_001,
        page_token: "x".to_owned(),
        min_position: vec![position("", 0)],
        ..only(&["MUG", "", "a b", &long])
    };
    refusal(app.stock(bad).await).names(&[
        "page_size",
        "page_token",
        "skus[1]",
        "skus[2]",
        "skus[3]",
        "min_position[0].source",
    ]);
}

#[tokio::test]
async fn a_sku_is_never_read_as_sql() {
    let app = start().await;
    let attempts = [
        "'; drop table x; --",
        "MUG' or '1'='1",
        "x' union select * from read_text('/etc/passwd') --",
        "MUG\nTEA/1.5",
        "$1",
        "MUG);",
        "%",
    ];
    let named: Vec<String> = (0..attempts.len()).map(|index| format!("skus[{index}]")).collect();
    let named: Vec<&str> = named.iter().map(String::as_str).collect();
    refusal(app.stock(only(&attempts)).await).names(&named);

    // What a token holds behind its dot reaches the statement unread: it must be a value there.
    let first = Query { page_size: 1, ..Query::default() };
    let token = app.stock(first).await.unwrap().next_page_token;
    let (list, sku) = token.split_once('.').unwrap();
    assert_eq!(sku, "A_B-C");
    for (key, rest) in [
        ("MUG' or '1'='1", ["TEA/1.5 12 2", "mug 7 7"].as_slice()),
        ("'; drop table x; --", &["A_B-C 0 0", "MUG 5 0", "TEA/1.5 12 2", "mug 7 7"]),
        ("~", &[]),
    ] {
        let query = Query { page_token: format!("{list}.{key}"), ..Query::default() };
        assert_eq!(levels(&app.stock(query).await.unwrap()), rest, "{key}");
    }
    assert_eq!(app.stock(Query::default()).await.unwrap().levels.len(), 4);
}
