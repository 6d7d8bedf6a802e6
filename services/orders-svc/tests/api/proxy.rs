//! inventory-svc behind a wall that tests can close: the real one answers, or nobody does.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use proto::inventory::v1::{
    self as pb,
    inventory_service_client::InventoryServiceClient,
    inventory_service_server::{InventoryService, InventoryServiceServer},
};
use tokio::{net::TcpListener, sync::watch};
use tonic::{Code, Request, Response, Status};

use testkit::eventually;

use crate::app::WAIT_MAX;

/// What happens to calls on their way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Open,
    Closed,
    /// Only what reserves does not get through, and is answered so.
    RefusesToReserve(Code),
    /// A request to reserve arrives once the way is open again, even when nobody waits for it any more.
    HoldsRequests,
    /// The stock is reserved, but the answer stays away until the way is open again.
    HoldsAnswers,
    /// The answer says that the stock is held for five more seconds.
    LeavesFiveSeconds,
}

#[derive(Debug, Clone)]
pub(crate) struct Proxy {
    pub(crate) url: String,
    real: InventoryServiceClient<rpc::Client>,
    way: Arc<watch::Sender<Way>>,
    /// How many calls have been held, and how many of these were answered since.
    held: Arc<watch::Sender<(usize, usize)>>,
}

impl Proxy {
    pub(crate) async fn start(real: rpc::Client) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            real: InventoryServiceClient::new(real),
            way: Arc::new(watch::Sender::new(Way::Open)),
            held: Arc::default(),
        };
        let serving = tonic::transport::Server::builder()
            .add_service(InventoryServiceServer::new(proxy.clone()))
            .serve_with_incoming(tonic::transport::server::TcpIncoming::from(listener));
        tokio::spawn(serving);
        proxy
    }

    pub(crate) fn set(&self, way: Way) {
        self.way.send_replace(way);
    }

    /// Waits until so many calls have been held since the start.
    pub(crate) async fn holds(&self, count: usize) {
        eventually("calls are held", WAIT_MAX, async || self.held.borrow().0 >= count).await;
    }

    /// Waits until so many that were held have been answered, whether or not anybody waited for it.
    pub(crate) async fn has_answered(&self, count: usize) {
        eventually("answers are held", WAIT_MAX, async || self.held.borrow().1 >= count).await;
    }

    async fn hold(&self) {
        self.held.send_modify(|(held, _)| *held += 1);
        self.way.subscribe().wait_for(|way| *way == Way::Open).await.unwrap();
    }

    async fn reserve(
        mut self,
        request: pb::ReserveStockRequest,
    ) -> Answer<pb::ReserveStockResponse> {
        let way = *self.way.borrow();
        match way {
            Way::Open => self.real.reserve_stock(request).await,
            Way::Closed => Err(Status::unavailable("away")),
            Way::RefusesToReserve(code) => Err(Status::new(code, "for no reason of the trade")),
            Way::HoldsRequests => {
                self.hold().await;
                let answer = self.real.reserve_stock(request).await;
                self.held.send_modify(|(_, answered)| *answered += 1);
                answer
            }
            Way::HoldsAnswers => {
                let answer = self.real.reserve_stock(request).await;
                self.hold().await;
                answer
            }
            Way::LeavesFiveSeconds => {
                let mut answer = self.real.reserve_stock(request).await?;
                let soon = SystemTime::now() + Duration::from_secs(5);
                answer.get_mut().expire_time = Some(soon.into());
                Ok(answer)
            }
        }
    }
}

type Answer<T> = Result<Response<T>, Status>;

macro_rules! only_what_orders_ask {
    ($($name:ident($request:ident) -> $response:ident;)+) => {
        #[tonic::async_trait]
        impl InventoryService for Proxy {
            async fn batch_get_products(
                &self,
                request: Request<pb::BatchGetProductsRequest>,
            ) -> Answer<pb::BatchGetProductsResponse> {
                let way = *self.way.borrow();
                match way {
                    Way::Closed => Err(Status::unavailable("away")),
                    _ => self.real.clone().batch_get_products(request.into_inner()).await,
                }
            }

            async fn reserve_stock(
                &self,
                request: Request<pb::ReserveStockRequest>,
            ) -> Answer<pb::ReserveStockResponse> {
                // A task of its own goes on when the caller is gone.
                tokio::spawn(self.clone().reserve(request.into_inner())).await.unwrap()
            }

            $(async fn $name(&self, _: Request<pb::$request>) -> Answer<pb::$response> {
                Err(Status::unimplemented("is never asked"))
            })+
        }
    };
}

only_what_orders_ask! {
    create_product(CreateProductRequest) -> CreateProductResponse;
    batch_create_products(BatchCreateProductsRequest) -> BatchCreateProductsResponse;
    get_product(GetProductRequest) -> GetProductResponse;
    list_products(ListProductsRequest) -> ListProductsResponse;
    update_product(UpdateProductRequest) -> UpdateProductResponse;
    archive_product(ArchiveProductRequest) -> ArchiveProductResponse;
    restore_product(RestoreProductRequest) -> RestoreProductResponse;
    get_item(GetItemRequest) -> GetItemResponse;
    batch_get_items(BatchGetItemsRequest) -> BatchGetItemsResponse;
    update_item(UpdateItemRequest) -> UpdateItemResponse;
    list_items(ListItemsRequest) -> ListItemsResponse;
    receive_stock(ReceiveStockRequest) -> ReceiveStockResponse;
    batch_receive_stock(BatchReceiveStockRequest) -> BatchReceiveStockResponse;
    adjust_stock(AdjustStockRequest) -> AdjustStockResponse;
    count_stock(CountStockRequest) -> CountStockResponse;
    return_stock(ReturnStockRequest) -> ReturnStockResponse;
    list_movements(ListMovementsRequest) -> ListMovementsResponse;
    verify_stock(VerifyStockRequest) -> VerifyStockResponse;
    confirm_reservation(ConfirmReservationRequest) -> ConfirmReservationResponse;
    extend_reservation(ExtendReservationRequest) -> ExtendReservationResponse;
    commit_reservation(CommitReservationRequest) -> CommitReservationResponse;
    list_reservations(ListReservationsRequest) -> ListReservationsResponse;
    release_reservation(ReleaseReservationRequest) -> ReleaseReservationResponse;
    get_reservation(GetReservationRequest) -> GetReservationResponse;
}
