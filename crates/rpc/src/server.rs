use std::{convert::Infallible, sync::Arc, time::Duration};

use futures::future::BoxFuture;
use http::{Request, Response};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::Semaphore,
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;
use tonic::{body::Body, server::NamedService, service::Routes, transport::server::TcpIncoming};
use tonic_health::{ServingStatus, server::HealthReporter};
use tower::Service;

use crate::{ServerConfig, access::Access, layer::DoorLayer, position::LogEnd};

/// Told to all parts of a process when it is to end.
pub type Shutdown = CancellationToken;

/// Looks for something that the service cannot work without; true while it is there.
type Check = Box<dyn Fn() -> BoxFuture<'static, bool> + Send + Sync>;

/// How long calls and background work may go on after the process was told to end.
const DRAIN_MAX: Duration = Duration::from_secs(20);
/// The name under which the health service says that the process answers, whatever it lacks: what is away does not come back by
/// starting the service again.
const LIVE: &str = "live";
const CHECK_EVERY: Duration = Duration::from_secs(2);
const MESSAGE_STREAMS_MAX: u32 = 256;
const HEADERS_MAX_BYTES: u32 = 16 * 1024;
/// Clients reconnect now and then, which spreads them over replicas after a rollout.
const CONNECTION_AGE_MAX: Duration = Duration::from_secs(30 * 60);

/// A service's gRPC server with health, reflection, doors and limits, and the background work that lives as long as it does.
pub struct Server {
    routes: Routes,
    names: Vec<&'static str>,
    /// Services whose protos are not ours, each with the permission that all of its methods need.
    foreign: Vec<(&'static str, &'static str)>,
    checks: Vec<(&'static str, Check)>,
    background: JoinSet<()>,
    log_end: Option<LogEnd>,
    shutdown: Shutdown,
}

impl Server {
    #[must_use]
    pub fn new(shutdown: Shutdown) -> Self {
        Self {
            routes: Routes::default(),
            names: Vec::new(),
            foreign: Vec::new(),
            checks: Vec::new(),
            background: JoinSet::new(),
            log_end: None,
            shutdown,
        }
    }

    /// Serves one more gRPC service.
    #[must_use]
    pub fn service<S>(mut self, service: S) -> Self
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
        S: NamedService + Clone + Send + Sync + 'static,
        S::Future: Send + 'static,
    {
        self.routes = self.routes.add_service(service);
        self.names.push(S::NAME);
        self
    }

