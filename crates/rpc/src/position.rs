//! How far a service's log is, said with the answer to each write.
//!
//! A write that appended events knows its own last one ([`Written`]), which costs nothing. One that had no effect any more, such as a
//! request that was carried out before, perhaps by another replica, has the end of the log looked up.

use std::{cell::Cell, sync::Arc, time::Duration};

use futures::future::BoxFuture;
use http::{HeaderName, HeaderValue, Response};
use tokio::time::timeout;
use tonic::body::Body;

/// Such as `orders=42`. Analytics takes it as it is.
const POSITION: HeaderName = HeaderName::from_static("bramble-position");
/// The write is done: its answer waits no longer for this.
const PATIENCE: Duration = Duration::from_millis(100);

tokio::task_local! {
    static WRITTEN: Written;
}

/// What a piece of work has appended to its service's log, one transaction at a time.
#[derive(Debug, Default)]
pub struct Written {
    uncommitted: Cell<Option<i64>>,
    committed: Cell<Option<i64>>,
}

impl Written {
    /// Does the work, and says which event that it committed is the last.
    pub async fn by<F: Future>(work: F) -> (F::Output, Option<i64>) {
        let work = async {
            let output = work.await;
            (output, WRITTEN.with(|written| written.committed.get()))
        };
        WRITTEN.scope(Self::default(), work).await
    }

    /// A transaction has begun: what another one appended without a commit is gone.
    pub fn begin() {
        let _ = WRITTEN.try_with(|written| written.uncommitted.set(None));
    }

    /// Its last event so far.
    pub fn append(sequence: i64) {
        let _ = WRITTEN.try_with(|written| written.uncommitted.set(Some(sequence)));
    }

    /// It is committed.
    pub fn commit() {
        let _ = WRITTEN.try_with(|written| {
            let newest = written.committed.get().max(written.uncommitted.take());
            written.committed.set(newest);
        });
    }

    /// Somebody else has committed this for whoever asks here.
    pub fn commit_of(sequence: i64) {
        Self::append(sequence);
        Self::commit();
    }

    /// The answer is what others have written, and perhaps behind all that was committed here: the end of the log is to be looked up.
    pub fn by_others() {
        let _ = WRITTEN.try_with(|written| written.committed.set(None));
    }
}

/// Looks for the end of the log; none when it cannot be seen.
type Look = dyn Fn() -> BoxFuture<'static, Option<i64>> + Send + Sync;

#[derive(Clone)]
pub(crate) struct LogEnd {
    pub(crate) source: &'static str,
    pub(crate) look: Arc<Look>,
}

impl LogEnd {
    /// Adds it to the answer, unless that is a refusal.
    pub(crate) async fn note(&self, answer: &mut Response<Body>, written: Option<i64>) {
        if answer.headers().contains_key("grpc-status") {
            return;
        }
        let end = match written {
            Some(written) => Some(written),
            None => timeout(PATIENCE, (self.look)()).await.ok().flatten(),
        };
        let value =
            end.and_then(|end| HeaderValue::try_from(format!("{}={end}", self.source)).ok());
        if let Some(value) = value {
            answer.headers_mut().insert(POSITION, value);
        }
    }
}
