//! The service's face: each method reads its request, calls one function, and answers.

mod read;
mod show;

use ids::{CustomerId, OrderId};
use log::{Cause, Log, RequestKey};
use proto::{inventory::v1::inventory_service_client::InventoryServiceClient, orders::v1 as pb};
use rpc::{Fields, Page};
use sqlx::{Postgres, pool::PoolConnection};
use tonic::{Request, Response, Status};

use crate::{
    OrdersError,
    commands::{self, Answer, CancelOrder, Drafts, PlaceOrder, Placements},
    queries, store,
};

/// Transactions of each kind at a time: while one commits, the next gathers.
const BATCH_WORKERS: usize = 1;

pub(crate) struct Orders {
    pub(crate) log: Log,
    pub(crate) inventory: InventoryServiceClient<rpc::Client>,
    pub(crate) drafts: Drafts,
    pub(crate) placements: Placements,
}

impl Orders {
    pub(crate) fn new(log: Log, inventory: InventoryServiceClient<rpc::Client>) -> Self {
        let (for_drafts, for_placements) = (log.clone(), log.clone());
        Self {
            log,
            inventory,
            drafts: Drafts::start(BATCH_WORKERS, move |drafts| {
                commands::create_drafts(for_drafts.clone(), drafts)
            }),
            placements: Placements::start(BATCH_WORKERS, move |placements| {
                commands::commit_placements(for_placements.clone(), placements)
            }),
        }
    }

    async fn db(&self) -> Result<PoolConnection<Postgres>, OrdersError> {
        Ok(self.log.pool().acquire().await?)
    }

    async fn order(&self, answer: Answer) -> Result<pb::Order, OrdersError> {
        let (order, items, shipments) = match answer {
            Answer::New(order, items) => (*order, items, Vec::new()),
            Answer::Known(id) => queries::whole_order(self.log.pool(), id).await?,
        };
        Ok(show::order(order, items, shipments))
    }
}

#[tonic::async_trait]
impl pb::orders_service_server::OrdersService for Orders {
    async fn create_customer(
        &self,
        request: Request<pb::CreateCustomerRequest>,
    ) -> Result<Response<pb::CreateCustomerResponse>, Status> {
        let request = request.into_inner();
        let mut fields = Fields::default();
        let request_id = fields.request_id(&request.request_id);
        let request_key = request_id.map(|id| RequestKey::new(id, "CreateCustomer", &request));
        let customer = read::customer(&mut fields, "", request);
        fields.done()?;
        let cause = Cause::of_call();
        let customer = commands::create_customer(&self.log, &cause, request_key, customer).await?;
        Ok(Response::new(pb::CreateCustomerResponse { customer: Some(show::customer(customer)) }))
    }

    async fn batch_create_customers(
        &self,
        request: Request<pb::BatchCreateCustomersRequest>,
    ) -> Result<Response<pb::BatchCreateCustomersResponse>, Status> {
        let command = read::create_customers(request.into_inner())?;
        let customers = commands::create_customers(&self.log, command).await?;
        let customers = customers.into_iter().map(show::customer).collect();
        Ok(Response::new(pb::BatchCreateCustomersResponse { customers }))
    }

    async fn get_customer(
        &self,
        request: Request<pb::GetCustomerRequest>,
    ) -> Result<Response<pb::GetCustomerResponse>, Status> {
        let mut fields = Fields::default();
        let id: Option<CustomerId> = fields.id("customer_id", &request.into_inner().customer_id);
        let Some(id) = id else { return Err(fields.refuse()) };

        let found = store::customers::find(&mut *self.db().await?, id).await;
        let customer =
            found.map_err(OrdersError::from)?.ok_or(OrdersError::CustomerNotFound(id))?;
        Ok(Response::new(pb::GetCustomerResponse { customer: Some(show::customer(customer)) }))
    }

    async fn list_customers(
        &self,
        request: Request<pb::ListCustomersRequest>,
    ) -> Result<Response<pb::ListCustomersResponse>, Status> {
        let request = request.into_inner();
        let mut fields = Fields::default();
        let page = Page::read(&mut fields, request.page_size, &request.page_token, &request.email);
        if !request.email.is_empty() {
            fields.email("email", request.email.clone());
        }
        let after: Option<CustomerId> = page.token.key(&mut fields);
        fields.done()?;

        let mut db = self.db().await?;
        let found = if request.email.is_empty() {
            store::customers::list(&mut db, after, page.limit()).await
        } else {
            store::customers::find_by_emails(&mut db, &[request.email]).await
        };
        let found = found.map_err(OrdersError::from)?.into_iter();
        let mut customers: Vec<_> = found.map(show::customer).collect();
        let next_page_token = page.fit(&mut customers, |customer| customer.customer_id.clone());
        Ok(Response::new(pb::ListCustomersResponse { customers, next_page_token }))
    }