    /// The same for a service whose proto is not ours and so cannot say who may call: every method of it needs this permission.
    #[must_use]
    pub fn foreign_service<S>(mut self, service: S, permission: &'static str) -> Self
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
        S: NamedService + Clone + Send + Sync + 'static,
        S::Future: Send + 'static,
    {
        self.foreign.push((S::NAME, permission));
        self.service(service)
    }

    /// Is ready only while this is there.
    #[must_use]
    pub fn needs<F>(
        mut self,
        name: &'static str,
        check: impl Fn() -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = bool> + Send + 'static,
    {
        self.checks.push((name, Box::new(move || Box::pin(check()))));
        self
    }

    /// Says with the answer to each write where the log of the source ends then, as `bramble-position: orders=42`.
    #[must_use]
    pub fn log_end<F>(
        mut self,
        source: &'static str,
        look: impl Fn() -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Option<i64>> + Send + 'static,
    {
        self.log_end = Some(LogEnd { source, look: Arc::new(move || Box::pin(look())) });
        self
    }

    /// Runs beside the server; is given the signal to end, and then a while to do so.
    #[must_use]
    pub fn background<F>(mut self, work: impl FnOnce(Shutdown) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.background.spawn(work(self.shutdown.clone()));
        self
    }

    /// Serves until it is told to end; then drains.
    pub async fn serve(
        mut self,
        config: &ServerConfig,
        listener: TcpListener,
    ) -> anyhow::Result<()> {
        let address = listener.local_addr()?;
        let (health, health_service) = tonic_health::server::health_reporter();
        let is_foreign = |name| self.foreign.iter().any(|(foreign, _)| *foreign == name);
        let ours: Vec<_> = self.names.iter().copied().filter(|name| !is_foreign(*name)).collect();
        let routes = self
            .routes
            .add_service(health_service)
            .add_service(reflection(&ours).build_v1()?)
            .add_service(reflection(&ours).build_v1alpha()?);
        let access = Access::new(config, &self.foreign)?;
        if access.is_open() {
            tracing::warn!("the doors are open: calls without a token are served");
        }
        let door = DoorLayer {
            access: Arc::new(access),
            calls: Arc::new(Semaphore::new(config.calls_max)),
            log_end: self.log_end,
            stopping: self.shutdown.clone(),
        };
        health.set_service_status(LIVE, ServingStatus::Serving).await;
        // Until the first look nobody knows.
        set_all(&health, &self.names, ServingStatus::NotServing).await;
        self.background.spawn(watch(health, self.names, self.checks, self.shutdown.clone()));

        let server = transport(config)?;
        tracing::info!(%address, "serving");
        let serving = server.layer(door).add_routes(routes).serve_with_incoming_shutdown(
            // Without it an answer's second packet waits 40 ms for the first to be acknowledged.
            TcpIncoming::from(listener).with_nodelay(Some(true)),
            self.shutdown.clone().cancelled_owned(),
        );
        let drained = {
            let shutdown = self.shutdown.clone();
            async move {
                shutdown.cancelled().await;
                tokio::time::sleep(DRAIN_MAX).await;
            }
        };
        let ended = tokio::select! {
            served = serving => served.map_err(anyhow::Error::from),
            () = drained => {
                tracing::warn!("some calls did not end in time");
                Ok(())
            }
            panicked = first_panic(&mut self.background) => Err(panicked),
        };
        self.shutdown.cancel();
        let rest = async { while self.background.join_next().await.is_some() {} };
        if tokio::time::timeout(DRAIN_MAX, rest).await.is_err() {
            tracing::warn!("some background work did not end in time");
        }
        tracing::info!("stopped");
        ended
    }
}

/// What answers on a listener, with its certificate and limits.
pub(crate) fn transport(config: &ServerConfig) -> anyhow::Result<tonic::transport::Server> {
    let mut server = tonic::transport::Server::builder();
    if let Some(tls) = config.tls()? {
        server = server.tls_config(tls)?;
    }
    Ok(server
        .max_concurrent_streams(MESSAGE_STREAMS_MAX)
        .http2_max_header_list_size(HEADERS_MAX_BYTES)
        .http2_keepalive_interval(Some(Duration::from_secs(30)))
        .http2_keepalive_timeout(Some(Duration::from_secs(10)))
        .max_connection_age(CONNECTION_AGE_MAX))
}

/// A service that went on without its relay or a consumer would look well and fall behind: it must end and be started again.
async fn first_panic(background: &mut JoinSet<()>) -> anyhow::Error {
    while let Some(ended) = background.join_next().await {
        if let Err(error) = ended
            && error.is_panic()
        {
            return anyhow::anyhow!("background work failed: {error}");
        }
    }
    std::future::pending().await
}

/// Cancelled by SIGTERM or Ctrl-C.
pub fn on_signal() -> anyhow::Result<Shutdown> {
    let shutdown = Shutdown::new();
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let told = shutdown.clone();
    tokio::spawn(async move {
        tokio::select! { _ = term.recv() => (), _ = int.recv() => () }
        tracing::info!("told to stop");
        told.cancel();
    });
    Ok(shutdown)
}

/// Describes everything of ours, and lists what is served here and described.
fn reflection(names: &[&'static str]) -> tonic_reflection::server::Builder<'static> {
    let always = ["grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection"];
    names
        .iter()
        .copied()
        .chain(always)
        .fold(tonic_reflection::server::Builder::configure(), |all, name| {
            all.with_service_name(name)
        })
        .register_encoded_file_descriptor_set(proto::DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        // Lets clients print the details of errors.
        .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
}

/// Keeps the health service true: serving while everything is there, and no longer once told to end.
async fn watch(
    health: HealthReporter,
    names: Vec<&'static str>,
    checks: Vec<(&'static str, Check)>,
    shutdown: Shutdown,
) {
    let mut missing: Option<Vec<&'static str>> = None;
    while !shutdown.is_cancelled() {
        let mut now = Vec::new();
        for (name, check) in &checks {
            let there = tokio::time::timeout(CHECK_EVERY, check()).await;
            if there != Ok(true) {
                now.push(*name);
            }
        }
        if missing.as_ref() != Some(&now) {
            if now.is_empty() {
                tracing::info!("ready");
            } else {
                tracing::warn!(missing = ?now, "not ready");
            }
            let status =
                if now.is_empty() { ServingStatus::Serving } else { ServingStatus::NotServing };
            set_all(&health, &names, status).await;
            missing = Some(now);
        }
        tokio::select! {
            () = tokio::time::sleep(CHECK_EVERY) => (),
            () = shutdown.cancelled() => (),
        }
    }
    set_all(&health, &names, ServingStatus::NotServing).await;
}

async fn set_all(health: &HealthReporter, names: &[&'static str], status: ServingStatus) {
    health.set_service_status("", status).await;
    for name in names {
        health.set_service_status(*name, status).await;
    }
}
