//! orders-svc and inventory-svc as an import sees them, in memory: what is asked is checked by the services' own rules, and every so
//! many answers get lost after their effect.

use std::{
    collections::{BTreeMap, HashMap},
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use money::Money;
use prost::Message;
use proto::{inventory::v1 as inventory, orders::v1 as orders};
use rpc::{ERROR_DOMAIN, Fields};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    Code, Request, Response, Status,
    body::Body,
    server::{Grpc, NamedService},
    transport::Server,
};
use tonic_prost::ProstCodec;
use tonic_types::{ErrorDetails, StatusExt};
use tower::{Service, service_fn};

/// What came of the calls.
#[derive(Default)]
pub(super) struct World {
    pub(super) products: BTreeMap<String, inventory::CreateProductRequest>,
    pub(super) stock: BTreeMap<String, i32>,
    pub(super) customers: BTreeMap<String, String>,
    /// In the order of their arrival.
    pub(super) orders: Vec<orders::CreateOrderRequest>,
    deliveries: HashMap<String, Vec<u8>>,
    answered: HashMap<String, (Vec<u8>, orders::Order)>,
    calls: usize,
    /// Of so many answers one gets lost; 0: none.
    pub(super) lose_every: usize,
    /// From this call on nobody is there; 0: never.
    pub(super) away_from: usize,
}

pub(super) type Shared = Arc<Mutex<World>>;

/// Serves a world, and gives its address.
pub(super) async fn serve(world: Shared) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let served = Server::builder()
        .add_service(Fake::<true>(Arc::clone(&world)))
        .add_service(Fake::<false>(world))
        .serve_with_incoming(TcpListenerStream::new(listener));
    tokio::spawn(served);
    url
}

#[derive(Clone)]
struct Fake<const ORDERS: bool>(Shared);

impl NamedService for Fake<true> {
    const NAME: &'static str = "bramble.orders.v1.OrdersService";
}

impl NamedService for Fake<false> {
    const NAME: &'static str = "bramble.inventory.v1.InventoryService";
}

impl<const ORDERS: bool> Service<http::Request<Body>> for Fake<ORDERS> {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let world = Arc::clone(&self.0);
        Box::pin(async move {
            let method = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
            Ok(match method.as_str() {
                "BatchCreateProducts" => answer(world, request, World::create_products).await,
                "BatchGetProducts" => answer(world, request, World::get_products).await,
                "BatchReceiveStock" => answer(world, request, World::receive_stock).await,
                "BatchCreateCustomers" => answer(world, request, World::create_customers).await,
                "CreateOrder" => answer(world, request, World::create_order).await,
                _ => Status::unimplemented(method).into_http(),
            })
        })
    }
}

async fn answer<Q, A>(
    world: Shared,
    request: http::Request<Body>,
    method: fn(&mut World, Q) -> Result<A, Status>,
) -> http::Response<Body>
where
    Q: Message + Default + 'static,
    A: Message + Default + 'static,
{
    let served = service_fn(move |request: Request<Q>| {
        let world = Arc::clone(&world);
        async move {
            let mut world = world.lock().unwrap();
            world.calls += 1;
            if world.away_from > 0 && world.calls >= world.away_from {
                return Err(Status::unavailable("nobody is there"));
            }
            let answer = method(&mut world, request.into_inner())?;
            if world.lose_every > 0 && world.calls.is_multiple_of(world.lose_every) {
                return Err(Status::unavailable("the answer got lost"));
            }
            Ok(Response::new(answer))
        }
    });
    Grpc::new(ProstCodec::<A, Q>::default()).unary(served, request).await
}

impl World {
    fn create_products(
        &mut self,
        request: inventory::BatchCreateProductsRequest,
    ) -> Result<inventory::BatchCreateProductsResponse, Status> {
        let mut fields = Fields::default();
        fields.count("requests", request.requests.len(), 1, 1000);
        for (place, one) in request.requests.iter().enumerate() {
            fields.sku(&format!("requests[{place}].sku"), one.sku.clone());
            fields.money(&format!("requests[{place}].price"), one.price.as_ref());
            if self.products.get(&one.sku).is_some_and(|known| known != one) {
                fields.bad(
                    format!("requests[{place}].sku"),
                    format!("{} exists with other contents", one.sku),
                );
            }
            // Refused without saying which.
            if one.name == "UNSPEAKABLE" {
                return Err(Status::failed_precondition("there is something unspeakable"));
            }
        }
        fields.done()?;
        for one in request.requests {
            self.products.insert(one.sku.clone(), one);
        }
        Ok(inventory::BatchCreateProductsResponse::default())
    }

