use std::sync::Arc;

use proto::inventory::v1::{
    self as pb, AdjustmentReason, ArchiveProductRequest, ListItemsRequest, ListProductsRequest,
    RestoreProductRequest,
};
use tokio::task::JoinSet;
use tonic::{Code, Status};
use uuid::Uuid;

use testkit::refusal;

use crate::app::{App, new_order};

async fn archive(app: &App, sku: &str) -> Result<pb::Product, Status> {
    let request = ArchiveProductRequest { sku: sku.to_owned(), ..Default::default() };
    Ok(app.client.clone().archive_product(request).await?.into_inner().product.unwrap())
}

async fn restore(app: &App, sku: &str) -> Result<pb::Product, Status> {
    let request = RestoreProductRequest { sku: sku.to_owned(), ..Default::default() };
    Ok(app.client.clone().restore_product(request).await?.into_inner().product.unwrap())
}

#[tokio::test]
async fn an_archived_product_is_in_lists_only_when_asked_for() {
    let app = App::start().await;
    for sku in ["A", "B", "C"] {
        app.stock(sku, 0).await;
    }
    assert!(archive(&app, "B").await.unwrap().archive_time.is_some());
    let products = async |name_prefix: &str, show_archived| {
        let name_prefix = name_prefix.to_owned();
        let request = ListProductsRequest { name_prefix, show_archived, ..Default::default() };
        let found = app.client.clone().list_products(request).await.unwrap().into_inner().products;
        found.into_iter().map(|product| product.sku).collect::<Vec<_>>()
    };
    for prefix in ["", "a "] {
        assert_eq!(products(prefix, false).await, ["A", "C"]);
        assert_eq!(products(prefix, true).await, ["A", "B", "C"]);
    }
    let items = async |low, show_archived| {
        let request = ListItemsRequest { low, show_archived, ..Default::default() };
        let found = app.client.clone().list_items(request).await.unwrap().into_inner().items;
        found.into_iter().map(|item| item.sku).collect::<Vec<_>>()
    };
    for low in [false, true] {
        assert_eq!(items(low, false).await, ["A", "C"]);
        assert_eq!(items(low, true).await, ["A", "B", "C"]);
    }
    assert!(app.item("B").await.archived);

    assert_eq!(restore(&app, "B").await.unwrap().archive_time, None);
    assert_eq!(products("", false).await, ["A", "B", "C"]);
    assert!(!app.item("B").await.archived);
    let told: Vec<_> = app.log.told_of("B").await;
    let told: Vec<_> = told.iter().map(|(event, version)| (event.as_str(), *version)).collect();
    assert_eq!(told, [("product.created", 1), ("product.archived", 2), ("product.restored", 3)]);
}

#[tokio::test]
async fn it_is_neither_reserved_nor_received() {
    let app = App::start().await;
    for sku in ["A", "B", "C"] {
        app.stock(sku, 0).await;
    }
    app.receive("A", 5).await.unwrap();
    archive(&app, "B").await.unwrap();
    archive(&app, "C").await.unwrap();
    let order = new_order();
    let refused = refusal(app.reserve(&order, &[("A", 1), ("C", 1), ("B", 1)]).await);
    refused.is(Code::FailedPrecondition, "PRODUCT_ARCHIVED");
    assert_eq!(refused.facts, ["B: archived", "C: archived"]);
    assert_eq!(app.levels("A").await, (5, 0));
    let refused = refusal(app.receive("B", 1).await);
    refused.is(Code::FailedPrecondition, "PRODUCT_ARCHIVED");
    assert_eq!(refused.facts, ["B: archived"]);

    restore(&app, "B").await.unwrap();
    app.receive("B", 1).await.unwrap();
    app.reserve(&order, &[("A", 1), ("B", 1)]).await.unwrap();
}

#[tokio::test]
async fn what_is_on_hand_must_be_gone_first() {
    let app = App::start().await;
    app.stock("A", 3).await;
    app.reserve(&new_order(), &[("A", 1)]).await.unwrap();
    let refused = refusal(archive(&app, "A").await);
    refused.is(Code::FailedPrecondition, "PRODUCT_IN_STOCK");
    assert_eq!(refused.facts, ["on_hand: 3", "reserved: 1", "sku: A"]);

    app.stock("B", 3).await;
    app.adjust(AdjustmentReason::Scrapped, &[("B", -3)]).await.unwrap();
    archive(&app, "B").await.unwrap();
}

