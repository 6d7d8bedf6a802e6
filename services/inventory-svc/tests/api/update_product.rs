use prost_types::FieldMask;
use proto::inventory::v1::{self as pb, UpdateProductRequest};
use tonic::{Code, Status};
use uuid::Uuid;

use testkit::refusal;

use crate::app::{App, money, new_order, product};

async fn update(app: &App, request: UpdateProductRequest) -> Result<pb::Product, Status> {
    Ok(app.client.clone().update_product(request).await?.into_inner().product.unwrap())
}

fn to(product: pb::Product, paths: &[&str]) -> UpdateProductRequest {
    let paths = paths.iter().map(|path| (*path).to_owned()).collect();
    UpdateProductRequest {
        request_id: String::new(),
        product: Some(product),
        update_mask: Some(FieldMask { paths }),
    }
}

fn mug() -> pb::Product {
    pb::Product {
        sku: "MUG-1".to_owned(),
        name: "Big mug".to_owned(),
        description: "Holds a pint".to_owned(),
        price: money("8.25"),
        ..Default::default()
    }
}

async fn with_mug() -> App {
    let app = App::start().await;
    app.client.clone().create_product(product("MUG-1", "Mug", "7.50")).await.unwrap();
    app
}

#[tokio::test]
async fn only_what_the_mask_names_changes_and_is_told() {
    let app = with_mug().await;
    let renamed = update(&app, to(mug(), &["name"])).await.unwrap();
    assert_eq!((renamed.name.as_str(), renamed.description.as_str()), ("Big mug", ""));
    assert_eq!(renamed.price.unwrap().amount, "7.50");
    let all = update(&app, to(mug(), &["name", "description", "price"])).await.unwrap();
    assert_eq!(
        (all.description.as_str(), all.price.clone().unwrap().amount.as_str()),
        ("Holds a pint", "8.25")
    );
    assert_ne!(all.etag, renamed.etag);
    assert_eq!(all.create_time, renamed.create_time);
    assert!(all.update_time.unwrap().seconds >= all.create_time.unwrap().seconds);

    let events = app.log.events_of("MUG-1").await;
    let told: Vec<_> =
        events.iter().map(|(t, v, d)| (t.as_str(), *v, &d["changedFields"])).collect();
    assert_eq!(
        told,
        [
            ("product.created", 1, &serde_json::Value::Null),
            ("product.updated", 2, &serde_json::json!(["name"])),
            ("product.updated", 3, &serde_json::json!(["description", "price"])),
        ]
    );
    assert_eq!(events[2].2["price"]["amount"], "8.25");
}

#[tokio::test]
async fn what_is_so_already_changes_nothing() {
    let app = with_mug().await;
    let same = pb::Product { name: "Mug".to_owned(), price: money("7.5"), ..mug() };
    let before = update(&app, to(same.clone(), &["name", "price"])).await.unwrap();
    assert_eq!(before.etag, "1");
    assert_eq!(app.log.events_of("MUG-1").await.len(), 1);
}

#[tokio::test]
async fn a_new_price_is_what_the_next_order_is_promised_and_no_earlier_one() {
    let app = with_mug().await;
    app.receive("MUG-1", 5).await.unwrap();
    let (earlier, later) = (new_order(), new_order());
    let price = async |order: &str| {
        let reserved = app.reserve(order, &[("MUG-1", 1)]).await.unwrap();
        reserved.products[0].price.clone().unwrap().amount
    };
    assert_eq!(price(&earlier).await, "7.50");
    let told = app.log.events_of(&earlier).await;
    update(&app, to(mug(), &["price"])).await.unwrap();
    assert_eq!(price(&later).await, "8.25");
    assert_eq!(app.log.events_of(&earlier).await, told);
}

#[tokio::test]
async fn who_has_seen_an_older_product_is_refused() {
    let app = with_mug().await;
    let seen = pb::Product { etag: "1".to_owned(), ..mug() };
    update(&app, to(seen.clone(), &["name"])).await.unwrap();
    let refused = refusal(update(&app, to(seen, &["price"])).await);
    refused.is(Code::Aborted, "ETAG_STALE");
    assert_eq!(refused.facts, ["sku: MUG-1"]);
}

#[tokio::test]
async fn of_two_who_have_seen_the_same_one_wins() {
    let app = with_mug().await;
    let with_name = |name: &str| {
        to(pb::Product { name: name.to_owned(), etag: "1".to_owned(), ..mug() }, &["name"])
    };
    let (one, other) =
        tokio::join!(update(&app, with_name("one")), update(&app, with_name("other")));
    assert_eq!(u8::from(one.is_ok()) + u8::from(other.is_ok()), 1);
    assert_eq!(app.log.events_of("MUG-1").await.len(), 2);
}

#[tokio::test]
async fn the_same_request_again_has_no_second_effect() {
    let app = with_mug().await;
    let request_id = Uuid::now_v7().to_string();
    let seen = pb::Product { etag: "1".to_owned(), ..mug() };
    let request = UpdateProductRequest { request_id, ..to(seen, &["name"]) };
    let first = update(&app, request.clone()).await.unwrap();
    assert_eq!(update(&app, request.clone()).await.unwrap(), first, "its etag is old by now");
    assert_eq!(app.log.events_of("MUG-1").await.len(), 2);
    let other = UpdateProductRequest { update_mask: to(mug(), &["price"]).update_mask, ..request };
    refusal(update(&app, other).await).is(Code::AlreadyExists, "REQUEST_ID_USED");
}

#[tokio::test]
async fn an_unknown_sku_is_not_found() {
    let app = App::start().await;
    let refused = refusal(update(&app, to(mug(), &["name"])).await);
    refused.is(Code::NotFound, "PRODUCT_NOT_FOUND");
}

#[tokio::test]
async fn every_bad_field_is_named() {
    let app = with_mug().await;
    let bad = pb::Product { sku: "a b".to_owned(), price: money("1.001"), ..Default::default() };
    let request = to(bad, &["name", "price", "sku"]);
    refusal(update(&app, UpdateProductRequest { request_id: "7".to_owned(), ..request }).await)
        .names(&[
            "request_id",
            "product.sku",
            "update_mask",
            "product.name",
            "product.price.amount",
        ]);
    refusal(update(&app, to(mug(), &[])).await).names(&["update_mask"]);
    refusal(update(&app, UpdateProductRequest::default()).await)
        .names(&["product.sku", "update_mask"]);
    let dear = pb::Product { price: money("10000000000.00"), ..mug() };
    refusal(update(&app, to(dear, &["price"])).await).names(&["product.price.amount"]);
}
