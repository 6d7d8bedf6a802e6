//! inventory-svc keeps the catalogue, what is on hand of it, and what is promised to orders.
//!
//! A request walks through the modules in the order in which they are declared here: [`grpc`] reads it, [`commands`] run it in one
//! transaction, [`domain`] decides, [`store`] keeps the result, and the event log carries the news away; [`queries`] read what is more than
//! one statement, and [`consumers`] hear what became of orders.
//!
//! **Invariant:** reserved = what held and confirmed reservations have neither shipped nor released; on hand = the sum of all movements, and
//! its value the sum of their costs; 0 ≤ reserved ≤ on hand; nothing on hand is worth nothing. `VerifyStock` proves it.
//!
//! **Invariant:** once it is heard here that its order is placed, only events of orders-svc ship, free and take back what is reserved: whatever a
//! call did to it would keep these events from being applied. Before that an order is a draft here, whose reservation its caller may free; whoever
//! frees or ships what is not their own draft's does so at their own risk. Reservations that a call has confirmed know no order, until one is
//! placed.
//!
//! **Invariant:** each shipment and each return moves goods once, whether a call or an event tells of it first.
//!
//! **Invariant:** what is told of costs sums up to the value of what is on hand: received − shipped + returned ± adjusted.
//!
//! **Invariant:** every command and consumer locks reservations first, by order id, then items, by SKU, and then products; so none ever
//! waits in a circle.
//!
//! **Invariant:** `domain` holds no statement, no protobuf and no clock; every statement against schema `inventory` is in `store`.

mod config;
mod grpc;
mod commands;
mod queries;
mod consumers;
mod domain;
mod store;
mod error;

pub use commands::Sweeper;
pub use config::Config;
pub use error::InventoryError;

use domain::Calendar;

use std::time::Duration;

use async_nats::Client;
use log::{Consumer, EventLogService, Log, Relay, Source};
use proto::{
    inventory::v1::inventory_service_server::InventoryServiceServer,
    log::v1::{event_log_client::EventLogClient, event_log_server::EventLogServer},
};
use rpc::Shutdown;
use sqlx::PgPool;
use tokio::net::TcpListener;

const DEFAULT_PORT: u16 = 50052;

/// Waits for what it needs, and serves until the process is told to stop.
pub async fn run(config: Config) -> anyhow::Result<()> {
    let _telemetry = telemetry::init("inventory-svc", &config.telemetry)?;
    let shutdown = rpc::on_signal()?;
    let listener = config.server.bind(DEFAULT_PORT).await?;
    let Some(pool) =
        shutdown.run_until_cancelled(pg::connect(&config.postgres, store::SCHEMA)).await
    else {
        return Ok(());
    };
    let nats = log::connect(&config.nats, "inventory-svc").await?;
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
    let client = config.client.client(&config.orders_url)?;
    let orders =
        Source { name: "orders", nats: nats.clone(), log: EventLogClient::new(client.clone()) };
    let calendar = Calendar::new(config.time_zone);
    let fates = consumers::OrderFates { log: log.clone(), calendar };
    let consumer = Consumer::new(log.clone(), orders, fates.clone());
    let sweeper = Sweeper::new(log.clone(), client);
    let sweep_interval = Duration::from_millis(config.sweep_interval_ms);
    let event_log = EventLogService::new(log.clone()).with_retry("orders", fates);
    rpc::Server::new(shutdown)
        .needs("postgres", move || pg::is_there(pool.clone()))
        .needs("nats", move || log::is_there(&nats))
        .log_end(store::SCHEMA, log.tells_end())
        .service(InventoryServiceServer::new(grpc::Inventory::new(
            log,
            calendar,
            config.reservation_ttl_s,
        )))
        .service(EventLogServer::new(event_log))
        .background(|shutdown| relay.run(shutdown))
        .background(|shutdown| consumer.run(shutdown))
        .background(|shutdown| sweeper.run(sweep_interval, shutdown))
        .serve(&config.server, listener)
        .await
}
