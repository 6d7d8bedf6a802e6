//! What stock is worth, as the books hear of it.

use proto::inventory::v1::{BatchReceiveStockRequest, MovementReason, ReceiveStockRequest};
use tonic::Code;

use testkit::refusal;

use crate::app::{App, moved, new_order, placed, returned, shipped};

fn receipt(sku: &str, quantity: i32, unit_cost: &str) -> ReceiveStockRequest {
    let (sku, unit_cost) = (sku.to_owned(), unit_cost.to_owned());
    ReceiveStockRequest { sku, quantity, unit_cost, ..Default::default() }
}

#[tokio::test]
async fn a_delivery_adds_what_it_cost_to_the_penny() {
    let app = App::start().await;
    for sku in ["A", "B", "C"] {
        app.stock(sku, 0).await;
    }
    // 200 × 0.0125 = 2.50; 3 × 0.335 = 1.005; of C nobody knows.
    let requests = vec![receipt("A", 200, "0.0125"), receipt("B", 3, "0.335"), receipt("C", 7, "")];
    let delivery = BatchReceiveStockRequest { requests, ..Default::default() };
    let answer = app.client.clone().batch_receive_stock(delivery).await.unwrap().into_inner();
    let values = [app.value("A").await, app.value("B").await, app.value("C").await];
    assert_eq!(values, ["2.50", "1.01", "0.00"]);
    let events = app.log.events_of(&answer.delivery_id).await;
    let (event_type, version, data) = &events[0];
    assert_eq!((event_type.as_str(), *version), ("stock.received", 1));
    assert_eq!(data["documentId"], answer.delivery_id);
    assert_eq!(data["cost"], serde_json::json!({"amount": "3.51", "currencyCode": "GBP"}));
    assert_eq!(data["effectiveDate"], app.today().await);
    app.check_account().await;

    // At the average of what is there.
    app.client.clone().receive_stock(receipt("A", 4, "")).await.unwrap();
    assert_eq!(app.value("A").await, "2.55");
    app.check_account().await;
    app.check_books().await;
}

#[tokio::test]
async fn goods_of_unknown_cost_tell_none() {
    let app = App::start().await;
    app.stock("A", 5).await;
    let told = app.told("stock.received").await;
    assert_eq!(told[0].get("cost"), None);
    assert_eq!(told[0].get("effectiveDate"), None);
}

#[tokio::test]
async fn a_shipment_takes_its_share_and_a_return_brings_the_same_back() {
    let app = App::start().await;
    app.stock("A", 0).await;
    app.buy("A", 3, "3.333333").await;
    let (order, first, second) = (new_order(), new_order(), new_order());
    app.reserve(&order, &[("A", 3)]).await.unwrap();
    app.hear(&[
        placed(&order),
        shipped(&order, &first, &[("A", 1)]),
        shipped(&order, &second, &[("A", 2)]),
    ])
    .await;
    let cost =
        |data: &serde_json::Value| data["cost"]["amount"].as_str().unwrap_or("none").to_owned();
    let told = app.told("stock.shipped").await;
    assert_eq!(told.iter().map(cost).collect::<Vec<_>>(), ["3.33", "6.67"]);
    assert_eq!(told[0]["effectiveDate"], app.today().await);
    assert_eq!(app.value("A").await, "0.00");

    // Dearer ones came meanwhile: what comes back is worth what it was.
    app.buy("A", 1, "100").await;
    let returns = [new_order(), new_order(), new_order()];
    for id in &returns {
        app.hear(&[returned(&order, id, &[("A", 1, true)])]).await;
    }
    let told = app.told("stock.returned").await;
    assert_eq!(told.iter().map(cost).collect::<Vec<_>>(), ["3.33", "3.34", "3.33"]);
    assert_eq!(
        (&told[0]["orderId"], &told[0]["documentId"]),
        (&order.into(), &returns[0].as_str().into())
    );
    assert_eq!(told[0]["effectiveDate"], app.today().await);
    assert_eq!((app.levels("A").await, app.value("A").await), ((4, 0), "110.00".into()));
    app.check_books().await;
    app.check_account().await;
}

