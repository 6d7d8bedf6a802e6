use proto::inventory::v1::{ReservationState, ReserveStockLine, ReserveStockRequest};
use tonic::Code;

use testkit::refusal;

use crate::app::{App, cancelled, new_order, placed, shipped};

#[tokio::test]
async fn all_lines_are_reserved_and_answered_with_name_and_price() {
    let app = App::start().await;
    app.stock("A", 5).await;
    app.stock("B", 5).await;
    let order = new_order();
    let answer = app.reserve(&order, &[("B", 1), ("A", 2), ("B", 3)]).await.unwrap();
    let goods: Vec<_> = answer
        .products
        .iter()
        .map(|p| (p.sku.as_str(), p.name.as_str(), p.price.as_ref().unwrap().amount.as_str()))
        .collect();
    assert_eq!(goods, [("A", "a A", "9.99"), ("B", "a B", "9.99")]);
    assert_eq!((app.levels("A").await, app.levels("B").await), ((5, 2), (5, 4)));

    let reservation = app.reservation(&order).await.unwrap();
    assert_eq!(reservation.state(), ReservationState::Held);
    assert_eq!(reservation.expire_time, answer.expire_time);
    let lines: Vec<_> = reservation
        .lines
        .iter()
        .map(|l| (l.sku.as_str(), l.quantity, l.shipped_quantity))
        .collect();
    assert_eq!(lines, [("A", 2, 0), ("B", 4, 0)]);
    let left: f64 = sqlx::query_scalar(
        "select extract(epoch from expires_at - created_at)::float8 from inventory.reservations",
    )
    .fetch_one(&app.db)
    .await
    .unwrap();
    assert!((left - 900.0).abs() < 0.001, "fifteen minutes, not {left} s");

    let events = app.log.events_of(&order).await;
    assert_eq!(events.len(), 1);
    let (event_type, version, data) = &events[0];
    assert_eq!((event_type.as_str(), *version), ("stock.reserved", 1));
    assert_eq!(data["orderId"], order);
    let levels = serde_json::json!([
        {"sku": "A", "quantity": 2, "onHand": 5, "reserved": 2},
        {"sku": "B", "quantity": 4, "onHand": 5, "reserved": 4},
    ]);
    assert_eq!(data["levels"], levels);
    app.check_books().await;
}

#[tokio::test]
async fn a_shortage_names_each_short_sku_and_reserves_nothing() {
    let app = App::start().await;
    for (sku, on_hand) in [("A", 5), ("B", 1), ("C", 0)] {
        app.stock(sku, on_hand).await;
    }
    let order = new_order();
    let refused = refusal(app.reserve(&order, &[("A", 5), ("C", 1), ("B", 2)]).await);
    refused.is(Code::FailedPrecondition, "STOCK_SHORT");
    assert_eq!(refused.facts, ["B: requested 2, available 1", "C: requested 1, available 0"]);
    assert_eq!(
        refused.message,
        "too little stock: B (requested 2, available 1), C (requested 1, available 0)"
    );
    assert_eq!(app.levels("A").await, (5, 0));
    refusal(app.reservation(&order).await).is(Code::NotFound, "RESERVATION_NOT_FOUND");
    assert!(app.log.events_of(&order).await.is_empty());

    app.receive("B", 1).await.unwrap();
    app.receive("C", 1).await.unwrap();
    app.reserve(&order, &[("A", 5), ("C", 1), ("B", 2)]).await.unwrap();
}

#[tokio::test]
async fn a_shortage_of_many_skus_arrives() {
    let app = App::start().await;
    let skus: Vec<String> = (0..500).map(|n| format!("{n:03}-{}", "x".repeat(60))).collect();
    let requests = skus.iter().map(|sku| crate::app::product(sku, "long", "1")).collect();
    let products =
        proto::inventory::v1::BatchCreateProductsRequest { requests, ..Default::default() };
    app.client.clone().batch_create_products(products).await.unwrap();
    let lines: Vec<(&str, i32)> = skus.iter().map(|sku| (sku.as_str(), 1_000_000)).collect();
    let refused = refusal(app.reserve(&new_order(), &lines).await);
    refused.is(Code::FailedPrecondition, "STOCK_SHORT");
    assert_eq!(refused.facts.len(), 50);
    assert!(refused.message.ends_with("and 495 more"), "{}", refused.message);
}

