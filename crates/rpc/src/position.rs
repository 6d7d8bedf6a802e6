//! How far a service's log is, said with the answer to each write.

use std::{sync::Arc, time::Duration};

use futures::future::BoxFuture;
use http::{HeaderName, HeaderValue, Response};
use tokio::time::timeout;
use tonic::body::Body;

/// Such as `orders=42`. Analytics takes it as it is.
const POSITION: HeaderName = HeaderName::from_static("bramble-position");
/// The write is done: its answer waits no longer for this.
const PATIENCE: Duration = Duration::from_millis(100);

/// Looks for the end of the log; none when it cannot be seen.
type Look = dyn Fn() -> BoxFuture<'static, Option<i64>> + Send + Sync;

#[derive(Clone)]
pub(crate) struct LogEnd {
    pub(crate) source: &'static str,
    pub(crate) look: Arc<Look>,
}

impl LogEnd {
    /// Adds it to the answer, unless that is a refusal.
    pub(crate) async fn note(&self, answer: &mut Response<Body>) {
        if answer.headers().contains_key("grpc-status") {
            return;
        }
        let Ok(Some(end)) = timeout(PATIENCE, (self.look)()).await else { return };
        if let Ok(value) = HeaderValue::try_from(format!("{}={end}", self.source)) {
            answer.headers_mut().insert(POSITION, value);
        }
    }
}
