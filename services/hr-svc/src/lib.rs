//! hr-svc knows the people who work here and what they earn.
//!
//! A request walks through the modules in the order in which they are declared here: [`grpc`] reads it, [`commands`] run it in one
//! transaction, [`domain`] decides, [`store`] keeps the result, and the event log carries the news away.
//!
//! **Invariant:** pay and personal data are in no event, log line or trace.
//!
//! **Invariant:** `domain` holds no statement, no protobuf and no clock; every statement against schema `hr` is in `store`.

mod config;
mod grpc;
mod commands;
mod domain;
mod store;
mod error;

pub use config::Config;
pub use error::HrError;

use async_nats::Client;
use log::{EventLogService, Log, Relay};
use proto::{
    hr::v1::hr_service_server::HrServiceServer, log::v1::event_log_server::EventLogServer,
};
use rpc::Shutdown;
use sqlx::PgPool;
use tokio::net::TcpListener;

const DEFAULT_PORT: u16 = 50054;

/// Waits for what it needs, and serves until the process is told to stop.
pub async fn run(config: Config) -> anyhow::Result<()> {
    let _telemetry = telemetry::init("hr-svc", &config.telemetry)?;
    let shutdown = rpc::on_signal()?;
    let listener = config.server.bind(DEFAULT_PORT).await?;
    let Some(pool) =
        shutdown.run_until_cancelled(pg::connect(&config.postgres, store::SCHEMA)).await
    else {
        return Ok(());
    };
    let nats = log::connect(&config.nats, "hr-svc").await?;
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
    rpc::Server::new(shutdown)
        .needs("postgres", move || pg::is_there(pool.clone()))
        .needs("nats", move || log::is_there(&nats))
        .service(HrServiceServer::new(grpc::Hr { log: log.clone(), zone: config.time_zone }))
        .service(EventLogServer::new(EventLogService::new(log)))
        .background(|shutdown| relay.run(shutdown))
        .serve(&config.server, listener)
        .await
}
