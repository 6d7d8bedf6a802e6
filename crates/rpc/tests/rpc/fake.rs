//! A service whose one method does what a test says.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use futures::{Stream, StreamExt, future::BoxFuture};
use proto::log::v1::{
    self as pb,
    event_log_client::EventLogClient,
    event_log_server::{EventLog, EventLogServer},
};
use rpc::{ClientConfig, Server, ServerConfig, Shutdown};
use tokio::{net::TcpListener, task::JoinHandle};
use tonic::{Request, Response, Status};

pub(crate) const PATIENCE: Duration = Duration::from_secs(45);

pub(crate) struct Running {
    pub(crate) url: String,
    pub(crate) client: EventLogClient<rpc::Client>,
    pub(crate) shutdown: Shutdown,
    pub(crate) ended: JoinHandle<anyhow::Result<()>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

/// `ListEvents` does the work; `StreamEvents` says nothing until the process ends.
pub(crate) async fn serve<F>(
    config: ServerConfig,
    work: impl Fn() -> F + Send + Sync + 'static,
) -> Running
where
    F: Future<Output = Result<(), Status>> + Send + 'static,
{
    serve_with(config, work, |server| server).await
}

pub(crate) async fn serve_with<F>(
    config: ServerConfig,
    work: impl Fn() -> F + Send + Sync + 'static,
    with: impl FnOnce(Server) -> Server,
) -> Running
where
    F: Future<Output = Result<(), Status>> + Send + 'static,
{
    let shutdown = Shutdown::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = with(Server::new(shutdown.clone()).service(fake(work)));
    let ended = tokio::spawn(async move { server.serve(&config, listener).await });
    let client = EventLogClient::new(ClientConfig::default().client(&url).unwrap());
    Running { url, client, shutdown, ended }
}

pub(crate) fn fake<F>(work: impl Fn() -> F + Send + Sync + 'static) -> EventLogServer<impl EventLog>
where
    F: Future<Output = Result<(), Status>> + Send + 'static,
{
    EventLogServer::new(Fake { work: Arc::new(move || Box::pin(work())) })
}

/// Nobody knocks.
pub(crate) fn open_doors() -> ServerConfig {
    ServerConfig {
        grpc_addr: None,
        auth_public_key: None,
        open: false,
        plaintext: false,
        tls_cert: None,
        tls_key: None,
        calls_max: 1024,
        currency: "GBP".to_owned(),
    }
}

pub(crate) fn ask(timeout: Option<Duration>) -> Request<pb::ListEventsRequest> {
    let mut request = Request::new(pb::ListEventsRequest::default());
    if let Some(timeout) = timeout {
        request.set_timeout(timeout);
    }
    request
}

struct Fake {
    work: Arc<dyn Fn() -> BoxFuture<'static, Result<(), Status>> + Send + Sync>,
}

#[tonic::async_trait]
impl EventLog for Fake {
    async fn list_events(
        &self,
        _: Request<pb::ListEventsRequest>,
    ) -> Result<Response<pb::ListEventsResponse>, Status> {
        (self.work)().await?;
        Ok(Response::new(pb::ListEventsResponse::default()))
    }

    type StreamEventsStream =
        Pin<Box<dyn Stream<Item = Result<pb::StreamEventsResponse, Status>> + Send>>;

    async fn stream_events(
        &self,
        _: Request<pb::StreamEventsRequest>,
    ) -> Result<Response<Self::StreamEventsStream>, Status> {
        let stopping = rpc::Call::current().unwrap().stopping();
        let silence = futures::stream::pending().take_until(stopping.cancelled_owned());
        Ok(Response::new(Box::pin(silence)))
    }

    async fn list_dead_letters(
        &self,
        _: Request<pb::ListDeadLettersRequest>,
    ) -> Result<Response<pb::ListDeadLettersResponse>, Status> {
        Ok(Response::new(pb::ListDeadLettersResponse::default()))
    }

    async fn retry_dead_letters(
        &self,
        _: Request<pb::RetryDeadLettersRequest>,
    ) -> Result<Response<pb::RetryDeadLettersResponse>, Status> {
        (self.work)().await?;
        Ok(Response::new(pb::RetryDeadLettersResponse::default()))
    }

    async fn discard_dead_letter(
        &self,
        _: Request<pb::DiscardDeadLetterRequest>,
    ) -> Result<Response<pb::DiscardDeadLetterResponse>, Status> {
        Err(Status::unimplemented("not needed"))
    }

    async fn get_log_status(
        &self,
        _: Request<pb::GetLogStatusRequest>,
    ) -> Result<Response<pb::GetLogStatusResponse>, Status> {
        Err(Status::unimplemented("not needed"))
    }
}
