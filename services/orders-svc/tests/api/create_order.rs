use prost_types::Timestamp;
use proto::{
    inventory::v1::{
        BatchCreateProductsRequest, BatchReceiveStockRequest, CreateProductRequest,
        ReceiveStockRequest,
    },
    orders::v1::{CreateOrderLine, CreateOrderRequest, OrderStatus},
};
use tonic::Code;

use testkit::refusal;

use crate::{
    app::App,
    requests::{amount, line, metadata, money, order, prices, totals},
};

#[tokio::test]
async fn a_draft_has_the_catalogues_prices_and_holds_nothing() {
    let app = App::start().await;
    app.stock("A", 5, "9.99").await;
    app.stock("B", 5, "0.50").await;
    let customer = app.customer().await;
    let request = CreateOrderRequest {
        metadata: metadata("till", "3"),
        ..order(&customer, &[("B", 2), ("A", 1), ("B", 9)])
    };
    let made = app.create(request.clone()).await.unwrap();
    assert_eq!((made.status(), &made.customer_id), (OrderStatus::Draft, &customer));
    assert_eq!(prices(&made), ["0.50", "9.99", "0.50"]);
    let amounts: Vec<&str> = made.lines.iter().map(|line| amount(line.amount.as_ref())).collect();
    assert_eq!(amounts, ["1.00", "9.99", "4.50"]);
    assert_eq!(totals(&made), ("15.49", "0.00"));
    assert_eq!((made.place_time, made.paid, &made.metadata), (None, false, &request.metadata));
    assert!(made.create_time.is_some());
    assert_eq!(app.order(&made.order_id).await, made);
    assert_eq!((app.levels("A").await, app.levels("B").await), ((5, 0), (5, 0)));
    assert_eq!(app.told_of(&made.order_id).await, ["order.created 1"]);
    app.check_books().await;
}

/// Each line's tax is rounded, half a penny up, and then added.
#[tokio::test]
async fn totals_are_rounded_line_by_line() {
    let app = App::start().await;
    let skus = [("A", "0.33"), ("B", "0.13"), ("C", "0.25"), ("D", "0.01"), ("E", "1.00")];
    for (sku, price) in skus {
        app.stock(sku, 100, price).await;
    }
    let taxed = |sku: &str, quantity, tax_rate: &str| CreateOrderLine {
        tax_rate: tax_rate.to_owned(),
        ..line(sku, quantity)
    };
    let lines = vec![
        taxed("A", 3, "0.2"),    // 0.99, tax 0.198
        taxed("B", 1, "0.20"),   // 0.13, tax 0.026
        taxed("C", 1, "0.5"),    // 0.25, tax 0.125
        taxed("D", 1, "0.4999"), // 0.01, tax 0.004999
        taxed("D", 1, "0.5000"), // 0.01, tax 0.005
        taxed("E", 7, ""),       // 7.00, no tax
        taxed("E", 1, "1"),      // 1.00, tax 1.00
    ];
    let request = CreateOrderRequest { lines, place: true, ..order(&app.customer().await, &[]) };
    let made = app.create(request).await.unwrap();
    assert_eq!(totals(&made), ("10.76", "1.37"));
    let rates: Vec<&str> = made.lines.iter().map(|line| line.tax_rate.as_str()).collect();
    assert_eq!(rates, ["0.2", "0.2", "0.5", "0.4999", "0.5", "0", "1"]);
    assert_eq!(app.order(&made.order_id).await, made);
    app.check_books().await;
}

#[tokio::test]
async fn an_order_can_be_placed_at_once() {
    let app = App::start().await;
    app.stock("A", 5, "9.99").await;
    let request = CreateOrderRequest { place: true, ..order(&app.customer().await, &[("A", 2)]) };
    let made = app.create(request).await.unwrap();
    assert_eq!(made.status(), OrderStatus::Placed);
    let of = |time: Option<Timestamp>| time.map(|time| (time.seconds, time.nanos)).unwrap();
    assert!(of(made.place_time) >= of(made.create_time));
    assert_eq!(app.order(&made.order_id).await, made);
    assert_eq!(app.levels("A").await, (5, 2));
    assert_eq!(app.told_of(&made.order_id).await, ["order.created 1", "order.placed 2"]);
    app.check_books().await;
}

