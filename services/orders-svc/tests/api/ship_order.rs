use proto::orders::v1::{OrderStatus, ShipOrderLine, ShipOrderRequest};
use tonic::Code;

use testkit::refusal;

use crate::{
    app::App,
    requests::{new_id, shipping},
};

#[tokio::test]
async fn all_that_is_open_is_shipped_when_no_line_is_named() {
    let app = App::start().await;
    app.stock("A", 10, "1.00").await;
    app.stock("B", 10, "1.00").await;
    let order = app.placed(&[("A", 3), ("B", 2), ("A", 1)]).await;
    let (shipped, shipment) = app.ship(&order.order_id).await.unwrap();
    assert_eq!(shipped.status(), OrderStatus::Shipped);
    assert_eq!(shipped.shipments, std::slice::from_ref(&shipment));
    assert!(shipment.ship_time.is_some());
    let lines: Vec<_> = shipment
        .lines
        .iter()
        .map(|line| (&line.line_id, line.sku.as_str(), line.quantity))
        .collect();
    let ids: Vec<_> = order.lines.iter().map(|line| &line.line_id).collect();
    assert_eq!(lines, [(ids[0], "A", 3), (ids[1], "B", 2), (ids[2], "A", 1)]);
    let left: Vec<i32> = shipped.lines.iter().map(|line| line.shipped_quantity).collect();
    assert_eq!(left, [3, 2, 1]);
    app.check_books().await;
    assert_eq!((app.levels("A").await, app.levels("B").await), ((6, 0), (8, 0)));
}

#[tokio::test]
async fn parts_are_shipped_line_by_line_until_nothing_is_open() {
    let app = App::start().await;
    app.stock("A", 10, "1.00").await;
    let order = app.placed(&[("A", 3), ("A", 2)]).await;
    let (id, first, second) =
        (&order.order_id, order.lines[0].line_id.as_str(), order.lines[1].line_id.as_str());
    let (part, shipment) = app.ship_as(shipping(id, &[(second, 1), (first, 2)])).await.unwrap();
    assert_eq!(part.status(), OrderStatus::Placed);
    let quantities: Vec<i32> = shipment.lines.iter().map(|line| line.quantity).collect();
    assert_eq!(quantities, [2, 1], "in the order's order");
    app.settle().await;
    assert_eq!(app.levels("A").await, (7, 2));

    let (rest, _) = app.ship(id).await.unwrap();
    assert_eq!((rest.status(), rest.shipments.len()), (OrderStatus::Shipped, 2));
    app.check_books().await;
    assert_eq!(app.levels("A").await, (5, 0));
    let told = app.told_of(id).await;
    assert_eq!(told[2..], ["order.shipped 3", "order.shipped 4"]);
    let complete: Vec<_> =
        app.log.events_of(id).await[2..].iter().map(|event| event.2["complete"].clone()).collect();
    assert_eq!(
        complete,
        [serde_json::Value::Null, true.into()],
        "false is left out, as ProtoJSON has it"
    );
}

#[tokio::test]
async fn more_than_is_open_is_not_shipped() {
    let app = App::start().await;
    app.stock("A", 10, "1.00").await;
    let order = app.placed(&[("A", 3), ("A", 2)]).await;
    let (id, first, second) =
        (&order.order_id, order.lines[0].line_id.as_str(), order.lines[1].line_id.as_str());
    app.ship_as(shipping(id, &[(first, 1)])).await.unwrap();
    let refused = refusal(app.ship_as(shipping(id, &[(second, 5), (first, 3)])).await);
    refused.is(Code::FailedPrecondition, "OVER_SHIPMENT");
    let mut facts =
        [format!("{first}: requested 3, open 2"), format!("{second}: requested 5, open 2")];
    facts.sort();
    assert_eq!(refused.facts, facts);
    assert_eq!(app.order(id).await.shipments.len(), 1);
    app.check_books().await;
    assert_eq!(app.levels("A").await, (9, 4));
}

/// All details of a refusal travel in one header, which clients bound.
#[tokio::test]
async fn a_refusal_of_many_lines_arrives() {
    let app = App::start().await;
    app.stock("A", 500, "1.00").await;
    let order = app.placed(&[("A", 1); 500]).await;
    let lines: Vec<(&str, i32)> =
        order.lines.iter().map(|line| (line.line_id.as_str(), 2)).collect();
    let refused = refusal(app.ship_as(shipping(&order.order_id, &lines)).await);
    refused.is(Code::FailedPrecondition, "OVER_SHIPMENT");
    assert_eq!(refused.facts.len(), 50);
    let strangers: Vec<String> = (0..500).map(|_| new_id()).collect();
    let lines: Vec<(&str, i32)> = strangers.iter().map(|id| (id.as_str(), 1)).collect();
    let refused = refusal(app.ship_as(shipping(&order.order_id, &lines)).await);
    refused.is(Code::InvalidArgument, "INVALID_REQUEST");
    assert_eq!(refused.fields.len(), 50);
}

