//! olap-consumer counts what the other services tell, and keeps the result as Parquet files that anybody can read.
//!
//! An event walks through [`consumers`], which follow the sources' logs and read it, and [`domain`], which counts it; [`materializer`] has
//! what was counted written by [`store`], when it is time or when [`grpc`] is asked to. [`rebuild`] has everything counted from the start,
//! beside what is live ([`counting`]), and compares the two.
//!
//! | table | a row is | changed by |
//! |---|---|---|
//! | `sales_by_hour` | an hour of placing, as the business day has them, with what was ordered then and not cancelled | orders |
//! | `stock_snapshot` | a SKU's levels now, since when, and when to reorder | inventory |
//! | `ar_ageing` | a business day: what customers owed at its end (today: now), by how late it was | billing, and the calendar |
//! | `receivables_by_day` | a business day, a customer and a due date: by how much what is owed changed then | billing |
//! | `open_invoices` | an invoice on which something is owed | billing |
//! | `trial_balance` | an account and a day, with what was posted then | ledger |
//! | `stock_by_day` | a SKU and a business day on which its levels changed, with those at its end | inventory |
//! | `order_facts` | a line of an order that was placed, and what became of it | orders |
//! | `sales_by_sku_day`, `sales_by_sku_month` | a SKU, and a business day or month of placing: the sums of `order_facts` | orders |
//! | `set_aside_events` | an event that could not be counted, and why | all |
//!
//! **Invariant:** rows and positions are replaced together: the files stand for exactly the events up to the positions that their manifest
//! names. A process that is killed at any instant goes on from there: nothing is lost, nothing counts twice.
//!
//! **Invariant:** rows follow from the sources' logs alone (and `ar_ageing` from the calendar, for days without events): counting them from the
//! start comes to the same values. `bramble olap verify` does so and compares, `bramble olap rebuild` also puts the result in its place.
//! Deleting the folder does so, too, whether or not the service runs. A folder of an older version is counted anew by itself.
//!
//! An event counts into the business day of its time in its log, however late it arrives here; one that was logged behind an event of a
//! later day counts into that day.
//!
//! **Invariant:** what cannot be trusted is not gone on with. A folder that is not as it was written, or for another time zone, or a source
//! whose log does not have what was counted, is said so in the log of the service, which is then not ready; the files stay as they are.
//!
//! **Invariant:** `domain` holds no clock, no file and no protobuf; the clock is read in [`run`] alone.

mod config;
mod grpc;
mod consumers;
mod domain;
mod rebuild;
mod materializer;
mod counting;
mod store;
mod error;

pub use config::Config;
pub use error::OlapError;
pub use materializer::Clock;

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use async_nats::Client;
use log::Source;
use proto::{
    log::v1::event_log_client::EventLogClient,
    olap::v1::materializations_service_server::MaterializationsServiceServer,
};
use rpc::Shutdown;
use tokio::net::TcpListener;

use crate::{
    consumers::{BILLING, Follower, INVENTORY, LEDGER, ORDERS},
    domain::BusinessDays,
    materializer::Materializer,
    rebuild::Rebuilder,
};

const DEFAULT_PORT: u16 = 50057;

/// Counts and serves until the process is told to stop.
#[expect(
    clippy::disallowed_methods,
    reason = "there is no Postgres here whose clock could be used"
)]
pub async fn run(config: Config) -> anyhow::Result<()> {
    let _telemetry = telemetry::init("olap-consumer", &config.telemetry)?;
    let shutdown = rpc::on_signal()?;
    let listener = config.server.bind(DEFAULT_PORT).await?;
    let nats = log::connect(&config.nats, "olap-consumer").await?;
    serve(&config, nats, Arc::new(chrono::Utc::now), listener, shutdown).await
}

/// Serves on a listener that the caller has bound, so that a test can ask for port 0; by a clock of the caller's.
pub async fn serve(
    config: &Config,
    nats: Client,
    clock: Clock,
    listener: TcpListener,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    let sources = [
        (ORDERS, &config.orders_url),
        (INVENTORY, &config.inventory_url),
        (BILLING, &config.billing_url),
        (LEDGER, &config.ledger_url),
    ];
    let rows_max = usize::try_from(config.flush_rows)?;
    let follow = |(followed, url): (consumers::Followed, &String)| {
        let log = EventLogClient::new(config.client.client(url)?);
        anyhow::Ok(Follower::new(
            followed,
            Source { name: followed.source, nats: nats.clone(), log },
            rows_max,
        ))
    };
    let followers = sources.into_iter().map(follow).collect::<anyhow::Result<Vec<_>>>()?;
    let materializer = Materializer {
        folder: config.olap_dir.clone(),
        calendar: BusinessDays(config.time_zone),
        flush_interval: Duration::from_millis(config.flush_interval_ms),
        rows_max,
        versions_kept: config.versions_kept,
        followers: followers.clone(),
        clock: Arc::clone(&clock),
    };
    let (work, handle) = materializer.start();
    let rebuilder = Rebuilder {
        folder: config.olap_dir.clone(),
        calendar: BusinessDays(config.time_zone),
        followers: followers.clone(),
        rows_max,
        clock,
        live: handle.clone(),
        at: config.rebuild_at,
    };
    let (rebuilding, rebuilds) = rebuilder.start();
    let asked = handle.clone();
    let mut server = rpc::Server::new(shutdown)
        .needs("nats", move || log::is_there(&nats))
        .needs("materializations", move || std::future::ready(asked.is_well()))
        .service(MaterializationsServiceServer::new(grpc::Materializations { handle, rebuilds }))
        .background(work)
        .background(rebuilding);
    for follower in followers {
        server = server.needs(follower.followed.source, move || {
            std::future::ready(follower.is_following.load(Ordering::Relaxed))
        });
    }
    server.serve(&config.server, listener).await
}
