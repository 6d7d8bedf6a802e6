use manifest::{Materialized, tables::STOCK_SNAPSHOT};
use proto::analytics::v1::{QueryLowStockRequest as Query, QueryLowStockResponse};
use testkit::refusal;
use tonic::Code;

use crate::{
    app::{App, counted, position},
    olap::stock,
    rows::{Column, times},
};

const TAKEN: &str = "2026-11-24T09:30:00.123456Z";

/// SKU, on hand, reserved, reorder point, archived.
type Row = (&'static str, i32, i32, i32, bool);

fn items(app: &App, rows: &[Row]) -> Materialized {
    let columns = vec![
        Column::Text(rows.iter().map(|row| row.0).collect()),
        Column::Int(rows.iter().map(|row| row.1).collect()),
        Column::Int(rows.iter().map(|row| row.2).collect()),
        times(&vec![TAKEN; rows.len()]),
        Column::Int(rows.iter().map(|row| row.3).collect()),
        Column::Flag(rows.iter().map(|row| row.4).collect()),
    ];
    app.olap.rows(STOCK_SNAPSHOT, columns)
}

async fn start() -> App {
    let app = App::start().await;
    let above = items(&app, &[("AXE", 9, 3, 5, false), ("BUN", 9, 4, 5, false)]);
    let rest = [
        ("CUP", 3, 3, 0, false),
        ("DYE", 0, 0, 0, false),
        ("EGG", 1, 0, 0, false),
        ("FAN", 4, 0, 4, true),
        ("GEM", 0, 0, 4, true),
        ("HAT", i32::MAX, 1, i32::MAX, false),
    ];
    app.olap.publish(9, vec![above, items(&app, &rest)]);
    app
}

async fn low(app: &App, query: Query) -> Result<QueryLowStockResponse, tonic::Status> {
    Ok(app.client.clone().query_low_stock(query).await?.into_inner())
}

/// As `sku on_hand reserved available reorder_point archived`.
fn shown(answer: &QueryLowStockResponse) -> Vec<String> {
    let line = |item: &proto::analytics::v1::LowStock| {
        let numbers = [item.qty_on_hand, item.reserved_qty, item.available, item.reorder_point];
        let numbers = numbers.map(|number| number.to_string()).join(" ");
        format!("{} {numbers} {}", item.sku, item.archived)
    };
    answer.items.iter().map(line).collect()
}

const LOW: [&str; 5] = [
    "BUN 9 4 5 5 false",
    "CUP 3 3 0 0 false",
    "DYE 0 0 0 0 false",
    "FAN 4 0 4 4 true",
    "HAT 2147483647 1 2147483646 2147483647 false",
];

#[tokio::test]
async fn what_is_available_at_or_below_its_reorder_point_is_low() {
    let app = start().await;
    let answer = low(&app, Query::default()).await.unwrap();
    assert_eq!(shown(&answer), LOW);
    assert_eq!(answer.next_page_token, "");
    assert_eq!(counted(answer.watermark.as_ref()), 9);
    let all = low(&app, Query { show_archived: true, ..Query::default() }).await.unwrap();
    let with_the_rest = [&LOW[..4], &["GEM 0 0 0 4 true"], &LOW[4..]].concat();
    assert_eq!(shown(&all), with_the_rest);
}

#[tokio::test]
async fn pages_follow_each_other_with_the_same_filter() {
    let app = start().await;
    let mut query = Query { page_size: 2, ..Query::default() };
    let mut found = Vec::new();
    loop {
        let page = low(&app, query.clone()).await.unwrap();
        found.extend(shown(&page));
        if page.next_page_token.is_empty() {
            break;
        }
        assert_eq!(page.items.len(), 2);
        query.page_token = page.next_page_token;
    }
    assert_eq!(found, LOW);
    query.show_archived = true;
    refusal(low(&app, query).await).names(&["page_token"]);
    let bad = Query {
        page_size: 10_001,
        page_token: "x".to_owned(),
        min_position: vec![position("", 0)],
        ..Query::default()
    };
    refusal(low(&app, bad).await).names(&["page_size", "page_token", "min_position[0].source"]);
}

#[tokio::test]
async fn files_that_cannot_tell_are_not_asked() {
    let app = App::start().await;
    refusal(low(&app, Query::default()).await).is(Code::Unavailable, "NOT_MATERIALIZED_YET");
    app.olap.publish(1, Vec::new());
    assert_eq!(low(&app, Query::default()).await.unwrap().items, []);
    // As they were before there were reorder points in them.
    let old = app.olap.file("stock_snapshot", &stock(TAKEN, &[("MUG", 1, 1)]));
    app.olap.publish(2, vec![old.clone()]);
    refusal(low(&app, Query::default()).await).is(Code::Unavailable, "COUNTED_ANEW");
    app.olap.publish(3, vec![old, items(&app, &[("TEA", 1, 0, 1, false)])]);
    refusal(low(&app, Query::default()).await).is(Code::Unavailable, "COUNTED_ANEW");
    // A SKU that comes twice is not shown.
    let twice = items(&app, &[("TEA", 1, 0, 1, false)]);
    app.olap.publish(4, vec![items(&app, &[("TEA", 1, 0, 1, false)]), twice]);
    refusal(low(&app, Query::default()).await).is(Code::Internal, "INTERNAL");
}
