//! The service's face: each method reads its request, calls one function, and answers.

mod read;
mod show;

use ids::OrderId;
use log::Log;
use pg::FilteredRead;
use prost::Message;
use proto::inventory::v1 as pb;
use rpc::{Fields, Page};
use sqlx::{Postgres, pool::PoolConnection};
use tonic::{Request, Response, Status};

use crate::{
    InventoryError,
    commands::{self, Reservations},
    domain::Calendar,
    grpc::read::Movements,
    queries, store,
};

/// Transactions at a time: while one commits, the next gathers.
const BATCH_WORKERS: usize = 2;
/// Below the 4 MiB that a gRPC client takes in one message.
const ANSWER_MAX_BYTES: usize = 3 << 20;

pub(crate) struct Inventory {
    log: Log,
    calendar: Calendar,
    reservations: Reservations,
}

impl Inventory {
    pub(crate) fn new(log: Log, calendar: Calendar, reservation_ttl_s: u32) -> Self {
        let for_batches = log.clone();
        let reservations = Reservations::start(BATCH_WORKERS, move |requests| {
            commands::reserve_all(for_batches.clone(), reservation_ttl_s, requests)
        });
        Self { log, calendar, reservations }
    }

    async fn db(&self) -> Result<PoolConnection<Postgres>, InventoryError> {
        Ok(self.log.pool().acquire().await?)
    }

