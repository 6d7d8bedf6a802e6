use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context;
use tokio::time::Instant;
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint},
};

use crate::call::Call;

/// A channel whose calls carry our token, what is left of the deadline, and the trace.
pub type Client = InterceptedService<Channel, Outgoing>;

const CONNECT_MAX: Duration = Duration::from_secs(5);
/// For calls that no call of ours waits for.
const DEADLINE_DEFAULT: Duration = Duration::from_secs(30);

/// How this process shows itself to other services.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ClientConfig {
    /// What to send as bearer token.
    #[arg(long, env = "BRAMBLE_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// Or a file that holds it.
    #[arg(long, env = "BRAMBLE_TOKEN_FILE", conflicts_with = "token")]
    pub token_file: Option<PathBuf>,
    /// File with the certificates, PEM, that servers' certificates are checked against.
    #[arg(long, env = "BRAMBLE_TLS_CA")]
    pub tls_ca: Option<PathBuf>,
}

impl ClientConfig {
    /// A client of the service at `url`; it connects when it is first used, and again whenever it must.
    pub fn client(&self, url: &str) -> anyhow::Result<Client> {
        let mut endpoint = Endpoint::from_shared(url.to_owned())
            .with_context(|| format!("{url} is not the address of a service"))?
            .connect_timeout(CONNECT_MAX)
            .http2_keep_alive_interval(Duration::from_secs(30))
            .keep_alive_timeout(Duration::from_secs(10))
            .tcp_nodelay(true);
        if let Some(ca) = &self.tls_ca {
            let ca = Certificate::from_pem(std::fs::read(ca).context("BRAMBLE_TLS_CA")?);
            endpoint = endpoint.tls_config(ClientTlsConfig::new().ca_certificate(ca))?;
        }
        Ok(InterceptedService::new(endpoint.connect_lazy(), Outgoing { token: self.bearer()? }))
    }

    fn bearer(&self) -> anyhow::Result<Option<Arc<MetadataValue<Ascii>>>> {
        let token = match (&self.token, &self.token_file) {
            (Some(token), _) => Some(token.clone()),
            (None, Some(file)) => {
                let token = std::fs::read_to_string(file).with_context(|| {
                    format!("BRAMBLE_TOKEN_FILE: cannot read {}", file.display())
                })?;
                Some(token)
            }
            (None, None) => None,
        };
        token
            .filter(|token| !token.trim().is_empty())
            .map(|token| {
                let mut value: MetadataValue<Ascii> = format!("Bearer {}", token.trim())
                    .parse()
                    .context("the token is not plain text")?;
                value.set_sensitive(true);
                Ok(Arc::new(value))
            })
            .transpose()
    }
}

/// Adds what every call of ours carries.
#[derive(Debug, Clone)]
pub struct Outgoing {
    token: Option<Arc<MetadataValue<Ascii>>>,
}

impl Interceptor for Outgoing {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.token {
            request.metadata_mut().insert("authorization", MetadataValue::clone(token));
        }
        let call = Call::current();
        if request.metadata().get("grpc-timeout").is_none() {
            let left = call.as_ref().map_or(DEADLINE_DEFAULT, |call| {
                call.deadline.saturating_duration_since(Instant::now())
            });
            request.set_timeout(left);
        }
        let traceparent = telemetry::traceparent()
            .or_else(|| call.as_ref().and_then(Call::traceparent))
            .and_then(|traceparent| traceparent.parse().ok());
        if let Some(traceparent) = traceparent {
            request.metadata_mut().insert("traceparent", traceparent);
        }
        Ok(request)
    }
}
