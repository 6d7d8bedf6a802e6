//! What `CreateOrder` refuses before anything is kept.

use proto::{
    common::v1::Money,
    orders::v1::{CreateOrderLine, CreateOrderRequest},
};
use tonic::Code;

use testkit::refusal;

use crate::{
    app::App,
    requests::{line, metadata, money, new_id, order},
};

async fn kept(app: &App) -> i64 {
    app.count(
        "select (select count(*) from orders.orders) + (select count(*) from orders.requests)
         + (select count(*) from orders.events_log where event_type <> 'customer.created')",
    )
    .await
}

#[tokio::test]
async fn every_bad_field_is_named_with_what_the_catalogue_and_the_database_know() {
    let app = App::start().await;
    app.stock("A", 5, "1.00").await;
    let request = CreateOrderRequest {
        request_id: "7".to_owned(),
        customer_id: new_id(),
        lines: vec![
            line("", 0),
            line("a b", 1),
            line("A", 1_000_001),
            line("NONE", 1),
            CreateOrderLine {
                unit_price: Some(Money {
                    amount: "-1".to_owned(),
                    currency_code: "EUR".to_owned(),
                }),
                tax_rate: "1.5".to_owned(),
                ..line("A", 1)
            },
            line(&"x".repeat(65), 1),
        ],
        metadata: metadata("big", &"x".repeat(16 << 10)),
        ..Default::default()
    };
    refusal(app.create(request).await).names(&[
        "request_id",
        "metadata",
        "lines[0].sku",
        "lines[0].quantity",
        "lines[1].sku",
        "lines[2].quantity",
        "lines[3].sku",
        "lines[4].unit_price.currency_code",
        "lines[4].unit_price.amount",
        "lines[4].tax_rate",
        "lines[5].sku",
        "customer_id",
    ]);
    refusal(app.create(CreateOrderRequest::default()).await).names(&["customer_id", "lines"]);
    assert_eq!(kept(&app).await, 0);
}

#[tokio::test]
async fn an_unknown_sku_is_a_bad_field_of_each_of_its_lines() {
    let app = App::start().await;
    app.stock("A", 5, "1.00").await;
    let lines = [("X", 1), ("A", 1), ("Y", 1), ("X", 2)];
    for place in [false, true] {
        let request = CreateOrderRequest { place, ..order(&app.customer().await, &lines) };
        let refused = refusal(app.create(request).await);
        refused.names(&["lines[0].sku", "lines[2].sku", "lines[3].sku"]);
        assert_eq!(refused.fields[0], "lines[0].sku: X is not in the catalogue");
    }
    assert_eq!(kept(&app).await, 0);
}

#[tokio::test]
async fn an_unknown_customer_is_a_bad_field() {
    let app = App::start().await;
    app.stock("A", 5, "1.00").await;
    let (nobody, request_id) = (new_id(), new_id());
    let request = CreateOrderRequest { request_id, ..order(&nobody, &[("A", 1)]) };
    let refused = refusal(app.create(request.clone()).await);
    refused.names(&["customer_id"]);
    assert_eq!(
        refused.fields,
        [format!("customer_id: customer {nobody} of the order does not exist")]
    );
    assert_eq!(kept(&app).await, 0);
    let mended = CreateOrderRequest { customer_id: app.customer().await, ..request };
    app.create(mended).await.unwrap();
}

/// A batch of drafts of which one is refused.
#[tokio::test]
async fn one_bad_order_never_fails_those_beside_it() {
    let app = App::start().await;
    app.stock("A", 500, "1.00").await;
    let customer = app.customer().await;
    let requests = (0..60).map(|n| CreateOrderRequest {
        place: n % 2 == 0,
        ..order(&if n % 5 == 0 { new_id() } else { customer.clone() }, &[("A", 1)])
    });
    let answers = futures::future::join_all(requests.map(|request| app.create(request))).await;
    for (n, answer) in answers.into_iter().enumerate() {
        if n % 5 == 0 {
            refusal(answer).names(&["customer_id"]);
        } else {
            answer.unwrap();
        }
    }
    app.check_books().await;
}

