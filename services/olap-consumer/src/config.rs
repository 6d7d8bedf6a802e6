use std::path::PathBuf;

use chrono::NaiveTime;
use chrono_tz::Tz;

/// Every setting of the service. Each comes from an environment variable, too.
#[derive(Debug, Clone, clap::Parser)]
pub struct Config {
    #[command(flatten)]
    pub nats: log::NatsConfig,
    #[command(flatten)]
    pub server: rpc::ServerConfig,
    #[command(flatten)]
    pub client: rpc::ClientConfig,
    #[command(flatten)]
    pub telemetry: telemetry::TelemetryConfig,
    /// Where orders come from.
    #[arg(long, env = "BRAMBLE_ORDERS_URL", default_value = "http://127.0.0.1:50051")]
    pub orders_url: String,
    /// Where stock levels come from.
    #[arg(long, env = "BRAMBLE_INVENTORY_URL", default_value = "http://127.0.0.1:50052")]
    pub inventory_url: String,
    /// Where invoices come from.
    #[arg(long, env = "BRAMBLE_BILLING_URL", default_value = "http://127.0.0.1:50053")]
    pub billing_url: String,
    /// Where the books come from.
    #[arg(long, env = "BRAMBLE_LEDGER_URL", default_value = "http://127.0.0.1:50055")]
    pub ledger_url: String,
    /// The folder of the materializations; made when it is not there. Only one process writes there at a time.
    #[arg(long, env = "BRAMBLE_OLAP_DIR")]
    pub olap_dir: PathBuf,
    /// How often what was counted is written, at most. What is counted after a quiet time of that long is written within half a second.
    #[arg(
        long,
        env = "BRAMBLE_OLAP_FLUSH_INTERVAL_MS",
        default_value_t = 2000,
        value_parser = clap::value_parser!(u64).range(10..=3_600_000)
    )]
    pub flush_interval_ms: u64,
    /// Rows of orders, of stock by day and of what customers owe by day that wait in memory to be written; at so many they are written at
    /// once, at twice as many counting waits. A thousand take some 400 KiB.
    #[arg(
        long,
        env = "BRAMBLE_OLAP_FLUSH_ROWS",
        default_value_t = 20_000,
        value_parser = clap::value_parser!(u32).range(100..=1_000_000)
    )]
    pub flush_rows: u32,
    /// Versions that stay on the disk beside the live one, each with its manifest, such as `manifest.41.json`.
    #[arg(
        long,
        env = "BRAMBLE_OLAP_VERSIONS_KEPT",
        default_value_t = 3,
        value_parser = clap::value_parser!(u64).range(0..=100)
    )]
    pub versions_kept: u64,
    /// When to count all logs anew each day, such as `03:30`, where the business is; never unless it is set. What is counted as it comes is
    /// the same already, and an SD card wears by each rebuild.
    #[arg(long, env = "BRAMBLE_OLAP_REBUILD_AT", value_parser = time_of_day)]
    pub rebuild_at: Option<NaiveTime>,
    /// Where the business is: its days decide how late an invoice is. A folder is written for one zone.
    #[arg(long, env = "BRAMBLE_TIME_ZONE", default_value = "Europe/London")]
    pub time_zone: Tz,
}

fn time_of_day(text: &str) -> Result<NaiveTime, String> {
    NaiveTime::parse_from_str(text, "%H:%M").map_err(|_| "a time of day such as 03:30".to_owned())
}
