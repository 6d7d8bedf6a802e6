//! Orders that somebody stops: `HoldOrder` and `ReleaseOrder`.

use futures::future::join_all;
use proto::orders::v1::{HoldOrderRequest, Order, OrderStatus, ReleaseOrderRequest};
use tonic::Code;

use testkit::refusal;

use crate::{
    app::App,
    proxy::Way,
    requests::{holding, new_id, placing, relining, shipping},
};

#[tokio::test]
async fn a_held_draft_is_not_placed_before_it_is_released() {
    let app = App::start().await;
    app.stock("A", 9, "1.00").await;
    let draft = app.draft(&[("A", 1)]).await;
    let reason = "limit of credit".to_owned();
    let held = app.hold_as(HoldOrderRequest { reason, ..holding(&draft.order_id) }).await.unwrap();
    let expected = Order {
        held: true,
        hold_reason: "limit of credit".to_owned(),
        hold_time: held.hold_time,
        etag: held.etag.clone(),
        ..draft.clone()
    };
    assert_eq!(held, expected);
    assert!(held.hold_time.is_some() && held.etag != draft.etag);
    let refused = refusal(app.place(&draft.order_id).await);
    refused.is(Code::FailedPrecondition, "ORDER_HELD");
    assert_eq!(refused.facts, [format!("order_id: {}", draft.order_id)]);
    assert!(app.reservation(&draft.order_id).await.is_err(), "nothing was asked for");
    // It can be changed meanwhile.
    app.update_order(relining(&draft.order_id, &[("A", 2)])).await.unwrap();
    let released = app.release(&draft.order_id).await.unwrap();
    assert!(!released.held && released.hold_reason.is_empty() && released.hold_time.is_none());
    assert_eq!(app.place(&draft.order_id).await.unwrap().status(), OrderStatus::Placed);
    let told = app.log.events_of(&draft.order_id).await;
    let kinds: Vec<_> = told.iter().map(|(kind, _, _)| kind.as_str()).collect();
    let expected =
        ["order.created", "order.held", "order.updated", "order.released", "order.placed"];
    assert_eq!(kinds, expected);
    let data = serde_json::json!({ "orderId": draft.order_id });
    assert_eq!((&told[1].2, &told[3].2), (&data, &data), "what people write is not published");
    app.check_books().await;
}

#[tokio::test]
async fn a_held_order_is_not_shipped_before_it_is_released() {
    let app = App::start().await;
    app.stock("A", 9, "1.00").await;
    let order = app.placed(&[("A", 3)]).await;
    let line = order.lines[0].line_id.as_str();
    app.ship_as(shipping(&order.order_id, &[(line, 1)])).await.unwrap();
    app.hold(&order.order_id).await.unwrap();
    for lines in [&[][..], &[(line, 1)]] {
        let refused = refusal(app.ship_as(shipping(&order.order_id, lines)).await);
        refused.is(Code::FailedPrecondition, "ORDER_HELD");
    }
    app.hear_paid(&[&order.order_id]).await;
    assert!(app.order(&order.order_id).await.held, "payment does not let it go");
    app.release(&order.order_id).await.unwrap();
    let (shipped, _) = app.ship(&order.order_id).await.unwrap();
    assert_eq!(shipped.status(), OrderStatus::Completed);
    app.check_books().await;
}

