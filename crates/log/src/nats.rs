use std::time::Duration;

use anyhow::ensure;
use async_nats::{Client, ConnectOptions, ServerAddr, connection::State};

/// Settings of the bus.
#[derive(Debug, Clone, clap::Args)]
pub struct NatsConfig {
    /// Where NATS is.
    #[arg(long, env = "BRAMBLE_NATS_URL", default_value = "nats://127.0.0.1:4222")]
    pub nats_url: String,
    /// Who this service is there; unset where NATS asks nobody.
    #[arg(long, env = "BRAMBLE_NATS_USER", requires = "nats_password")]
    pub nats_user: Option<String>,
    /// As it is, with nothing escaped.
    #[arg(long, env = "BRAMBLE_NATS_PASSWORD", hide_env_values = true, requires = "nats_user")]
    pub nats_password: Option<String>,
    /// How much disk the stream of one service may take; the oldest events leave it first, and stay in the log.
    #[arg(long, env = "BRAMBLE_STREAM_MAX_BYTES", default_value_t = 256 << 20)]
    pub stream_max_bytes: i64,
}

/// A client that connects in the background and for ever again: a service starts and works without NATS, its events wait in the log.
pub async fn connect(config: &NatsConfig, name: &str) -> anyhow::Result<Client> {
    let address: ServerAddr = config.nats_url.parse()?;
    ensure!(
        !address.has_user_pass(),
        "user and password go into BRAMBLE_NATS_USER and BRAMBLE_NATS_PASSWORD, not into BRAMBLE_NATS_URL"
    );
    let mut options = ConnectOptions::new();
    if let (Some(user), Some(password)) = (&config.nats_user, &config.nats_password) {
        options = options.user_and_password(user.clone(), password.clone());
    }
    let client = options
        .name(name)
        // So that permissions can keep others from reading what we are answered.
        .custom_inbox_prefix(format!("_INBOX.{name}"))
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
