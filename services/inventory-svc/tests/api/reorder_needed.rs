use std::sync::Arc;

use prost_types::FieldMask;
use proto::inventory::v1::{
    self as pb, AdjustmentReason, CountStockLine, CountStockRequest, UpdateItemRequest,
};
use tokio::task::JoinSet;

use crate::app::{App, new_order, returned, shipped};

/// A SKU of which ten are on hand, to be reordered at four.
async fn ten_of(sku: &str) -> App {
    let app = App::start().await;
    app.stock(sku, 10).await;
    set_point(&app, sku, 4).await;
    app
}

async fn set_point(app: &App, sku: &str, reorder_point: i32) {
    let item = pb::Item { sku: sku.to_owned(), reorder_point, ..Default::default() };
    let request = UpdateItemRequest {
        item: Some(item),
        update_mask: Some(FieldMask { paths: vec!["reorder_point".to_owned()] }),
        ..Default::default()
    };
    app.client.clone().update_item(request).await.unwrap();
}

/// Available of each that was told, in order.
async fn needed(app: &App) -> Vec<i64> {
    let told = app.told("stock.reorder_needed").await;
    told.iter().map(|data| data["available"].as_i64().unwrap_or(0)).collect()
}

#[tokio::test]
async fn it_is_told_once_a_fall_and_armed_again_above() {
    let app = ten_of("A").await;
    let (first, second) = (new_order(), new_order());
    app.reserve(&first, &[("A", 5)]).await.unwrap();
    assert!(needed(&app).await.is_empty());
    app.reserve(&second, &[("A", 1)]).await.unwrap();
    assert_eq!(needed(&app).await, [4]);
    app.reserve(&new_order(), &[("A", 1)]).await.unwrap();
    app.commit(&first, &new_order(), &[]).await.unwrap();
    assert_eq!(needed(&app).await, [4], "was told");
    app.release(&second).await.unwrap();
    assert_eq!(needed(&app).await, [4], "4 is not above 4");
    app.receive("A", 1).await.unwrap();
    app.reserve(&new_order(), &[("A", 5)]).await.unwrap();
    assert_eq!(needed(&app).await, [4, 0]);
    let told = app.told("stock.reorder_needed").await;
    assert_eq!(told[0], serde_json::json!({"sku": "A", "available": 4, "reorderPoint": 4}));
    let versions: Vec<i64> = app.log.told_of("item:A").await.iter().map(|(_, v)| *v).collect();
    assert_eq!(versions, [1, 2, 3]);
}

#[tokio::test]
async fn whatever_makes_it_fall_tells() {
    let app = ten_of("A").await;
    app.adjust(AdjustmentReason::Damaged, &[("A", -6)]).await.unwrap();
    assert_eq!(needed(&app).await, [4]);
    app.adjust(AdjustmentReason::Found, &[("A", 6)]).await.unwrap();

    let counted = CountStockRequest {
        lines: vec![CountStockLine {
            sku: "A".to_owned(),
            counted_quantity: Some(3),
            movement_count: Some(3),
        }],
        ..Default::default()
    };
    app.client.clone().count_stock(counted).await.unwrap();
    assert_eq!(needed(&app).await, [4, 3]);
    app.receive("A", 7).await.unwrap();

    set_point(&app, "A", 10).await;
    assert_eq!(needed(&app).await, [4, 3, 10]);
    set_point(&app, "A", 20).await;
    assert_eq!(needed(&app).await, [4, 3, 10], "was told");
    set_point(&app, "A", 2).await;
    app.adjust(AdjustmentReason::Lost, &[("A", -8)]).await.unwrap();
    assert_eq!(needed(&app).await, [4, 3, 10, 2]);
}

#[tokio::test]
async fn a_return_that_is_scrapped_does_not_tell_again() {
    let app = ten_of("A").await;
    let order = new_order();
    app.reserve(&order, &[("A", 7)]).await.unwrap();
    let events = [
        shipped(&order, &new_order(), &[("A", 7)]),
        returned(&order, &new_order(), &[("A", 1, false)]),
    ];
    app.hear(&events).await;
    assert_eq!(needed(&app).await, [3]);
    app.hear(&[returned(&order, &new_order(), &[("A", 2, true)])]).await;
    app.adjust(AdjustmentReason::Lost, &[("A", -1)]).await.unwrap();
    assert_eq!(needed(&app).await, [3, 4]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn orders_that_are_reserved_together_tell_once() {
    let app = Arc::new(ten_of("HOT").await);
    let mut reserving = JoinSet::new();
    for _ in 0..10 {
        let app = Arc::clone(&app);
        reserving.spawn(async move { app.reserve(&new_order(), &[("HOT", 1)]).await.unwrap() });
    }
    reserving.join_all().await;
    assert_eq!(needed(&app).await, [4]);
}

/// What was told is kept with the item: another one of the service, or one that starts later, knows it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_of_the_service_tell_once() {
    let app = Arc::new(ten_of("HOT").await);
    let replica = app.replica().await;
    let mut reserving = JoinSet::new();
    for caller in 0..10 {
        let mut client = if caller % 2 == 0 { app.client.clone() } else { replica.clone() };
        reserving.spawn(async move {
            let lines = vec![pb::ReserveStockLine { sku: "HOT".to_owned(), quantity: 1 }];
            let order_id = new_order();
            let request = pb::ReserveStockRequest { order_id, lines, ..Default::default() };
            client.reserve_stock(request).await.unwrap();
        });
    }
    reserving.join_all().await;
    assert_eq!(needed(&app).await, [4]);
    app.check_books().await;
}

#[tokio::test]
async fn it_says_whose_request_it_was() {
    let app = ten_of("A").await;
    let request_id = new_order();
    let request = pb::ReserveStockRequest {
        request_id: request_id.clone(),
        order_id: new_order(),
        lines: vec![pb::ReserveStockLine { sku: "A".to_owned(), quantity: 8 }],
    };
    app.client.clone().reserve_stock(request).await.unwrap();
    let by: Vec<String> = sqlx::query_scalar(
        "select event_type || ' ' || (payload->>'requestid') from inventory.events_log
         where payload ? 'requestid' order by id",
    )
    .fetch_all(&app.db)
    .await
    .unwrap();
    assert_eq!(
        by,
        [format!("stock.reserved {request_id}"), format!("stock.reorder_needed {request_id}")]
    );
}
