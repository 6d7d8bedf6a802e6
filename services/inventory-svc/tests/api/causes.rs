//! Each mutation tells of itself, and whose request it was.

use prost_types::{Duration, FieldMask};
use proto::inventory::v1::{self as pb, AdjustmentReason};

use crate::app::{App, adjust_lines, new_order, placed, product};

/// Makes a call with a request id, and notes which events it must have told with it.
macro_rules! ask {
    ($app:expr, $told:expr, $rpc:ident($request:expr) -> [$($event:literal),*]) => {{
        let mut request = $request;
        request.request_id = new_order();
        let id = request.request_id.clone();
        $app.client.clone().$rpc(request).await.unwrap();
        $($told.push((($event).to_owned(), Some(id.clone())));)*
    }};
}

#[tokio::test]
async fn every_mutation_is_told_with_its_request() {
    let app = App::start().await;
    let mut told: Vec<(String, Option<String>)> = Vec::new();
    let (sku, order_id) = ("A".to_owned(), new_order());
    let mask = |path: &str| Some(FieldMask { paths: vec![path.to_owned()] });

    ask!(app, told, create_product(product("A", "a", "1")) -> ["product.created"]);
    let requests = vec![product("B", "b", "1")];
    let batch = pb::BatchCreateProductsRequest { requests, ..Default::default() };
    ask!(app, told, batch_create_products(batch) -> ["product.created"]);
    let named = pb::Product { sku: sku.clone(), name: "c".to_owned(), ..Default::default() };
    let update = pb::UpdateProductRequest {
        product: Some(named),
        update_mask: mask("name"),
        ..Default::default()
    };
    ask!(app, told, update_product(update) -> ["product.updated"]);

    let receipt = pb::ReceiveStockRequest { sku: sku.clone(), quantity: 9, ..Default::default() };
    ask!(app, told, receive_stock(receipt.clone()) -> ["stock.received"]);
    let receipt = pb::ReceiveStockRequest { reorder_point: Some(1), ..receipt };
    let batch = pb::BatchReceiveStockRequest { requests: vec![receipt], ..Default::default() };
    ask!(app, told, batch_receive_stock(batch) -> ["stock.received", "stock.reorder_point_set"]);
    let item = pb::Item { sku: sku.clone(), reorder_point: 2, ..Default::default() };
    let update = pb::UpdateItemRequest {
        item: Some(item),
        update_mask: mask("reorder_point"),
        ..Default::default()
    };
    ask!(app, told, update_item(update) -> ["stock.reorder_point_set"]);
    let adjustment = pb::AdjustStockRequest {
        reason: AdjustmentReason::Lost.into(),
        lines: adjust_lines(&[("A", -8)]),
        ..Default::default()
    };
    ask!(app, told, adjust_stock(adjustment) -> ["stock.adjusted"]);
    let counted =
        pb::CountStockLine { sku: sku.clone(), counted_quantity: Some(5), movement_count: Some(3) };
    let count = pb::CountStockRequest { lines: vec![counted], ..Default::default() };
    ask!(app, told, count_stock(count) -> ["stock.adjusted"]);

    let line = pb::ReserveStockLine { sku: sku.clone(), quantity: 3 };
    let reserve = pb::ReserveStockRequest {
        order_id: order_id.clone(),
        lines: vec![line],
        ..Default::default()
    };
    ask!(app, told, reserve_stock(reserve) -> ["stock.reserved", "stock.reorder_needed"]);
    let extend = pb::ExtendReservationRequest {
        order_id: order_id.clone(),
        ttl: Some(Duration { seconds: 9000, nanos: 0 }),
        ..Default::default()
    };
    ask!(app, told, extend_reservation(extend) -> ["reservation.extended"]);
    let confirm =
        pb::ConfirmReservationRequest { order_id: order_id.clone(), ..Default::default() };
    ask!(app, told, confirm_reservation(confirm) -> ["reservation.confirmed"]);
    let line = pb::CommitReservationLine { sku: sku.clone(), quantity: 1 };
    let commit = pb::CommitReservationRequest {
        order_id: order_id.clone(),
        shipment_id: new_order(),
        lines: vec![line],
        ..Default::default()
    };
    ask!(app, told, commit_reservation(commit) -> ["stock.shipped"]);
    let line = pb::ReturnStockLine { sku: sku.clone(), quantity: 1, restock: false };
    let back = pb::ReturnStockRequest {
        order_id: order_id.clone(),
        return_id: new_order(),
        lines: vec![line],
        ..Default::default()
    };
    ask!(app, told, return_stock(back) -> ["stock.returned", "stock.adjusted"]);
    let line = pb::ReleaseReservationLine { sku: sku.clone(), quantity: 1 };
    let release = pb::ReleaseReservationRequest { order_id, ..Default::default() };
    let part = pb::ReleaseReservationRequest { lines: vec![line], ..release.clone() };
    ask!(app, told, release_reservation(part) -> ["stock.released"]);
    ask!(app, told, release_reservation(release) -> ["stock.released"]);

    let archive = pb::ArchiveProductRequest { sku: "B".to_owned(), ..Default::default() };
    ask!(app, told, archive_product(archive) -> ["product.archived"]);
    let restore = pb::RestoreProductRequest { sku: "B".to_owned(), ..Default::default() };
    ask!(app, told, restore_product(restore) -> ["product.restored"]);

    let found: Vec<(String, Option<String>)> = sqlx::query_as(
        "select event_type, payload->>'requestid' from inventory.events_log order by id",
    )
    .fetch_all(&app.db)
    .await
    .unwrap();
    assert_eq!(found, told);
    app.check_books().await;
    app.check_versions().await;
    app.check_account().await;
}

#[tokio::test]
async fn what_follows_from_an_orders_event_names_it() {
    let app = App::start().await;
    app.stock("A", 5).await;
    let (order, shipment) = (new_order(), new_order());
    app.reserve(&order, &[("A", 5)]).await.unwrap();
    let before = app.event_count().await;
    let left = crate::app::shipped(&order, &shipment, &[("A", 5)]);
    let back = crate::app::returned(&order, &new_order(), &[("A", 1, false)]);
    let (left_id, back_id) = (left.id().to_string(), back.id().to_string());
    app.hear(&[placed(&order), left, back]).await;
    let found: Vec<(String, Option<String>)> = sqlx::query_as(
        "select event_type, payload->>'causationid' from inventory.events_log order by id offset $1",
    )
    .bind(before)
    .fetch_all(&app.db)
    .await
    .unwrap();
    let by = |event: &str, cause: &str| (event.to_owned(), Some(cause.to_owned()));
    assert_eq!(
        found,
        [
            by("stock.shipped", &left_id),
            by("stock.returned", &back_id),
            by("stock.adjusted", &back_id)
        ]
    );
}
