//! The services around this one, each with one answer to each question.

use axum::{Router, body::Body, extract::Request, routing::post};
use prost_types::Timestamp;
use proto::{
    common::v1::Money,
    inventory::v1::{Item, ListItemsRequest, ListItemsResponse},
    log::v1::{ConsumerStatus, GetLogStatusRequest, GetLogStatusResponse, RelayStatus},
    orders::v1::{ListOrdersRequest, ListOrdersResponse, Order, OrderStatus},
};
use tokio::net::TcpListener;
use tonic::{
    Response, Status,
    server::{Grpc, UnaryService},
    service::Routes,
    transport::server::TcpIncoming,
};
use tonic_health::ServingStatus;
use tonic_prost::ProstCodec;

use crate::olap::time;

/// What is on a label is anybody's choice.
pub(crate) const HOSTILE: &str = "<img src=x onerror=alert(1)>\"'&\u{202e}";

#[derive(Clone)]
struct Canned<Q, A>(fn(&Q) -> A);

impl<Q, A: Send + 'static> UnaryService<Q> for Canned<Q, A> {
    type Response = A;
    type Future = std::future::Ready<Result<Response<A>, Status>>;

    fn call(&mut self, request: tonic::Request<Q>) -> Self::Future {
        std::future::ready(Ok(Response::new((self.0)(request.get_ref()))))
    }
}

fn canned<Q, A>(path: &str, answer: fn(&Q) -> A) -> Router
where
    Q: prost::Message + Default + Send + Sync + Clone + 'static,
    A: prost::Message + Default + Send + Sync + Clone + 'static,
{
    let handler = async move |request: Request| {
        let mut grpc = Grpc::new(ProstCodec::<A, Q>::default());
        let request = request.map(tonic::body::Body::new);
        grpc.unary(Canned(answer), request).await.map(Body::new)
    };
    Router::new().route(path, post(handler))
}

/// All of them in one, at its address. Only `sound` ones are healthy.
pub(crate) async fn start(sound: bool) -> String {
    let (health, service) = tonic_health::server::health_reporter();
    let status = if sound { ServingStatus::Serving } else { ServingStatus::NotServing };
    health.set_service_status("", status).await;
    let router = Routes::new(service)
        .into_axum_router()
        .merge(canned("/bramble.orders.v1.OrdersService/ListOrders", orders))
        .merge(canned("/bramble.inventory.v1.InventoryService/ListItems", items))
        .merge(canned("/bramble.log.v1.EventLog/GetLogStatus", log));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = tonic::transport::Server::builder().add_routes(Routes::from(router));
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
    url
}

fn at(text: &str) -> Option<Timestamp> {
    Some(Timestamp { seconds: time(text).timestamp(), nanos: 0 })
}

/// As orders-svc, only placed ones when a time of placing is asked for.
fn orders(request: &ListOrdersRequest) -> ListOrdersResponse {
    let Some(before) = request.place_time_before else { return ListOrdersResponse::default() };
    assert!(before.seconds < time("3000-01-01T00:00:00Z").timestamp(), "it would be refused");
    let order = |id: &str, placed: &str, status, paid| Order {
        order_id: id.to_owned(),
        customer_id: "the customer".to_owned(),
        status: OrderStatus::into(status),
        total: Some(Money { amount: "12.50".to_owned(), currency_code: "GBP".to_owned() }),
        place_time: at(placed),
        paid,
        ..Order::default()
    };
    let mut orders = vec![
        order("second", "2026-11-24T10:00:00Z", OrderStatus::Shipped, true),
        order("first", "2026-11-23T10:00:00Z", OrderStatus::Placed, false),
    ];
    orders.retain(|order| order.place_time.unwrap().seconds < before.seconds);
    ListOrdersResponse { orders, ..ListOrdersResponse::default() }
}

/// Twelve: the worst of them not first.
fn items(request: &ListItemsRequest) -> ListItemsResponse {
    assert!(request.low);
    let item = |number: i32| Item {
        sku: format!("SKU-{number:02}"),
        name: HOSTILE.to_owned(),
        on_hand: number,
        reserved: 1,
        available: number - 1,
        reorder_point: if number == 7 { 100 } else { 20 },
        ..Item::default()
    };
    ListItemsResponse { items: (1..=12).map(item).collect(), ..ListItemsResponse::default() }
}

fn log(_: &GetLogStatusRequest) -> GetLogStatusResponse {
    GetLogStatusResponse {
        source: "orders".to_owned(),
        last_sequence: 100,
        last_event_time: at("2026-11-24T10:00:00Z"),
        relay: Some(RelayStatus {
            published_sequence: Some(98),
            waiting_count: 2,
            waiting_since_time: at("2026-11-24T09:59:00Z"),
            error: "NATS: away".to_owned(),
        }),
        consumers: vec![ConsumerStatus {
            source: "billing".to_owned(),
            sequence: 93,
            update_time: at("2026-11-24T09:00:00Z"),
            error: String::new(),
            dead_letter_count: 4,
        }],
    }
}
