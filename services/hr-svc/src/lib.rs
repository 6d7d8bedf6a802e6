//! hr-svc knows the people who work here and what they earn, and runs their payroll by the month.
//!
//! A request walks through the modules in the order in which they are declared here: [`grpc`] reads it, [`commands`] run it in one
//! transaction, [`domain`] decides, [`store`] keeps the result, and the event log carries the news away; [`consumers`] hear which journals
//! book the runs.
//!
//! **Invariant:** pay and personal data are in no event, log line or trace; of a payroll run the totals are told.
//!
//! **Invariant:** a run pays what the month comes to as it is approved, less what live runs of the month (approved or paid ones) have paid
//! before: nobody is paid twice for a day. A run is the sum of its payslips. Neither changes after the approval: it is taken back by a
//! mirror, and the two come to nothing.
//!
//! **Invariant:** of a year's unchanged salary any twelve months in a row earn just the year's pence, and the days of a month just the
//! month's.
//!
//! **Invariant:** runs of a month are locked before employees, each by key. Whoever changes what somebody's pay depends on locks her row.
//!
//! **Invariant:** `domain` holds no statement, no protobuf and no clock; every statement against schema `hr` is in `store`.

mod config;
mod grpc;
mod commands;
mod consumers;
mod domain;
mod store;
mod error;

pub use config::Config;
pub use error::HrError;

use async_nats::Client;
use log::{Consumer, EventLogService, Log, Relay, Source};
use proto::{
    hr::v1::{hr_service_server::HrServiceServer, payroll_service_server::PayrollServiceServer},
    log::v1::{event_log_client::EventLogClient, event_log_server::EventLogServer},
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
    let ledger = Source {
        name: "ledger",
        nats: nats.clone(),
        log: EventLogClient::new(config.client.client(&config.ledger_url)?),
    };
    let consumer = Consumer::new(log.clone(), ledger, consumers::Books);
    let event_log = EventLogService::new(log.clone()).with_retry("ledger", consumers::Books);
    let zone = config.time_zone;
    rpc::Server::new(shutdown)
        .needs("postgres", move || pg::is_there(pool.clone()))
        .needs("nats", move || log::is_there(&nats))
        .log_end(store::SCHEMA, log.tells_end())
        .service(HrServiceServer::new(grpc::Hr { log: log.clone(), zone }))
        .service(PayrollServiceServer::new(grpc::Payroll { log, zone }))
        .service(EventLogServer::new(event_log))
        .background(|shutdown| relay.run(shutdown))
        .background(|shutdown| consumer.run(shutdown))
        .serve(&config.server, listener)
        .await
}
