use manifest::tables::ORDER_FACTS;
use proto::analytics::v1::{
    GetTopProductsRequest, QuerySalesBySkuRequest as Query, Rank, SkuSales,
};
use testkit::refusal;

use crate::{
    app::{App, amount, counted, position},
    rows::{Column, amounts, ids, times},
};

/// Placed at, SKU, ordered, cancelled, shipped, returned, price, amount.
type Line = (&'static str, &'static str, [i32; 4], &'static str, &'static str);

fn write(app: &App, lines: &[Line]) -> manifest::Materialized {
    let count = |at: usize| Column::Int(lines.iter().map(|line| line.2[at]).collect());
    let each: Vec<u128> = (1..=lines.len() as u128).collect();
    let column = |of: fn(&Line) -> &'static str| lines.iter().map(of).collect::<Vec<_>>();
    app.olap.rows(
        ORDER_FACTS,
        vec![
            ids(&each),
            ids(&each),
            ids(&each),
            Column::Text(column(|line| line.1)),
            count(0),
            count(1),
            count(2),
            count(3),
            amounts(&column(|line| line.3)),
            Column::Rates(lines.iter().map(|line| (line.2[0] > 1).then_some(2000)).collect()),
            amounts(&column(|line| line.4)),
            times(&column(|line| line.0)),
            Column::Flag(lines.iter().map(|line| line.2[0] == line.2[1]).collect()),
        ],
    )
}

fn publish(app: &App) {
    let first = write(
        app,
        &[
            ("2026-07-01T22:59:59.999999Z", "TEA", [10, 0, 10, 1], "2.50", "25.00"),
            ("2026-07-01T23:00:00Z", "MUG", [3, 1, 2, 0], "8.00", "16.00"),
            ("2026-07-01T23:30:00Z", "TEA", [4, 0, 0, 0], "2.50", "10.00"),
        ],
    );
    let second = write(
        app,
        &[
            ("2026-07-02T09:00:00Z", "JAR", [5, 5, 0, 0], "1.00", "0.00"),
            ("2026-07-02T10:00:00Z", "POT", [1, 0, 1, 0], "35.00", "35.00"),
            ("2026-07-02T11:00:00Z", "MUG", [2, 2, 0, 0], "8.00", "0.00"),
        ],
    );
    app.olap.publish(5, vec![first, second]);
}

/// As `sku kept shipped returned amount lines`.
fn shown(skus: &[SkuSales]) -> Vec<String> {
    let skus = skus.iter().map(|of| {
        let sold = amount(of.total_amount.as_ref());
        let (kept, shipped, returned) = (of.quantity, of.shipped_quantity, of.returned_quantity);
        format!("{} {kept} {shipped} {returned} {sold} {}", of.sku, of.line_count)
    });
    skus.collect()
}

#[tokio::test]
async fn what_was_sold_of_each_sku_is_without_what_was_cancelled() {
    let app = App::start().await;
    publish(&app);
    let all = app.client.clone().query_sales_by_sku(Query::default()).await.unwrap().into_inner();
    assert_eq!(shown(&all.skus), ["MUG 2 2 0 16.00 1", "POT 1 1 0 35.00 1", "TEA 14 10 1 35.00 2"]);
    assert_eq!(counted(all.watermark.as_ref()), 5);

    let page = Query { page_size: 2, ..Query::default() };
    let first = app.client.clone().query_sales_by_sku(page.clone()).await.unwrap().into_inner();
    let rest = Query { page_token: first.next_page_token, ..page };
    let rest = app.client.clone().query_sales_by_sku(rest).await.unwrap().into_inner();
    assert_eq!(shown(&first.skus), shown(&all.skus)[..2]);
    assert_eq!(shown(&rest.skus), shown(&all.skus)[2..]);
    assert_eq!(rest.next_page_token, "");
}

#[tokio::test]
async fn days_are_those_of_placing_where_the_business_is() {
    let app = App::start().await;
    publish(&app);
    let on = |start: &str, end: &str| Query {
        start_date: start.to_owned(),
        end_date: end.to_owned(),
        ..Query::default()
    };
    for (query, expected) in [
        (on("", "2026-07-01"), vec!["TEA 10 10 1 25.00 1"]),
        (
            on("2026-07-02", "2026-07-02"),
            vec!["MUG 2 2 0 16.00 1", "POT 1 1 0 35.00 1", "TEA 4 0 0 10.00 1"],
        ),
        (on("2026-07-03", ""), vec![]),
    ] {
        let answer = app.client.clone().query_sales_by_sku(query).await.unwrap().into_inner();
        assert_eq!(shown(&answer.skus), expected);
    }
}

#[tokio::test]
async fn the_best_come_first() {
    let app = App::start().await;
    publish(&app);
    let top = async |rank: Rank, limit: i32| {
        let query = GetTopProductsRequest { rank: rank.into(), limit, ..Default::default() };
        let answer = app.client.clone().get_top_products(query).await.unwrap().into_inner();
        shown(&answer.skus).iter().map(|sku| sku[..3].to_owned()).collect::<Vec<_>>()
    };
    // POT and TEA brought the same.
    assert_eq!(top(Rank::Amount, 0).await, ["POT", "TEA", "MUG"]);
    assert_eq!(top(Rank::Unspecified, 2).await, ["POT", "TEA"]);
    assert_eq!(top(Rank::Quantity, 2).await, ["TEA", "MUG"]);
    let bad = GetTopProductsRequest {
        rank: 3,
        limit: 1001,
        start_date: "x".to_owned(),
        min_position: vec![position("hr", 0)],
        ..Default::default()
    };
    let refused = refusal(app.client.clone().get_top_products(bad).await);
    refused.names(&["start_date", "rank", "limit", "min_position[0].source"]);
}

#[tokio::test]
async fn before_anything_was_sold_nothing_is_shown() {
    let app = App::start().await;
    app.olap.publish(1, Vec::new());
    let answer = app.client.clone().query_sales_by_sku(Query::default()).await.unwrap();
    assert!(answer.into_inner().skus.is_empty());
    let top = app.client.clone().get_top_products(GetTopProductsRequest::default()).await.unwrap();
    assert!(top.into_inner().skus.is_empty());
}
