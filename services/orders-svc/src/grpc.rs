//! The service's face: each method reads its request, calls one function, and answers.

mod read;
mod show;

use ids::OrderId;
use log::Log;
use prost::Message;
use proto::{inventory::v1::inventory_service_client::InventoryServiceClient, orders::v1 as pb};
use rpc::Written;
use sqlx::{Postgres, pool::PoolConnection};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use crate::{
    OrdersError,
    commands::{self, Answer, Drafts, Placements},
    queries::{self, Customers, OrderList, Watch, Watches},
    store,
};

type Watched = Result<pb::WatchOrderResponse, Status>;

/// Transactions of each kind at a time: while one commits, the next gathers.
const BATCH_WORKERS: usize = 1;
/// Well below the 4 MiB that a gRPC client takes in one message.
const BATCH_MAX_BYTES: usize = 2 << 20;

pub(crate) struct Orders {
    pub(crate) log: Log,
    pub(crate) inventory: InventoryServiceClient<rpc::Client>,
    pub(crate) drafts: Drafts,
    pub(crate) placements: Placements,
    watches: Watches,
}

impl Orders {
    pub(crate) fn new(
        log: Log,
        inventory: InventoryServiceClient<rpc::Client>,
        watches: Watches,
    ) -> Self {
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
            watches,
        }
    }

    async fn db(&self) -> Result<PoolConnection<Postgres>, OrdersError> {
        Ok(self.log.pool().acquire().await?)
    }

    /// The order that a command answers with.
    async fn answer(&self, answer: Answer) -> Result<Option<pb::Order>, OrdersError> {
        Ok(match answer {
            Answer::New(order, items) => Some(show::whole_order(queries::WholeOrder {
                order: *order,
                items,
                shipments: Vec::new(),
                returns: Vec::new(),
            })),
            Answer::Known(id) => {
                Written::by_others();
                self.order(id).await?
            }
        })
    }

    async fn order(&self, id: OrderId) -> Result<Option<pb::Order>, OrdersError> {
        let whole = queries::whole_order(self.log.pool(), id).await?;
        Ok(Some(show::whole_order(whole)))
    }
}

#[tonic::async_trait]
impl pb::orders_service_server::OrdersService for Orders {
    async fn create_customer(
        &self,
        request: Request<pb::CreateCustomerRequest>,
    ) -> Result<Response<pb::CreateCustomerResponse>, Status> {
        let (request_key, cause, customer) = read::create_customer(request.into_inner())?;
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
        let id = read::customer_id(&request.into_inner().customer_id)?;
        let customer = store::customers::get(&mut *self.db().await?, id).await?;
        Ok(Response::new(pb::GetCustomerResponse { customer: Some(show::customer(customer)) }))
    }

    async fn batch_get_customers(
        &self,
        request: Request<pb::BatchGetCustomersRequest>,
    ) -> Result<Response<pb::BatchGetCustomersResponse>, Status> {
        let ids = read::batch_get_customers(&request.into_inner())?;
        let found = store::customers::find_all(&mut *self.db().await?, &ids).await;
        let found = found.map_err(OrdersError::from)?;
        let customers = found.into_iter().map(show::customer).collect();
        fitting("customer_ids", pb::BatchGetCustomersResponse { customers })
    }

    async fn list_customers(
        &self,
        request: Request<pb::ListCustomersRequest>,
    ) -> Result<Response<pb::ListCustomersResponse>, Status> {
        let (page, list) = read::list_customers(request.into_inner())?;
        let found = list.read(&mut *self.db().await?, page.limit()).await;
        let found = found.map_err(OrdersError::from)?;
        let mut customers: Vec<_> = found.into_iter().map(show::customer).collect();
        let next_page_token = page.fit(&mut customers, |customer| match list.which {
            Customers::Named { .. } => show::name_key(&customer.name, &customer.customer_id),
            Customers::All { .. } | Customers::WithEmail(_) => customer.customer_id.clone(),
        });
        Ok(Response::new(pb::ListCustomersResponse { customers, next_page_token }))
    }

    async fn update_customer(
        &self,
        request: Request<pb::UpdateCustomerRequest>,
    ) -> Result<Response<pb::UpdateCustomerResponse>, Status> {
        let command = read::update_customer(request.into_inner())?;
        let customer = commands::update_customer(&self.log, command).await?;
        Ok(Response::new(pb::UpdateCustomerResponse { customer: Some(show::customer(customer)) }))
    }

    async fn archive_customer(
        &self,
        request: Request<pb::ArchiveCustomerRequest>,
    ) -> Result<Response<pb::ArchiveCustomerResponse>, Status> {
        let command = read::archive_customer(request.into_inner())?;
        let customer = commands::archive_customer(&self.log, command).await?;
        Ok(Response::new(pb::ArchiveCustomerResponse { customer: Some(show::customer(customer)) }))
    }

