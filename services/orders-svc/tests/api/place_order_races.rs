use futures::future::join_all;
use proto::orders::v1::{OrderStatus, PlaceOrderRequest};
use tonic::Code;

use testkit::refusal;

use crate::{
    app::{App, Orders},
    requests::{cancelling, new_id, order, placing},
};

/// Both replicas.
async fn both(app: &App) -> [Orders; 2] {
    [app.client.clone(), app.start_another().await]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fifty_units_go_to_fifty_of_two_hundred_orders() {
    let app = App::start().await;
    let clients = both(&app).await;
    app.stock("HOT", 50, "1.00").await;
    let customer = app.customer().await;
    let drafts = (0..200).map(|_| app.create(order(&customer, &[("HOT", 1)])));
    let drafts: Vec<String> =
        join_all(drafts).await.into_iter().map(|draft| draft.unwrap().order_id).collect();

    let calls = drafts.iter().zip(clients.iter().cycle()).map(|(id, client)| {
        let (mut client, request) = (client.clone(), placing(id));
        tokio::spawn(async move { client.place_order(request).await })
    });
    let (mut won, mut lost) = (0, 0);
    for (answer, id) in join_all(calls).await.into_iter().zip(&drafts) {
        let answer = answer.unwrap();
        if answer.is_ok() {
            won += 1;
            assert_eq!(app.told_of(id).await, ["order.created 1", "order.placed 2"]);
            continue;
        }
        let refused = refusal(answer);
        refused.is(Code::FailedPrecondition, "STOCK_SHORT");
        assert_eq!(refused.facts, ["HOT: requested 1, available 0"]);
        assert_eq!(app.order(id).await.status(), OrderStatus::Draft);
        lost += 1;
    }
    assert_eq!((won, lost), (50, 150));
    assert_eq!(app.levels("HOT").await, (50, 50));
    app.check_books().await;
    assert_eq!(app.deadlocks().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hundred_placings_at_once_place_once() {
    let app = App::start().await;
    let clients = both(&app).await;
    app.stock("A", 500, "1.00").await;
    let shared = new_id();
    for request_id in
        [|_: &str| String::new(), |shared: &str| shared.to_owned(), |_: &str| new_id()]
    {
        let draft = app.draft(&[("A", 2)]).await;
        let calls = (0..100).map(|n| {
            let request_id = request_id(&shared);
            let request = PlaceOrderRequest { request_id, ..placing(&draft.order_id) };
            let mut client = clients[n % 2].clone();
            async move { client.place_order(request).await }
        });
        let answers = join_all(calls).await;
        let placed = app.order(&draft.order_id).await;
        for answer in answers {
            assert_eq!(answer.unwrap().into_inner().order.unwrap(), placed);
        }
        assert_eq!(app.told_of(&draft.order_id).await, ["order.created 1", "order.placed 2"]);
    }
    assert_eq!(app.levels("A").await, (500, 6));
    app.check_books().await;
    let remembered = "select count(*) from orders.requests where method = 'PlaceOrder'";
    assert_eq!(app.count(remembered).await, 101);
}

/// Two orders in one batch, one of which is placed under a `request_id` that is taken.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_is_told_that_an_order_is_placed_which_is_not() {
    let app = App::start().await;
    app.stock("A", 5000, "1.00").await;
    let first = app.draft(&[("A", 1)]).await;
    let taken = PlaceOrderRequest { request_id: new_id(), ..placing(&first.order_id) };
    app.place_as(taken.clone()).await.unwrap();
    for _ in 0..30 {
        let draft = app.draft(&[("A", 1)]).await;
        let bad = PlaceOrderRequest { order_id: draft.order_id.clone(), ..taken.clone() };
        let bad = join_all((0..10).map(|_| app.place_as(bad.clone())));
        let good = join_all((0..10).map(|_| app.place(&draft.order_id)));
        let (bad, good) = tokio::join!(bad, good);
        for answer in bad {
            refusal(answer).is(Code::AlreadyExists, "REQUEST_ID_USED");
        }
        for answer in good {
            assert_eq!(answer.unwrap().status(), OrderStatus::Placed);
        }
    }
    app.check_books().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn placing_beside_cancelling_leaves_one_truth() {
    let app = App::start().await;
    let clients = both(&app).await;
    app.stock("A", 1000, "1.00").await;
    let customer = app.customer().await;
    let drafts = join_all((0..100).map(|_| app.create(order(&customer, &[("A", 1)])))).await;
    let pairs = drafts.into_iter().zip(0..).map(|(draft, n)| {
        let id = draft.unwrap().order_id;
        let (mut one, mut two) = (clients[n % 2].clone(), clients[(n / 2) % 2].clone());
        tokio::spawn(async move {
            let (placed, cancelled) =
                tokio::join!(one.place_order(placing(&id)), two.cancel_order(cancelling(&id)));
            cancelled.unwrap();
            if placed.is_err() {
                let refused = refusal(placed);
                match refused.code {
                    Code::Aborted => refused.is(Code::Aborted, "ORDER_CHANGED"),
                    _ => refused.is(Code::FailedPrecondition, "ORDER_STATE"),
                }
            }
        })
    });
    for pair in join_all(pairs).await {
        pair.unwrap();
    }
    app.check_books().await;
    assert_eq!(app.levels("A").await, (1000, 0));
    assert_eq!(
        app.count("select count(*) from orders.orders where status <> 'cancelled'").await,
        0
    );
}

/// With the foreign keys of a shared database, and several SKUs in either order.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_waits_in_a_circle() {
    let app = App::start().await;
    app.share_the_database().await;
    let clients = both(&app).await;
    for sku in ["A", "B", "C"] {
        app.stock(sku, 100_000, "1.00").await;
    }
    let customer = app.customer().await;
    let callers = (0..12).map(|caller: usize| {
        let (mut client, customer) = (clients[caller % 2].clone(), customer.clone());
        tokio::spawn(async move {
            for round in 0..12 {
                let mut lines = [("A", 1), ("B", 2), ("C", 3)];
                if caller % 4 < 2 {
                    lines.reverse();
                }
                let mut request = order(&customer, &lines);
                request.place = round % 2 == 0;
                let made = client.create_order(request).await.unwrap().into_inner().order.unwrap();
                if round % 2 == 1 {
                    client.place_order(placing(&made.order_id)).await.unwrap();
                }
                if round % 3 == 0 {
                    client.cancel_order(cancelling(&made.order_id)).await.unwrap();
                }
            }
        })
    });
    for caller in join_all(callers).await {
        caller.unwrap();
    }
    app.check_books().await;
    assert_eq!(app.levels("A").await, (100_000, 96));
    assert_eq!(app.deadlocks().await, 0);
}
