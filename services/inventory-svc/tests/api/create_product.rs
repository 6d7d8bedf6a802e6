use proto::inventory::v1::{self as pb, CreateProductRequest};
use tonic::Code;
use uuid::Uuid;

use testkit::refusal;

use crate::app::{App, money, product};

async fn create(app: &App, request: CreateProductRequest) -> Result<pb::Product, tonic::Status> {
    let answer = app.client.clone().create_product(request).await?;
    Ok(answer.into_inner().product.unwrap())
}

#[tokio::test]
async fn a_product_comes_with_an_item_of_nothing_and_an_event() {
    let app = App::start().await;
    let request = CreateProductRequest {
        description: "Line one\nLine two".to_owned(),
        ..product("MUG-1", "Mug", "7.5")
    };
    let made = create(&app, request).await.unwrap();
    assert_eq!((made.sku.as_str(), made.name.as_str()), ("MUG-1", "Mug"));
    assert_eq!(made.description, "Line one\nLine two");
    assert_eq!(made.price.clone().unwrap().amount, "7.50");
    assert_eq!(made.price.clone().unwrap().currency_code, "GBP");
    assert!(made.create_time.is_some() && !made.etag.is_empty());
    assert_eq!(app.levels("MUG-1").await, (0, 0));

    let events = app.log.events_of("MUG-1").await;
    assert_eq!(events.len(), 1);
    let (event_type, version, data) = &events[0];
    assert_eq!((event_type.as_str(), *version), ("product.created", 1));
    assert_eq!(data["sku"], "MUG-1");
    assert_eq!(data["price"], serde_json::json!({"amount": "7.50", "currencyCode": "GBP"}));
}

#[tokio::test]
async fn a_taken_sku_is_refused() {
    let app = App::start().await;
    create(&app, product("MUG-1", "Mug", "7.50")).await.unwrap();
    let again = refusal(create(&app, product("MUG-1", "Mug", "7.50")).await);
    again.is(Code::AlreadyExists, "PRODUCT_EXISTS");
    assert_eq!(again.facts, ["sku: MUG-1"]);
    assert_eq!(app.log.events_of("MUG-1").await.len(), 1);
}

#[tokio::test]
async fn the_same_request_again_has_no_second_effect() {
    let app = App::start().await;
    let request_id = Uuid::now_v7().to_string();
    let request =
        CreateProductRequest { request_id: request_id.clone(), ..product("MUG-1", "Mug", "7.50") };
    let first = create(&app, request.clone()).await.unwrap();
    let second = create(&app, request).await.unwrap();
    assert_eq!(first, second);

    let other = CreateProductRequest { request_id, ..product("MUG-2", "Mug", "7.50") };
    refusal(create(&app, other).await).is(Code::AlreadyExists, "REQUEST_ID_USED");
}

#[tokio::test]
async fn every_bad_field_is_named() {
    let app = App::start().await;
    let request = CreateProductRequest {
        request_id: "7".to_owned(),
        sku: "a b".to_owned(),
        name: " ".to_owned(),
        description: "x".repeat(10_001),
        price: money("1.005"),
    };
    refusal(create(&app, request).await).names(&[
        "request_id",
        "price.amount",
        "sku",
        "name",
        "description",
    ]);
    let without_price = CreateProductRequest { price: None, ..product("A", "a", "1") };
    refusal(create(&app, without_price).await).names(&["price"]);
    let dear = product("A", "a", "10000000000.00");
    refusal(create(&app, dear).await).names(&["price.amount"]);
    refusal(create(&app, product(&"x".repeat(65), "a", "1")).await).names(&["sku"]);
    refusal(create(&app, product("A", &"x".repeat(256), "1")).await).names(&["name"]);
}

#[tokio::test]
async fn the_limits_themselves_are_possible() {
    let app = App::start().await;
    let request = CreateProductRequest {
        description: "é".repeat(10_000),
        ..product(&"x".repeat(64), &"é".repeat(255), "9999999999.99")
    };
    create(&app, request).await.unwrap();
    create(&app, product("./-_", "free", "0")).await.unwrap();
}
