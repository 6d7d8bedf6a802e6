//! A shop with goods enough, whose orders are counted.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use proto::{
    analytics::v1::{
        QuerySalesByHourRequest, QuerySalesByHourResponse, SourcePosition,
        analytics_service_client::AnalyticsServiceClient,
    },
    inventory::v1::{
        BatchReceiveStockRequest, ReceiveStockRequest,
        inventory_service_client::InventoryServiceClient,
    },
    olap::v1::{
        FlushRequest, GetManifestRequest,
        materializations_service_client::MaterializationsServiceClient,
    },
    orders::v1::{
        CreateOrderLine, CreateOrderRequest, ListCustomersRequest,
        orders_service_client::OrdersServiceClient,
    },
};
use sqlx::{AssertSqlSafe, PgPool};
use tokio::time::sleep;
use uuid::Uuid;

use crate::{Freshness, data::Basket, disk::Disk};

/// Those whose logs are counted.
const SOURCES: [&str; 4] = ["orders", "inventory", "billing", "ledger"];
/// Of each SKU: more than anybody orders here.
const ON_HAND: i32 = 10_000_000;
const DELIVERY_MAX: usize = 500;
/// How long the fleet may take to count all that happened.
const QUIET_MAX: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(100);

pub(crate) struct Shop {
    orders: OrdersServiceClient<rpc::Client>,
    analytics: AnalyticsServiceClient<rpc::Client>,
    olap: MaterializationsServiceClient<rpc::Client>,
    olap_pid: u32,
    db: PgPool,
    customers: Vec<String>,
    baskets: Vec<Basket>,
    begun: AtomicUsize,
    /// Orders that were answered.
    placed: AtomicUsize,
}

impl Shop {
    /// Receives goods, too.
    pub(crate) async fn open(asked: &Freshness, baskets: Vec<Basket>) -> anyhow::Result<Self> {
        let client = |url: &str| asked.client.client(url);
        let orders = OrdersServiceClient::new(client(&asked.orders_url)?);
        receive(InventoryServiceClient::new(client(&asked.inventory_url)?), &baskets).await?;
        let db = PgPool::connect(&asked.database_url).await?;
        let shop = Self {
            customers: customers(orders.clone()).await?,
            orders,
            analytics: AnalyticsServiceClient::new(client(&asked.analytics_url)?),
            olap: MaterializationsServiceClient::new(client(&asked.olap_url)?),
            olap_pid: asked.olap_pid,
            db,
            baskets,
            begun: AtomicUsize::new(0),
            placed: AtomicUsize::new(0),
        };
        shop.settle().await?;
        Ok(shop)
    }

    /// Places the next order. Gives the moment in which it was answered.
    pub(crate) async fn order(&self) -> anyhow::Result<Instant> {
        let next = self.begun.fetch_add(1, Ordering::Relaxed);
        let line = |(sku, quantity): &(String, i32)| CreateOrderLine {
            sku: sku.clone(),
            quantity: *quantity,
            ..CreateOrderLine::default()
        };
        let request = CreateOrderRequest {
            request_id: Uuid::now_v7().to_string(),
            customer_id: nth(&self.customers, next)?.clone(),
            lines: nth(&self.baskets, next)?.iter().map(line).collect(),
            place: true,
            ..CreateOrderRequest::default()
        };
        self.orders.clone().create_order(request).await?;
        let answered = Instant::now();
        self.placed.fetch_add(1, Ordering::Relaxed);
        Ok(answered)
    }

    /// Asks for sales in which all orders are that were answered. Gives how long after `answered` they were there.
    pub(crate) async fn look(&self, answered: Instant) -> anyhow::Result<Duration> {
        let placed = self.placed.load(Ordering::Relaxed);
        let sales = self.sales(self.newest("orders").await?).await?;
        let taken = answered.elapsed();
        let counted = count(&sales);
        ensure!(counted >= placed, "{counted} orders are in the answer, {placed} were placed");
        Ok(taken)
    }

    async fn sales(&self, sequence: i64) -> anyhow::Result<QuerySalesByHourResponse> {
        let request = QuerySalesByHourRequest {
            min_position: vec![SourcePosition { source: "orders".to_owned(), sequence }],
            ..QuerySalesByHourRequest::default()
        };
        Ok(self.analytics.clone().query_sales_by_hour(request).await?.into_inner())
    }

    /// Waits until all that has happened is counted and written, and fails unless every order is.
    pub(crate) async fn settle(&self) -> anyhow::Result<()> {
        let began = Instant::now();
        loop {
            self.olap.clone().flush(FlushRequest {}).await?;
            let lag = self.lag().await?;
            if lag == 0 {
                break;
            }
            ensure!(began.elapsed() < QUIET_MAX, "{lag} events are not counted yet");
            sleep(LOOK_EVERY).await;
        }
        let placed = self.placed.load(Ordering::Relaxed);
        let counted = count(&self.sales(self.newest("orders").await?).await?);
        ensure!(counted == placed, "{counted} orders are counted, {placed} were placed");
        Ok(())
    }

    /// Events that have happened and are not in the files, of all sources.
    pub(crate) async fn lag(&self) -> anyhow::Result<i64> {
        let mut lag = 0;
        let manifest = self.olap.clone().get_manifest(GetManifestRequest {}).await?.into_inner();
        for source in SOURCES {
            let counted = manifest.positions.iter().find(|position| position.source == source);
            lag += self.newest(source).await? - counted.map_or(0, |position| position.sequence);
        }
        Ok(lag)
    }

    pub(crate) async fn disk(&self) -> anyhow::Result<Disk> {
        Disk::now(self.olap.clone(), self.olap_pid).await
    }

    /// The place in a service's log of its newest event.
    async fn newest(&self, source: &str) -> anyhow::Result<i64> {
        let statement = format!("select coalesce(max(id), 0) from {source}.events_log");
        Ok(sqlx::query_scalar(AssertSqlSafe(statement)).fetch_one(&self.db).await?)
    }
}

fn nth<T>(of: &[T], index: usize) -> anyhow::Result<&T> {
    of.iter().cycle().nth(index % of.len().max(1)).context("there is none")
}

fn count(sales: &QuerySalesByHourResponse) -> usize {
    let orders: i32 = sales.hours.iter().map(|hour| hour.order_count).sum();
    usize::try_from(orders).unwrap_or(0)
}

async fn receive(
    mut inventory: InventoryServiceClient<rpc::Client>,
    baskets: &[Basket],
) -> anyhow::Result<()> {
    let skus: BTreeSet<&String> = baskets.iter().flatten().map(|(sku, _)| sku).collect();
    let mut skus = skus.into_iter().peekable();
    while skus.peek().is_some() {
        let goods = skus.by_ref().take(DELIVERY_MAX).map(|sku| ReceiveStockRequest {
            sku: sku.clone(),
            quantity: ON_HAND,
            ..ReceiveStockRequest::default()
        });
        let request =
            BatchReceiveStockRequest { request_id: String::new(), requests: goods.collect() };
        inventory.batch_receive_stock(request).await?;
    }
    Ok(())
}

async fn customers(mut orders: OrdersServiceClient<rpc::Client>) -> anyhow::Result<Vec<String>> {
    let (mut ids, mut page_token) = (Vec::new(), String::new());
    loop {
        let request =
            ListCustomersRequest { page_size: 1000, page_token, ..ListCustomersRequest::default() };
        let page = orders.list_customers(request).await?.into_inner();
        ids.extend(page.customers.into_iter().map(|customer| customer.customer_id));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(ids);
        }
    }
}
