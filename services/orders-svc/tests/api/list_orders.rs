use prost_types::Timestamp;
use proto::orders::v1::{CreateOrderRequest, ListOrdersRequest, Order, OrderStatus};
use tonic::Status;

use testkit::refusal;

use crate::{
    app::App,
    requests::{metadata, new_id, order, totals},
};

async fn list(app: &App, request: ListOrdersRequest) -> Result<(Vec<Order>, String), Status> {
    let answer = app.client.clone().list_orders(request).await?.into_inner();
    Ok((answer.orders, answer.next_page_token))
}

/// All pages of two, with `between` run before each but the first.
async fn walk(app: &App, mut request: ListOrdersRequest, between: impl AsyncFn()) -> Vec<String> {
    request.page_size = 2;
    let mut all = Vec::new();
    loop {
        let (orders, next) = list(app, request.clone()).await.unwrap();
        assert!(orders.len() <= 2);
        all.extend(orders.into_iter().map(|order| order.order_id));
        if next.is_empty() {
            return all;
        }
        request.page_token = next;
        between().await;
    }
}

async fn drafts(app: &App, customer: &str, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for _ in 0..count {
        ids.push(app.create(order(customer, &[("A", 1)])).await.unwrap().order_id);
    }
    ids
}

#[tokio::test]
async fn orders_come_newest_first_without_their_lines() {
    let app = App::start().await;
    app.stock("A", 10, "1.25").await;
    let ids = drafts(&app, &app.customer().await, 3).await;
    app.place(&ids[1]).await.unwrap();
    let (found, next) = list(&app, ListOrdersRequest::default()).await.unwrap();
    assert_eq!(next, "");
    let listed: Vec<&String> = found.iter().map(|order| &order.order_id).collect();
    assert_eq!(listed, ids.iter().rev().collect::<Vec<_>>());
    let whole = app.order(&ids[1]).await;
    assert_eq!(found[1], Order { lines: Vec::new(), ..whole });
    assert_eq!(totals(&found[1]), ("1.25", "0.00"));
}

#[tokio::test]
async fn filters_hold_on_every_page_while_orders_are_added_and_change() {
    let app = App::start().await;
    app.stock("A", 1000, "1.00").await;
    let (ann, bob) = (app.customer().await, app.customer().await);
    let mut of_ann = Vec::new();
    let mut placed = Vec::new();
    for n in 0..6 {
        let ids = drafts(&app, if n % 3 == 0 { &bob } else { &ann }, 2).await;
        app.place(&ids[0]).await.unwrap();
        placed.push(ids[0].clone());
        if n % 3 > 0 {
            of_ann.extend(ids);
        }
    }
    of_ann.reverse();
    placed.reverse();
    let of_ann_placed: Vec<_> = of_ann.iter().filter(|id| placed.contains(id)).cloned().collect();

    let add = async || {
        let ids = drafts(&app, &ann, 2).await;
        app.place(&ids[0]).await.unwrap();
    };
    let request = |customer: &str, status: OrderStatus| ListOrdersRequest {
        customer_id: customer.to_owned(),
        status: status.into(),
        ..Default::default()
    };
    // What is added meanwhile is newer than the first page, so it is on none of these walks.
    assert_eq!(walk(&app, request(&ann, OrderStatus::Unspecified), add).await, of_ann);
    let (before, _) = list(&app, request(&ann, OrderStatus::Placed)).await.unwrap();
    let walked = walk(&app, request(&ann, OrderStatus::Placed), add).await;
    let expected: Vec<_> = before.iter().map(|order| order.order_id.clone()).collect();
    assert_eq!(walked, expected);
    assert!(walked.ends_with(&of_ann_placed));
    let walked = walk(&app, request("", OrderStatus::Placed), add).await;
    assert!(walked.ends_with(&placed), "{walked:?} {placed:?}");
    assert_eq!(walk(&app, request(&bob, OrderStatus::Shipped), add).await, [""; 0]);
    assert_eq!(walk(&app, request(&new_id(), OrderStatus::Unspecified), add).await, [""; 0]);
}

