//! A hundred equal requests at once, to two replicas, have one effect.

use std::collections::HashSet;

use futures::future::join_all;
use proto::orders::v1::{
    ArchiveCustomerRequest, CancelOrderRequest, Customer, DeleteOrderRequest, HoldOrderRequest,
    ReleaseOrderRequest, ReturnOrderRequest, UpdateCustomerRequest, UpdateOrderRequest,
};

use crate::{
    app::{App, Orders},
    requests::{cancelling, holding, mask, new_id, quantities, relining, returning, shipping},
};

/// Sends a request a hundred times at once, and gives what the answers have in common.
macro_rules! at_once {
    ($app:expr, $another:expr, $method:ident, $request:expr, $same:expr) => {{
        let clients: [Orders; 2] = [$app.client.clone(), $another.clone()];
        let request = $request;
        let calls = (0..100).map(|n| {
            let (mut client, request) = (clients[n % 2].clone(), request.clone());
            async move { client.$method(request).await }
        });
        let same = $same;
        let answers: HashSet<_> = join_all(calls)
            .await
            .into_iter()
            .map(|answer| same(answer.unwrap().into_inner()))
            .collect();
        assert_eq!(answers.len(), 1, "{answers:?}");
        answers.into_iter().next().unwrap()
    }};
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hundred_equal_requests_have_one_effect() {
    let app = App::start().await;
    let another = app.start_another().await;
    app.stock("A", 1000, "0.13").await;
    let order = app.placed(&[("A", 9)]).await;
    let (id, line) = (order.order_id.as_str(), order.lines[0].line_id.as_str());
    app.ship_as(shipping(id, &[(line, 5)])).await.unwrap();

    let request = ReturnOrderRequest { request_id: new_id(), ..returning(id, &[(line, 2, true)]) };
    let returned =
        |answer: proto::orders::v1::ReturnOrderResponse| answer.returned.unwrap().return_id;
    at_once!(app, another, return_order, request, returned);
    assert_eq!(quantities(&app.order(id).await), [[9, 5, 0, 2]]);

    let request = HoldOrderRequest { request_id: new_id(), ..holding(id) };
    let held = |answer: proto::orders::v1::HoldOrderResponse| answer.order.unwrap().etag;
    at_once!(app, another, hold_order, request, held);
    let request = ReleaseOrderRequest { request_id: new_id(), order_id: id.to_owned() };
    let released = |answer: proto::orders::v1::ReleaseOrderResponse| answer.order.unwrap().etag;
    at_once!(app, another, release_order, request, released);

    let request = CancelOrderRequest { request_id: new_id(), ..cancelling(id) };
    let cancelled = |answer: proto::orders::v1::CancelOrderResponse| answer.order.unwrap().etag;
    at_once!(app, another, cancel_order, request, cancelled);
    assert_eq!(quantities(&app.order(id).await), [[9, 5, 4, 2]]);
    let told: Vec<_> = app.told_behind(id, 3).await.into_iter().map(|(what, _)| what).collect();
    assert_eq!(told, ["order.returned", "order.held", "order.released", "order.part_cancelled"]);

    // Also without a request_id, where the state says that it was done.
    let placed = app.placed(&[("A", 9)]).await;
    at_once!(app, another, hold_order, holding(&placed.order_id), held);
    at_once!(app, another, cancel_order, cancelling(&placed.order_id), cancelled);
    assert_eq!(app.told_of(&placed.order_id).await.len(), 4);
    app.check_books().await;
    assert_eq!(app.levels("A").await, (997, 0));
    assert_eq!(app.deadlocks().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hundred_equal_changes_are_one() {
    let app = App::start().await;
    let another = app.start_another().await;
    app.stock("A", 1000, "0.13").await;
    let draft = app.draft(&[("A", 1)]).await;
    let request =
        UpdateOrderRequest { request_id: new_id(), ..relining(&draft.order_id, &[("A", 2)]) };
    let updated = |answer: proto::orders::v1::UpdateOrderResponse| {
        let order = answer.order.unwrap();
        (order.etag, order.lines[0].line_id.clone())
    };
    at_once!(app, another, update_order, request, updated);
    let order_id = draft.order_id.clone();
    let request = DeleteOrderRequest { request_id: new_id(), order_id, etag: String::new() };
    at_once!(app, another, delete_order, request, |_| ());
    let told = app.told_of(&draft.order_id).await;
    assert_eq!(told, ["order.created 1", "order.updated 2", "order.deleted 3"]);

    let customer_id = draft.customer_id.clone();
    let customer =
        Customer { customer_id: customer_id.clone(), phone: "7".to_owned(), ..Default::default() };
    let request = UpdateCustomerRequest {
        request_id: new_id(),
        customer: Some(customer),
        update_mask: mask(&["phone"]),
    };
    let changed = |answer: proto::orders::v1::UpdateCustomerResponse| answer.customer.unwrap().etag;
    at_once!(app, another, update_customer, request, changed);
    let request = ArchiveCustomerRequest { request_id: new_id(), customer_id, etag: String::new() };
    let archived =
        |answer: proto::orders::v1::ArchiveCustomerResponse| answer.customer.unwrap().etag;
    at_once!(app, another, archive_customer, request, archived);
    let told = app.told_of(&draft.customer_id).await;
    assert_eq!(told, ["customer.created 1", "customer.updated 2", "customer.archived 3"]);
    app.check_books().await;
}
