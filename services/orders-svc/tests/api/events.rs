//! What orders-svc publishes, as everybody reads it: CloudEvents whose data are the protos' messages.

use std::collections::BTreeMap;

use proto::{
    events::v1::{
        CustomerChanged, OrderCancelled, OrderCompleted, OrderDrafted, OrderPlaced, OrderShipped,
        OrderedLine, ShippedLine,
    },
    log::v1::ListEventsRequest,
    orders::v1::{
        CancelOrderRequest, CreateCustomerRequest, CreateOrderLine, CreateOrderRequest,
        HoldOrderRequest, PlaceOrderRequest, ReleaseOrderRequest, ReturnOrderRequest,
        ShipOrderRequest, UpdateOrderRequest,
    },
};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    app::App,
    requests::{
        cancelling, customer, holding, line, metadata, new_id, order, placing, relining, returning,
        shipping,
    },
};

/// All that was published, in order.
async fn published(app: &App) -> Vec<serde_json::Value> {
    let request = ListEventsRequest { page_size: 1000, ..Default::default() };
    let answer = app.event_log.clone().list_events(request).await.unwrap().into_inner();
    let parse = |event: proto::log::v1::Event| serde_json::from_str(&event.cloud_event).unwrap();
    answer.events.into_iter().map(parse).collect()
}

/// The data as its message; it has nothing that the message does not know.
fn read<T: DeserializeOwned + Serialize>(event: &serde_json::Value) -> T {
    let data: T = serde_json::from_value(event["data"].clone()).unwrap();
    assert_eq!(serde_json::to_value(&data).unwrap(), event["data"]);
    data
}

#[tokio::test]
async fn each_event_says_what_its_proto_promises() {
    let app = App::start().await;
    app.stock("A", 9, "0.33").await;
    app.stock("B", 9, "2.00").await;
    let customer_id = app.customer().await;
    let lines = vec![
        CreateOrderLine { tax_rate: "0.2".to_owned(), ..line("A", 3) },
        line("B", 1),
        line("A", 1),
    ];
    let request = CreateOrderRequest {
        lines,
        metadata: metadata("note", "ring twice"),
        ..order(&customer_id, &[])
    };
    let order_id = app.create(request).await.unwrap().order_id;
    let placed = app.place(&order_id).await.unwrap();
    app.settle().await;
    let [first, second, third] = [0, 1, 2].map(|n| placed.lines[n].line_id.clone());
    let part = shipping(&order_id, &[(&third, 1), (&first, 2)]);
    let (_, part) = app.ship_as(part).await.unwrap();
    app.hear_paid(&[&order_id]).await;
    let (_, rest) = app.ship(&order_id).await.unwrap();
    let cancelled = app.placed(&[("B", 2)]).await;
    app.cancel(&cancelled.order_id).await.unwrap();

    let events = published(&app).await;
    let of_order: Vec<_> = events.iter().filter(|event| event["subject"] == order_id).collect();
    let types: Vec<_> = of_order.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(
        types,
        ["order.created", "order.placed", "order.shipped", "order.shipped", "order.completed"]
    );
    let drafted = OrderDrafted { order_id: order_id.clone(), customer_id: customer_id.clone() };
    assert_eq!(read::<OrderDrafted>(of_order[0]), drafted);
    let ordered = |n: usize| OrderedLine {
        line_id: placed.lines[n].line_id.clone(),
        sku: placed.lines[n].sku.clone(),
        quantity: placed.lines[n].quantity,
        unit_price: placed.lines[n].unit_price.clone(),
        tax_rate: placed.lines[n].tax_rate.clone(),
    };
    let told = read::<OrderPlaced>(of_order[1]);
    assert_eq!((&told.total, &told.tax), (&placed.total, &placed.tax));
    assert_eq!(crate::requests::totals(&placed), ("3.52", "0.20"));
    let time = told.place_time.unwrap();
    let place_time = placed.place_time.unwrap();
    assert_eq!((time.seconds, time.nanos), (place_time.seconds, place_time.nanos));
    let expected = OrderPlaced {
        order_id: order_id.clone(),
        customer_id: customer_id.clone(),
        lines: [0, 1, 2].map(ordered).to_vec(),
        ..told.clone()
    };
    assert_eq!(told, expected);
    let left = |line_id: &str, sku: &str, quantity| ShippedLine {
        line_id: line_id.to_owned(),
        sku: sku.to_owned(),
        quantity,
    };
    let expected = OrderShipped {
        order_id: order_id.clone(),
        shipment_id: part.shipment_id,
        lines: vec![left(&first, "A", 2), left(&third, "A", 1)],
        complete: false,
    };
    assert_eq!(read::<OrderShipped>(of_order[2]), expected);
    let expected = OrderShipped {
        order_id: order_id.clone(),
        shipment_id: rest.shipment_id,
        lines: vec![left(&first, "A", 1), left(&second, "B", 1)],
        complete: true,
    };
    assert_eq!(read::<OrderShipped>(of_order[3]), expected);
    assert_eq!(read::<OrderCompleted>(of_order[4]), OrderCompleted { order_id: order_id.clone() });

    let told = read::<OrderCancelled>(events.last().unwrap());
    let expected = OrderCancelled {
        order_id: cancelled.order_id.clone(),
        customer_id: cancelled.customer_id.clone(),
        total: cancelled.total.clone(),
        place_time: told.place_time,
    };
    assert_eq!((told.place_time.is_some(), &told), (true, &expected));
    assert_eq!(read::<CustomerChanged>(&events[0]), CustomerChanged { customer_id });
    assert!(events.iter().all(|event| !event.to_string().contains("ring twice")));
    app.check_books().await;
}

