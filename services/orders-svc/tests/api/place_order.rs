use proto::{
    inventory::v1::ArchiveProductRequest,
    orders::v1::{OrderStatus, PlaceOrderRequest},
};
use tonic::Code;

use testkit::refusal;

use crate::{
    app::App,
    requests::{new_id, placing, prices, relining, totals},
};

#[tokio::test]
async fn placing_reserves_the_stock_and_fixes_the_price() {
    let app = App::start().await;
    app.stock("A", 5, "9.99").await;
    app.stock("B", 5, "1.00").await;
    let draft = app.draft(&[("A", 1), ("B", 2), ("A", 2)]).await;
    app.set_price("A", "10.01").await;
    let placed = app.place(&draft.order_id).await.unwrap();
    assert_eq!(placed.status(), OrderStatus::Placed);
    assert_eq!(prices(&placed), ["10.01", "1.00", "10.01"]);
    assert_eq!(totals(&placed), ("32.03", "0.00"));
    assert_eq!((placed.create_time, placed.place_time.is_some()), (draft.create_time, true));
    assert_ne!(placed.etag, draft.etag);
    assert_eq!((app.levels("A").await, app.levels("B").await), ((5, 3), (5, 2)));
    app.check_books().await;

    // For ever.
    app.set_price("A", "99.00").await;
    assert_eq!(app.order(&draft.order_id).await, placed);
    assert_eq!(app.place(&draft.order_id).await.unwrap(), placed);
}

#[tokio::test]
async fn placing_twice_places_once() {
    let app = App::start().await;
    app.stock("A", 5, "1.00").await;
    let draft = app.draft(&[("A", 2)]).await;
    let placed = app.place(&draft.order_id).await.unwrap();
    for request_id in [String::new(), new_id()] {
        let again = PlaceOrderRequest { request_id, ..placing(&draft.order_id) };
        assert_eq!(app.place_as(again).await.unwrap(), placed);
    }
    assert_eq!(app.levels("A").await, (5, 2));
    assert_eq!(app.told_of(&draft.order_id).await, ["order.created 1", "order.placed 2"]);
    app.check_books().await;
}

#[tokio::test]
async fn what_is_not_sold_any_more_is_not_placed() {
    let app = App::start().await;
    app.stock("A", 5, "1.00").await;
    app.stock("B", 0, "1.00").await;
    let draft = app.draft(&[("A", 1), ("B", 1)]).await;
    let sku = "B".to_owned();
    let request = ArchiveProductRequest { sku, ..Default::default() };
    app.inventory.clone().archive_product(request).await.unwrap();
    let refused = refusal(app.place(&draft.order_id).await);
    refused.is(Code::FailedPrecondition, "PRODUCT_ARCHIVED");
    assert_eq!(app.order(&draft.order_id).await, draft);
    app.update_order(relining(&draft.order_id, &[("A", 1)])).await.unwrap();
    app.place(&draft.order_id).await.unwrap();
    app.check_books().await;
}

#[tokio::test]
async fn a_shipped_order_is_answered_with_its_shipments() {
    let app = App::start().await;
    app.stock("A", 5, "1.00").await;
    let order = app.placed(&[("A", 2)]).await;
    app.ship(&order.order_id).await.unwrap();
    let again = app.place(&order.order_id).await.unwrap();
    assert_eq!(again, app.order(&order.order_id).await);
    assert_eq!((again.status(), again.shipments.len()), (OrderStatus::Shipped, 1));
}

#[tokio::test]
async fn a_shortage_names_each_short_sku_once_and_the_draft_stays() {
    let app = App::start().await;
    app.stock("A", 5, "1.00").await;
    app.stock("B", 3, "1.00").await;
    app.stock("C", 9, "1.00").await;
    let draft = app.draft(&[("A", 3), ("B", 4), ("C", 9), ("A", 4)]).await;
    let refused = refusal(app.place(&draft.order_id).await);
    refused.is(Code::FailedPrecondition, "STOCK_SHORT");
    assert_eq!(refused.facts, ["A: requested 7, available 5", "B: requested 4, available 3"]);
    assert_eq!(app.order(&draft.order_id).await, draft);
    assert_eq!(app.levels("C").await, (9, 0));
    assert_eq!(app.told_of(&draft.order_id).await, ["order.created 1"]);

    app.receive("A", 2).await;
    app.receive("B", 1).await;
    app.place(&draft.order_id).await.unwrap();
    assert_eq!(app.levels("A").await, (7, 7));
    app.check_books().await;
}

