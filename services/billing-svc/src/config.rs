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
    /// Where the business is: its days decide what is due.
    #[arg(long, env = "BRAMBLE_TIME_ZONE", default_value = "Europe/London")]
    pub time_zone: Tz,
    /// Days from the day of issuing to the last day to pay.
    #[arg(
        long,
        env = "BRAMBLE_PAYMENT_TERMS_DAYS",
        default_value_t = 30,
        value_parser = clap::value_parser!(u16).range(0..=3650)
    )]
    pub payment_terms_days: u16,
    /// How often invoices that have fallen overdue are looked for.
    #[arg(
        long,
        env = "BRAMBLE_SWEEP_INTERVAL_MS",
        default_value_t = 60_000,
        value_parser = clap::value_parser!(u64).range(100..)
    )]
    pub sweep_interval_ms: u64,
}
