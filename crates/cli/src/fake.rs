//! Services as the commands see them, in memory: a test says what each method answers, and so when anything is counted or begun anew.

use std::{
    collections::HashMap,
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use futures::{FutureExt, future::BoxFuture};
use prost::Message;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    Request, Response, Status,
    body::Body,
    server::{Grpc, NamedService},
    transport::Server,
};
use tonic_prost::ProstCodec;
use tower::{Service, service_fn};

type Method = Arc<dyn Fn(http::Request<Body>) -> BoxFuture<'static, Answer> + Send + Sync>;
type Answer = http::Response<Body>;

/// Methods by name.
#[derive(Clone, Default)]
pub(crate) struct Fake(HashMap<&'static str, Method>);

impl Fake {
    /// A stream of one message is answered the same way.
    pub(crate) fn on<Q, A>(
        mut self,
        method: &'static str,
        answer: impl FnMut(Q) -> A + Send + 'static,
    ) -> Self
    where
        Q: Message + Default + 'static,
        A: Message + Default + 'static,
    {
        let answer = Arc::new(Mutex::new(answer));
        let serve = move |request| {
            let answer = Arc::clone(&answer);
            let served = service_fn(move |request: Request<Q>| {
                let answer = (answer.lock().unwrap())(request.into_inner());
                std::future::ready(Ok::<_, Status>(Response::new(answer)))
            });
            async { Grpc::new(ProstCodec::<A, Q>::default()).unary(served, request).await }.boxed()
        };
        self.0.insert(method, Arc::new(serve));
        self
    }

    /// Serves, and gives the address.
    pub(crate) async fn serve(self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let served = Server::builder()
            .add_service(Of::<ANALYTICS>(self.clone()))
            .add_service(Of::<LOG>(self.clone()))
            .add_service(Of::<OLAP>(self))
            .serve_with_incoming(TcpListenerStream::new(listener));
        tokio::spawn(served);
        url
    }
}

const ANALYTICS: u8 = 0;
const LOG: u8 = 1;
const OLAP: u8 = 2;

#[derive(Clone)]
struct Of<const SERVICE: u8>(Fake);

impl NamedService for Of<ANALYTICS> {
    const NAME: &'static str = "bramble.analytics.v1.AnalyticsService";
}

impl NamedService for Of<LOG> {
    const NAME: &'static str = "bramble.log.v1.EventLog";
}

impl NamedService for Of<OLAP> {
    const NAME: &'static str = "bramble.olap.v1.MaterializationsService";
}

impl<const SERVICE: u8> Service<http::Request<Body>> for Of<SERVICE> {
    type Response = Answer;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Answer, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let name = request.uri().path().rsplit('/').next().unwrap_or_default();
        let Some(method) = self.0.0.get(name) else {
            let answer = Status::unimplemented(name).into_http();
            return std::future::ready(Ok(answer)).boxed();
        };
        method(request).map(Ok).boxed()
    }
}
