use proto::orders::v1::{
    CreateOrderLine, CreateOrderRequest, Order, OrderStatus, UpdateOrderRequest,
};
use tonic::Code;

use testkit::refusal;

use crate::{
    app::App,
    proxy::Way,
    requests::{line, mask, metadata, money, new_id, order, placing, prices, relining, totals},
};

fn changing(order: &Order, paths: &[&str]) -> UpdateOrderRequest {
    UpdateOrderRequest {
        order: Some(order.clone()),
        update_mask: mask(paths),
        ..Default::default()
    }
}

#[tokio::test]
async fn a_drafts_lines_are_replaced_as_a_whole_and_its_totals_follow() {
    let app = App::start().await;
    app.stock("A", 9, "1.25").await;
    app.stock("B", 9, "0.13").await;
    let draft = app.draft(&[("A", 3), ("B", 1)]).await;
    let lines = vec![
        CreateOrderLine { tax_rate: "0.2".to_owned(), ..line("B", 5) },
        CreateOrderLine { unit_price: money("2.00"), ..line("A", 1) },
    ];
    let request = UpdateOrderRequest { lines, ..relining(&draft.order_id, &[]) };
    let changed = app.update_order(request).await.unwrap();
    assert_eq!((totals(&changed), prices(&changed)), (("2.78", "0.13"), vec!["0.13", "2.00"]));
    let of = |order: &Order| -> Vec<_> {
        order.lines.iter().map(|line| (line.sku.clone(), line.quantity)).collect()
    };
    assert_eq!(of(&changed), [("B".to_owned(), 5), ("A".to_owned(), 1)]);
    assert_eq!((changed.status(), &changed.customer_id), (OrderStatus::Draft, &draft.customer_id));
    assert_ne!(changed.etag, draft.etag);
    assert!(
        draft.lines.iter().all(|old| changed.lines.iter().all(|new| new.line_id != old.line_id))
    );
    assert_eq!(app.order(&draft.order_id).await, changed);

    // It is placed as it is now: with the catalogue's price unless one was agreed.
    app.set_price("B", "0.20").await;
    app.set_price("A", "7.00").await;
    let placed = app.place(&draft.order_id).await.unwrap();
    assert_eq!((totals(&placed), prices(&placed)), (("3.20", "0.20"), vec!["0.20", "2.00"]));
    app.check_books().await;
    assert_eq!((app.levels("A").await, app.levels("B").await), ((9, 1), (9, 5)));
    let told = app.told_of(&draft.order_id).await;
    assert_eq!(told, ["order.created 1", "order.updated 2", "order.placed 3"]);
}

#[tokio::test]
async fn a_draft_goes_to_another_customer_with_other_notes() {
    let app = App::start().await;
    app.stock("A", 9, "1.00").await;
    let (draft, bob) = (app.draft(&[("A", 1)]).await, app.customer().await);
    let given = Order { customer_id: bob.clone(), metadata: metadata("a", "b"), ..draft.clone() };
    let noted = app.update_order(changing(&given, &["metadata"])).await.unwrap();
    let expected =
        Order { metadata: given.metadata.clone(), etag: noted.etag.clone(), ..draft.clone() };
    assert_eq!(noted, expected, "only what the mask names");
    let given = Order { metadata: None, etag: noted.etag, ..given };
    let moved = app.update_order(changing(&given, &["customer_id", "metadata"])).await.unwrap();
    assert_eq!(moved, Order { etag: moved.etag.clone(), customer_id: bob.clone(), ..draft });
    let told = app.told_behind(&moved.order_id, 1).await;
    let owners: Vec<_> =
        told.iter().map(|(what, data)| (&**what, data["customerId"].clone())).collect();
    let ann = serde_json::Value::from(expected.customer_id);
    assert_eq!(owners, [("order.updated", ann), ("order.updated", bob.into())]);
}

