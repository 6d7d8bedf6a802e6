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
    pub telemetry: telemetry::TelemetryConfig,
    /// Where the business is: its days decide from when on a salary is paid.
    #[arg(long, env = "BRAMBLE_TIME_ZONE", default_value = "Europe/London")]
    pub time_zone: Tz,
}