#[tokio::test]
async fn every_status_can_be_asked_for() {
    let app = App::start().await;
    app.stock("A", 10, "1.00").await;
    let ids = drafts(&app, &app.customer().await, 5).await;
    for id in &ids[1..4] {
        app.place(id).await.unwrap();
    }
    app.cancel(&ids[4]).await.unwrap();
    app.settle().await;
    for id in &ids[2..4] {
        app.ship(id).await.unwrap();
    }
    app.hear_paid(&[&ids[3]]).await;
    let statuses = [
        OrderStatus::Draft,
        OrderStatus::Placed,
        OrderStatus::Shipped,
        OrderStatus::Completed,
        OrderStatus::Cancelled,
    ];
    for (id, status) in ids.iter().zip(statuses) {
        let request = ListOrdersRequest { status: status.into(), ..Default::default() };
        let (found, _) = list(&app, request).await.unwrap();
        let found: Vec<_> = found.iter().map(|order| (&order.order_id, order.status())).collect();
        assert_eq!(found, [(id, status)]);
    }
    app.check_books().await;
}

#[tokio::test]
async fn a_token_goes_on_with_its_own_filters_only() {
    let app = App::start().await;
    app.stock("A", 10, "1.00").await;
    let ann = app.customer().await;
    drafts(&app, &ann, 3).await;
    let of_ann = ListOrdersRequest { page_size: 1, customer_id: ann.clone(), ..Default::default() };
    let (_, page_token) = list(&app, of_ann.clone()).await.unwrap();
    let with_token = ListOrdersRequest { page_token, ..of_ann };
    list(&app, with_token.clone()).await.unwrap();
    let others = [
        ListOrdersRequest { customer_id: String::new(), ..with_token.clone() },
        ListOrdersRequest { customer_id: new_id(), ..with_token.clone() },
        ListOrdersRequest { status: OrderStatus::Draft.into(), ..with_token.clone() },
        ListOrdersRequest { place_time_from: at(1), ..with_token.clone() },
        ListOrdersRequest { create_time_before: at(1), ..with_token.clone() },
        ListOrdersRequest { page_token: format!("{}x", with_token.page_token), ..with_token },
    ];
    for other in others {
        refusal(list(&app, other).await).names(&["page_token"]);
    }
}

#[tokio::test]
async fn every_bad_field_is_named() {
    let app = App::start().await;
    let request = ListOrdersRequest {
        page_size: 1001,
        page_token: "x".to_owned(),
        customer_id: "7".to_owned(),
        status: 99,
        place_time_from: Some(Timestamp { seconds: i64::MAX, nanos: 0 }),
        place_time_before: Some(Timestamp { seconds: 0, nanos: -1 }),
        create_time_from: Some(Timestamp { seconds: i64::MIN, nanos: 0 }),
        create_time_before: Some(Timestamp { seconds: 0, nanos: 2_000_000_000 }),
    };
    let names = [
        "page_size",
        "page_token",
        "customer_id",
        "status",
        "place_time_from",
        "place_time_before",
        "create_time_from",
        "create_time_before",
    ];
    refusal(list(&app, request).await).names(&names);
    let request = ListOrdersRequest { page_size: -1, ..Default::default() };
    refusal(list(&app, request).await).names(&["page_size"]);
}

#[tokio::test]
async fn a_page_of_large_orders_fits_into_a_message() {
    let app = App::start().await;
    app.stock("A", 1, "1.00").await;
    let large = CreateOrderRequest {
        metadata: metadata("a", &"x".repeat(16_000)),
        ..order(&app.customer().await, &[("A", 1)])
    };
    let all = futures::future::join_all((0..300).map(|_| app.create(large.clone()))).await;
    assert!(all.iter().all(Result::is_ok));
    let mut request = ListOrdersRequest { page_size: 1000, ..Default::default() };
    let mut counts = Vec::new();
    loop {
        let (orders, next) = list(&app, request.clone()).await.unwrap();
        counts.push(orders.len());
        if next.is_empty() {
            break;
        }
        request.page_token = next;
    }
    assert_eq!(counts.iter().sum::<usize>(), 300);
    assert!(counts.len() > 1, "{counts:?}");
}

fn at(seconds: i64) -> Option<Timestamp> {
    Some(Timestamp { seconds, nanos: 0 })
}