#[tokio::test]
async fn a_shortage_names_each_short_sku_and_nothing_is_kept() {
    let app = App::start().await;
    for (sku, on_hand) in [("A", 5), ("B", 1), ("C", 0)] {
        app.stock(sku, on_hand, "1.00").await;
    }
    let lines = [("A", 5), ("C", 1), ("B", 1), ("B", 2)];
    let request = CreateOrderRequest { place: true, ..order(&app.customer().await, &lines) };
    let refused = refusal(app.create(request.clone()).await);
    refused.is(Code::FailedPrecondition, "STOCK_SHORT");
    assert_eq!(refused.facts, ["B: requested 3, available 1", "C: requested 1, available 0"]);

    app.check_books().await;
    for sku in ["A", "B", "C"] {
        assert_eq!(app.levels(sku).await.1, 0);
    }
    let rows =
        "select (select count(*) from orders.orders) + (select count(*) from orders.order_items)
         + (select count(*) from orders.requests)";
    assert_eq!(app.count(rows).await, 0);
    let told = "select count(*) from orders.events_log where event_type in ('order.created', 'order.deleted')";
    assert_eq!(app.count(told).await, 2);

    app.receive("B", 2).await;
    app.receive("C", 1).await;
    app.create(request).await.unwrap();
    app.check_books().await;
}

#[tokio::test]
async fn an_agreed_price_stays() {
    let app = App::start().await;
    app.stock("A", 5, "9.99").await;
    let agreed = |price: &str| CreateOrderLine { unit_price: money(price), ..line("A", 1) };
    let request = CreateOrderRequest {
        lines: vec![agreed("8.50"), line("A", 1), agreed("0")],
        ..order(&app.customer().await, &[])
    };
    let draft = app.create(request).await.unwrap();
    assert_eq!(prices(&draft), ["8.50", "9.99", "0.00"]);
    app.set_price("A", "12.00").await;
    let placed = app.place(&draft.order_id).await.unwrap();
    assert_eq!(prices(&placed), ["8.50", "12.00", "0.00"]);
    assert_eq!(totals(&placed), ("20.50", "0.00"));
    app.check_books().await;
}

#[tokio::test]
async fn an_order_may_be_free() {
    let app = App::start().await;
    app.stock("A", 5, "0").await;
    let placed = app.placed(&[("A", 1)]).await;
    assert_eq!(totals(&placed), ("0.00", "0.00"));
    let (_, _, data) = app.log.events_of(&placed.order_id).await.remove(1);
    assert_eq!(data["total"]["amount"], "0.00");
    app.check_books().await;
}

#[tokio::test]
async fn an_order_may_be_as_large_as_promised() {
    let app = App::start().await;
    let skus: Vec<String> = (0..500).map(|n| format!("{n:03}-{}", "x".repeat(60))).collect();
    let product = |sku: &String| CreateProductRequest {
        sku: sku.clone(),
        name: "x".repeat(255),
        price: money("1999.99"),
        ..Default::default()
    };
    let requests = skus.iter().map(product).collect();
    let request = BatchCreateProductsRequest { requests, ..Default::default() };
    app.inventory.clone().batch_create_products(request).await.unwrap();
    let receipt = |sku: &String| ReceiveStockRequest {
        sku: sku.clone(),
        quantity: 1_000_000,
        ..Default::default()
    };
    let delivery = BatchReceiveStockRequest {
        requests: skus.iter().map(receipt).collect(),
        ..Default::default()
    };
    app.inventory.clone().batch_receive_stock(delivery).await.unwrap();
    let lines: Vec<(&str, i32)> = skus.iter().map(|sku| (sku.as_str(), 1_000_000)).collect();
    let request = CreateOrderRequest { place: true, ..order(&app.customer().await, &lines) };
    let placed = app.create(request).await.unwrap();
    assert_eq!(totals(&placed).0, "999995000000.00");
    assert_eq!(app.order(&placed.order_id).await, placed);
    app.settle().await;
    let (shipped, _) = app.ship(&placed.order_id).await.unwrap();
    assert_eq!(shipped.status(), OrderStatus::Shipped);
    app.check_books().await;
}
