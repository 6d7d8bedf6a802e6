use std::{net::SocketAddr, path::PathBuf};

use anyhow::{Context, ensure};
use tokio::net::TcpListener;
use tonic::transport::{Identity, ServerTlsConfig};

/// Settings of a service's door.
#[derive(Debug, Clone, clap::Args)]
pub struct ServerConfig {
    /// Where to listen; each service has a default port of its own.
    #[arg(long, env = "BRAMBLE_GRPC_ADDR")]
    pub grpc_addr: Option<SocketAddr>,
    /// File with the Ed25519 public key, PEM, that callers' tokens are signed for.
    #[arg(long, env = "BRAMBLE_AUTH_PUBLIC_KEY")]
    pub auth_public_key: Option<PathBuf>,
    /// Serve calls without a token too, with every permission that is not restricted. Loopback only.
    #[arg(long, env = "BRAMBLE_OPEN")]
    pub open: bool,
    /// Listen beyond loopback without TLS: the network itself is closed to strangers.
    #[arg(long, env = "BRAMBLE_PLAINTEXT")]
    pub plaintext: bool,
    /// File with the server's certificate chain, PEM.
    #[arg(long, env = "BRAMBLE_TLS_CERT", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// File with the key of that certificate, PEM.
    #[arg(long, env = "BRAMBLE_TLS_KEY", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// How many calls are served at once; more are refused with `RESOURCE_EXHAUSTED`.
    #[arg(long, env = "BRAMBLE_CALLS_MAX", default_value_t = 1024)]
    pub calls_max: usize,
    /// ISO 4217 code of the deployment's one currency.
    #[arg(long, env = "BRAMBLE_CURRENCY", default_value = "GBP")]
    pub currency: String,
}

impl ServerConfig {
    /// Listens, after checking that the address and the doors fit.
    pub async fn bind(&self, default_port: u16) -> anyhow::Result<TcpListener> {
        let addr = self.grpc_addr.unwrap_or(SocketAddr::from(([127, 0, 0, 1], default_port)));
        self.bind_at(addr).await
    }

    /// The same for one more door of the service.
    pub async fn bind_at(&self, addr: SocketAddr) -> anyhow::Result<TcpListener> {
        if !addr.ip().is_loopback() {
            ensure!(
                self.auth_public_key.is_some(),
                "{addr} is not loopback: BRAMBLE_AUTH_PUBLIC_KEY is needed"
            );
            ensure!(!self.open, "{addr} is not loopback: BRAMBLE_OPEN is not possible");
            ensure!(
                self.plaintext || self.tls_cert.is_some(),
                "{addr} is not loopback: BRAMBLE_TLS_CERT and BRAMBLE_TLS_KEY are needed, or BRAMBLE_PLAINTEXT=true on a closed network"
            );
        }
        crate::set_currency(&self.currency)?;
        TcpListener::bind(addr).await.with_context(|| format!("cannot listen on {addr}"))
    }

    pub(crate) fn tls(&self) -> anyhow::Result<Option<ServerTlsConfig>> {
        let (Some(cert), Some(key)) = (&self.tls_cert, &self.tls_key) else { return Ok(None) };
        let cert = std::fs::read(cert).context("BRAMBLE_TLS_CERT")?;
        let key = std::fs::read(key).context("BRAMBLE_TLS_KEY")?;
        Ok(Some(ServerTlsConfig::new().identity(Identity::from_pem(cert, key))))
    }
}
