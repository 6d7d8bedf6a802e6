use prost_types::FieldMask;
use proto::inventory::v1::{self as pb, UpdateItemRequest};
use tonic::{Code, Status};
use uuid::Uuid;

use testkit::refusal;

use crate::app::{App, new_order};

fn to(reorder_point: i32, etag: &str) -> UpdateItemRequest {
    let item = pb::Item {
        sku: "A".to_owned(),
        reorder_point,
        etag: etag.to_owned(),
        ..Default::default()
    };
    UpdateItemRequest {
        request_id: String::new(),
        item: Some(item),
        update_mask: Some(FieldMask { paths: vec!["reorder_point".to_owned()] }),
    }
}

async fn update(app: &App, request: UpdateItemRequest) -> Result<pb::Item, Status> {
    Ok(app.client.clone().update_item(request).await?.into_inner().item.unwrap())
}

#[tokio::test]
async fn a_reorder_point_is_set_and_told_once() {
    let app = App::start().await;
    app.stock("A", 10).await;
    let before = app.item("A").await;
    let item = update(&app, to(4, "")).await.unwrap();
    assert_eq!((item.reorder_point, item.on_hand), (4, 10));
    assert_ne!(item.etag, before.etag);
    assert_eq!(update(&app, to(4, &item.etag)).await.unwrap(), item, "is that already");
    let events = app.log.events_of("item:A").await;
    assert_eq!(events.len(), 1);
    let (event_type, version, data) = &events[0];
    assert_eq!((event_type.as_str(), *version), ("stock.reorder_point_set", 1));
    assert_eq!(*data, serde_json::json!({"sku": "A", "reorderPoint": 4}));
}

#[tokio::test]
async fn reservations_do_not_make_what_was_seen_stale_but_another_reorder_point_does() {
    let app = App::start().await;
    app.stock("A", 10).await;
    let seen = app.item("A").await.etag;
    app.reserve(&new_order(), &[("A", 2)]).await.unwrap();
    update(&app, to(1, &seen)).await.unwrap();
    let refused = refusal(update(&app, to(2, &seen)).await);
    refused.is(Code::Aborted, "ETAG_STALE");
    assert_eq!(refused.facts, ["sku: A"]);
    assert_eq!(app.item("A").await.reorder_point, 1);
}

#[tokio::test]
async fn the_same_request_again_has_no_second_effect() {
    let app = App::start().await;
    app.stock("A", 10).await;
    let request_id = Uuid::now_v7().to_string();
    let request = UpdateItemRequest { request_id: request_id.clone(), ..to(4, "0") };
    let first = update(&app, request.clone()).await.unwrap();
    assert_eq!(update(&app, request).await.unwrap(), first);
    let other = UpdateItemRequest { request_id, ..to(5, "0") };
    refusal(update(&app, other).await).is(Code::AlreadyExists, "REQUEST_ID_USED");
    assert_eq!(app.log.events_of("item:A").await.len(), 1);
}

#[tokio::test]
async fn what_cannot_be_changed_is_refused() {
    let app = App::start().await;
    refusal(update(&app, to(4, "")).await).is(Code::NotFound, "PRODUCT_NOT_FOUND");
    let mask = |path: &str| Some(FieldMask { paths: vec![path.to_owned()] });
    for mask in [None, Some(FieldMask::default()), mask("on_hand"), mask("reserved")] {
        let request = UpdateItemRequest { update_mask: mask, ..to(4, "") };
        refusal(update(&app, request).await).names(&["update_mask"]);
    }
    refusal(update(&app, to(-1, "")).await).names(&["item.reorder_point"]);
    refusal(update(&app, UpdateItemRequest::default()).await).names(&["item.sku", "update_mask"]);
}