/// Placed at these seconds.
async fn placed_at(app: &App, customer: &str, seconds: &[i64]) -> Vec<String> {
    let mut ids = Vec::new();
    for second in seconds {
        let request = CreateOrderRequest {
            place: true,
            place_time: at(*second),
            ..order(customer, &[("A", 1)])
        };
        let all = ["orders.write", "orders.import"];
        let placed = app.caller(&all).create_order(request).await.unwrap().into_inner();
        ids.push(placed.order.unwrap().order_id);
    }
    ids
}

#[tokio::test]
async fn those_placed_within_a_time_come_latest_placed_first() {
    let app = App::start().await;
    app.stock("A", 1000, "1.00").await;
    let (ann, bob) = (app.customer().await, app.customer().await);
    let ids = placed_at(&app, &ann, &[30, 10, 20, 20, 40]).await;
    let of_bob = placed_at(&app, &bob, &[25]).await;
    drafts(&app, &ann, 1).await;
    let within = |from: Option<Timestamp>, before: Option<Timestamp>| ListOrdersRequest {
        place_time_from: from,
        place_time_before: before,
        ..Default::default()
    };
    let add = async || {
        placed_at(&app, &ann, &[1000]).await;
    };
    let twins = if ids[2] > ids[3] { [&ids[2], &ids[3]] } else { [&ids[3], &ids[2]] };
    let expected = [&ids[0], &of_bob[0], twins[0], twins[1], &ids[1]];
    assert_eq!(walk(&app, within(at(10), at(40)), add).await.iter().collect::<Vec<_>>(), expected);
    let before = walk(&app, within(None, at(30)), add).await;
    assert_eq!(before.iter().collect::<Vec<_>>(), expected[1..], "its end is not in it");
    let (from, _) = list(&app, within(at(40), None)).await.unwrap();
    assert!(from.iter().all(|order| order.place_time.unwrap().seconds >= 40) && from.len() > 1);
    assert_eq!(walk(&app, within(at(41), at(41)), add).await, [""; 0]);

    // With a customer or a status as well. Of a customer the newest come first.
    let of_ann = ListOrdersRequest { customer_id: ann.clone(), ..within(at(10), at(40)) };
    let newest_first = [&ids[3], &ids[2], &ids[1], &ids[0]];
    assert_eq!(walk(&app, of_ann.clone(), add).await.iter().collect::<Vec<_>>(), newest_first);
    app.settle().await;
    app.ship(&ids[0]).await.unwrap();
    let shipped = ListOrdersRequest { status: OrderStatus::Shipped.into(), ..within(at(10), None) };
    assert_eq!(walk(&app, shipped, add).await, [ids[0].as_str()]);
    let shipped = ListOrdersRequest { status: OrderStatus::Shipped.into(), ..of_ann };
    assert_eq!(walk(&app, shipped, add).await, [ids[0].as_str()]);
}

#[tokio::test]
async fn those_that_a_customer_made_within_a_time_are_found() {
    let app = App::start().await;
    app.stock("A", 1000, "1.00").await;
    let ann = app.customer().await;
    let ids = drafts(&app, &ann, 3).await;
    drafts(&app, &app.customer().await, 1).await;
    let made = async |n: usize| app.order(&ids[n]).await.create_time;
    let request = |from, before| ListOrdersRequest {
        customer_id: ann.clone(),
        create_time_from: from,
        create_time_before: before,
        ..Default::default()
    };
    let add = async || {};
    assert_eq!(walk(&app, request(made(1).await, None), add).await, [&*ids[2], &ids[1]]);
    assert_eq!(walk(&app, request(None, made(2).await), add).await, [&*ids[1], &ids[0]]);
    assert_eq!(walk(&app, request(made(1).await, made(2).await), add).await, [&*ids[1]]);

    // No index has them without their customer.
    let all = ListOrdersRequest { customer_id: String::new(), ..request(at(1), at(2)) };
    refusal(list(&app, all.clone()).await).names(&["create_time_from"]);
    let all = ListOrdersRequest { create_time_from: None, ..all };
    refusal(list(&app, all).await).names(&["create_time_before"]);
}
