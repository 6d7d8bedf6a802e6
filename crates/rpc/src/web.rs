//! Pages for people: HTTP beside gRPC, with the same tokens and the same certificate.

use std::sync::Arc;

use tokio::net::TcpListener;
use tonic::{Status, service::Routes, transport::server::TcpIncoming};

use crate::{ServerConfig, Shutdown, access::Access, server};

/// Says who gets in, as the layer in front of every rpc does.
pub struct Doorkeeper(Access);

/// Somebody who was let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visitor {
    /// The subject of the token; `anonymous` without one.
    pub actor: Arc<str>,
    /// When the token ends, in Unix seconds; none without a token.
    pub until: Option<i64>,
}

impl Doorkeeper {
    pub fn new(config: &ServerConfig) -> anyhow::Result<Self> {
        Ok(Self(Access::new(config, &[])?))
    }

    /// Whether those without a token are let in.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.0.is_open()
    }

    /// Lets the bearer of a token in who has the permission: `UNAUTHENTICATED` or `PERMISSION_DENIED` otherwise.
    pub fn admit(&self, token: Option<&str>, permission: &str) -> Result<Visitor, Status> {
        let identity = self.0.identify_bearer(token)?;
        identity.permissions.require(permission, &identity.actor)?;
        Ok(Visitor { actor: identity.actor, until: identity.until })
    }
}

/// Serves pages, over HTTP/1 and HTTP/2, until told to end. What streams without an end has to end by itself then.
pub async fn serve_web(
    config: &ServerConfig,
    listener: TcpListener,
    pages: Routes,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    let mut server = server::transport(config)?.accept_http1(true);
    tracing::info!(address = %listener.local_addr()?, "serving pages");
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let told = shutdown.cancelled_owned();
    Ok(server.add_routes(pages).serve_with_incoming_shutdown(incoming, told).await?)
}