#[tokio::test]
async fn unknown_skus_are_bad_fields_of_their_lines() {
    let app = App::start().await;
    app.stock("B", 5).await;
    let refused =
        refusal(app.reserve(&new_order(), &[("X", 1), ("B", 9), ("A", 1), ("X", 1)]).await);
    refused.names(&["lines[2].sku", "lines[0].sku"]);
    assert_eq!(refused.message, "not in the catalogue: A, X");
    assert_eq!(app.levels("B").await, (5, 0));
}

#[tokio::test]
async fn the_same_lines_again_answer_the_same_also_when_shipped() {
    let app = App::start().await;
    app.stock("A", 5).await;
    let order = new_order();
    let first = app.reserve(&order, &[("A", 2), ("A", 1)]).await.unwrap();
    assert_eq!(app.reserve(&order, &[("A", 3)]).await.unwrap(), first);
    app.hear(&[placed(&order)]).await;
    assert_eq!(app.reserve(&order, &[("A", 3)]).await.unwrap(), first);
    app.hear(&[shipped(&order, &new_order(), &[("A", 3)])]).await;
    assert_eq!(app.reserve(&order, &[("A", 3)]).await.unwrap(), first);
    assert_eq!(app.levels("A").await, (2, 0));
    assert_eq!(app.log.told_of(&order).await.len(), 2);
}

#[tokio::test]
async fn other_lines_for_the_same_order_are_refused() {
    let app = App::start().await;
    app.stock("A", 5).await;
    app.stock("B", 5).await;
    let order = new_order();
    app.reserve(&order, &[("A", 2)]).await.unwrap();
    for lines in [&[("A", 3)][..], &[("B", 2)], &[("A", 2), ("B", 1)], &[("X", 1)]] {
        let refused = refusal(app.reserve(&order, lines).await);
        refused.is(Code::AlreadyExists, "RESERVATION_DIFFERS");
        assert_eq!(refused.facts, [format!("order_id: {order}")]);
    }
    assert_eq!((app.levels("A").await, app.levels("B").await), ((5, 2), (5, 0)));
}

#[tokio::test]
async fn what_was_released_is_not_reserved_again() {
    let app = App::start().await;
    app.stock("A", 5).await;
    let order = new_order();
    app.reserve(&order, &[("A", 2)]).await.unwrap();
    app.hear(&[cancelled(&order)]).await;
    let refused = refusal(app.reserve(&order, &[("A", 2)]).await);
    refused.is(Code::FailedPrecondition, "RESERVATION_RELEASED");
    assert_eq!(app.levels("A").await, (5, 0));
}

#[tokio::test]
async fn a_repeat_after_the_time_limit_gets_the_full_time_again() {
    let app = App::start().await;
    app.stock("A", 5).await;
    let order = new_order();
    let first = app.reserve(&order, &[("A", 2)]).await.unwrap();
    app.run_out(&order, 3600).await;
    let again = app.reserve(&order, &[("A", 2)]).await.unwrap();
    assert!(again.expire_time.unwrap().seconds >= first.expire_time.unwrap().seconds);
    assert_eq!(app.levels("A").await, (5, 2));
    assert_eq!(app.log.told_of(&order).await.len(), 1);
}

