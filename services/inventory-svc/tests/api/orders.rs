//! orders-svc as far as this service asks it: whether an order is there and where it stands.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use proto::orders::v1::{
    self as pb,
    orders_service_server::{OrdersService, OrdersServiceServer},
};
use tokio::net::TcpListener;
use tonic::{Request, Response, Status};

#[derive(Debug, Clone, Default)]
pub(crate) struct FakeOrders {
    orders: Arc<Mutex<HashMap<String, pb::OrderStatus>>>,
    away: Arc<Mutex<bool>>,
}

impl FakeOrders {
    pub(crate) async fn start(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let serving = tonic::transport::Server::builder()
            .add_service(OrdersServiceServer::new(self.clone()))
            .serve_with_incoming(tonic::transport::server::TcpIncoming::from(listener));
        tokio::spawn(serving);
        url
    }

    pub(crate) fn know(&self, order_id: &str, status: pb::OrderStatus) {
        self.orders.lock().unwrap().insert(order_id.to_owned(), status);
    }

    pub(crate) fn set_away(&self, away: bool) {
        *self.away.lock().unwrap() = away;
    }

    fn find(&self, order_id: &str) -> Result<Response<pb::GetOrderResponse>, Status> {
        if *self.away.lock().unwrap() {
            return Err(Status::unavailable("away"));
        }
        let status = self.orders.lock().unwrap().get(order_id).copied();
        let status = status.ok_or_else(|| Status::not_found("no such order"))?;
        let order_id = order_id.to_owned();
        let order = pb::Order { order_id, status: status.into(), ..pb::Order::default() };
        Ok(Response::new(pb::GetOrderResponse { order: Some(order) }))
    }
}

macro_rules! only_get_order {
    ($($name:ident($request:ident) -> $response:ident;)+) => {
        #[tonic::async_trait]
        impl OrdersService for FakeOrders {
            async fn get_order(
                &self,
                request: Request<pb::GetOrderRequest>,
            ) -> Result<Response<pb::GetOrderResponse>, Status> {
                self.find(&request.into_inner().order_id)
            }
            type WatchOrderStream = tonic::Streaming<pb::WatchOrderResponse>;
            async fn watch_order(
                &self,
                _: Request<pb::WatchOrderRequest>,
            ) -> Result<Response<Self::WatchOrderStream>, Status> {
                Err(Status::unimplemented("is never asked"))
            }
            $(async fn $name(
                &self,
                _: Request<pb::$request>,
            ) -> Result<Response<pb::$response>, Status> {
                Err(Status::unimplemented("is never asked"))
            })+
        }
    };
}

only_get_order! {
    create_customer(CreateCustomerRequest) -> CreateCustomerResponse;
    batch_create_customers(BatchCreateCustomersRequest) -> BatchCreateCustomersResponse;
    get_customer(GetCustomerRequest) -> GetCustomerResponse;
    list_customers(ListCustomersRequest) -> ListCustomersResponse;
    create_order(CreateOrderRequest) -> CreateOrderResponse;
    place_order(PlaceOrderRequest) -> PlaceOrderResponse;
    list_orders(ListOrdersRequest) -> ListOrdersResponse;
    batch_get_customers(BatchGetCustomersRequest) -> BatchGetCustomersResponse;
    update_customer(UpdateCustomerRequest) -> UpdateCustomerResponse;
    archive_customer(ArchiveCustomerRequest) -> ArchiveCustomerResponse;
    restore_customer(RestoreCustomerRequest) -> RestoreCustomerResponse;
    update_order(UpdateOrderRequest) -> UpdateOrderResponse;
    delete_order(DeleteOrderRequest) -> DeleteOrderResponse;
    batch_get_orders(BatchGetOrdersRequest) -> BatchGetOrdersResponse;
    hold_order(HoldOrderRequest) -> HoldOrderResponse;
    release_order(ReleaseOrderRequest) -> ReleaseOrderResponse;
    return_order(ReturnOrderRequest) -> ReturnOrderResponse;
    list_shipments(ListShipmentsRequest) -> ListShipmentsResponse;
    list_returns(ListReturnsRequest) -> ListReturnsResponse;
    ship_order(ShipOrderRequest) -> ShipOrderResponse;
    cancel_order(CancelOrderRequest) -> CancelOrderResponse;
}