#[tokio::test]
async fn an_order_that_is_held_while_it_is_being_placed_is_not_placed() {
    let app = App::start_with_proxy().await;
    app.stock("A", 9, "1.00").await;
    let draft = app.draft(&[("A", 1)]).await;
    app.proxy.set(Way::HoldsAnswers);
    let placed = tokio::spawn({
        let (mut client, request) = (app.client.clone(), placing(&draft.order_id));
        async move { client.place_order(request).await }
    });
    app.proxy.holds(1).await;
    app.hold(&draft.order_id).await.unwrap();
    app.proxy.set(Way::Open);
    refusal(placed.await.unwrap()).is(Code::FailedPrecondition, "ORDER_HELD");
    assert_eq!(app.order(&draft.order_id).await.status(), OrderStatus::Draft);
    app.check_books().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_order_is_held_or_shipped_never_both() {
    let app = App::start().await;
    let clients = [app.client.clone(), app.start_another().await];
    app.stock("A", 1000, "1.00").await;
    let mut orders = Vec::new();
    for _ in 0..24 {
        orders.push(app.placed(&[("A", 2)]).await);
    }
    let pairs = orders.iter().enumerate().map(|(n, order)| {
        let (mut one, mut two) = (clients[n % 2].clone(), clients[(n / 2) % 2].clone());
        let id = order.order_id.clone();
        tokio::spawn(async move {
            let (shipping, holding) = (shipping(&id, &[]), holding(&id));
            match tokio::join!(one.ship_order(shipping), two.hold_order(holding)) {
                (Ok(_), refused) => {
                    refusal(refused).is(Code::FailedPrecondition, "ORDER_STATE");
                    true
                }
                (refused, Ok(_)) => {
                    refusal(refused).is(Code::FailedPrecondition, "ORDER_HELD");
                    false
                }
                (shipped, held) => panic!("neither: {shipped:?}, {held:?}"),
            }
        })
    });
    for (order, shipped) in orders.iter().zip(join_all(pairs).await) {
        let now = app.order(&order.order_id).await;
        assert_eq!(
            (now.held, now.shipments.len()),
            match shipped.unwrap() {
                true => (false, 1),
                false => (true, 0),
            }
        );
    }
    app.check_books().await;
    assert_eq!(app.deadlocks().await, 0);
}

#[tokio::test]
async fn cancelling_ends_a_hold() {
    let app = App::start().await;
    app.stock("A", 9, "1.00").await;
    let (draft, whole) = (app.draft(&[("A", 1)]).await, app.placed(&[("A", 2)]).await);
    let part = app.placed(&[("A", 3)]).await;
    let line = part.lines[0].line_id.as_str();
    app.ship_as(shipping(&part.order_id, &[(line, 1)])).await.unwrap();
    let cases = [
        (&draft, OrderStatus::Cancelled),
        (&whole, OrderStatus::Cancelled),
        (&part, OrderStatus::Shipped),
    ];
    for (order, status) in cases {
        let request = HoldOrderRequest { reason: "x".to_owned(), ..holding(&order.order_id) };
        app.hold_as(request).await.unwrap();
        let cancelled = app.cancel(&order.order_id).await.unwrap();
        assert_eq!((cancelled.status(), cancelled.held), (status, false));
        assert_eq!((&*cancelled.hold_reason, cancelled.hold_time), ("", None));
        assert_eq!(app.release(&order.order_id).await.unwrap(), cancelled, "it is not held");
    }
    app.check_books().await;
}

#[tokio::test]
async fn where_nothing_is_left_to_stop_nothing_is_held() {
    let app = App::start().await;
    app.stock("A", 9, "1.00").await;
    let (shipped, completed) = (app.placed(&[("A", 1)]).await, app.placed(&[("A", 1)]).await);
    let cancelled = app.placed(&[("A", 1)]).await;
    app.ship(&shipped.order_id).await.unwrap();
    app.ship(&completed.order_id).await.unwrap();
    app.hear_paid(&[&completed.order_id]).await;
    app.cancel(&cancelled.order_id).await.unwrap();
    for (order, from) in [(shipped, "shipped"), (completed, "completed"), (cancelled, "cancelled")]
    {
        let refused = refusal(app.hold(&order.order_id).await);
        refused.is(Code::FailedPrecondition, "ORDER_STATE");
        let facts = [
            format!("from: {from}"),
            format!("order_id: {}", order.order_id),
            "to: held".to_owned(),
        ];
        assert_eq!(refused.facts, facts);
    }
    app.check_books().await;
}

#[tokio::test]
async fn holding_twice_holds_once_and_the_first_reason_stays() {
    let app = App::start().await;
    app.stock("A", 9, "1.00").await;
    let draft = app.draft(&[("A", 1)]).await;
    let request = |reason: &str| HoldOrderRequest {
        request_id: new_id(),
        reason: reason.to_owned(),
        ..holding(&draft.order_id)
    };
    let first = request("first");
    let held = app.hold_as(first.clone()).await.unwrap();
    assert_eq!(app.hold_as(request("second")).await.unwrap(), held);
    assert_eq!(app.hold_as(first.clone()).await.unwrap(), held);
    let other = HoldOrderRequest { reason: "third".to_owned(), ..first.clone() };
    refusal(app.hold_as(other).await).is(Code::AlreadyExists, "REQUEST_ID_USED");

    let release = ReleaseOrderRequest { request_id: new_id(), order_id: draft.order_id.clone() };
    let released = app.release_as(release.clone()).await.unwrap();
    assert_eq!(app.release(&draft.order_id).await.unwrap(), released);
    // Requests that were answered before hold and release nothing again.
    assert_eq!(app.hold_as(first).await.unwrap(), released);
    let held = app.hold(&draft.order_id).await.unwrap();
    assert_eq!(app.release_as(release.clone()).await.unwrap(), held);
    let other = ReleaseOrderRequest { order_id: new_id(), ..release };
    refusal(app.release_as(other).await).is(Code::NotFound, "ORDER_NOT_FOUND");
    assert_eq!(app.told_of(&draft.order_id).await.len(), 4);
    app.check_books().await;
}

#[tokio::test]
async fn bad_fields_are_named_and_the_permission_is_needed() {
    let app = App::start().await;
    let bad = HoldOrderRequest {
        request_id: "x".to_owned(),
        order_id: "7".to_owned(),
        reason: "x".repeat(256),
    };
    refusal(app.hold_as(bad).await).names(&["request_id", "order_id", "reason"]);
    let bad = ReleaseOrderRequest { request_id: "x".to_owned(), order_id: "7".to_owned() };
    refusal(app.release_as(bad).await).names(&["request_id", "order_id"]);
    let nothing = new_id();
    for answer in [app.hold(&nothing).await, app.release(&nothing).await] {
        let refused = refusal(answer);
        refused.is(Code::NotFound, "ORDER_NOT_FOUND");
        assert_eq!(refused.facts, [format!("order_id: {nothing}")]);
    }
    let mut clerk = app.caller(&["orders.write"]);
    let refused = refusal(clerk.hold_order(holding(&nothing)).await);
    refused.is(Code::PermissionDenied, "PERMISSION_MISSING");
    assert_eq!(refused.facts, ["permission: orders.hold"]);
    let release = ReleaseOrderRequest { order_id: nothing, ..Default::default() };
    refusal(clerk.release_order(release).await).is(Code::PermissionDenied, "PERMISSION_MISSING");
}