    async fn restore_customer(
        &self,
        request: Request<pb::RestoreCustomerRequest>,
    ) -> Result<Response<pb::RestoreCustomerResponse>, Status> {
        let command = read::restore_customer(request.into_inner())?;
        let customer = commands::restore_customer(&self.log, command).await?;
        Ok(Response::new(pb::RestoreCustomerResponse { customer: Some(show::customer(customer)) }))
    }

    async fn create_order(
        &self,
        request: Request<pb::CreateOrderRequest>,
    ) -> Result<Response<pb::CreateOrderResponse>, Status> {
        let draft = read::create_order(self, request.into_inner()).await?;
        let answer = commands::create_order(self, draft).await?;
        Ok(Response::new(pb::CreateOrderResponse { order: self.answer(answer).await? }))
    }

    async fn update_order(
        &self,
        request: Request<pb::UpdateOrderRequest>,
    ) -> Result<Response<pb::UpdateOrderResponse>, Status> {
        let command = read::update_order(self, request.into_inner()).await?;
        let id = command.id;
        commands::update_order(&self.log, command).await?;
        Ok(Response::new(pb::UpdateOrderResponse { order: self.order(id).await? }))
    }

    async fn delete_order(
        &self,
        request: Request<pb::DeleteOrderRequest>,
    ) -> Result<Response<pb::DeleteOrderResponse>, Status> {
        let command = read::delete_order(request.into_inner())?;
        commands::delete_order(&self.log, command).await?;
        Ok(Response::new(pb::DeleteOrderResponse {}))
    }

    async fn place_order(
        &self,
        request: Request<pb::PlaceOrderRequest>,
    ) -> Result<Response<pb::PlaceOrderResponse>, Status> {
        let (request_key, cause, id) = read::place_order(&request.into_inner())?;
        let answer = commands::place_draft(self, request_key, cause, id).await?;
        Ok(Response::new(pb::PlaceOrderResponse { order: self.answer(answer).await? }))
    }

    async fn get_order(
        &self,
        request: Request<pb::GetOrderRequest>,
    ) -> Result<Response<pb::GetOrderResponse>, Status> {
        let id = read::order_id(&request.into_inner().order_id)?;
        Ok(Response::new(pb::GetOrderResponse { order: self.order(id).await? }))
    }

    async fn batch_get_orders(
        &self,
        request: Request<pb::BatchGetOrdersRequest>,
    ) -> Result<Response<pb::BatchGetOrdersResponse>, Status> {
        let ids = read::batch_get_orders(&request.into_inner())?;
        let found = queries::orders_with_lines(self.log.pool(), &ids).await?;
        let orders = found.into_iter().map(|(order, items)| pb::Order {
            lines: items.into_iter().map(show::line).collect(),
            ..show::order(order)
        });
        fitting("order_ids", pb::BatchGetOrdersResponse { orders: orders.collect() })
    }

    async fn list_orders(
        &self,
        request: Request<pb::ListOrdersRequest>,
    ) -> Result<Response<pb::ListOrdersResponse>, Status> {
        let (page, list, before) = read::list_orders(&request.into_inner())?;
        let found = list.read(&mut *self.db().await?, before, page.limit()).await;
        let found = found.map_err(OrdersError::from)?;
        let mut orders: Vec<_> = found.into_iter().map(show::order).collect();
        let next_page_token = page.fit(&mut orders, |order| {
            let time = match list {
                OrderList::All { .. } | OrderList::OfCustomer { .. } => order.create_time,
                OrderList::Placed { .. } => order.place_time,
            };
            show::time_key(time, &order.order_id)
        });
        Ok(Response::new(pb::ListOrdersResponse { orders, next_page_token }))
    }

    type WatchOrderStream = ReceiverStream<Watched>;

