use futures::future::join_all;
use proto::{
    events::v1::{OrderReturned, ReturnedLine},
    orders::v1::{
        CreateOrderLine, CreateOrderRequest, Order, OrderStatus, Return, ReturnDisposition,
        ReturnOrderLine, ReturnOrderRequest,
    },
};
use tonic::Code;

use testkit::refusal;

use crate::{
    app::App,
    requests::{
        amount, line, money, new_id, order, quantities, refunds, returning, shipping, totals,
    },
};

fn worth(returned: &Return) -> (&str, &str) {
    (amount(returned.amount.as_ref()), amount(returned.tax.as_ref()))
}

/// Seven of A at 0.13 with 20 % tax, and two of B, shipped.
async fn shipped(app: &App) -> Order {
    app.stock("A", 50, "0.13").await;
    app.stock("B", 50, "2.50").await;
    let request = CreateOrderRequest {
        lines: vec![CreateOrderLine { tax_rate: "0.2".to_owned(), ..line("A", 7) }, line("B", 2)],
        place: true,
        ..order(&app.customer().await, &[])
    };
    let placed = app.create(request).await.unwrap();
    app.settle().await;
    let (shipped, _) = app.ship(&placed.order_id).await.unwrap();
    app.settle().await;
    assert_eq!(totals(&shipped), ("6.09", "0.18"));
    shipped
}

#[tokio::test]
async fn goods_come_back_and_what_they_were_sold_for_is_told() {
    let app = App::start().await;
    let order = shipped(&app).await;
    let id = &order.order_id;
    let [first, second] = [0, 1].map(|n| order.lines[n].line_id.as_str());
    let reason = "too small".to_owned();
    let lines = [(second, 1, true), (first, 2, false), (first, 1, true)];
    let request = ReturnOrderRequest { reason: reason.clone(), ..returning(id, &lines) };
    let (now, returned) = app.take_back(request).await.unwrap();
    assert_eq!((now.status(), totals(&now)), (OrderStatus::Shipped, ("6.09", "0.18")));
    assert_eq!(quantities(&now), [[7, 7, 0, 3], [2, 2, 0, 1]]);
    assert_eq!((worth(&returned), refunds(&now)), (("2.97", "0.08"), ("2.97", "0.08")));
    assert_eq!(now.returns, std::slice::from_ref(&returned));
    assert_eq!((&returned.reason, returned.return_time.is_some()), (&reason, true));
    let of: Vec<_> = returned
        .lines
        .iter()
        .map(|line| (&*line.line_id, &*line.sku, line.quantity, line.disposition()))
        .collect();
    let expected = [
        (first, "A", 1, ReturnDisposition::Restock),
        (first, "A", 2, ReturnDisposition::Scrap),
        (second, "B", 1, ReturnDisposition::Restock),
    ];
    assert_eq!(of, expected, "in the order's order");
    assert_eq!(app.order(id).await, now);

    let told = app.log.events_of(id).await;
    assert_eq!((told[3].0.as_str(), told[3].1), ("order.returned", 4));
    let data: OrderReturned = serde_json::from_value(told[3].2.clone()).unwrap();
    let back = |line: (&str, &str, i32, ReturnDisposition)| ReturnedLine {
        line_id: line.0.to_owned(),
        sku: line.1.to_owned(),
        quantity: line.2,
        restock: line.3 == ReturnDisposition::Restock,
    };
    let expected = OrderReturned {
        order_id: id.clone(),
        return_id: returned.return_id,
        customer_id: order.customer_id.clone(),
        lines: expected.map(back).to_vec(),
        amount: money("2.97"),
        tax: money("0.08"),
    };
    assert_eq!(data, expected);
    assert!(!told[3].2.to_string().contains(&reason), "what people write is not published");
    app.check_books().await;
    // One that is scrapped is neither on hand nor to be had.
    assert_eq!((app.levels("A").await, app.levels("B").await), ((44, 0), (49, 0)));
}

