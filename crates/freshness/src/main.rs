//! Sells in a fleet that runs, and measures how long a sale takes to be in an answer of analytics-svc, and what it costs the disk.
//!
//! Three phases, in this order: few orders, as a small shop has them ([`phases::calm`]); as many as the fleet takes, to know how many that is
//! ([`phases::highest`]); and half of that ([`phases::half`]). `cargo xtask freshness` starts the fleets and shows the figures side by side.
//!
//! What is measured is a caller's view of its own write: from the moment `CreateOrder` has answered, to the moment in which
//! `QuerySalesByHour` has, being asked for an answer that includes the order (`min_position`). The position is that of the newest event
//! of the orders' log once the order is answered, which is the order's own or a little later one; asking Postgres for it is in the figure.

mod data;
mod shop;
mod disk;
mod phases;

use std::{fs, path::PathBuf, sync::Arc, time::Duration};

use anyhow::ensure;
use clap::Parser;
use rpc::ClientConfig;
use serde_json::json;

use crate::shop::Shop;

/// Sells in a fleet that runs, and measures.
#[derive(Debug, Parser)]
struct Freshness {
    /// A folder with `products` and `orders` as CSV, plain or gzipped, of which products and customers are imported: orders are like those.
    #[arg(long)]
    data: PathBuf,
    /// The process of olap-consumer, which is on this machine.
    #[arg(long)]
    olap_pid: u32,
    /// Seconds of each of the two phases in which orders are looked for in answers.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// Seconds in which as many orders come as the fleet takes.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3600))]
    highest_seconds: u64,
    /// The database of all services.
    #[arg(long, env = "BRAMBLE_ADMIN_DATABASE_URL", hide_env_values = true)]
    database_url: String,
    #[arg(long, env = "BRAMBLE_ORDERS_URL")]
    orders_url: String,
    #[arg(long, env = "BRAMBLE_INVENTORY_URL")]
    inventory_url: String,
    #[arg(long, env = "BRAMBLE_ANALYTICS_URL")]
    analytics_url: String,
    #[arg(long, env = "BRAMBLE_OLAP_URL")]
    olap_url: String,
    #[command(flatten)]
    client: ClientConfig,
    /// Where the figures go.
    #[arg(long)]
    json: PathBuf,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let asked = Freshness::parse();
    let baskets = data::baskets(&asked.data)?;
    ensure!(!baskets.is_empty(), "{} has no order that could be placed", asked.data.display());
    let shop = Arc::new(Shop::open(&asked, baskets).await?);
    let time = Duration::from_secs(asked.seconds);
    let calm = phases::calm(&shop, time).await?;
    let highest = phases::highest(&shop, Duration::from_secs(asked.highest_seconds)).await?;
    let half = phases::half(&shop, time, highest).await?;
    let figures = json!({ "highest_per_second": highest, "calm": calm, "half": half });
    fs::write(&asked.json, format!("{figures:#}\n"))?;
    Ok(())
}