#[tokio::test]
async fn what_comes_back_of_it_is_seen_until_it_is_gone() {
    let app = App::start().await;
    app.stock("A", 1).await;
    let order = new_order();
    app.reserve(&order, &[("A", 1)]).await.unwrap();
    app.commit(&order, &new_order(), &[]).await.unwrap();
    archive(&app, "A").await.unwrap();
    app.take_back(&order, &new_order(), &[("A", 1, true)]).await.unwrap();
    let listed = async || {
        let answer = app.client.clone().list_items(ListItemsRequest::default()).await;
        answer.unwrap().into_inner().items.len()
    };
    assert_eq!(listed().await, 1, "no value hides");
    app.adjust(AdjustmentReason::Scrapped, &[("A", -1)]).await.unwrap();
    assert_eq!(listed().await, 0);
    app.check_books().await;
}

#[tokio::test]
async fn archiving_twice_is_the_same_as_once_and_so_is_restoring() {
    let app = App::start().await;
    app.stock("A", 0).await;
    assert_eq!(restore(&app, "A").await.unwrap().etag, "1");
    let archived = archive(&app, "A").await.unwrap();
    assert_eq!(archive(&app, "A").await.unwrap(), archived);
    let restored = restore(&app, "A").await.unwrap();
    assert_eq!(restore(&app, "A").await.unwrap(), restored);
    assert_eq!(app.log.told_of("A").await.len(), 3);
}

#[tokio::test]
async fn who_has_seen_an_older_product_is_refused_and_a_request_is_answered_once() {
    let app = App::start().await;
    app.stock("A", 0).await;
    let request_id = Uuid::now_v7().to_string();
    let request = ArchiveProductRequest { request_id, sku: "A".to_owned(), etag: "1".to_owned() };
    let call = async |request: &ArchiveProductRequest| {
        let answer = app.client.clone().archive_product(request.clone()).await?;
        Ok::<_, Status>(answer.into_inner().product.unwrap())
    };
    let first = call(&request).await.unwrap();
    assert_eq!(call(&request).await.unwrap(), first);
    let stale = ArchiveProductRequest { request_id: String::new(), ..request.clone() };
    refusal(call(&stale).await).is(Code::Aborted, "ETAG_STALE");
    let other = ArchiveProductRequest { sku: "B".to_owned(), ..request };
    refusal(call(&other).await).is(Code::AlreadyExists, "REQUEST_ID_USED");
    let stale =
        RestoreProductRequest { sku: "A".to_owned(), etag: "1".to_owned(), ..Default::default() };
    refusal(app.client.clone().restore_product(stale).await).is(Code::Aborted, "ETAG_STALE");
    refusal(archive(&app, "X").await).is(Code::NotFound, "PRODUCT_NOT_FOUND");
    refusal(restore(&app, "X").await).is(Code::NotFound, "PRODUCT_NOT_FOUND");
    refusal(archive(&app, "").await).names(&["sku"]);
    refusal(restore(&app, "a b").await).names(&["sku"]);
}

/// Whoever comes first, nothing is promised or received of what is archived.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn archiving_beside_deliveries_leaves_no_stock_of_what_is_archived() {
    let app = Arc::new(App::start().await);
    for round in 0..30 {
        let sku = format!("A-{round}");
        app.stock(&sku, 0).await;
        let mut callers = JoinSet::new();
        for caller in 0..4 {
            let (app, sku) = (Arc::clone(&app), sku.clone());
            callers.spawn(async move {
                if caller % 2 == 0 {
                    if let Err(refused) = archive(&app, &sku).await {
                        refusal(Err::<(), _>(refused))
                            .is(Code::FailedPrecondition, "PRODUCT_IN_STOCK");
                    }
                } else if let Err(refused) = app.receive(&sku, 1).await {
                    refusal(Err::<(), _>(refused)).is(Code::FailedPrecondition, "PRODUCT_ARCHIVED");
                }
            });
        }
        callers.join_all().await;
        let item = app.item(&sku).await;
        assert_eq!(item.archived, item.on_hand == 0, "{sku}: {item:?}");
    }
}