#[tokio::test]
async fn only_placed_orders_are_shipped() {
    let app = App::start().await;
    app.stock("A", 10, "1.00").await;
    let (draft, cancelled) = (app.draft(&[("A", 1)]).await, app.placed(&[("A", 1)]).await);
    let (shipped, completed) = (app.placed(&[("A", 1)]).await, app.placed(&[("A", 1)]).await);
    app.cancel(&cancelled.order_id).await.unwrap();
    app.hear_paid(&[&completed.order_id]).await;
    for order in [&shipped, &completed] {
        app.ship(&order.order_id).await.unwrap();
    }
    let all = [
        (draft, "draft"),
        (cancelled, "cancelled"),
        (shipped, "shipped"),
        (completed, "completed"),
    ];
    for (order, from) in all {
        let line = (order.lines[0].line_id.as_str(), 1);
        for lines in [&[][..], &[line]] {
            let refused = refusal(app.ship_as(shipping(&order.order_id, lines)).await);
            refused.is(Code::FailedPrecondition, "ORDER_STATE");
            let facts = [
                format!("from: {from}"),
                format!("order_id: {}", order.order_id),
                "to: shipped".to_owned(),
            ];
            assert_eq!(refused.facts, facts);
        }
    }
    let nothing = new_id();
    let refused = refusal(app.ship(&nothing).await);
    refused.is(Code::NotFound, "ORDER_NOT_FOUND");
    assert_eq!(refused.facts, [format!("order_id: {nothing}")]);
    app.check_books().await;
}

#[tokio::test]
async fn every_bad_field_is_named() {
    let app = App::start().await;
    app.stock("A", 10, "1.00").await;
    let order = app.placed(&[("A", 3)]).await;
    let line = order.lines[0].line_id.as_str();
    let bad = ShipOrderRequest {
        request_id: "x".to_owned(),
        ..shipping("7", &[(line, 0), (line, 1), ("y", 1_000_001)])
    };
    let names = [
        "request_id",
        "order_id",
        "lines[0].quantity",
        "lines[1].line_id",
        "lines[2].line_id",
        "lines[2].quantity",
    ];
    refusal(app.ship_as(bad).await).names(&names);
    let many = vec![ShipOrderLine { line_id: line.to_owned(), quantity: 1 }; 501];
    let many = ShipOrderRequest { lines: many, ..shipping(&order.order_id, &[]) };
    assert!(refusal(app.ship_as(many).await).fields[0].starts_with("lines: "));

    let (one, two) = (new_id(), new_id());
    let strangers = shipping(&order.order_id, &[(&one, 1), (line, 1), (&two, 9)]);
    refusal(app.ship_as(strangers).await).names(&["lines[0].line_id", "lines[2].line_id"]);
    assert_eq!(app.order(&order.order_id).await, order);
}

#[tokio::test]
async fn the_same_request_again_answers_with_its_shipment() {
    let app = App::start().await;
    app.stock("A", 10, "1.00").await;
    let order = app.placed(&[("A", 3), ("A", 1)]).await;
    let (first, second) = (order.lines[0].line_id.as_str(), order.lines[1].line_id.as_str());
    let request = ShipOrderRequest {
        request_id: new_id(),
        ..shipping(&order.order_id, &[(second, 1), (first, 1)])
    };
    let (_, shipment) = app.ship_as(request.clone()).await.unwrap();
    let (_, rest) = app.ship(&order.order_id).await.unwrap();
    let (now, again) = app.ship_as(request.clone()).await.unwrap();
    assert_eq!((again, now.status()), (shipment.clone(), OrderStatus::Shipped));
    assert_eq!(now.shipments, [shipment, rest]);

    let other = ShipOrderRequest { lines: Vec::new(), ..request.clone() };
    let refused = refusal(app.ship_as(other).await);
    refused.is(Code::AlreadyExists, "REQUEST_ID_USED");
    assert_eq!(refused.facts, [format!("request_id: {}", request.request_id)]);
    app.check_books().await;
}

#[tokio::test]
async fn a_refused_request_is_not_remembered() {
    let app = App::start().await;
    app.stock("A", 10, "1.00").await;
    let order = app.placed(&[("A", 3)]).await;
    let line = order.lines[0].line_id.as_str();
    let too_much =
        ShipOrderRequest { request_id: new_id(), ..shipping(&order.order_id, &[(line, 4)]) };
    refusal(app.ship_as(too_much.clone()).await).is(Code::FailedPrecondition, "OVER_SHIPMENT");
    let mended =
        ShipOrderRequest { request_id: too_much.request_id, ..shipping(&order.order_id, &[]) };
    app.ship_as(mended).await.unwrap();
    app.check_books().await;
}

#[tokio::test]
async fn shipping_needs_its_permission() {
    let app = App::start().await;
    app.stock("A", 10, "1.00").await;
    let order = app.placed(&[("A", 3)]).await;
    let refused = app.caller(&["orders.write"]).ship_order(shipping(&order.order_id, &[])).await;
    let refused = refusal(refused);
    refused.is(Code::PermissionDenied, "PERMISSION_MISSING");
    assert_eq!(refused.facts, ["permission: orders.ship"]);
    app.caller(&["orders.ship"]).ship_order(shipping(&order.order_id, &[])).await.unwrap();
}
