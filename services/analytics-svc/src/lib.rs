//! analytics-svc answers questions about the business from the Parquet files that olap-consumer writes, and says how fresh each answer is.
//!
//! A request walks through the modules in the order in which they are declared here: [`grpc`] reads it, [`queries`] wait until the
//! materializations include what the caller asked for and choose one version of them, [`store`] asks DuckDB; [`domain`] knows what a
//! business day is and when a version includes enough. People's own SQL comes in by [`flight`] and runs in [`sandbox`], away from all else.
//! [`http`] is the dashboard: the same figures, and how the fleet is, for people.
//!
//! **Invariant:** an answer comes from one version of the materializations, whole; its watermark is that version's.
//!
//! **Invariant:** no figure comes from a file whose bytes are not those that the manifest vouches for.
//!
//! **Invariant:** nothing is written: no database, no stream, no file.

mod config;
mod grpc;
mod flight;
mod http;
mod queries;
mod domain;
mod store;
mod sandbox;
mod error;

pub use config::Config;

use std::{process::ExitCode, sync::Arc};

use anyhow::Context;
use arrow_flight::flight_service_server::FlightServiceServer;
use error::AnalyticsError;
use proto::analytics::v1::analytics_service_server::AnalyticsServiceServer;
use queries::Materializations;
use rpc::Shutdown;
use sandbox::Sandbox;
use store::{Database, Folder};
use tokio::net::TcpListener;

const DEFAULT_PORT: u16 = 50056;

/// Serves until the process is told to stop. It waits for nothing: before the first materialization it says that there is none.
pub async fn run(config: Config) -> anyhow::Result<()> {
    let _telemetry = telemetry::init("analytics-svc", &config.telemetry)?;
    let shutdown = rpc::on_signal()?;
    let listener = config.server.bind(DEFAULT_PORT).await?;
    let pages = config.server.bind_at(config.http_addr).await?;
    serve(&config, listener, pages, shutdown).await
}

/// Runs one query of a stranger's, if this process was started for that.
#[must_use]
pub fn work_if_asked() -> Option<ExitCode> {
    let asked = std::env::args_os().nth(1).is_some_and(|first| first == sandbox::ARGUMENT);
    asked.then(sandbox::work)
}

/// Serves on listeners that the caller has bound, one for gRPC and one for the dashboard, so that a test can ask for port 0.
pub async fn serve(
    config: &Config,
    listener: TcpListener,
    pages: TcpListener,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    let folder = Folder::new(&config.olap_dir, config.time_zone).context("BRAMBLE_OLAP_DIR")?;
    let database = Database::open(folder.path(), config).context("cannot open DuckDB")?;
    let folder = Arc::new(folder);
    let sql = flight::Sql { sandbox: Sandbox::new(Arc::clone(&folder), config)? };
    let materializations = Materializations { folder, database: Arc::new(database) };
    let (manifest, duckdb) = (materializations.clone(), materializations.clone());
    let dashboard = http::Dashboard::new(config, materializations.clone())?;
    let server = config.server.clone();
    let analytics = grpc::Analytics { materializations, time_zone: config.time_zone };
    rpc::Server::new(shutdown)
        .needs("manifest", move || manifest.clone().are_there())
        .needs("duckdb", move || duckdb.clone().can_be_asked())
        .service(AnalyticsServiceServer::new(analytics))
        .foreign_service(FlightServiceServer::new(sql), "analytics.sql")
        .background(|shutdown| dashboard.serve(server, pages, shutdown))
        .serve(&config.server, listener)
        .await
}