#[tokio::test]
async fn what_is_scrapped_comes_in_for_its_cost_and_leaves_for_the_same() {
    let app = App::start().await;
    app.stock("A", 0).await;
    app.buy("A", 2, "4").await;
    let (order, id) = (new_order(), new_order());
    app.reserve(&order, &[("A", 2)]).await.unwrap();
    app.commit(&order, &new_order(), &[]).await.unwrap();
    app.buy("A", 2, "10").await;
    let back = app.take_back(&order, &id, &[("A", 1, true), ("A", 1, false)]).await.unwrap();
    assert_eq!(
        moved(&back),
        [("A", MovementReason::Return, 2, "8.00"), ("A", MovementReason::Scrapped, -1, "-4.00")]
    );
    assert_eq!((app.levels("A").await, app.value("A").await), ((3, 0), "24.00".into()));
    let scrapped = app.log.events_of(&id).await;
    assert_eq!(scrapped.len(), 1);
    let (event_type, version, data) = &scrapped[0];
    assert_eq!((event_type.as_str(), *version), ("stock.adjusted", 1));
    assert_eq!((&data["reason"], &data["cost"]["amount"]), (&"scrapped".into(), &"4.00".into()));
    assert_eq!((data.get("gain"), &data["documentId"]), (None, &id.into()));
    app.check_books().await;
    app.check_account().await;
}

#[tokio::test]
async fn scrapping_what_came_back_leaves_the_value_of_good_stock_alone() {
    let app = App::start().await;
    app.stock("A", 0).await;
    app.buy("A", 1, "1.00").await;
    let order = new_order();
    app.reserve(&order, &[("A", 1)]).await.unwrap();
    app.commit(&order, &new_order(), &[]).await.unwrap();
    app.buy("A", 1, "100.00").await;
    let back = app.take_back(&order, &new_order(), &[("A", 1, false)]).await.unwrap();
    assert_eq!(
        moved(&back),
        [("A", MovementReason::Return, 1, "1.00"), ("A", MovementReason::Scrapped, -1, "-1.00")]
    );
    assert_eq!(app.value("A").await, "100.00");

    // Two of three that came back for 0.05: 0.0333…, half a penny up.
    app.stock("B", 0).await;
    app.buy("B", 3, "0.0167").await;
    let order = new_order();
    app.reserve(&order, &[("B", 3)]).await.unwrap();
    app.commit(&order, &new_order(), &[]).await.unwrap();
    let lines = [("B", 1, true), ("B", 2, false)];
    let back = app.take_back(&order, &new_order(), &lines).await.unwrap();
    assert_eq!(
        moved(&back),
        [("B", MovementReason::Return, 3, "0.05"), ("B", MovementReason::Scrapped, -2, "-0.03")]
    );
    app.check_books().await;
    app.check_account().await;
}

#[tokio::test]
async fn more_value_than_can_be_counted_is_refused() {
    let app = App::start().await;
    app.stock("A", 0).await;
    let dear = receipt("A", 1, "999999999999");
    app.client.clone().receive_stock(dear.clone()).await.unwrap();
    let refused = refusal(app.client.clone().receive_stock(dear).await);
    refused.is(Code::FailedPrecondition, "VALUE_OUT_OF_RANGE");
    assert_eq!(refused.facts, ["sku: A"]);
    assert_eq!(app.levels("A").await, (1, 0));
}

#[tokio::test]
async fn a_unit_cost_is_a_plain_decimal_of_at_most_six_places() {
    let app = App::start().await;
    app.stock("A", 0).await;
    for bad in
        ["-1", "+1", "1e3", ".5", "1.", "1,5", "0.0000001", "1000000000000", "NaN", "1.2.3", " 1"]
    {
        refusal(app.client.clone().receive_stock(receipt("A", 1, bad)).await).names(&["unit_cost"]);
    }
    let too_much = receipt("A", 100_000_000, "10000");
    refusal(app.client.clone().receive_stock(too_much).await).names(&["unit_cost"]);
    for good in ["0", "1", "0.000001", "1.500000000", "999999"] {
        app.client.clone().receive_stock(receipt("A", 1, good)).await.unwrap();
    }
    let requests = vec![receipt("A", 1, "x")];
    let delivery = BatchReceiveStockRequest { requests, ..Default::default() };
    refusal(app.client.clone().batch_receive_stock(delivery).await)
        .names(&["requests[0].unit_cost"]);
}
