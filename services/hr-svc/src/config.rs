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
    /// Where the books are: they tell which journals book the payroll.
    #[arg(long, env = "BRAMBLE_LEDGER_URL", default_value = "http://127.0.0.1:50055")]
    pub ledger_url: String,
    /// Where the business is: its days decide from when on a salary is paid.
    #[arg(long, env = "BRAMBLE_TIME_ZONE", default_value = "Europe/London")]
    pub time_zone: Tz,
}