#[tokio::test]
async fn of_what_is_no_draft_only_notes_change() {
    let app = App::start().await;
    app.stock("A", 9, "1.00").await;
    let placed = app.placed(&[("A", 1)]).await;
    let other = app.customer().await;
    for (status, from) in [
        (OrderStatus::Placed, "placed"),
        (OrderStatus::Shipped, "shipped"),
        (OrderStatus::Completed, "completed"),
    ] {
        let now = app.order(&placed.order_id).await;
        assert_eq!(now.status(), status);
        let moved = Order { customer_id: other.clone(), ..now.clone() };
        let relined = UpdateOrderRequest {
            lines: vec![line("A", 2)],
            ..changing(&moved, &["lines", "metadata"])
        };
        for request in [changing(&moved, &["customer_id"]), relined] {
            let refused = refusal(app.update_order(request).await);
            refused.is(Code::FailedPrecondition, "ORDER_STATE");
            let facts = [
                format!("from: {from}"),
                format!("order_id: {}", now.order_id),
                "to: changed".to_owned(),
            ];
            assert_eq!(refused.facts, facts);
        }
        let noted = Order { metadata: metadata("seen as", from), ..now.clone() };
        let changed = app.update_order(changing(&noted, &["metadata"])).await.unwrap();
        assert_eq!(changed, Order { etag: changed.etag.clone(), ..noted });
        if status == OrderStatus::Placed {
            app.ship(&placed.order_id).await.unwrap();
        } else {
            app.hear_paid(&[&placed.order_id]).await;
        }
    }
    let cancelled = app.placed(&[("A", 1)]).await;
    let cancelled = app.cancel(&cancelled.order_id).await.unwrap();
    app.update_order(changing(&cancelled, &["metadata"])).await.unwrap();
    app.check_books().await;
}

#[tokio::test]
async fn whoever_places_a_draft_places_what_it_is_then() {
    let app = App::start_with_proxy().await;
    app.stock("A", 9, "1.00").await;
    let draft = app.draft(&[("A", 2)]).await;
    // It changes while its lines are being reserved.
    app.proxy.set(Way::HoldsAnswers);
    let placed = tokio::spawn({
        let (mut client, order_id) = (app.client.clone(), draft.order_id.clone());
        async move { client.place_order(placing(&order_id)).await }
    });
    app.proxy.holds(1).await;
    let noted = Order { metadata: metadata("a", "b"), ..draft.clone() };
    let changed = app.update_order(changing(&noted, &["metadata"])).await.unwrap();
    app.proxy.set(Way::Open);
    refusal(placed.await.unwrap()).is(Code::Aborted, "ORDER_CHANGED");
    let placed = app.place(&draft.order_id).await.unwrap();
    assert_eq!((placed.status(), placed.metadata), (OrderStatus::Placed, changed.metadata));
    app.check_books().await;
}

#[tokio::test]
async fn stock_that_is_held_for_other_lines_is_waited_for() {
    let app = App::start_with_proxy().await;
    app.stock("A", 9, "1.00").await;
    let draft = app.draft(&[("A", 2)]).await;
    app.proxy.set(Way::LeavesFiveSeconds);
    refusal(app.place(&draft.order_id).await).is(Code::Aborted, "RESERVATION_RAN_OUT");
    app.proxy.set(Way::Open);
    app.update_order(relining(&draft.order_id, &[("A", 3)])).await.unwrap();
    refusal(app.place(&draft.order_id).await).is(Code::AlreadyExists, "RESERVATION_DIFFERS");
    app.run_out(&draft.order_id, 3600).await;
    assert_eq!(app.sweeper.step().await.unwrap(), 1);
    let placed = app.place(&draft.order_id).await.unwrap();
    assert_eq!(totals(&placed), ("3.00", "0.00"));
    app.check_books().await;
    assert_eq!(app.levels("A").await, (9, 3));
}

#[tokio::test]
async fn a_change_of_what_has_changed_since_it_was_read_is_refused() {
    let app = App::start().await;
    app.stock("A", 9, "1.00").await;
    let draft = app.draft(&[("A", 1)]).await;
    let first = app.update_order(changing(&draft, &["metadata"])).await.unwrap();
    let refused = refusal(app.update_order(changing(&draft, &["metadata"])).await);
    refused.is(Code::Aborted, "ETAG_STALE");
    assert_eq!(refused.facts, [format!("etag: {}", first.etag)]);
    let placed = app.place(&draft.order_id).await.unwrap();
    app.settle().await;
    // Payment makes no event, but another order all the same.
    app.hear_paid(&[&draft.order_id]).await;
    let refused = refusal(app.update_order(changing(&placed, &["metadata"])).await);
    refused.is(Code::Aborted, "ETAG_STALE");
}

