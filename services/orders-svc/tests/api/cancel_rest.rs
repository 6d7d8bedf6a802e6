//! `CancelOrder` of an order of which a part was shipped.

use futures::future::join_all;
use proto::{
    events::v1::{CancelledLine, OrderPartCancelled},
    orders::v1::{CancelOrderRequest, CreateOrderLine, CreateOrderRequest, OrderStatus},
};
use tonic::Code;

use testkit::refusal;

use crate::{
    app::App,
    requests::{
        amount, cancelling, line, money, new_id, order, quantities, returning, shipping, totals,
    },
};

/// Three lines at awkward prices, placed.
async fn placed(app: &App) -> proto::orders::v1::Order {
    app.stock("A", 50, "0.33").await;
    app.stock("B", 50, "2.50").await;
    let taxed = |sku, qty| CreateOrderLine { tax_rate: "0.2".to_owned(), ..line(sku, qty) };
    let request = CreateOrderRequest {
        lines: vec![taxed("A", 7), line("B", 2), taxed("A", 3)],
        place: true,
        ..order(&app.customer().await, &[])
    };
    let placed = app.create(request).await.unwrap();
    app.settle().await;
    assert_eq!(totals(&placed), ("8.96", "0.66")); // 2.31 + 0.46, 5.00, 0.99 + 0.20
    placed
}

#[tokio::test]
async fn the_rest_is_given_up_and_the_total_falls_to_what_was_shipped() {
    let app = App::start().await;
    let order = placed(&app).await;
    let id = &order.order_id;
    let [first, second, third] = [0, 1, 2].map(|n| order.lines[n].line_id.as_str());
    app.ship_as(shipping(id, &[(first, 4), (second, 2)])).await.unwrap();
    let reason = "no more to be had".to_owned();
    let request = CancelOrderRequest { reason: reason.clone(), ..cancelling(id) };
    let rest = app.cancel_as(request).await.unwrap();
    assert_eq!((rest.status(), &rest.cancel_reason), (OrderStatus::Shipped, &reason));
    assert_eq!(quantities(&rest), [[7, 4, 3, 0], [2, 2, 0, 0], [3, 0, 3, 0]]);
    let amounts: Vec<_> = rest.lines.iter().map(|line| amount(line.amount.as_ref())).collect();
    assert_eq!(amounts, ["1.32", "5.00", "0.00"]);
    assert_eq!(totals(&rest), ("6.58", "0.26"));
    assert_eq!(app.order(id).await, rest);

    let told = app.log.events_of(id).await;
    assert_eq!((told[3].0.as_str(), told[3].1), ("order.part_cancelled", 4));
    let data: OrderPartCancelled = serde_json::from_value(told[3].2.clone()).unwrap();
    let given_up = |line_id: &str, quantity| CancelledLine {
        line_id: line_id.to_owned(),
        sku: "A".to_owned(),
        quantity,
    };
    let expected = OrderPartCancelled {
        order_id: id.clone(),
        customer_id: order.customer_id.clone(),
        lines: vec![given_up(first, 3), given_up(third, 3)],
        amount: money("2.38"),
        tax: money("0.40"),
        place_time: data.place_time,
    };
    assert_eq!((data.place_time.is_some(), &data), (true, &expected));
    assert!(!told[3].2.to_string().contains(&reason), "what people write is not published");
    app.check_books().await;
    assert_eq!((app.levels("A").await, app.levels("B").await), ((46, 0), (48, 0)));
}

#[tokio::test]
async fn a_paid_order_completes_by_it() {
    let app = App::start().await;
    let order = placed(&app).await;
    let line = order.lines[0].line_id.as_str();
    app.ship_as(shipping(&order.order_id, &[(line, 1)])).await.unwrap();
    app.hear_paid(&[&order.order_id]).await;
    let rest = app.cancel(&order.order_id).await.unwrap();
    assert_eq!((rest.status(), totals(&rest)), (OrderStatus::Completed, ("0.40", "0.07")));
    let told = app.told_of(&order.order_id).await;
    assert_eq!(told[3..], ["order.part_cancelled 4", "order.completed 5"]);
    app.check_books().await;
}