#[tokio::test]
async fn every_bad_field_is_named() {
    let app = App::start().await;
    let line = |sku: &str, quantity| ReserveStockLine { sku: sku.to_owned(), quantity };
    let lines = vec![line("A", i32::MAX), line("A", i32::MAX), line("a b", 1), line("B", 0)];
    let request = ReserveStockRequest { order_id: "7".to_owned(), lines, ..Default::default() };
    refusal(app.client.clone().reserve_stock(request).await).names(&[
        "order_id",
        "lines[0].quantity",
        "lines[1].quantity",
        "lines[2].sku",
        "lines[3].quantity",
    ]);
    let request = ReserveStockRequest { order_id: new_order(), ..Default::default() };
    refusal(app.client.clone().reserve_stock(request).await).names(&["lines"]);
    let request = ReserveStockRequest {
        order_id: new_order(),
        lines: vec![line("A", 1); 501],
        ..Default::default()
    };
    refusal(app.client.clone().reserve_stock(request).await).names(&["lines"]);
}

#[tokio::test]
async fn a_request_id_is_for_one_request_and_a_refused_one_is_not_remembered() {
    let app = App::start().await;
    app.stock("A", 5).await;
    let request = |request_id: &str, order_id: &str, quantity| ReserveStockRequest {
        request_id: request_id.to_owned(),
        order_id: order_id.to_owned(),
        lines: vec![ReserveStockLine { sku: "A".to_owned(), quantity }],
    };
    let call = async |request: ReserveStockRequest| {
        app.client.clone().reserve_stock(request).await.map(tonic::Response::into_inner)
    };
    let (id, order, other) = (new_order(), new_order(), new_order());
    refusal(call(request(&id, &order, 6)).await).is(Code::FailedPrecondition, "STOCK_SHORT");
    app.receive("A", 1).await.unwrap();
    let first = call(request(&id, &order, 6)).await.unwrap();
    assert_eq!(call(request(&id, &order, 6)).await.unwrap(), first);
    for differs in [request(&id, &order, 5), request(&id, &other, 6)] {
        let refused = refusal(call(differs).await);
        refused.is(Code::AlreadyExists, "REQUEST_ID_USED");
        assert_eq!(refused.facts, [format!("request_id: {id}")]);
    }
    refusal(call(request("7", &order, 6)).await).names(&["request_id"]);
    assert_eq!(app.levels("A").await, (6, 6));
    refusal(app.reservation(&other).await).is(Code::NotFound, "RESERVATION_NOT_FOUND");
}

/// They go together in one transaction, where each has its own verdict.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn requests_with_and_without_ids_do_not_disturb_each_other() {
    let app = std::sync::Arc::new(App::start().await);
    app.stock("A", 30).await;
    let id = new_order();
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..60 {
        let (app, id) = (std::sync::Arc::clone(&app), id.clone());
        callers.spawn(async move {
            let request_id = match caller % 3 {
                0 => id,
                1 => new_order(),
                _ => String::new(),
            };
            let request = ReserveStockRequest {
                request_id,
                order_id: new_order(),
                lines: vec![ReserveStockLine { sku: "A".to_owned(), quantity: 1 }],
            };
            let answer = app.client.clone().reserve_stock(request).await;
            (caller % 3, answer.map_err(|refused| refusal(Err::<(), _>(refused)).reason))
        });
    }
    let (mut of_one_id, mut reserved) = (0, 0);
    for (kind, answer) in callers.join_all().await {
        reserved += i32::from(answer.is_ok());
        match answer {
            Ok(_) => of_one_id += i32::from(kind == 0),
            Err(reason) if kind == 0 => {
                assert!(["REQUEST_ID_USED", "STOCK_SHORT"].contains(&reason.as_str()), "{reason}");
            }
            Err(reason) => assert_eq!(reason, "STOCK_SHORT"),
        }
    }
    assert_eq!((reserved, app.levels("A").await), (30, (30, 30)));
    assert!(of_one_id <= 1);
    let remembered: i64 = sqlx::query_scalar("select count(*) from inventory.requests")
        .fetch_one(&app.db)
        .await
        .unwrap();
    let told: i64 = sqlx::query_scalar(
        "select count(*) from inventory.events_log
         where event_type = 'stock.reserved' and payload ? 'requestid'",
    )
    .fetch_one(&app.db)
    .await
    .unwrap();
    assert_eq!(remembered, told, "only those that succeeded");
    app.check_books().await;
}
