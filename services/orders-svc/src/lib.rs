//! orders-svc takes customers' orders and says what became of them.
//!
//! A request walks through the modules in the order in which they are declared here: [`grpc`] reads it, [`commands`] run it,
//! [`domain`] decides, [`store`] keeps the result, and the event log carries the news away; [`consumers`] hear of payments, [`queries`]
//! watch orders for those who follow one.
//!
//! Placing an order takes two services: the draft is committed first, then inventory-svc reserves its lines under the order's id, then the
//! order is committed as placed before that reservation expires. A crash at any point leaves a draft and a reservation that expires.
//!
//! **Invariant:** the lines and prices of a placed order never change. Its total falls when its rest is given up after a part was shipped,
//! by what the event says, and never else. For each line shipped + cancelled ≤ ordered and returned ≤ shipped; total − refunded is always
//! the rounded sum over what is still bought.
//!
//! **Invariant:** an order is SHIPPED when shipped + cancelled = ordered for every line, and COMPLETED when it is paid as well, whichever
//! came last. A payment that is taken back undoes the latter only. What billing-svc voids or credits follows from events of ours, so those
//! need no answer here.
//!
//! **Invariant:** what is held is neither placed nor shipped.
//!
//! **Invariant:** `domain` holds no statement, no protobuf and no clock; every statement against schema `orders` is in `store`.

mod config;
mod grpc;
mod commands;
mod queries;
mod consumers;
mod domain;
mod store;
mod error;

pub use config::Config;
pub use error::OrdersError;

use async_nats::Client;
use log::{Consumer, EventLogService, Log, Relay, Source};
use proto::{
    inventory::v1::inventory_service_client::InventoryServiceClient,
    log::v1::{event_log_client::EventLogClient, event_log_server::EventLogServer},
    orders::v1::orders_service_server::OrdersServiceServer,
};
use rpc::Shutdown;
use sqlx::PgPool;
use tokio::net::TcpListener;

const DEFAULT_PORT: u16 = 50051;

/// Waits for what it needs, and serves until the process is told to stop.
pub async fn run(config: Config) -> anyhow::Result<()> {
    let _telemetry = telemetry::init("orders-svc", &config.telemetry)?;
    let shutdown = rpc::on_signal()?;
    let listener = config.server.bind(DEFAULT_PORT).await?;
    let Some(pool) =
        shutdown.run_until_cancelled(pg::connect(&config.postgres, store::SCHEMA)).await
    else {
        return Ok(());
    };
    let nats = log::connect(&config.nats, "orders-svc").await?;
    serve(&config, pool?, nats, listener, shutdown).await
}

/// Serves on a listener that the caller has bound, so that a test can ask for port 0.
pub async fn serve(
    config: &Config,
    pool: PgPool,
    nats: Client,
    listener: TcpListener,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    let log = Log::new(pool.clone(), store::SCHEMA);
    let relay = Relay::new(log.clone(), nats.clone(), config.nats.stream_max_bytes);
    let inventory = InventoryServiceClient::new(config.client.client(&config.inventory_url)?);
    let payments = consumers::Payments { log: log.clone() };
    let billing = Source {
        name: "billing",
        nats: nats.clone(),
        log: EventLogClient::new(config.client.client(&config.billing_url)?),
    };
    let consumer = Consumer::new(log.clone(), billing, payments.clone());
    let watches = queries::Watches::new(log.pool().clone());
    let event_log = EventLogService::new(log.clone()).with_retry("billing", payments);
    rpc::Server::new(shutdown)
        .needs("postgres", move || pg::is_there(pool.clone()))
        .needs("nats", move || log::is_there(&nats))
        .log_end(store::SCHEMA, log.tells_end())
        .service(OrdersServiceServer::new(grpc::Orders::new(log, inventory, watches.clone())))
        .service(EventLogServer::new(event_log))
        .background(|shutdown| relay.run(shutdown))
        .background(|shutdown| consumer.run(shutdown))
        .background(|shutdown| watches.run(shutdown))
        .serve(&config.server, listener)
        .await
}
