use std::collections::HashSet;

use futures::future::join_all;
use proto::orders::v1::{OrderStatus, ShipOrderRequest};
use tonic::Code;

use testkit::refusal;

use crate::{
    app::App,
    requests::{cancelling, new_id, order, shipping},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_last_units_leave_once() {
    let app = App::start().await;
    let clients = [app.client.clone(), app.start_another().await];
    app.stock("A", 1000, "1.00").await;
    for _ in 0..20 {
        let order = app.placed(&[("A", 5), ("A", 2)]).await;
        let line = order.lines[0].line_id.as_str();
        // Of 5 units, 2 can be taken twice.
        let calls = (0..4).map(|n| {
            let (mut client, request) =
                (clients[n % 2].clone(), shipping(&order.order_id, &[(line, 2)]));
            async move { client.ship_order(request).await }
        });
        let (left, refused): (Vec<_>, Vec<_>) =
            join_all(calls).await.into_iter().partition(Result::is_ok);
        assert_eq!(left.len(), 2);
        for answer in refused {
            let refused = refusal(answer);
            refused.is(Code::FailedPrecondition, "OVER_SHIPMENT");
            assert_eq!(refused.facts, [format!("{line}: requested 2, open 1")]);
        }
        assert_eq!(app.order(&order.order_id).await.lines[0].shipped_quantity, 4);
    }
    app.check_books().await;
    assert_eq!(app.levels("A").await, (920, 60));
    assert_eq!(app.deadlocks().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hundred_equal_requests_at_once_are_one_shipment() {
    let app = App::start().await;
    let clients = [app.client.clone(), app.start_another().await];
    app.stock("A", 1000, "1.00").await;
    let order = app.placed(&[("A", 300)]).await;
    let line = order.lines[0].line_id.as_str();
    let request =
        ShipOrderRequest { request_id: new_id(), ..shipping(&order.order_id, &[(line, 2)]) };
    let calls = (0..100).map(|n| {
        let (mut client, request) = (clients[n % 2].clone(), request.clone());
        async move { client.ship_order(request).await }
    });
    let ids: HashSet<String> = join_all(calls)
        .await
        .into_iter()
        .map(|answer| answer.unwrap().into_inner().shipment.unwrap().shipment_id)
        .collect();
    assert_eq!(ids.len(), 1);
    assert_eq!(app.told_of(&order.order_id).await.len(), 3);
    app.check_books().await;
    assert_eq!(app.levels("A").await, (998, 298));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_whole_order_is_shipped_or_cancelled_never_both() {
    let app = App::start().await;
    let clients = [app.client.clone(), app.start_another().await];
    app.stock("A", 1000, "1.00").await;
    let customer = app.customer().await;
    let drafts = join_all((0..100).map(|_| {
        let request = order(&customer, &[("A", 2)]);
        app.create(proto::orders::v1::CreateOrderRequest { place: true, ..request })
    }));
    let orders: Vec<_> = drafts.await.into_iter().map(Result::unwrap).collect();
    app.settle().await;
    let pairs = orders.iter().enumerate().map(|(n, order)| {
        let (mut one, mut two) = (clients[n % 2].clone(), clients[(n / 2) % 2].clone());
        let id = order.order_id.clone();
        tokio::spawn(async move {
            let ship = one.ship_order(shipping(&id, &[]));
            let (shipped, cancelled) = tokio::join!(ship, two.cancel_order(cancelling(&id)));
            match (shipped, cancelled) {
                (Ok(_), refused) => {
                    refusal(refused).is(Code::FailedPrecondition, "ORDER_STATE");
                    true
                }
                (refused, Ok(_)) => {
                    refusal(refused).is(Code::FailedPrecondition, "ORDER_STATE");
                    false
                }
                (shipped, cancelled) => panic!("neither: {shipped:?}, {cancelled:?}"),
            }
        })
    });
    let shipped: Vec<bool> = join_all(pairs).await.into_iter().map(Result::unwrap).collect();
    for (order, shipped) in orders.iter().zip(&shipped) {
        let now = app.order(&order.order_id).await;
        assert_eq!(now.status() == OrderStatus::Cancelled, !shipped);
        assert_eq!(now.shipments.is_empty(), !shipped);
        assert_eq!(app.told_of(&order.order_id).await.len(), 3);
    }
    app.check_books().await;
    assert_eq!(app.deadlocks().await, 0);
}
