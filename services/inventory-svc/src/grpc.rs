//! The service's face: each method reads its request, calls one function, and answers.

mod read;
mod show;

use ids::OrderId;
use log::{Cause, Log, RequestKey};
use proto::inventory::v1 as pb;
use rpc::{Fields, Page};
use sqlx::{Postgres, pool::PoolConnection};
use tonic::{Request, Response, Status};

use crate::{
    InventoryError,
    commands::{self, Reservations},
    domain::{Reservation, ReservedLine},
    store,
};

/// Transactions at a time: while one commits, the next gathers.
const BATCH_WORKERS: usize = 2;

pub(crate) struct Inventory {
    log: Log,
    reservations: Reservations,
}

impl Inventory {
    pub(crate) fn new(log: Log, reservation_ttl_s: u32) -> Self {
        let for_batches = log.clone();
        let reservations = Reservations::start(BATCH_WORKERS, move |requests| {
            commands::reserve_all(for_batches.clone(), reservation_ttl_s, requests)
        });
        Self { log, reservations }
    }

    async fn db(&self) -> Result<PoolConnection<Postgres>, InventoryError> {
        Ok(self.log.pool().acquire().await?)
    }

    async fn reservation(
        &self,
        id: OrderId,
    ) -> Result<(Reservation, Vec<ReservedLine>), InventoryError> {
        // One snapshot, so that state and lines fit.
        let snapshot = "begin isolation level repeatable read, read only";
        let mut tx = self.log.pool().begin_with(snapshot).await?;
        let found = store::reservations::find(&mut tx, id).await?;
        let reservation = found.ok_or(InventoryError::ReservationNotFound(id))?;
        let lines = store::reservations::lines(&mut tx, &[id.0]).await?;
        tx.commit().await?;
        Ok((reservation, lines))
    }
}

#[tonic::async_trait]
impl pb::inventory_service_server::InventoryService for Inventory {
    async fn create_product(
        &self,
        request: Request<pb::CreateProductRequest>,
    ) -> Result<Response<pb::CreateProductResponse>, Status> {
        let request = request.into_inner();
        let mut fields = Fields::default();
        let request_id = fields.request_id(&request.request_id);
        let request_key = request_id.map(|id| RequestKey::new(id, "CreateProduct", &request));
        let product = read::product(&mut fields, "", request);
        fields.done()?;
        let cause = Cause::of_call();
        let product = commands::create_product(&self.log, &cause, request_key, product).await?;
        Ok(Response::new(pb::CreateProductResponse { product: Some(show::product(product)) }))
    }

    async fn batch_create_products(
        &self,
        request: Request<pb::BatchCreateProductsRequest>,
    ) -> Result<Response<pb::BatchCreateProductsResponse>, Status> {
        let command = read::create_products(request.into_inner())?;
        let created = commands::create_products(&self.log, command).await?;
        Ok(Response::new(pb::BatchCreateProductsResponse {
            created_count: show::count(created.new),
            existing_count: show::count(created.existing),
        }))
    }

    async fn get_product(
        &self,
        request: Request<pb::GetProductRequest>,
    ) -> Result<Response<pb::GetProductResponse>, Status> {
        let mut fields = Fields::default();
        let sku = fields.sku("sku", request.into_inner().sku);
        fields.done()?;

        let found =
            store::products::find_all(&mut *self.db().await?, std::slice::from_ref(&sku)).await;
        let product = found.map_err(InventoryError::from)?.pop();
        let product = product.ok_or(InventoryError::ProductNotFound(sku))?;
        Ok(Response::new(pb::GetProductResponse { product: Some(show::product(product)) }))
    }

    async fn batch_get_products(
        &self,
        request: Request<pb::BatchGetProductsRequest>,
    ) -> Result<Response<pb::BatchGetProductsResponse>, Status> {
        let skus = request.into_inner().skus;
        let mut fields = Fields::default();
        fields.count("skus", skus.len(), 1, read::BATCH_MAX);
        let skus = skus.into_iter().take(read::BATCH_MAX).enumerate();
        let skus: Vec<String> =
            skus.map(|(index, sku)| fields.sku(&format!("skus[{index}]"), sku)).collect();
        fields.done()?;

        let found = store::products::find_all(&mut *self.db().await?, &skus).await;
        let found = found.map_err(InventoryError::from)?;
        let products = found.into_iter().map(show::product).collect();
        Ok(Response::new(pb::BatchGetProductsResponse { products }))
    }