#[tokio::test]
async fn a_cancelled_draft_has_no_time_of_placing_and_a_refused_one_is_told_of_twice() {
    let app = App::start().await;
    app.stock("A", 1, "1.00").await;
    let draft = app.draft(&[("A", 1)]).await;
    app.cancel(&draft.order_id).await.unwrap();
    let customer_id = app.customer().await;
    let short = CreateOrderRequest { place: true, ..order(&customer_id, &[("A", 2)]) };
    app.create(short).await.unwrap_err();
    let events = published(&app).await;
    let cancelled = events.iter().find(|event| event["type"] == "order.cancelled").unwrap();
    let told = read::<OrderCancelled>(cancelled);
    assert_eq!((told.place_time, told.total), (None, draft.total));
    let [created, deleted] = &events[events.len() - 2..] else { panic!("two events") };
    assert_eq!((&created["type"], &created["version"]), (&"order.created".into(), &1.into()));
    assert_eq!((&deleted["type"], &deleted["version"]), (&"order.deleted".into(), &2.into()));
    assert_eq!(read::<OrderDrafted>(created), read::<OrderDrafted>(deleted));
    assert_eq!(read::<OrderDrafted>(deleted).customer_id, customer_id);
    app.check_books().await;
}

#[tokio::test]
async fn every_envelope_is_a_cloud_event_and_versions_have_no_hole() {
    let app = App::start().await;
    app.stock("A", 99, "1.00").await;
    let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    for n in 0..6 {
        let order = app.placed(&[("A", 2)]).await;
        let mut request = tonic::Request::new(shipping(&order.order_id, &[]));
        request.metadata_mut().insert("traceparent", traceparent.parse().unwrap());
        if n % 2 == 0 {
            app.caller(&["orders.ship"]).ship_order(request).await.unwrap();
            app.hear_paid(&[&order.order_id]).await;
        } else {
            app.cancel(&order.order_id).await.unwrap();
        }
    }
    let mut versions: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for event in published(&app).await {
        assert_eq!(
            (&event["specversion"], &event["source"]),
            (&"1.0".into(), &"/bramble/orders".into())
        );
        assert_eq!(event["datacontenttype"], "application/json");
        let subject = event["subject"].as_str().unwrap().to_owned();
        versions.entry(subject).or_default().push(event["version"].as_i64().unwrap());
        let shipped = event["type"] == "order.shipped";
        assert_eq!(event["actor"], if shipped { "ann" } else { event["actor"].as_str().unwrap() });
        assert!(!shipped || event["traceparent"].as_str().unwrap()[..35] == traceparent[..35]);
    }
    for (subject, versions) in versions {
        let expected: Vec<i64> = (1..).take(versions.len()).collect();
        assert_eq!(versions, expected, "{subject}");
    }
    app.check_books().await;
}

#[tokio::test]
async fn each_event_names_the_request_that_it_goes_back_to_or_the_event_that_it_follows() {
    let app = App::start().await;
    app.stock("A", 99, "1.00").await;
    let mut requests = Vec::new();
    let mut request_id = || {
        requests.push(new_id());
        requests.last().unwrap().clone()
    };
    let request = CreateCustomerRequest { request_id: request_id(), ..customer("ann@example.com") };
    let customer_id = app.create_customer(request).await.unwrap().customer_id;
    let request =
        CreateOrderRequest { request_id: request_id(), ..order(&customer_id, &[("A", 1)]) };
    let draft = app.create(request).await.unwrap();
    let id = draft.order_id.as_str();
    let request = UpdateOrderRequest { request_id: request_id(), ..relining(id, &[("A", 3)]) };
    let line = app.update_order(request).await.unwrap().lines.remove(0).line_id;
    app.hold_as(HoldOrderRequest { request_id: request_id(), ..holding(id) }).await.unwrap();
    let release = ReleaseOrderRequest { request_id: request_id(), order_id: id.to_owned() };
    app.release_as(release).await.unwrap();
    app.place_as(PlaceOrderRequest { request_id: request_id(), ..placing(id) }).await.unwrap();
    app.settle().await;
    let request = ShipOrderRequest { request_id: request_id(), ..shipping(id, &[(&line, 2)]) };
    app.ship_as(request).await.unwrap();
    let request =
        ReturnOrderRequest { request_id: request_id(), ..returning(id, &[(&line, 1, true)]) };
    app.take_back(request).await.unwrap();
    let request = CancelOrderRequest { request_id: request_id(), ..cancelling(id) };
    app.cancel_as(request).await.unwrap();
    // Placed at once, it is two events of one request.
    let request = CreateOrderRequest {
        request_id: request_id(),
        place: true,
        ..order(&customer_id, &[("A", 1)])
    };
    app.create(request.clone()).await.unwrap();
    requests.push(request.request_id);
    let told = published(&app).await;
    let of_requests: Vec<_> =
        told.iter().map(|event| event["requestid"].as_str().unwrap().to_owned()).collect();
    assert_eq!(of_requests, requests);
    assert!(told.iter().all(|event| event.get("causationid").is_none()));

    app.hear_paid(&[id]).await;
    let paid = "select payload->>'id' from billing.events_log where event_type = 'invoice.paid'";
    let paid: String = sqlx::query_scalar(paid).fetch_one(&app.db).await.unwrap();
    let completed = published(&app).await.pop().unwrap();
    assert_eq!(completed["type"], "order.completed");
    assert_eq!(completed["causationid"], paid);
}