    fn get_products(
        &mut self,
        request: inventory::BatchGetProductsRequest,
    ) -> Result<inventory::BatchGetProductsResponse, Status> {
        let known = request.skus.into_iter().filter(|sku| self.products.contains_key(sku));
        let products = known.map(|sku| inventory::Product { sku, ..Default::default() }).collect();
        Ok(inventory::BatchGetProductsResponse { products })
    }

    fn receive_stock(
        &mut self,
        request: inventory::BatchReceiveStockRequest,
    ) -> Result<inventory::BatchReceiveStockResponse, Status> {
        let contents = request.encode_to_vec();
        if let Some(known) = self.deliveries.get(&request.request_id) {
            assert_eq!(*known, contents, "one id for two deliveries");
            return Ok(inventory::BatchReceiveStockResponse {
                received: false,
                ..Default::default()
            });
        }
        let mut fields = Fields::default();
        fields.count("requests", request.requests.len(), 1, 1000);
        for (place, one) in request.requests.iter().enumerate() {
            let field = format!("requests[{place}].sku");
            if !self.products.contains_key(&one.sku) {
                fields.bad(field, format!("{} is not in the catalogue", one.sku));
            }
            fields.within(&format!("requests[{place}].quantity"), one.quantity, 1, 100_000_000);
        }
        fields.done()?;
        for one in &request.requests {
            *self.stock.entry(one.sku.clone()).or_default() += one.quantity;
        }
        self.deliveries.insert(request.request_id, contents);
        Ok(inventory::BatchReceiveStockResponse { received: true, ..Default::default() })
    }

    fn create_customers(
        &mut self,
        request: orders::BatchCreateCustomersRequest,
    ) -> Result<orders::BatchCreateCustomersResponse, Status> {
        let mut fields = Fields::default();
        for (place, one) in request.requests.iter().enumerate() {
            fields.email(&format!("requests[{place}].email"), one.email.clone());
        }
        fields.done()?;
        let mut customers = Vec::new();
        for one in request.requests {
            let id = uuid::Uuid::new_v5(&uuid::Uuid::nil(), one.email.as_bytes()).to_string();
            self.customers.insert(id.clone(), one.name.clone());
            customers.push(orders::Customer { customer_id: id, ..Default::default() });
        }
        Ok(orders::BatchCreateCustomersResponse { customers })
    }

    fn create_order(
        &mut self,
        request: orders::CreateOrderRequest,
    ) -> Result<orders::CreateOrderResponse, Status> {
        let contents = request.encode_to_vec();
        if let Some((known, order)) = self.answered.get(&request.request_id) {
            if *known != contents {
                let text =
                    format!("request_id {} was used for another request", request.request_id);
                return Err(Status::already_exists(text));
            }
            return Ok(orders::CreateOrderResponse { order: Some(order.clone()) });
        }
        assert!(request.place && request.place_time.is_some());
        assert!(self.customers.contains_key(&request.customer_id));
        let mut fields = Fields::default();
        fields.count("lines", request.lines.len(), 1, 500);
        let (mut total, mut short, mut left) = (Money::ZERO, HashMap::new(), self.stock.clone());
        for (place, line) in request.lines.iter().enumerate() {
            let qty =
                fields.within(&format!("lines[{place}].quantity"), line.quantity, 1, 1_000_000);
            let price =
                fields.money(&format!("lines[{place}].unit_price"), line.unit_price.as_ref());
            total = total.checked_add(price.checked_mul(qty).unwrap()).unwrap();
            if !self.products.contains_key(&line.sku) {
                let said = format!("{} is not in the catalogue", line.sku);
                fields.bad(format!("lines[{place}].sku"), said);
            }
            let available = left.entry(line.sku.clone()).or_default();
            if *available < qty {
                short.insert(line.sku.clone(), format!("requested {qty}, available {available}"));
            }
            *available -= qty;
        }
        fields.done()?;
        if !short.is_empty() {
            let details = ErrorDetails::with_error_info("STOCK_SHORT", ERROR_DOMAIN, short);
            let code = Code::FailedPrecondition;
            return Err(Status::with_error_details(code, "too little stock", details));
        }
        self.stock = left;
        let total = Some(rpc::to_money(total));
        let order = orders::Order { total, ..orders::Order::default() };
        self.answered.insert(request.request_id.clone(), (contents, order.clone()));
        self.orders.push(request);
        Ok(orders::CreateOrderResponse { order: Some(order) })
    }
}