    async fn watch_order(
        &self,
        request: Request<pb::WatchOrderRequest>,
    ) -> Result<Response<Self::WatchOrderStream>, Status> {
        let id = read::order_id(&request.into_inner().order_id)?;
        let watch = self.watches.begin(id)?;
        let stopping = rpc::Call::current().map(|call| call.stopping()).unwrap_or_default();
        // A caller that reads slowly misses states between, not the last one.
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(async move {
            tokio::select! {
                () = send_changes(watch, &sender) => (),
                () = sender.closed() => (),
                () = stopping.cancelled() => {
                    let _ = sender.try_send(Err(OrdersError::Stopping.into()));
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    async fn hold_order(
        &self,
        request: Request<pb::HoldOrderRequest>,
    ) -> Result<Response<pb::HoldOrderResponse>, Status> {
        let command = read::hold_order(request.into_inner())?;
        let id = command.id;
        commands::hold_order(&self.log, command).await?;
        Ok(Response::new(pb::HoldOrderResponse { order: self.order(id).await? }))
    }

    async fn release_order(
        &self,
        request: Request<pb::ReleaseOrderRequest>,
    ) -> Result<Response<pb::ReleaseOrderResponse>, Status> {
        let command = read::release_order(&request.into_inner())?;
        let id = command.id;
        commands::release_order(&self.log, command).await?;
        Ok(Response::new(pb::ReleaseOrderResponse { order: self.order(id).await? }))
    }

    async fn ship_order(
        &self,
        request: Request<pb::ShipOrderRequest>,
    ) -> Result<Response<pb::ShipOrderResponse>, Status> {
        let command = read::ship_order(request.into_inner())?;
        let id = command.id;
        let shipment = commands::ship_order(&self.log, command).await?;
        let order = self.order(id).await?;
        let shipment = Some(show::shipment(shipment));
        Ok(Response::new(pb::ShipOrderResponse { order, shipment }))
    }

    async fn cancel_order(
        &self,
        request: Request<pb::CancelOrderRequest>,
    ) -> Result<Response<pb::CancelOrderResponse>, Status> {
        let command = read::cancel_order(request.into_inner())?;
        let id = command.id;
        commands::cancel_order(&self.log, command).await?;
        Ok(Response::new(pb::CancelOrderResponse { order: self.order(id).await? }))
    }

    async fn return_order(
        &self,
        request: Request<pb::ReturnOrderRequest>,
    ) -> Result<Response<pb::ReturnOrderResponse>, Status> {
        let command = read::return_order(request.into_inner())?;
        let id = command.id;
        let returned = commands::return_order(&self.log, command).await?;
        let order = self.order(id).await?;
        let returned = Some(show::returned(returned));
        Ok(Response::new(pb::ReturnOrderResponse { order, returned }))
    }

    async fn list_shipments(
        &self,
        request: Request<pb::ListShipmentsRequest>,
    ) -> Result<Response<pb::ListShipmentsResponse>, Status> {
        let pb::ListShipmentsRequest { order_id, page_size, page_token } = request.into_inner();
        let (id, page, after) = read::page_of_order(&order_id, page_size, &page_token)?;
        let mut db = self.db().await?;
        store::orders::get(&mut db, id).await?;
        let found = store::shipments::of_order(&mut db, id, after, page.limit()).await;
        let found = found.map_err(OrdersError::from)?;
        let mut shipments: Vec<_> = found.into_iter().map(show::shipment).collect();
        let key = |one: &pb::Shipment| show::time_key(one.ship_time, &one.shipment_id);
        let next_page_token = page.fit(&mut shipments, key);
        Ok(Response::new(pb::ListShipmentsResponse { shipments, next_page_token }))
    }

    async fn list_returns(
        &self,
        request: Request<pb::ListReturnsRequest>,
    ) -> Result<Response<pb::ListReturnsResponse>, Status> {
        let pb::ListReturnsRequest { order_id, page_size, page_token } = request.into_inner();
        let (id, page, after) = read::page_of_order(&order_id, page_size, &page_token)?;
        let mut db = self.db().await?;
        store::orders::get(&mut db, id).await?;
        let found = store::returns::of_order(&mut db, id, after, page.limit()).await;
        let found = found.map_err(OrdersError::from)?;
        let mut returns: Vec<_> = found.into_iter().map(show::returned).collect();
        let key = |one: &pb::Return| show::time_key(one.return_time, &one.return_id);
        let next_page_token = page.fit(&mut returns, key);
        Ok(Response::new(pb::ListReturnsResponse { returns, next_page_token }))
    }
}

/// What was asked for by the ids of a field, unless a message has no room for it.
fn fitting<T: Message>(field: &'static str, answer: T) -> Result<Response<T>, Status> {
    if answer.encoded_len() > BATCH_MAX_BYTES {
        return Err(OrdersError::AnswerTooLarge(field).into());
    }
    Ok(Response::new(answer))
}

/// Sends an order whenever it has changed, until it cannot be read or nobody listens.
async fn send_changes(mut watch: Watch, sender: &mpsc::Sender<Watched>) {
    loop {
        let found = watch.next().await;
        let is_last = found.is_err();
        let answer = found.map(|whole| {
            let order = Some(show::whole_order(whole));
            pb::WatchOrderResponse { order }
        });
        if sender.send(answer.map_err(Status::from)).await.is_err() || is_last {
            return;
        }
    }
}
