use proto::inventory::v1::{BatchReceiveStockRequest, ReceiveStockRequest};
use tonic::{Code, Status};
use uuid::Uuid;

use testkit::refusal;

use crate::app::App;

async fn receive(app: &App, request_id: &str, goods: &[(&str, i32)]) -> Result<bool, Status> {
    let one = |(sku, quantity): &(&str, i32)| ReceiveStockRequest {
        sku: (*sku).to_owned(),
        quantity: *quantity,
        ..Default::default()
    };
    let requests = goods.iter().map(one).collect();
    let request = BatchReceiveStockRequest { request_id: request_id.to_owned(), requests };
    Ok(app.client.clone().batch_receive_stock(request).await?.into_inner().received)
}

#[tokio::test]
async fn a_delivery_is_received_whole_as_one_event() {
    let app = App::start().await;
    app.stock("A", 1).await;
    app.stock("B", 0).await;
    assert!(receive(&app, "", &[("B", 2), ("A", 3)]).await.unwrap());
    assert_eq!((app.levels("A").await, app.levels("B").await), ((4, 0), (2, 0)));
    app.check_books().await;
    let levels: Vec<serde_json::Value> = sqlx::query_scalar(
        "select payload->'data'->'levels' from inventory.events_log where event_type = 'stock.received' order by id",
    )
    .fetch_all(&app.db)
    .await
    .unwrap();
    assert_eq!(levels.len(), 2);
    assert_eq!(levels[1].as_array().unwrap().len(), 2);
    let deliveries: i64 =
        sqlx::query_scalar("select count(distinct ref_id) from inventory.stock_movements")
            .fetch_one(&app.db)
            .await
            .unwrap();
    assert_eq!(deliveries, 2);
}

#[tokio::test]
async fn one_unknown_sku_refuses_the_delivery() {
    let app = App::start().await;
    app.stock("A", 0).await;
    let refused = refusal(receive(&app, "", &[("A", 1), ("X", 1), ("Y", 1)]).await);
    refused.names(&["requests[1].sku", "requests[2].sku"]);
    assert_eq!(refused.message, "not in the catalogue: X, Y");
    assert_eq!(app.levels("A").await, (0, 0));
}

#[tokio::test]
async fn the_same_delivery_is_received_once() {
    let app = App::start().await;
    app.stock("A", 0).await;
    let id = Uuid::now_v7().to_string();
    assert!(receive(&app, &id, &[("A", 1)]).await.unwrap());
    assert!(!receive(&app, &id, &[("A", 1)]).await.unwrap());
    refusal(receive(&app, &id, &[("A", 2)]).await).is(Code::AlreadyExists, "REQUEST_ID_USED");
    assert_eq!(app.levels("A").await, (1, 0));
}

#[tokio::test]
async fn a_refused_delivery_is_not_remembered() {
    let app = App::start().await;
    let id = Uuid::now_v7().to_string();
    refusal(receive(&app, &id, &[("A", 1)]).await).names(&["requests[0].sku"]);
    app.stock("A", 0).await;
    assert!(receive(&app, &id, &[("A", 1)]).await.unwrap());
}

#[tokio::test]
async fn more_than_can_be_counted_refuses_the_delivery() {
    let app = App::start().await;
    app.stock("A", 0).await;
    app.stock("B", 0).await;
    for _ in 0..21 {
        app.receive("B", 100_000_000).await.unwrap();
    }
    let refused = refusal(receive(&app, "", &[("A", 1), ("B", 100_000_000)]).await);
    refused.is(Code::FailedPrecondition, "TOO_MANY_ON_HAND");
    assert_eq!(app.levels("A").await, (0, 0));
}

#[tokio::test]
async fn every_bad_field_is_named_with_its_request() {
    let app = App::start().await;
    refusal(receive(&app, "x", &[("A", 1), ("A", 1), ("B", 0)]).await).names(&[
        "request_id",
        "requests[1].sku",
        "requests[2].quantity",
    ]);
    refusal(receive(&app, "", &[]).await).names(&["requests"]);
}