#[tokio::test]
async fn all_returns_of_a_line_sum_to_what_it_was_sold_for() {
    let app = App::start().await;
    let order = shipped(&app).await;
    let [first, second] = [0, 1].map(|n| order.lines[n].line_id.as_str());
    // Of 0.026 a piece: 0.18, 0.16, 0.13, 0.10, 0.08, 0.05, 0.03 are left.
    let mut worths = Vec::new();
    for _ in 0..7 {
        let one = returning(&order.order_id, &[(first, 1, true)]);
        let (_, returned) = app.take_back(one).await.unwrap();
        worths.push(amount(returned.tax.as_ref()).to_owned());
    }
    assert_eq!(worths, ["0.02", "0.03", "0.03", "0.02", "0.03", "0.02", "0.03"]);
    let rest = returning(&order.order_id, &[(second, 2, true)]);
    let (now, _) = app.take_back(rest).await.unwrap();
    assert_eq!((refunds(&now), now.returns.len()), (totals(&order), 8));
    app.check_books().await;
    assert_eq!((app.levels("A").await, app.levels("B").await), ((50, 0), (50, 0)));
}

#[tokio::test]
async fn only_what_has_left_and_not_come_back_comes_back() {
    let app = App::start().await;
    app.stock("A", 50, "1.00").await;
    let order = app.placed(&[("A", 5), ("A", 2)]).await;
    let id = &order.order_id;
    let [first, second] = [0, 1].map(|n| order.lines[n].line_id.as_str());
    app.ship_as(shipping(id, &[(first, 3)])).await.unwrap();
    app.take_back(returning(id, &[(first, 1, true)])).await.unwrap();
    let too_much = [(first, 1, true), (second, 1, true), (first, 2, false)];
    let refused = refusal(app.take_back(returning(id, &too_much)).await);
    refused.is(Code::FailedPrecondition, "OVER_RETURN");
    let mut facts = [
        format!("{first}: requested 3, returnable 2"),
        format!("{second}: requested 1, returnable 0"),
    ];
    facts.sort();
    assert_eq!(refused.facts, facts);
    let now = app.order(id).await;
    assert_eq!((quantities(&now)[0], now.status()), ([5, 3, 0, 1], OrderStatus::Placed));
    // What came back is not shipped again: the rest is.
    let (rest, _) = app.ship(id).await.unwrap();
    assert_eq!((quantities(&rest)[0], rest.status()), ([5, 5, 0, 1], OrderStatus::Shipped));
    app.take_back(returning(id, &[(first, 4, true), (second, 2, false)])).await.unwrap();
    refusal(app.take_back(returning(id, &[(first, 1, true)])).await)
        .is(Code::FailedPrecondition, "OVER_RETURN");
    app.check_books().await;
    assert_eq!(app.levels("A").await, (48, 0));
}

#[tokio::test]
async fn what_never_left_does_not_come_back() {
    let app = App::start().await;
    app.stock("A", 9, "1.00").await;
    let (draft, cancelled) = (app.draft(&[("A", 1)]).await, app.placed(&[("A", 1)]).await);
    app.cancel(&cancelled.order_id).await.unwrap();
    for (order, from) in [(draft, "draft"), (cancelled, "cancelled")] {
        let line = order.lines[0].line_id.as_str();
        let refused = refusal(app.take_back(returning(&order.order_id, &[(line, 1, true)])).await);
        refused.is(Code::FailedPrecondition, "ORDER_STATE");
        let facts = [
            format!("from: {from}"),
            format!("order_id: {}", order.order_id),
            "to: returned".to_owned(),
        ];
        assert_eq!(refused.facts, facts);
    }
    app.check_books().await;
}

#[tokio::test]
async fn a_completed_order_stays_completed() {
    let app = App::start().await;
    let order = shipped(&app).await;
    app.hear_paid(&[&order.order_id]).await;
    let line = order.lines[1].line_id.as_str();
    let (now, _) = app.take_back(returning(&order.order_id, &[(line, 2, false)])).await.unwrap();
    assert_eq!((now.status(), now.paid), (OrderStatus::Completed, true));
    let told = app.told_of(&order.order_id).await;
    assert_eq!(told[3..], ["order.completed 4", "order.returned 5"]);
    app.check_books().await;
}

