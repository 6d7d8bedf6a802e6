use chrono_tz::Tz;

/// Every setting of the service. Each comes from an environment variable, too.
#[derive(Debug, Clone, clap::Parser)]
pub struct Config {
    #[command(flatten)]
    pub postgres: pg::PgConfig,
    #[command(flatten)]
    pub nats: log::NatsConfig,
    #[command(flatten)]
    pub server: rpc::ServerConfig,
    #[command(flatten)]
    pub client: rpc::ClientConfig,
    #[command(flatten)]
    pub telemetry: telemetry::TelemetryConfig,
    /// Where invoices and payments come from.
    #[arg(long, env = "BRAMBLE_BILLING_URL", default_value = "http://127.0.0.1:50053")]
    pub billing_url: String,
    /// Where the worth of stock comes from.
    #[arg(long, env = "BRAMBLE_INVENTORY_URL", default_value = "http://127.0.0.1:50052")]
    pub inventory_url: String,
    /// Where payrolls come from.
    #[arg(long, env = "BRAMBLE_HR_URL", default_value = "http://127.0.0.1:50054")]
    pub hr_url: String,
    /// Where the business is: its days decide what today is, and when a month is over.
    #[arg(long, env = "BRAMBLE_TIME_ZONE", default_value = "Europe/London")]
    pub time_zone: Tz,
}