#[tokio::test]
async fn a_cancelled_order_is_not_placed() {
    let app = App::start().await;
    app.stock("A", 5, "1.00").await;
    let draft = app.draft(&[("A", 2)]).await;
    app.cancel(&draft.order_id).await.unwrap();
    let refused = refusal(app.place(&draft.order_id).await);
    refused.is(Code::FailedPrecondition, "ORDER_STATE");
    let facts = [format!("order_id: {}", draft.order_id)];
    assert_eq!(
        refused.facts,
        [&["from: cancelled".to_owned()], &facts[..], &["to: placed".to_owned()]].concat()
    );
    app.check_books().await;
    assert_eq!(app.levels("A").await, (5, 0));
}

#[tokio::test]
async fn what_does_not_exist_is_not_placed() {
    let app = App::start().await;
    let nothing = new_id();
    let refused = refusal(app.place(&nothing).await);
    refused.is(Code::NotFound, "ORDER_NOT_FOUND");
    assert_eq!(refused.facts, [format!("order_id: {nothing}")]);
    let bad = PlaceOrderRequest { request_id: "x".to_owned(), order_id: "7".to_owned() };
    refusal(app.place_as(bad).await).names(&["request_id", "order_id"]);
    refusal(app.place("").await).names(&["order_id"]);
}

#[tokio::test]
async fn the_same_request_again_answers_with_the_order_whatever_became_of_it() {
    let app = App::start().await;
    app.stock("A", 5, "1.00").await;
    let draft = app.draft(&[("A", 2)]).await;
    let request = PlaceOrderRequest { request_id: new_id(), ..placing(&draft.order_id) };
    let placed = app.place_as(request.clone()).await.unwrap();
    assert_eq!(app.place_as(request.clone()).await.unwrap(), placed);
    app.cancel(&draft.order_id).await.unwrap();
    let again = app.place_as(request).await.unwrap();
    assert_eq!(again.status(), OrderStatus::Cancelled);
    // Another request is a new wish.
    refusal(app.place(&draft.order_id).await).is(Code::FailedPrecondition, "ORDER_STATE");
    app.check_books().await;
}

#[tokio::test]
async fn a_request_id_is_for_one_request() {
    let app = App::start().await;
    app.stock("A", 9, "1.00").await;
    let (one, two) = (app.draft(&[("A", 1)]).await, app.draft(&[("A", 1)]).await);
    let request = PlaceOrderRequest { request_id: new_id(), ..placing(&one.order_id) };
    let used = |request: &PlaceOrderRequest| format!("request_id: {}", request.request_id);
    app.place_as(request.clone()).await.unwrap();

    let other = PlaceOrderRequest { order_id: two.order_id.clone(), ..request.clone() };
    let refused = refusal(app.place_as(other.clone()).await);
    refused.is(Code::AlreadyExists, "REQUEST_ID_USED");
    assert_eq!(refused.facts, [used(&request)]);
    assert_eq!(app.order(&two.order_id).await.status(), OrderStatus::Draft);
    // Also where nothing is left to do.
    app.place(&two.order_id).await.unwrap();
    refusal(app.place_as(other).await).is(Code::AlreadyExists, "REQUEST_ID_USED");
    // One that found the order placed is remembered as well.
    let late = PlaceOrderRequest { request_id: new_id(), ..placing(&two.order_id) };
    app.place_as(late.clone()).await.unwrap();
    let other = PlaceOrderRequest { order_id: one.order_id, ..late };
    refusal(app.place_as(other).await).is(Code::AlreadyExists, "REQUEST_ID_USED");
    app.check_books().await;
}

#[tokio::test]
async fn a_refused_request_is_not_remembered() {
    let app = App::start().await;
    app.stock("A", 1, "1.00").await;
    let (large, small) = (app.draft(&[("A", 2)]).await, app.draft(&[("A", 1)]).await);
    let dead = app.draft(&[("A", 1)]).await;
    app.cancel(&dead.order_id).await.unwrap();
    let request_id = new_id();
    let with =
        |order_id: &str| PlaceOrderRequest { request_id: request_id.clone(), ..placing(order_id) };
    refusal(app.place_as(with(&large.order_id)).await).is(Code::FailedPrecondition, "STOCK_SHORT");
    refusal(app.place_as(with(&dead.order_id)).await).is(Code::FailedPrecondition, "ORDER_STATE");
    refusal(app.place_as(with(&new_id())).await).is(Code::NotFound, "ORDER_NOT_FOUND");
    app.place_as(with(&small.order_id)).await.unwrap();
    app.check_books().await;
}
