use std::time::Duration;

use async_nats::{Client, ConnectOptions, ServerAddr, connection::State};

/// Settings of the bus.
#[derive(Debug, Clone, clap::Args)]
pub struct NatsConfig {
    /// Where NATS is; user and password may be part of it.
    #[arg(
        long,
        env = "BRAMBLE_NATS_URL",
        default_value = "nats://127.0.0.1:4222",
        hide_env_values = true
    )]
    pub nats_url: String,
    /// How much disk the stream of one service may take; the oldest events leave it first, and stay in the log.
    #[arg(long, env = "BRAMBLE_STREAM_MAX_BYTES", default_value_t = 256 << 20)]
    pub stream_max_bytes: i64,
}

/// A client that connects in the background and for ever again: a service starts and works without NATS, its events wait in the log.
pub async fn connect(config: &NatsConfig, name: &str) -> anyhow::Result<Client> {
    let address: ServerAddr = config.nats_url.parse()?;
    let mut options = ConnectOptions::new();
    if let (Some(user), Some(password)) = (address.username(), address.password()) {
        options = options.user_and_password(user.to_owned(), password.to_owned());
    }
    let client = options
        .name(name)
        .retry_on_initial_connect()
        .max_reconnects(None)
        .reconnect_delay_callback(|attempt| {
            Duration::from_millis(100 * u64::try_from(attempt.min(20)).unwrap_or(20))
        })
        .request_timeout(Some(Duration::from_secs(5)))
        .event_callback(|event| async move { tracing::info!(%event, "NATS") })
        .connect(address)
        .await?;
    Ok(client)
}

/// Whether NATS can be used right now; for readiness.
pub fn is_there(client: &Client) -> std::future::Ready<bool> {
    std::future::ready(client.connection_state() == State::Connected)
}