#[tokio::test]
async fn the_same_request_again_answers_with_its_return() {
    let app = App::start().await;
    let order = shipped(&app).await;
    let [first, second] = [0, 1].map(|n| order.lines[n].line_id.as_str());
    let lines = [(first, 1, true), (second, 1, true)];
    let request = ReturnOrderRequest { request_id: new_id(), ..returning(&order.order_id, &lines) };
    let (_, returned) = app.take_back(request.clone()).await.unwrap();
    let (_, more) = app.take_back(returning(&order.order_id, &[(first, 1, true)])).await.unwrap();
    let (now, again) = app.take_back(request.clone()).await.unwrap();
    assert_eq!((&again, now.returns), (&returned, vec![returned.clone(), more]));
    let other = ReturnOrderRequest { reason: "x".to_owned(), ..request };
    refusal(app.take_back(other).await).is(Code::AlreadyExists, "REQUEST_ID_USED");

    // What was refused is not remembered.
    let too_much = ReturnOrderRequest {
        request_id: new_id(),
        ..returning(&order.order_id, &[(second, 2, true)])
    };
    refusal(app.take_back(too_much.clone()).await).is(Code::FailedPrecondition, "OVER_RETURN");
    let mended = returning(&order.order_id, &[(second, 1, true)]);
    let mended = ReturnOrderRequest { request_id: too_much.request_id, ..mended };
    app.take_back(mended).await.unwrap();
    app.check_books().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_last_units_come_back_once() {
    let app = App::start().await;
    let clients = [app.client.clone(), app.start_another().await];
    app.stock("A", 1000, "0.13").await;
    for _ in 0..20 {
        let order = app.placed(&[("A", 5)]).await;
        app.ship(&order.order_id).await.unwrap();
        let line = order.lines[0].line_id.as_str();
        // Of 5 units, 2 can come back twice.
        let calls = (0..4).map(|n| {
            let (mut client, request) =
                (clients[n % 2].clone(), returning(&order.order_id, &[(line, 2, n < 2)]));
            async move { client.return_order(request).await }
        });
        let (back, refused): (Vec<_>, Vec<_>) =
            join_all(calls).await.into_iter().partition(Result::is_ok);
        assert_eq!(back.len(), 2);
        for answer in refused {
            let refused = refusal(answer);
            refused.is(Code::FailedPrecondition, "OVER_RETURN");
            assert_eq!(refused.facts, [format!("{line}: requested 2, returnable 1")]);
        }
        assert_eq!(quantities(&app.order(&order.order_id).await), [[5, 5, 0, 4]]);
    }
    app.check_books().await;
    assert_eq!(app.deadlocks().await, 0);
}

#[tokio::test]
async fn bad_fields_are_named_and_the_permission_is_needed() {
    let app = App::start().await;
    let order = shipped(&app).await;
    let line = order.lines[0].line_id.as_str();
    let undecided = ReturnOrderLine { line_id: line.to_owned(), quantity: 1, disposition: 0 };
    let unknown = ReturnOrderLine { disposition: 7, ..undecided.clone() };
    let lines = [(line, 0, true), (line, 1, true), ("y", 1_000_001, true)];
    let mut bad = ReturnOrderRequest {
        request_id: "x".to_owned(),
        reason: "x".repeat(256),
        ..returning("7", &lines)
    };
    bad.lines.extend([undecided, unknown]);
    refusal(app.take_back(bad).await).names(&[
        "request_id",
        "order_id",
        "lines[0].quantity",
        "lines[1].line_id",
        "lines[2].line_id",
        "lines[2].quantity",
        "lines[3].disposition",
        "lines[4].disposition",
        "reason",
    ]);
    refusal(app.take_back(returning(&order.order_id, &[])).await).names(&["lines"]);
    let many = returning(&order.order_id, &[(line, 1, true); 501]);
    assert!(refusal(app.take_back(many).await).fields[0].starts_with("lines: "));
    let stranger = new_id();
    let strangers = returning(&order.order_id, &[(line, 1, true), (&stranger, 1, true)]);
    refusal(app.take_back(strangers).await).names(&["lines[1].line_id"]);
    let nothing = new_id();
    let refused = refusal(app.take_back(returning(&nothing, &[(line, 1, true)])).await);
    refused.is(Code::NotFound, "ORDER_NOT_FOUND");
    assert_eq!(refused.facts, [format!("order_id: {nothing}")]);

    let request = returning(&order.order_id, &[(line, 1, true)]);
    let mut shipper = app.caller(&["orders.write", "orders.ship"]);
    let refused = refusal(shipper.return_order(request.clone()).await);
    refused.is(Code::PermissionDenied, "PERMISSION_MISSING");
    assert_eq!(refused.facts, ["permission: orders.return"]);
    app.caller(&["orders.return"]).return_order(request).await.unwrap();
}
