use proto::inventory::v1::{BatchCreateProductsRequest, CreateProductRequest};
use tonic::{Code, Status};

use testkit::refusal;

use crate::app::{App, new_order, product};

async fn create_all(app: &App, requests: Vec<CreateProductRequest>) -> Result<(i32, i32), Status> {
    let request = BatchCreateProductsRequest { requests, ..Default::default() };
    let answer = app.client.clone().batch_create_products(request).await?.into_inner();
    Ok((answer.created_count, answer.existing_count))
}

fn many(count: usize) -> Vec<CreateProductRequest> {
    (0..count).map(|n| product(&format!("P-{n:04}"), &format!("Part {n}"), "1.25")).collect()
}

async fn count(app: &App) -> i64 {
    sqlx::query_scalar("select count(*) from inventory.inventory_items")
        .fetch_one(&app.db)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_thousand_products_come_at_once_with_an_event_each() {
    let app = App::start().await;
    assert_eq!(create_all(&app, many(1000)).await.unwrap(), (1000, 0));
    assert_eq!(count(&app).await, 1000);
    assert_eq!(app.log.told_of("P-0999").await, [("product.created".to_owned(), 1)]);
}

#[tokio::test]
async fn those_that_are_there_already_stay_as_they_are() {
    let app = App::start().await;
    create_all(&app, many(3)).await.unwrap();
    assert_eq!(create_all(&app, many(5)).await.unwrap(), (2, 3));
    assert_eq!(app.log.events_of("P-0000").await.len(), 1);
    assert_eq!(app.log.events_of("P-0004").await.len(), 1);
}

#[tokio::test]
async fn one_that_is_there_with_other_contents_refuses_all() {
    let app = App::start().await;
    create_all(&app, many(2)).await.unwrap();
    let mut requests = many(4);
    requests[1].name = "Another part".to_owned();
    let refused = refusal(create_all(&app, requests).await);
    refused.is(Code::AlreadyExists, "PRODUCT_EXISTS");
    assert_eq!(refused.fields, ["requests[1].sku: P-0001 exists with other contents"]);
    assert!(refused.message.contains("P-0001"));
    assert_eq!(count(&app).await, 2);
}

#[tokio::test]
async fn every_bad_field_is_named_with_its_request() {
    let app = App::start().await;
    let mut requests = many(4);
    requests[0].request_id = "019a0000-0000-7000-8000-000000000000".to_owned();
    requests[2].sku = "P-0001".to_owned();
    requests[3].price = crate::app::money("-1");
    refusal(create_all(&app, requests).await).names(&[
        "requests[0].request_id",
        "requests[2].sku",
        "requests[3].price.amount",
    ]);
    refusal(create_all(&app, Vec::new()).await).names(&["requests"]);
    refusal(create_all(&app, many(1001)).await).names(&["requests"]);
    assert_eq!(count(&app).await, 0);
}

#[tokio::test]
async fn a_thousand_bad_requests_are_refused_in_words_that_arrive() {
    let app = App::start().await;
    let mut requests = many(1000);
    for request in &mut requests {
        request.sku = format!("{} {}", request.sku, "x".repeat(50));
        request.name.clear();
    }
    let refused = refusal(create_all(&app, requests).await);
    assert_eq!(refused.code, Code::InvalidArgument);
    assert!(refused.fields[0].starts_with("requests[0].sku"), "{refused:?}");

    create_all(&app, many(1000)).await.unwrap();
    let mut requests = many(1000);
    for request in &mut requests {
        request.name.push('!');
    }
    let refused = refusal(create_all(&app, requests).await);
    refused.is(Code::AlreadyExists, "PRODUCT_EXISTS");
    assert_eq!(refused.fields.len(), 50);
}

#[tokio::test]
async fn two_batches_of_the_same_products_in_opposite_order_both_succeed() {
    let app = App::start().await;
    let mut backwards = many(500);
    backwards.reverse();
    let (one, other) = tokio::join!(create_all(&app, many(500)), create_all(&app, backwards));
    let (one, other) = (one.unwrap(), other.unwrap());
    assert_eq!((one.0 + other.0, one.1 + other.1), (500, 500));
}

#[tokio::test]
async fn the_same_request_again_answers_the_same_also_when_a_product_was_changed_since() {
    let app = App::start().await;
    create_all(&app, many(1)).await.unwrap();
    let request = BatchCreateProductsRequest { request_id: new_order(), requests: many(3) };
    let call = async |request: &BatchCreateProductsRequest| {
        let answer = app.client.clone().batch_create_products(request.clone()).await?.into_inner();
        Ok::<_, Status>((answer.created_count, answer.existing_count))
    };
    assert_eq!(call(&request).await.unwrap(), (2, 1));
    sqlx::query("update inventory.products set name = 'Other'").execute(&app.db).await.unwrap();
    assert_eq!(call(&request).await.unwrap(), (2, 1));
    let other = BatchCreateProductsRequest { requests: many(4), ..request.clone() };
    refusal(call(&other).await).is(Code::AlreadyExists, "REQUEST_ID_USED");
    assert_eq!(count(&app).await, 3);
    let bad = BatchCreateProductsRequest { request_id: "7".to_owned(), ..request };
    refusal(call(&bad).await).names(&["request_id"]);
}
