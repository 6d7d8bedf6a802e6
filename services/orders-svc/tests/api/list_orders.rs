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
    };
    let names = ["page_size", "page_token", "customer_id", "status"];
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

/// The statement of `store::orders::list_of_customer`, planned for whatever comes.
#[tokio::test]
async fn a_customers_orders_are_found_by_the_index_on_customers() {
    let app = App::start().await;
    sqlx::raw_sql(
        "insert into orders.customers (id, name, email) select gen_random_uuid(), 'x', n::text from generate_series(1, 2000) n;
         insert into orders.orders (id, customer_id, status, total_amount)
         select gen_random_uuid(), id, 'draft', 0 from orders.customers, generate_series(1, 10);
         analyze orders.orders",
    )
    .execute(&app.db)
    .await
    .unwrap();
    let mut db = app.db.acquire().await.unwrap();
    sqlx::raw_sql(
        "set plan_cache_mode = force_generic_plan;
         prepare listed (uuid, text, uuid, bigint) as
         select id from orders.orders
         where customer_id = $1 and ($2::text is null or status = $2) and ($3::uuid is null or id < $3)
         order by id desc limit $4",
    )
    .execute(&mut *db)
    .await
    .unwrap();
    let plan: Vec<String> = sqlx::query_scalar(
        "explain (costs off) execute listed (gen_random_uuid(), null, null, 51)",
    )
    .fetch_all(&mut *db)
    .await
    .unwrap();
    assert!(plan.iter().any(|line| line.contains("idx_orders_customer")), "{plan:#?}");
}
