use proto::inventory::v1::{self as pb, ReceiveStockRequest};
use tonic::{Code, Status};
use uuid::Uuid;

use testkit::refusal;

use crate::app::App;

async fn receive(app: &App, request: ReceiveStockRequest) -> Result<pb::Item, Status> {
    Ok(app.client.clone().receive_stock(request).await?.into_inner().item.unwrap())
}

#[tokio::test]
async fn received_goods_are_on_hand_and_told_of() {
    let app = App::start().await;
    app.stock("A", 5).await;
    let request = ReceiveStockRequest {
        sku: "A".to_owned(),
        quantity: 7,
        reorder_point: Some(3),
        ..Default::default()
    };
    let item = receive(&app, request).await.unwrap();
    assert_eq!((item.on_hand, item.available, item.reorder_point), (12, 12, 3));
    assert_eq!(app.receive("A", 1).await.unwrap().reorder_point, 3, "stays when absent");
    app.check_books().await;

    let told: Vec<serde_json::Value> = sqlx::query_scalar(
        "select payload->'data' from inventory.events_log where event_type = 'stock.received' order by id",
    )
    .fetch_all(&app.db)
    .await
    .unwrap();
    let level = serde_json::json!({"sku": "A", "quantity": 7, "onHand": 12, "reorderPoint": 3});
    assert_eq!(told[1]["levels"], serde_json::json!([level]));
}

#[tokio::test]
async fn an_unknown_sku_is_not_found() {
    let app = App::start().await;
    let refused = refusal(app.receive("X", 1).await);
    refused.is(Code::NotFound, "PRODUCT_NOT_FOUND");
    assert_eq!(refused.facts, ["sku: X"]);
}

#[tokio::test]
async fn the_same_request_is_received_once() {
    let app = App::start().await;
    app.stock("A", 0).await;
    let request = ReceiveStockRequest {
        request_id: Uuid::now_v7().to_string(),
        sku: "A".to_owned(),
        quantity: 7,
        ..Default::default()
    };
    assert_eq!(receive(&app, request.clone()).await.unwrap().on_hand, 7);
    assert_eq!(receive(&app, request.clone()).await.unwrap().on_hand, 7);
    let (one, other) = tokio::join!(receive(&app, request.clone()), receive(&app, request.clone()));
    assert_eq!((one.unwrap().on_hand, other.unwrap().on_hand), (7, 7));
    let other = ReceiveStockRequest { quantity: 8, ..request };
    refusal(receive(&app, other).await).is(Code::AlreadyExists, "REQUEST_ID_USED");
    app.check_books().await;
}

#[tokio::test]
async fn more_than_can_be_counted_is_refused() {
    let app = App::start().await;
    app.stock("A", 0).await;
    for _ in 0..21 {
        app.receive("A", 100_000_000).await.unwrap();
    }
    let refused = refusal(app.receive("A", 100_000_000).await);
    refused.is(Code::FailedPrecondition, "TOO_MANY_ON_HAND");
    assert_eq!(refused.facts, ["sku: A"]);
    assert_eq!(app.levels("A").await, (2_100_000_000, 0));
    assert_eq!(app.receive("A", 47_483_647).await.unwrap().on_hand, i32::MAX);
}

#[tokio::test]
async fn every_bad_field_is_named() {
    let app = App::start().await;
    let request = ReceiveStockRequest {
        request_id: "x".to_owned(),
        sku: String::new(),
        quantity: 0,
        reorder_point: Some(-1),
        unit_cost: "-1".to_owned(),
    };
    refusal(receive(&app, request).await).names(&[
        "request_id",
        "sku",
        "quantity",
        "unit_cost",
        "reorder_point",
    ]);
    refusal(app.receive("A", 100_000_001).await).names(&["quantity"]);
}