    async fn list_products(
        &self,
        request: Request<pb::ListProductsRequest>,
    ) -> Result<Response<pb::ListProductsResponse>, Status> {
        let request = request.into_inner();
        let mut fields = Fields::default();
        let prefix = fields.text("name_prefix", request.name_prefix, 0, 255);
        let page = Page::read(&mut fields, request.page_size, &request.page_token, &prefix);
        let by_name = !prefix.is_empty();
        let (after_sku, after_name) = read::place(&mut fields, &page, by_name);
        fields.done()?;

        let mut db = self.db().await?;
        let found = if by_name {
            let after = after_name.zip(after_sku);
            store::products::list_by_name(&mut db, &prefix, after.as_ref(), page.limit()).await
        } else {
            store::products::list(&mut db, after_sku.as_deref(), page.limit()).await
        };
        let mut found = found.map_err(InventoryError::from)?;
        let next_page_token = page.cut(&mut found, |product| show::place(product, by_name));
        let products = found.into_iter().map(show::product).collect();
        Ok(Response::new(pb::ListProductsResponse { products, next_page_token }))
    }

    async fn get_item(
        &self,
        request: Request<pb::GetItemRequest>,
    ) -> Result<Response<pb::GetItemResponse>, Status> {
        let mut fields = Fields::default();
        let sku = fields.sku("sku", request.into_inner().sku);
        fields.done()?;

        let found = store::items::find(&mut *self.db().await?, &sku).await;
        let item = found.map_err(InventoryError::from)?;
        let item = item.ok_or(InventoryError::ProductNotFound(sku))?;
        Ok(Response::new(pb::GetItemResponse { item: Some(show::item(item)) }))
    }

    async fn list_items(
        &self,
        request: Request<pb::ListItemsRequest>,
    ) -> Result<Response<pb::ListItemsResponse>, Status> {
        let request = request.into_inner();
        let mut fields = Fields::default();
        let filters = format!("items {}", request.low);
        let page = Page::read(&mut fields, request.page_size, &request.page_token, &filters);
        let (after, _) = read::place(&mut fields, &page, false);
        fields.done()?;

        let after = after.as_deref();
        let found =
            store::items::list(&mut *self.db().await?, request.low, after, page.limit()).await;
        let mut found = found.map_err(InventoryError::from)?;
        let next_page_token = page.cut(&mut found, |item| item.sku.clone());
        let items = found.into_iter().map(show::item).collect();
        Ok(Response::new(pb::ListItemsResponse { items, next_page_token }))
    }

    async fn receive_stock(
        &self,
        request: Request<pb::ReceiveStockRequest>,
    ) -> Result<Response<pb::ReceiveStockResponse>, Status> {
        let (sku, command) = read::receive_one(request.into_inner())?;
        let item = commands::receive_stock(&self.log, sku, command).await?;
        Ok(Response::new(pb::ReceiveStockResponse { item: Some(show::item(item)) }))
    }

    async fn batch_receive_stock(
        &self,
        request: Request<pb::BatchReceiveStockRequest>,
    ) -> Result<Response<pb::BatchReceiveStockResponse>, Status> {
        let command = read::receive_all(request.into_inner())?;
        let received = commands::receive_delivery(&self.log, command).await?;
        Ok(Response::new(pb::BatchReceiveStockResponse { received }))
    }

    async fn reserve_stock(
        &self,
        request: Request<pb::ReserveStockRequest>,
    ) -> Result<Response<pb::ReserveStockResponse>, Status> {
        let command = read::reserve(request.into_inner())?;
        let submitted = self.reservations.submit(command).await;
        let reserved = submitted.map_err(InventoryError::from)??;
        Ok(Response::new(pb::ReserveStockResponse {
            products: reserved.goods.into_iter().map(show::good).collect(),
            expire_time: Some(rpc::to_time(reserved.expires_at)),
        }))
    }

    async fn release_reservation(
        &self,
        request: Request<pb::ReleaseReservationRequest>,
    ) -> Result<Response<pb::ReleaseReservationResponse>, Status> {
        let mut fields = Fields::default();
        let id: Option<OrderId> = fields.id("order_id", &request.into_inner().order_id);
        let Some(id) = id else { return Err(fields.refuse()) };

        commands::release_reservation(&self.log, id, &Cause::of_call()).await?;
        Ok(Response::new(pb::ReleaseReservationResponse {}))
    }

    async fn get_reservation(
        &self,
        request: Request<pb::GetReservationRequest>,
    ) -> Result<Response<pb::GetReservationResponse>, Status> {
        let mut fields = Fields::default();
        let id: Option<OrderId> = fields.id("order_id", &request.into_inner().order_id);
        let Some(id) = id else { return Err(fields.refuse()) };

        let (reservation, lines) = self.reservation(id).await?;
        let reservation = Some(show::reservation(&reservation, lines));
        Ok(Response::new(pb::GetReservationResponse { reservation }))
    }
}
