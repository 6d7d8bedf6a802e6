use std::path::PathBuf;

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
    /// The folder of the materializations; made when it is not there. Only one process writes there at a time.
    #[arg(long, env = "BRAMBLE_OLAP_DIR")]
    pub olap_dir: PathBuf,
    /// How often what was counted is written.
    #[arg(
        long,
        env = "BRAMBLE_OLAP_FLUSH_INTERVAL_MS",
        default_value_t = 2000,
        value_parser = clap::value_parser!(u64).range(10..=3_600_000)
    )]
    pub flush_interval_ms: u64,
    /// Where the business is: its days decide how late an invoice is. A folder is written for one zone.
    #[arg(long, env = "BRAMBLE_TIME_ZONE", default_value = "Europe/London")]
    pub time_zone: Tz,
}
