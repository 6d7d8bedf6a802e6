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
    /// Where orders come from.
    #[arg(long, env = "BRAMBLE_ORDERS_URL", default_value = "http://127.0.0.1:50051")]
    pub orders_url: String,
    /// Where the business is: its days date what the books hear.
    #[arg(long, env = "BRAMBLE_TIME_ZONE", default_value = "Europe/London")]
    pub time_zone: Tz,
    /// How long stock is held for an order that is not placed yet.
    #[arg(
        long,
        env = "BRAMBLE_RESERVATION_TTL_S",
        default_value_t = 900,
        value_parser = clap::value_parser!(u32).range(60..=86_400)
    )]
    pub reservation_ttl_s: u32,
    /// How often reservations that have run out are looked for.
    #[arg(
        long,
        env = "BRAMBLE_SWEEP_INTERVAL_MS",
        default_value_t = 30_000,
        value_parser = clap::value_parser!(u64).range(100..)
    )]
    pub sweep_interval_ms: u64,
}
