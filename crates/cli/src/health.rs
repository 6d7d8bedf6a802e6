use std::time::Duration;

use anyhow::bail;
use rpc::ClientConfig;
use tokio::time::{Instant, sleep};
use tonic::Request;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use crate::duration;

/// For one question.
const ASK_MAX: Duration = Duration::from_secs(2);
const ASK_EVERY: Duration = Duration::from_millis(200);

/// Ask a service whether it serves; ends with 0 when it does.
#[derive(Debug, clap::Args)]
pub(crate) struct Health {
    /// Such as `http://127.0.0.1:50051`.
    #[arg(long)]
    url: String,
    /// Go on asking for so long.
    #[arg(long, default_value = "0s", value_parser = duration::parse)]
    wait: Duration,
    #[command(flatten)]
    client: ClientConfig,
}

pub(crate) async fn run(health: &Health) -> anyhow::Result<()> {
    let mut client = HealthClient::new(health.client.client(&health.url)?);
    let until = Instant::now() + health.wait;
    loop {
        let mut request = Request::new(HealthCheckRequest { service: String::new() });
        request.set_timeout(ASK_MAX);
        let why = match client.check(request).await {
            Ok(answer) => match answer.into_inner().status() {
                ServingStatus::Serving => return Ok(()),
                status => status.as_str_name().to_owned(),
            },
            Err(status) => format!("{}: {}", status.code(), status.message()),
        };
        if Instant::now() >= until {
            bail!("{} does not serve: {why}", health.url);
        }
        sleep(ASK_EVERY).await;
    }
}
