//! billing-svc sends an invoice for each order that is placed, takes it back with the order, and knows who has paid what.
//!
//! A request walks through the modules in the order in which they are declared here: [`grpc`] reads it, [`commands`] run it in one
//! transaction, [`queries`] are reads of more than one statement, [`consumers`] hear what became of orders; [`domain`] decides, [`store`]
//! keeps the result, and the event log carries the news away.
//!
//! **Invariant:** an order has one invoice, whose number is taken in the invoice's own transaction: numbers have no gaps.
//!
//! **Invariant:** what is owed and what is credit are sums of movements that are dated and never change. An invoice's residual is the sum of
//! its movements, and never below 0; all receivables of a day are account 1100, all credit of a day account 2110, since movements are dated as
//! the events are. The books differ in one thing: an event that comes when the month of its date is closed is booked in the next open month.
//!
//! **Invariant:** an invoice = what is paid + credited + written off + its residual, and is open as long as the residual is above 0. A payment
//! (0 once it is reversed) = what it paid of invoices + what of it is credit + what was refunded of it. Credit = what payments left over +
//! what credit notes gave back − what paid invoices or was refunded. It is below 0 only when money that had been refunded bounced.
//!
//! **Invariant:** every change of an invoice's residual is told by an event that carries the residual after it, or means 0.
//!
//! **Invariant:** money that came for an order before its invoice is credit until the invoice is issued, and pays it in that transaction: either
//! the payment finds the invoice, or the invoice finds the payment, since both lock the customer's account.
//!
//! **Invariant:** whoever uses, takes back or refunds credit locks the customer's account first, and whoever locks several accounts does so by
//! their ids; then invoices are locked by (due date, id) by all who lock several, and then the number series: so none ever waits in a circle.
//!
//! **Invariant:** `domain` holds no statement, no protobuf and no clock; every statement against schema `billing` is in `store`.

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
pub use domain::Calendar;
pub use error::BillingError;

use std::time::Duration;

use async_nats::Client;
use log::{Consumer, EventLogService, Log, Relay, Source};
use proto::{
    billing::v1::billing_service_server::BillingServiceServer,
    log::v1::{event_log_client::EventLogClient, event_log_server::EventLogServer},
};
use rpc::Shutdown;
use sqlx::PgPool;
use tokio::net::TcpListener;

const DEFAULT_PORT: u16 = 50053;

/// Waits for what it needs, and serves until the process is told to stop.
pub async fn run(config: Config) -> anyhow::Result<()> {
    let _telemetry = telemetry::init("billing-svc", &config.telemetry)?;
    let shutdown = rpc::on_signal()?;
    let listener = config.server.bind(DEFAULT_PORT).await?;
    let Some(pool) =
        shutdown.run_until_cancelled(pg::connect(&config.postgres, store::SCHEMA)).await
    else {
        return Ok(());
    };
    let nats = log::connect(&config.nats, "billing-svc").await?;
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
    let calendar = Calendar::new(config.time_zone, config.payment_terms_days);
    let orders = Source {
        name: "orders",
        nats: nats.clone(),
        log: EventLogClient::new(config.client.client(&config.orders_url)?),
    };
    let fates = consumers::OrderFates { log: log.clone(), calendar };
    let consumer = Consumer::new(log.clone(), orders, fates.clone());
    let sweeper = Sweeper::new(log.clone(), calendar);
    let sweep_interval = Duration::from_millis(config.sweep_interval_ms);
    let event_log = EventLogService::new(log.clone()).with_retry("orders", fates);
    rpc::Server::new(shutdown)
        .needs("postgres", move || pg::is_there(pool.clone()))
        .needs("nats", move || log::is_there(&nats))
        .log_end(store::SCHEMA, log.tells_end())
        .service(BillingServiceServer::new(grpc::Billing { log, calendar }))
        .service(EventLogServer::new(event_log))
        .background(|shutdown| relay.run(shutdown))
        .background(|shutdown| consumer.run(shutdown))
        .background(|shutdown| sweeper.run(sweep_interval, shutdown))
        .serve(&config.server, listener)
        .await
}