    async fn filtered(&self) -> Result<FilteredRead, InventoryError> {
        Ok(FilteredRead::begin(self.log.pool()).await?)
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
        let (request_key, cause) =
            read::asked(&mut fields, &request.request_id, "CreateProduct", &request);
        let product = read::product(&mut fields, "", request);
        fields.done()?;
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

    async fn update_product(
        &self,
        request: Request<pb::UpdateProductRequest>,
    ) -> Result<Response<pb::UpdateProductResponse>, Status> {
        let command = read::update_product(request.into_inner())?;
        let product = commands::update_product(&self.log, command).await?;
        Ok(Response::new(pb::UpdateProductResponse { product: Some(show::product(product)) }))
    }

    async fn archive_product(
        &self,
        request: Request<pb::ArchiveProductRequest>,
    ) -> Result<Response<pb::ArchiveProductResponse>, Status> {
        let command = read::archive_product(request.into_inner())?;
        let product = commands::archive_product(&self.log, command).await?;
        Ok(Response::new(pb::ArchiveProductResponse { product: Some(show::product(product)) }))
    }

    async fn restore_product(
        &self,
        request: Request<pb::RestoreProductRequest>,
    ) -> Result<Response<pb::RestoreProductResponse>, Status> {
        let command = read::restore_product(request.into_inner())?;
        let product = commands::archive_product(&self.log, command).await?;
        Ok(Response::new(pb::RestoreProductResponse { product: Some(show::product(product)) }))
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
        let mut fields = Fields::default();
        let skus = read::skus(&mut fields, request.into_inner().skus, 1);
        fields.done()?;

        let found = store::products::find_all(&mut *self.db().await?, &skus).await;
        let found = found.map_err(InventoryError::from)?;
        let products = found.into_iter().map(show::product).collect();
        let answer = pb::BatchGetProductsResponse { products };
        if answer.encoded_len() > ANSWER_MAX_BYTES {
            return Err(InventoryError::AnswerTooLarge.into());
        }
        Ok(Response::new(answer))
    }

    async fn list_products(
        &self,
        request: Request<pb::ListProductsRequest>,
    ) -> Result<Response<pb::ListProductsResponse>, Status> {
        let request = request.into_inner();
        let mut fields = Fields::default();
        let prefix = fields.text("name_prefix", request.name_prefix, 0, 255);
        let all = request.show_archived;
        let filters = format!("products {all} {prefix}");
        let page = Page::read(&mut fields, request.page_size, &request.page_token, &filters);
        let by_name = !prefix.is_empty();
        let (after_sku, after_name) = read::place(&mut fields, &page, by_name);
        fields.done()?;

        let mut db = self.db().await?;
        let found = if by_name {
            let after = after_name.zip(after_sku);
            store::products::list_by_name(&mut db, &prefix, all, after.as_ref(), page.limit()).await
        } else {
            store::products::list(&mut db, all, after_sku.as_deref(), page.limit()).await
        };
        let found = found.map_err(InventoryError::from)?;
        let mut products = found.into_iter().map(show::product).collect();
        let next_page_token = page.fit(&mut products, |product| show::place(product, by_name));
        Ok(Response::new(pb::ListProductsResponse { products, next_page_token }))
    }

    async fn get_item(
        &self,
        request: Request<pb::GetItemRequest>,
    ) -> Result<Response<pb::GetItemResponse>, Status> {
        let mut fields = Fields::default();
        let sku = fields.sku("sku", request.into_inner().sku);
        fields.done()?;

        let found =
            store::items::find_all(&mut *self.db().await?, std::slice::from_ref(&sku)).await;
        let item = found.map_err(InventoryError::from)?.pop();
        let item = item.ok_or(InventoryError::ProductNotFound(sku))?;
        Ok(Response::new(pb::GetItemResponse { item: Some(show::item(item)) }))
    }

    async fn batch_get_items(
        &self,
        request: Request<pb::BatchGetItemsRequest>,
    ) -> Result<Response<pb::BatchGetItemsResponse>, Status> {
        let mut fields = Fields::default();
        let skus = read::skus(&mut fields, request.into_inner().skus, 1);
        fields.done()?;

        let found = store::items::find_all(&mut *self.db().await?, &skus).await;
        let found = found.map_err(InventoryError::from)?;
        let items = found.into_iter().map(show::item).collect();
        Ok(Response::new(pb::BatchGetItemsResponse { items }))
    }

    async fn list_items(
        &self,
        request: Request<pb::ListItemsRequest>,
    ) -> Result<Response<pb::ListItemsResponse>, Status> {
        let request = request.into_inner();
        let mut fields = Fields::default();
        let all = request.show_archived;
        let filters = format!("items {} {all}", request.low);
        let page = Page::read(&mut fields, request.page_size, &request.page_token, &filters);
        let (after, _) = read::place(&mut fields, &page, false);
        fields.done()?;

        let after = after.as_deref();
        let mut db = self.db().await?;
        let found = if request.low {
            store::items::list_low(&mut db, all, after, page.limit()).await
        } else {
            store::items::list(&mut db, all, after, page.limit()).await
        };
        let mut found = found.map_err(InventoryError::from)?;
        let next_page_token = page.cut(&mut found, |item| item.sku.clone());
        let items = found.into_iter().map(show::item).collect();
        Ok(Response::new(pb::ListItemsResponse { items, next_page_token }))
    }

    async fn update_item(
        &self,
        request: Request<pb::UpdateItemRequest>,
    ) -> Result<Response<pb::UpdateItemResponse>, Status> {
        let command = read::update_item(request.into_inner())?;
        let item = commands::update_item(&self.log, command).await?;
        Ok(Response::new(pb::UpdateItemResponse { item: Some(show::item(item)) }))
    }

    async fn receive_stock(
        &self,
        request: Request<pb::ReceiveStockRequest>,
    ) -> Result<Response<pb::ReceiveStockResponse>, Status> {
        let (sku, command) = read::receive_one(request.into_inner())?;
        let received = commands::receive_stock(&self.log, &self.calendar, sku, command).await?;
        let (item, delivery_id) = received;
        let item = Some(show::item(item));
        Ok(Response::new(pb::ReceiveStockResponse { item, delivery_id }))
    }

    async fn batch_receive_stock(
        &self,
        request: Request<pb::BatchReceiveStockRequest>,
    ) -> Result<Response<pb::BatchReceiveStockResponse>, Status> {
        let command = read::receive_all(request.into_inner())?;
        let received = commands::receive_delivery(&self.log, &self.calendar, command).await?;
        let (received, delivery_id) = received;
        Ok(Response::new(pb::BatchReceiveStockResponse { received, delivery_id }))
    }

    async fn adjust_stock(
        &self,
        request: Request<pb::AdjustStockRequest>,
    ) -> Result<Response<pb::AdjustStockResponse>, Status> {
        let command = read::adjust_stock(request.into_inner())?;
        let (id, moved) = commands::adjust_stock(&self.log, &self.calendar, command).await?;
        Ok(Response::new(pb::AdjustStockResponse {
            adjustment_id: id.to_string(),
            movements: show::movements(moved),
        }))
    }

    async fn count_stock(
        &self,
        request: Request<pb::CountStockRequest>,
    ) -> Result<Response<pb::CountStockResponse>, Status> {
        let command = read::count_stock(request.into_inner())?;
        let (id, moved) = commands::count_stock(&self.log, &self.calendar, command).await?;
        Ok(Response::new(pb::CountStockResponse {
            count_id: id.to_string(),
            movements: show::movements(moved),
        }))
    }

    async fn return_stock(
        &self,
        request: Request<pb::ReturnStockRequest>,
    ) -> Result<Response<pb::ReturnStockResponse>, Status> {
        let command = read::return_stock(request.into_inner())?;
        let moved = commands::return_stock(&self.log, &self.calendar, command).await?;
        Ok(Response::new(pb::ReturnStockResponse { movements: show::movements(moved) }))
    }

    async fn list_movements(
        &self,
        request: Request<pb::ListMovementsRequest>,
    ) -> Result<Response<pb::ListMovementsResponse>, Status> {
        let (which, page) = read::movements(request.into_inner())?;
        let mut db = self.filtered().await?;
        let (found, of_sku) = match &which {
            Movements::OfSku { sku, document, below } => {
                let list =
                    store::movements::list_of_sku(&mut db, sku, *document, *below, page.limit());
                (list.await, true)
            }
            Movements::OfDocument { document, after } => {
                let after = after.as_ref();
                let list =
                    store::movements::list_of_document(&mut db, *document, after, page.limit());
                (list.await, false)
            }
        };
        let mut found = found.map_err(InventoryError::from)?;
        let next_page_token = page.cut(&mut found, |one| show::place_of_movement(one, of_sku));
        let movements = show::movements(found);
        Ok(Response::new(pb::ListMovementsResponse { movements, next_page_token }))
    }

    async fn verify_stock(
        &self,
        request: Request<pb::VerifyStockRequest>,
    ) -> Result<Response<pb::VerifyStockResponse>, Status> {
        let mut fields = Fields::default();
        let skus = read::skus(&mut fields, request.into_inner().skus, 0);
        fields.done()?;

        let verified = queries::verify(&self.log, skus).await?;
        Ok(Response::new(show::verified(verified)))
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

    async fn confirm_reservation(
        &self,
        request: Request<pb::ConfirmReservationRequest>,
    ) -> Result<Response<pb::ConfirmReservationResponse>, Status> {
        let asked = read::confirm(&request.into_inner())?;
        let promise = commands::confirm_reservation(&self.log, asked).await?;
        let reservation = Some(show::reservation(promise));
        Ok(Response::new(pb::ConfirmReservationResponse { reservation }))
    }

    async fn extend_reservation(
        &self,
        request: Request<pb::ExtendReservationRequest>,
    ) -> Result<Response<pb::ExtendReservationResponse>, Status> {
        let (asked, ttl) = read::extend(&request.into_inner())?;
        let promise = commands::extend_reservation(&self.log, asked, ttl).await?;
        let reservation = Some(show::reservation(promise));
        Ok(Response::new(pb::ExtendReservationResponse { reservation }))
    }

    async fn commit_reservation(
        &self,
        request: Request<pb::CommitReservationRequest>,
    ) -> Result<Response<pb::CommitReservationResponse>, Status> {
        let command = read::commit_reservation(request.into_inner())?;
        let committed = commands::commit_reservation(&self.log, &self.calendar, command).await?;
        let (promise, left) = committed;
        Ok(Response::new(pb::CommitReservationResponse {
            reservation: Some(show::reservation(promise)),
            movements: show::movements(left),
        }))
    }

    async fn release_reservation(
        &self,
        request: Request<pb::ReleaseReservationRequest>,
    ) -> Result<Response<pb::ReleaseReservationResponse>, Status> {
        let (asked, goods) = read::release(request.into_inner())?;
        match goods {
            None => commands::release_reservation(&self.log, asked).await?,
            Some(goods) => commands::release_lines(&self.log, asked, &goods).await?,
        }
        Ok(Response::new(pb::ReleaseReservationResponse {}))
    }

    async fn get_reservation(
        &self,
        request: Request<pb::GetReservationRequest>,
    ) -> Result<Response<pb::GetReservationResponse>, Status> {
        let mut fields = Fields::default();
        let id: Option<OrderId> = fields.id("order_id", &request.into_inner().order_id);
        let Some(id) = id else { return Err(fields.refuse()) };

        let reservation = Some(show::reservation(queries::reservation(&self.log, id).await?));
        Ok(Response::new(pb::GetReservationResponse { reservation }))
    }

    async fn list_reservations(
        &self,
        request: Request<pb::ListReservationsRequest>,
    ) -> Result<Response<pb::ListReservationsResponse>, Status> {
        let request = request.into_inner();
        let mut fields = Fields::default();
        let filters = format!("reservations {}", request.sku);
        let (size, token) = (request.page_size, &request.page_token);
        let page = Page::read_up_to(&mut fields, size, token, &filters, 50, 100);
        let after: Option<OrderId> = page.token.key(&mut fields);
        let sku = Some(request.sku).filter(|sku| !sku.is_empty());
        let sku = sku.map(|sku| fields.sku("sku", sku));
        fields.done()?;

        let found =
            queries::open_reservations(&self.log, sku.as_deref(), after, page.limit()).await?;
        let mut reservations = found.into_iter().map(show::reservation).collect();
        let next_page_token = page.fit(&mut reservations, |one| one.order_id.clone());
        Ok(Response::new(pb::ListReservationsResponse { reservations, next_page_token }))
    }
}