#[tokio::test]
async fn an_order_has_one_to_five_hundred_lines() {
    let app = App::start().await;
    app.stock("A", 5, "0.01").await;
    let customer = app.customer().await;
    refusal(app.create(order(&customer, &[("A", 1); 501])).await).names(&["lines"]);
    refusal(app.create(order(&customer, &[])).await).names(&["lines"]);
    app.create(order(&customer, &[("A", 1); 500])).await.unwrap();
    for quantity in [0, -1, i32::MIN, 1_000_001, i32::MAX] {
        refusal(app.create(order(&customer, &[("A", quantity)])).await)
            .names(&["lines[0].quantity"]);
    }
    app.create(order(&customer, &[("A", 1_000_000)])).await.unwrap();
}

#[tokio::test]
async fn a_rate_is_a_plain_number_from_0_to_1_with_four_places() {
    let app = App::start().await;
    app.stock("A", 5, "1.00").await;
    let customer = app.customer().await;
    let with = |tax_rate: &str| CreateOrderRequest {
        lines: vec![CreateOrderLine { tax_rate: tax_rate.to_owned(), ..line("A", 1) }],
        ..order(&customer, &[])
    };
    for bad in [
        "1.0001", "2", "-0.1", "-0", "+0.2", ".2", "0.", "0.20001", "0.00000", "0_1", "1e-1",
        " 0.2", "20%", "0,2", "x", "0.2.2", "NaN",
    ] {
        refusal(app.create(with(bad)).await).names(&["lines[0].tax_rate"]);
    }
    for (good, shown) in
        [("", "0"), ("0", "0"), ("0.0001", "0.0001"), ("1.0000", "1"), ("0.20", "0.2")]
    {
        assert_eq!(app.create(with(good)).await.unwrap().lines[0].tax_rate, shown);
    }
}

#[tokio::test]
async fn an_agreed_price_is_an_amount_that_fits() {
    let app = App::start().await;
    app.stock("A", 5, "1.00").await;
    let customer = app.customer().await;
    let with = |price: &str, quantity| CreateOrderRequest {
        lines: vec![CreateOrderLine { unit_price: money(price), ..line("A", quantity) }],
        ..order(&customer, &[])
    };
    for bad in ["", "-0.01", "0.001", "1e2", "10000000000", "1,00", "٣"] {
        refusal(app.create(with(bad, 1)).await).names(&["lines[0].unit_price.amount"]);
    }
    app.create(with("9999999999.99", 100)).await.unwrap();
    // The total is what does not fit, so no line is to blame alone.
    let refused = refusal(app.create(with("9999999999.99", 101)).await);
    refused.names(&["lines"]);
    assert_eq!(refused.fields, ["lines: the order's amount is too large"]);
    let mut many = with("9999999999.99", 100);
    many.lines.push(line("A", 1));
    refusal(app.create(many).await).names(&["lines"]);
}

#[tokio::test]
async fn an_agreed_price_needs_its_permission() {
    let app = App::start().await;
    app.stock("A", 5, "1.00").await;
    let request = CreateOrderRequest {
        lines: vec![CreateOrderLine { unit_price: money("0.50"), ..line("A", 1) }],
        ..order(&app.customer().await, &[])
    };
    let mut clerk = app.caller(&["orders.write"]);
    let refused = refusal(clerk.create_order(request.clone()).await);
    refused.is(Code::PermissionDenied, "PERMISSION_MISSING");
    assert_eq!(refused.facts, ["permission: orders.price"]);
    assert_eq!(kept(&app).await, 0);
    app.caller(&["orders.write", "orders.price"]).create_order(request.clone()).await.unwrap();
    app.create(request).await.unwrap();
}