#[tokio::test]
async fn giving_up_twice_is_the_same_as_once() {
    let app = App::start().await;
    let order = placed(&app).await;
    let line = order.lines[0].line_id.as_str();
    app.ship_as(shipping(&order.order_id, &[(line, 1)])).await.unwrap();
    let request = CancelOrderRequest {
        request_id: new_id(),
        reason: "x".to_owned(),
        ..cancelling(&order.order_id)
    };
    let rest = app.cancel_as(request.clone()).await.unwrap();
    assert_eq!(app.cancel_as(request.clone()).await.unwrap(), rest);
    let other = CancelOrderRequest { reason: "y".to_owned(), ..cancelling(&order.order_id) };
    assert_eq!(app.cancel_as(other).await.unwrap(), rest, "the first reason stays");
    let other = CancelOrderRequest { reason: "y".to_owned(), ..request };
    refusal(app.cancel_as(other).await).is(Code::AlreadyExists, "REQUEST_ID_USED");
    app.hear_paid(&[&order.order_id]).await;
    let completed = app.cancel(&order.order_id).await.unwrap();
    assert_eq!(completed.status(), OrderStatus::Completed);
    refusal(app.ship(&order.order_id).await).is(Code::FailedPrecondition, "ORDER_STATE");
    assert_eq!(app.told_of(&order.order_id).await.len(), 5);
    app.check_books().await;
}

#[tokio::test]
async fn goods_that_came_back_before_are_not_counted_twice() {
    let app = App::start().await;
    let order = placed(&app).await;
    let id = &order.order_id;
    let first = order.lines[0].line_id.as_str();
    app.ship_as(shipping(id, &[(first, 3)])).await.unwrap();
    app.take_back(returning(id, &[(first, 3, true)])).await.unwrap();
    // Nothing of it is sold any more: what was returned is all that is left of the total.
    let rest = app.cancel(id).await.unwrap();
    assert_eq!(quantities(&rest)[0], [7, 3, 4, 3]);
    assert_eq!(totals(&rest), crate::requests::refunds(&rest));
    app.check_books().await;
    assert_eq!((app.levels("A").await, app.levels("B").await), ((50, 0), (50, 0)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_a_part_and_the_rest_each_is_shipped_or_given_up_once() {
    let app = App::start().await;
    let clients = [app.client.clone(), app.start_another().await];
    app.stock("A", 1000, "0.99").await;
    let customer = app.customer().await;
    let made =
        join_all((0..60).map(|_| {
            app.create(CreateOrderRequest { place: true, ..order(&customer, &[("A", 3)]) })
        }));
    let orders: Vec<_> = made.await.into_iter().map(Result::unwrap).collect();
    app.settle().await;
    let pairs = orders.iter().enumerate().map(|(n, order)| {
        let (mut one, mut two) = (clients[n % 2].clone(), clients[(n / 2) % 2].clone());
        let (id, line) = (order.order_id.clone(), order.lines[0].line_id.clone());
        tokio::spawn(async move {
            let some = [(line.as_str(), 1)];
            one.ship_order(shipping(&id, &some)).await.unwrap();
            // The second of three, or both that are left, against giving up.
            let ship = one.ship_order(shipping(&id, if n % 3 == 0 { &some } else { &[] }));
            tokio::join!(ship, two.cancel_order(cancelling(&id)))
        })
    });
    for (order, pair) in orders.iter().zip(join_all(pairs).await) {
        let (shipped, cancelled) = pair.unwrap();
        let now = app.order(&order.order_id).await;
        let [of, left, given_up, _] = quantities(&now)[0];
        assert_eq!((now.status(), left + given_up), (OrderStatus::Shipped, of));
        match (shipped, cancelled) {
            // The second left before the third was given up.
            (Ok(_), Ok(_)) => assert_eq!((left, given_up), (2, 1)),
            (Ok(_), refused) => {
                refusal(refused).is(Code::FailedPrecondition, "ORDER_STATE");
                assert_eq!((left, given_up), (3, 0));
            }
            (refused, Ok(_)) => {
                refusal(refused).is(Code::FailedPrecondition, "ORDER_STATE");
                assert_eq!((left, given_up), (1, 2));
            }
            (shipped, cancelled) => panic!("neither: {shipped:?}, {cancelled:?}"),
        }
    }
    app.check_books().await;
    assert_eq!(app.deadlocks().await, 0);
}