    async fn create_order(
        &self,
        request: Request<pb::CreateOrderRequest>,
    ) -> Result<Response<pb::CreateOrderResponse>, Status> {
        let draft = read::create_order(self, request.into_inner()).await?;
        let answer = commands::create_order(self, draft).await?;
        let order = Some(self.order(answer).await?);
        Ok(Response::new(pb::CreateOrderResponse { order }))
    }

    async fn place_order(
        &self,
        request: Request<pb::PlaceOrderRequest>,
    ) -> Result<Response<pb::PlaceOrderResponse>, Status> {
        let request = request.into_inner();
        let mut fields = Fields::default();
        let request_id = fields.request_id(&request.request_id);
        let request_key = request_id.map(|id| RequestKey::new(id, "PlaceOrder", &request));
        let id: Option<OrderId> = fields.id("order_id", &request.order_id);
        let Some(id) = id else { return Err(fields.refuse()) };
        fields.done()?;

        let mut db = self.db().await?;
        let order = store::orders::get(&mut db, id).await?;
        let items = store::items::of_order(&mut db, id).await.map_err(OrdersError::from)?;
        // Not kept while inventory-svc is asked.
        drop(db);
        let cause = Cause::of_call();
        let command = PlaceOrder { request_key, cause, order, items, placed_at: None };
        let answer = commands::place_order(self, command).await?;
        let order = Some(self.order(answer).await?);
        Ok(Response::new(pb::PlaceOrderResponse { order }))
    }

    async fn get_order(
        &self,
        request: Request<pb::GetOrderRequest>,
    ) -> Result<Response<pb::GetOrderResponse>, Status> {
        let mut fields = Fields::default();
        let id: Option<OrderId> = fields.id("order_id", &request.into_inner().order_id);
        let Some(id) = id else { return Err(fields.refuse()) };

        let order = Some(self.order(Answer::Known(id)).await?);
        Ok(Response::new(pb::GetOrderResponse { order }))
    }

    async fn list_orders(
        &self,
        request: Request<pb::ListOrdersRequest>,
    ) -> Result<Response<pb::ListOrdersResponse>, Status> {
        let request = request.into_inner();
        let mut fields = Fields::default();
        let filters = format!("{} {}", request.customer_id, request.status);
        let page = Page::read(&mut fields, request.page_size, &request.page_token, &filters);
        let before: Option<OrderId> = page.token.key(&mut fields);
        let customer_id = fields.optional_id("customer_id", &request.customer_id);
        let status = read::status(&mut fields, request.status);
        fields.done()?;

        let mut db = self.db().await?;
        let found = match customer_id {
            Some(of) => {
                store::orders::list_of_customer(&mut db, of, status, before, page.limit()).await
            }
            None => store::orders::list(&mut db, status, before, page.limit()).await,
        };
        let found = found.map_err(OrdersError::from)?.into_iter();
        let mut orders: Vec<_> =
            found.map(|order| show::order(order, Vec::new(), Vec::new())).collect();
        let next_page_token = page.fit(&mut orders, |order| order.order_id.clone());
        Ok(Response::new(pb::ListOrdersResponse { orders, next_page_token }))
    }

    async fn ship_order(
        &self,
        request: Request<pb::ShipOrderRequest>,
    ) -> Result<Response<pb::ShipOrderResponse>, Status> {
        let command = read::ship_order(request.into_inner())?;
        let id = command.id;
        let shipment = commands::ship_order(&self.log, command).await?;
        let order = Some(self.order(Answer::Known(id)).await?);
        let shipment = Some(show::shipment(shipment));
        Ok(Response::new(pb::ShipOrderResponse { order, shipment }))
    }

    async fn cancel_order(
        &self,
        request: Request<pb::CancelOrderRequest>,
    ) -> Result<Response<pb::CancelOrderResponse>, Status> {
        let request = request.into_inner();
        let mut fields = Fields::default();
        let request_id = fields.request_id(&request.request_id);
        let request_key = request_id.map(|id| RequestKey::new(id, "CancelOrder", &request));
        let id: Option<OrderId> = fields.id("order_id", &request.order_id);
        let reason = fields.text("reason", request.reason, 0, 255);
        let Some(id) = id else { return Err(fields.refuse()) };
        fields.done()?;

        let command = CancelOrder { request_key, cause: Cause::of_call(), id, reason };
        commands::cancel_order(&self.log, command).await?;
        let order = Some(self.order(Answer::Known(id)).await?);
        Ok(Response::new(pb::CancelOrderResponse { order }))
    }
}
