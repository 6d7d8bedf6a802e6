//! ledger-svc keeps the books: double entry, append-only, posted by what the other services tell and by hand.
//!
//! An event walks through [`consumers`], which read it, [`domain`], which decides what is booked for it, and [`commands`], which post it; a
//! request through [`grpc`] and [`commands`] or [`queries`]. All keep and find what they need by [`store`].
//!
//! **Invariant:** a journal has two lines or more, each a debit or a credit of more than nothing, and both sides are equal: by the rules
//! in [`domain`], which are checked there, and once more by Postgres as the lines are written, which all come by one statement.
//!
//! **Invariant:** an event is booked once, however often it comes, and a journal is reversed once; what is booked never changes.
//!
//! **Invariant:** no journal is dated into a closed month. Who posts and who closes hold the periods, together or alone, from before the
//! closed months are read until the commit; Postgres refuses what does not.
//!
//! **Invariant:** no event is refused for the state of the books: what is late is posted on the first open day, and a locked account is
//! locked against hands only.
//!
//! **Invariant:** the days of accounts are the sums of the entries: a trigger adds to them what is posted, and refuses all else.
//!
//! **Invariant:** `domain` holds no statement, no protobuf and no clock; every statement against schema `ledger` is in `store`.

mod config;
mod grpc;
mod commands;
mod queries;
mod consumers;
mod domain;
mod store;
mod error;

pub use config::Config;
pub(crate) use error::LedgerError;

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
    let log_of = |url: &str| anyhow::Ok(EventLogClient::new(config.client.client(url)?));
    let billing = Source { name: "billing", nats: nats.clone(), log: log_of(&config.billing_url)? };
    let inventory =
        Source { name: "inventory", nats: nats.clone(), log: log_of(&config.inventory_url)? };
    let hr = Source { name: "hr", nats: nats.clone(), log: log_of(&config.hr_url)? };
    let sales = consumers::BillingBooks { log: log.clone() };
    let stock = consumers::InventoryBooks { log: log.clone() };
    let wages = consumers::HrBooks { log: log.clone() };
    let event_log = EventLogService::new(log.clone())
        .with_retry("billing", sales.clone())
        .with_retry("inventory", stock.clone())
        .with_retry("hr", wages.clone());
    let sales = Consumer::new(log.clone(), billing, sales);
    let stock = Consumer::new(log.clone(), inventory, stock);
    let wages = Consumer::new(log.clone(), hr, wages);
    let zone = config.time_zone;
    rpc::Server::new(shutdown)
        .needs("postgres", move || pg::is_there(pool.clone()))
        .needs("nats", move || log::is_there(&nats))
        .log_end(store::SCHEMA, log.tells_end())
        .service(LedgerServiceServer::new(grpc::Ledger { log, zone }))
        .service(EventLogServer::new(event_log))
        .background(|shutdown| relay.run(shutdown))
        .background(|shutdown| sales.run(shutdown))
        .background(|shutdown| stock.run(shutdown))
        .background(|shutdown| wages.run(shutdown))
        .serve(&config.server, listener)
        .await
}
