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
}
