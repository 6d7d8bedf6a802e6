//! ledger-svc keeps the books: double entry, append-only, posted by what the other services tell.
//!
//! An event walks through [`consumers`], which read it, [`domain`], which decides what is booked for it, and [`store`], which keeps the
//! journal. A request walks through [`grpc`] and [`store`]: nothing is written by request.
//!
//! **Invariant:** a journal has two lines or more, each a debit or a credit of more than nothing, and both sides are equal: by the rules
//! in [`domain`], which are checked there, and once more by Postgres when the transaction commits.
//!
//! **Invariant:** an event is booked once, however often it comes; what is booked never changes.
//!
//! **Invariant:** `domain` holds no statement, no protobuf and no clock; every statement against schema `ledger` is in `store`.

mod config;
mod grpc;
mod consumers;
mod domain;
mod store;
mod error;

pub use config::Config;
pub use error::LedgerError;

use async_nats::Client;
use log::{Consumer, EventLogService, Log, Relay, Source};
use proto::{
    ledger::v1::ledger_service_server::LedgerServiceServer,
    log::v1::{event_log_client::EventLogClient, event_log_server::EventLogServer},
};
use rpc::Shutdown;
use sqlx::PgPool;
use tokio::net::TcpListener;

const DEFAULT_PORT: u16 = 50055;

/// Waits for what it needs, and serves until the process is told to stop.
pub async fn run(config: Config) -> anyhow::Result<()> {
    let _telemetry = telemetry::init("ledger-svc", &config.telemetry)?;
    let shutdown = rpc::on_signal()?;
    let listener = config.server.bind(DEFAULT_PORT).await?;
    let Some(pool) =
        shutdown.run_until_cancelled(pg::connect(&config.postgres, store::SCHEMA)).await
    else {
        return Ok(());
    };
    let nats = log::connect(&config.nats, "ledger-svc").await?;
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
    let billing = Source {
        name: "billing",
        nats: nats.clone(),
        log: EventLogClient::new(config.client.client(&config.billing_url)?),
    };
    let books = consumers::BillingBooks { log: log.clone() };
    let consumer = Consumer::new(log.clone(), billing, books.clone());
    let event_log = EventLogService::new(log.clone()).with_retry("billing", books);
    rpc::Server::new(shutdown)
        .needs("postgres", move || pg::is_there(pool.clone()))
        .needs("nats", move || log::is_there(&nats))
        .service(LedgerServiceServer::new(grpc::Ledger { log }))
        .service(EventLogServer::new(event_log))
        .background(|shutdown| relay.run(shutdown))
        .background(|shutdown| consumer.run(shutdown))
        .serve(&config.server, listener)
        .await
}