#[tokio::test]
async fn the_same_request_again_changes_nothing() {
    let app = App::start().await;
    app.stock("A", 9, "1.00").await;
    let draft = app.draft(&[("A", 1)]).await;
    let request =
        UpdateOrderRequest { request_id: new_id(), ..relining(&draft.order_id, &[("A", 2)]) };
    let changed = app.update_order(request.clone()).await.unwrap();
    assert_eq!(app.update_order(request.clone()).await.unwrap(), changed);
    let other = UpdateOrderRequest { lines: vec![line("A", 3)], ..request.clone() };
    refusal(app.update_order(other).await).is(Code::AlreadyExists, "REQUEST_ID_USED");
    let placed = app.place(&draft.order_id).await.unwrap();
    assert_eq!(app.update_order(request).await.unwrap(), placed, "as it is now");

    let refused =
        UpdateOrderRequest { request_id: new_id(), ..relining(&draft.order_id, &[("A", 1)]) };
    refusal(app.update_order(refused.clone()).await).is(Code::FailedPrecondition, "ORDER_STATE");
    let mended =
        UpdateOrderRequest { request_id: refused.request_id, ..changing(&placed, &["metadata"]) };
    app.update_order(mended).await.unwrap();
    app.check_books().await;
}

#[tokio::test]
async fn every_bad_field_is_named_and_nothing_changes() {
    let app = App::start().await;
    app.stock("A", 9, "1.00").await;
    let draft = app.draft(&[("A", 1)]).await;
    let bad = Order {
        order_id: "7".to_owned(),
        customer_id: new_id(),
        metadata: metadata("big", &"x".repeat(16 << 10)),
        ..draft.clone()
    };
    let request = UpdateOrderRequest {
        request_id: "x".to_owned(),
        lines: vec![line("A", 0), line("NONE", 1)],
        ..changing(&bad, &["customer_id", "lines", "metadata", "status"])
    };
    refusal(app.update_order(request).await).names(&[
        "request_id",
        "order.order_id",
        "update_mask",
        "order.customer_id",
        "lines[0].quantity",
        "lines[1].sku",
        "order.metadata",
    ]);
    refusal(app.update_order(relining(&draft.order_id, &[])).await).names(&["lines"]);
    let many = relining(&draft.order_id, &[("A", 1); 501]);
    refusal(app.update_order(many).await).names(&["lines"]);
    for paths in [&[][..], &["*"], &["place_time"]] {
        refusal(app.update_order(changing(&draft, paths)).await).names(&["update_mask"]);
    }
    let lines =
        vec![CreateOrderLine { unit_price: money("9999999999.99"), ..line("A", 1_000_000) }];
    let priceless = UpdateOrderRequest { lines, ..relining(&draft.order_id, &[]) };
    refusal(app.update_order(priceless).await).names(&["lines"]);
    let nothing = new_id();
    let refused = refusal(app.update_order(relining(&nothing, &[("A", 1)])).await);
    refused.is(Code::NotFound, "ORDER_NOT_FOUND");
    assert_eq!(refused.facts, [format!("order_id: {nothing}")]);
    assert_eq!(app.order(&draft.order_id).await, draft);
}

#[tokio::test]
async fn an_agreed_price_needs_its_permission() {
    let app = App::start().await;
    app.stock("A", 9, "1.00").await;
    let draft = app.draft(&[("A", 1)]).await;
    let lines = vec![CreateOrderLine { unit_price: money("0.50"), ..line("A", 1) }];
    let request = UpdateOrderRequest { lines, ..relining(&draft.order_id, &[]) };
    let refused = refusal(app.caller(&["orders.write"]).update_order(request.clone()).await);
    refused.is(Code::PermissionDenied, "PERMISSION_MISSING");
    assert_eq!(refused.facts, ["permission: orders.price"]);
    app.caller(&["orders.write", "orders.price"]).update_order(request).await.unwrap();
}

/// The lines of a large draft are changed while there are many shipments: each deleted line is looked for among them.
#[tokio::test]
async fn a_large_draft_can_be_as_large_again() {
    let app = App::start().await;
    app.stock("A", 9, "1.00").await;
    let draft = app.create(CreateOrderRequest { ..order(&app.customer().await, &[("A", 1); 500]) });
    let draft = draft.await.unwrap();
    let changed = app.update_order(relining(&draft.order_id, &[("A", 2); 500])).await.unwrap();
    assert_eq!((changed.lines.len(), totals(&changed)), (500, ("1000.00", "0.00")));
}
