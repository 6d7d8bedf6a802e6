//! `ListShipments` and `ListReturns`, and how many of either go with an order.

use proto::orders::v1::{
    ListReturnsRequest, ListShipmentsRequest, Return, ReturnOrderRequest, Shipment,
};
use tonic::{Code, Status};

use testkit::refusal;

use crate::{
    app::App,
    requests::{new_id, returning, shipping},
};

async fn shipments(
    app: &App,
    order_id: &str,
    page_size: i32,
    page_token: &str,
) -> Result<(Vec<Shipment>, String), Status> {
    let (order_id, page_token) = (order_id.to_owned(), page_token.to_owned());
    let request = ListShipmentsRequest { order_id, page_size, page_token };
    let answer = app.client.clone().list_shipments(request).await?.into_inner();
    Ok((answer.shipments, answer.next_page_token))
}

async fn returns(
    app: &App,
    order_id: &str,
    page_size: i32,
    page_token: &str,
) -> Result<(Vec<Return>, String), Status> {
    let (order_id, page_token) = (order_id.to_owned(), page_token.to_owned());
    let request = ListReturnsRequest { order_id, page_size, page_token };
    let answer = app.client.clone().list_returns(request).await?.into_inner();
    Ok((answer.returns, answer.next_page_token))
}

#[tokio::test]
async fn pages_go_on_where_they_ended_while_more_leave_and_come_back() {
    let app = App::start().await;
    app.stock("A", 50, "1.00").await;
    let (order, other) = (app.placed(&[("A", 20)]).await, app.placed(&[("A", 1)]).await);
    let (id, line) = (order.order_id.as_str(), order.lines[0].line_id.as_str());
    app.ship(&other.order_id).await.unwrap();
    let (mut left, mut back) = (Vec::new(), Vec::new());
    let one_more = async || {
        let (_, shipment) = app.ship_as(shipping(id, &[(line, 1)])).await.unwrap();
        let request =
            ReturnOrderRequest { reason: "x".to_owned(), ..returning(id, &[(line, 1, true)]) };
        let (_, returned) = app.take_back(request).await.unwrap();
        (shipment, returned)
    };
    for _ in 0..5 {
        let (shipment, returned) = one_more().await;
        left.push(shipment);
        back.push(returned);
    }
    let (mut sent, mut token) = shipments(&app, id, 2, "").await.unwrap();
    let (mut came, mut came_token) = returns(&app, id, 2, "").await.unwrap();
    let (shipment, returned) = one_more().await;
    left.push(shipment);
    back.push(returned);
    while !token.is_empty() {
        let (page, next) = shipments(&app, id, 2, &token).await.unwrap();
        assert!(page.len() <= 2);
        sent.extend(page);
        token = next;
    }
    while !came_token.is_empty() {
        let (page, next) = returns(&app, id, 2, &came_token).await.unwrap();
        came.extend(page);
        came_token = next;
    }
    assert_eq!((&sent, &came), (&left, &back));
    let now = app.order(id).await;
    assert_eq!((now.shipments, now.returns), (left, back));
    let draft = app.draft(&[("A", 1)]).await;
    assert_eq!(shipments(&app, &draft.order_id, 0, "").await.unwrap(), (Vec::new(), String::new()));
    assert_eq!(returns(&app, &draft.order_id, 0, "").await.unwrap(), (Vec::new(), String::new()));
}

#[tokio::test]
async fn of_very_many_the_first_go_with_the_order() {
    let app = App::start().await;
    let sku = "x".repeat(64);
    app.stock(&sku, 100_000, "1.00").await;
    let order = app.placed(&[(sku.as_str(), 50); 500]).await;
    let id = order.order_id.as_str();
    let some: Vec<(&str, i32)> = order.lines.iter().map(|line| (&*line.line_id, 1)).collect();
    let back: Vec<_> = some.iter().map(|(line, qty)| (*line, *qty, true)).collect();
    let (mut left, mut came) = (Vec::new(), Vec::new());
    for _ in 0..21 {
        left.push(app.ship_as(shipping(id, &some)).await.unwrap().1);
        came.push(app.take_back(returning(id, &back)).await.unwrap().1);
    }
    let now = app.order(id).await;
    let (shown, shown_back) = (now.shipments.len(), now.returns.len());
    assert!((10..21).contains(&shown) && (10..21).contains(&shown_back), "{shown} {shown_back}");
    assert_eq!(now.shipments, left[..shown]);
    assert_eq!(now.returns, came[..shown_back]);
    assert_eq!(shipments(&app, id, 0, "").await.unwrap(), (left, String::new()));
    assert_eq!(returns(&app, id, 0, "").await.unwrap(), (came, String::new()));
}

#[tokio::test]
async fn bad_fields_and_strangers_are_refused() {
    let app = App::start().await;
    app.stock("A", 9, "1.00").await;
    let (order, other) = (app.placed(&[("A", 3)]).await, app.placed(&[("A", 3)]).await);
    let line = order.lines[0].line_id.as_str();
    for _ in 0..2 {
        app.ship_as(shipping(&order.order_id, &[(line, 1)])).await.unwrap();
    }
    let (_, token) = shipments(&app, &order.order_id, 1, "").await.unwrap();
    let of_another = shipments(&app, &other.order_id, 1, &token).await;
    refusal(of_another).names(&["page_token"]);
    let names = ["order_id", "page_size", "page_token"];
    refusal(shipments(&app, "7", 101, "x").await).names(&names);
    refusal(returns(&app, "7", -1, "x").await).names(&names);
    let nothing = new_id();
    for refused in [
        refusal(shipments(&app, &nothing, 0, "").await),
        refusal(returns(&app, &nothing, 0, "").await),
    ] {
        refused.is(Code::NotFound, "ORDER_NOT_FOUND");
        assert_eq!(refused.facts, [format!("order_id: {nothing}")]);
    }
}
