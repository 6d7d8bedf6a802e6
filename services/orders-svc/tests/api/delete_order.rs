use proto::orders::v1::{CreateOrderRequest, DeleteOrderRequest};
use tonic::Code;

use testkit::{eventually, refusal};

use crate::{
    app::{App, WAIT_MAX},
    proxy::Way,
    requests::{new_id, order, relining},
};

fn deleting(order_id: &str) -> DeleteOrderRequest {
    DeleteOrderRequest { order_id: order_id.to_owned(), ..Default::default() }
}

#[tokio::test]
async fn a_draft_goes_with_its_lines() {
    let app = App::start().await;
    app.stock("A", 9, "1.00").await;
    let (draft, other) = (app.draft(&[("A", 1), ("A", 2)]).await, app.draft(&[("A", 1)]).await);
    app.delete_as(deleting(&draft.order_id)).await.unwrap();
    refusal(app.find_order(&draft.order_id).await).is(Code::NotFound, "ORDER_NOT_FOUND");
    assert_eq!(app.count("select count(*) from orders.order_items").await, 1);
    let refused = refusal(app.delete_as(deleting(&draft.order_id)).await);
    refused.is(Code::NotFound, "ORDER_NOT_FOUND");
    assert_eq!(refused.facts, [format!("order_id: {}", draft.order_id)]);
    assert_eq!(app.order(&other.order_id).await, other);
    assert_eq!(app.told_of(&draft.order_id).await, ["order.created 1", "order.deleted 2"]);
    app.check_books().await;
}

#[tokio::test]
async fn what_was_reserved_for_a_draft_is_free_again() {
    let app = App::start_with_proxy().await;
    app.stock("A", 9, "1.00").await;
    let draft = app.draft(&[("A", 2)]).await;
    app.proxy.set(Way::LeavesFiveSeconds);
    refusal(app.place(&draft.order_id).await).is(Code::Aborted, "RESERVATION_RAN_OUT");
    assert_eq!(app.levels("A").await, (9, 2));
    app.delete_as(deleting(&draft.order_id)).await.unwrap();
    app.check_books().await;
    eventually("it is free", WAIT_MAX, async || app.levels("A").await == (9, 0)).await;
}

#[tokio::test]
async fn only_drafts_are_deleted() {
    let app = App::start().await;
    app.stock("A", 9, "1.00").await;
    let (placed, shipped) = (app.placed(&[("A", 1)]).await, app.placed(&[("A", 1)]).await);
    let cancelled = app.draft(&[("A", 1)]).await;
    app.ship(&shipped.order_id).await.unwrap();
    app.cancel(&cancelled.order_id).await.unwrap();
    for (order, from) in [(placed, "placed"), (shipped, "shipped"), (cancelled, "cancelled")] {
        let refused = refusal(app.delete_as(deleting(&order.order_id)).await);
        refused.is(Code::FailedPrecondition, "ORDER_STATE");
        let facts = [
            format!("from: {from}"),
            format!("order_id: {}", order.order_id),
            "to: deleted".to_owned(),
        ];
        assert_eq!(refused.facts, facts);
        app.order(&order.order_id).await;
    }
    app.check_books().await;
}

#[tokio::test]
async fn the_request_that_deleted_a_draft_is_answered_again() {
    let app = App::start().await;
    app.stock("A", 9, "1.00").await;
    let draft = app.draft(&[("A", 1)]).await;
    let request = DeleteOrderRequest {
        request_id: new_id(),
        etag: draft.etag.clone(),
        ..deleting(&draft.order_id)
    };
    app.delete_as(request.clone()).await.unwrap();
    app.delete_as(request.clone()).await.unwrap();
    let other = DeleteOrderRequest { order_id: new_id(), ..request };
    refusal(app.delete_as(other).await).is(Code::AlreadyExists, "REQUEST_ID_USED");

    let draft = app.draft(&[("A", 1)]).await;
    let changed = app.update_order(relining(&draft.order_id, &[("A", 2)])).await.unwrap();
    let stale =
        DeleteOrderRequest { request_id: new_id(), etag: draft.etag, ..deleting(&draft.order_id) };
    let refused = refusal(app.delete_as(stale.clone()).await);
    refused.is(Code::Aborted, "ETAG_STALE");
    assert_eq!(refused.facts, [format!("etag: {}", changed.etag)]);
    app.delete_as(DeleteOrderRequest { etag: changed.etag, ..stale }).await.unwrap();
    app.check_books().await;
}

#[tokio::test]
async fn the_request_that_made_a_deleted_draft_makes_no_second_one() {
    let app = App::start().await;
    app.stock("A", 9, "1.00").await;
    for place in [false, true] {
        let customer = app.customer().await;
        let request = CreateOrderRequest { request_id: new_id(), ..order(&customer, &[("A", 1)]) };
        let draft = app.create(request.clone()).await.unwrap();
        app.delete_as(deleting(&draft.order_id)).await.unwrap();
        let again = app.create(CreateOrderRequest { place, ..request }).await;
        if place {
            refusal(again).is(Code::AlreadyExists, "REQUEST_ID_USED");
        } else {
            let refused = refusal(again);
            refused.is(Code::NotFound, "ORDER_NOT_FOUND");
            assert_eq!(refused.facts, [format!("order_id: {}", draft.order_id)]);
        }
    }
    assert_eq!(app.count("select count(*) from orders.orders").await, 0);
    app.check_books().await;
}

#[tokio::test]
async fn bad_fields_are_named_and_the_permission_is_needed() {
    let app = App::start().await;
    let bad = DeleteOrderRequest { request_id: "x".to_owned(), ..deleting("7") };
    refusal(app.delete_as(bad).await).names(&["request_id", "order_id"]);
    let refused = refusal(app.caller(&["orders.read"]).delete_order(deleting(&new_id())).await);
    refused.is(Code::PermissionDenied, "PERMISSION_MISSING");
    assert_eq!(refused.facts, ["permission: orders.write"]);
}
