//! Calls that are tried again while time may help, and the one flag that ends the import.
//!
//! Trying again doubles nothing: every mutation of an import is keyed by its contents or a `request_id`.

use std::{
    error::Error,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use rpc::Shutdown;
use tokio::time::{Instant, sleep};
use tonic::{Code, Response, Status};
use tonic_types::StatusExt;

const WAIT_MIN: Duration = Duration::from_millis(50);
const WAIT_MAX: Duration = Duration::from_secs(2);

/// Why a call gave nothing.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The service has judged the contents.
    Refused(Box<Status>),
    /// The import ends; what came of the call is not known.
    Stopped,
}

/// Shared by all calls of an import.
#[derive(Debug, Clone)]
pub(crate) struct Calls {
    patience: Duration,
    stop: Shutdown,
    why: Arc<Mutex<Option<String>>>,
    waiting: Arc<AtomicUsize>,
}

#[derive(Debug, PartialEq, Eq)]
enum Meaning {
    Verdict,
    /// It may be otherwise in a moment.
    Transient,
    /// It is the same for every call.
    Hopeless,
}

impl Calls {
    pub(crate) fn new(patience: Duration) -> Self {
        Self { patience, stop: Shutdown::new(), why: Arc::default(), waiting: Arc::default() }
    }

    /// Ends the import: nothing new is sent, nothing is tried again.
    pub(crate) fn stop(&self, why: impl Into<String>) {
        let mut held = self.why.lock().unwrap_or_else(PoisonError::into_inner);
        held.get_or_insert_with(|| why.into());
        self.stop.cancel();
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Why the import ended early.
    pub(crate) fn why(&self) -> Option<String> {
        self.why.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many calls wait to be tried again.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Relaxed)
    }

    /// Makes a call until it is answered; when it has failed for longer than the patience, the whole import ends. `what` is for that message.
    pub(crate) async fn patiently<T>(
        &self,
        what: &str,
        mut call: impl AsyncFnMut() -> Result<Response<T>, Status>,
    ) -> Result<T, Failure> {
        let mut give_up: Option<Instant> = None;
        let mut wait = WAIT_MIN;
        loop {
            if self.is_stopped() {
                return Err(Failure::Stopped);
            }
            let status = match call().await {
                Ok(answer) => return Ok(answer.into_inner()),
                Err(status) => status,
            };
            match meaning(&status) {
                Meaning::Verdict => return Err(Failure::Refused(Box::new(status))),
                Meaning::Hopeless => {
                    self.stop(format!("{what}: {}{}", shown(&status), hint(status.code())));
                    return Err(Failure::Stopped);
                }
                Meaning::Transient => {
                    let end = *give_up.get_or_insert_with(|| Instant::now() + self.patience);
                    if Instant::now() >= end {
                        let seconds = self.patience.as_secs();
                        self.stop(format!("{what}: for {seconds} s in vain: {}", shown(&status)));
                        return Err(Failure::Stopped);
                    }
                    let asked = status.get_details_retry_info().and_then(|info| info.retry_delay);
                    self.rest(wait.max(asked.unwrap_or_default().min(WAIT_MAX))).await;
                    wait = (wait * 2).min(WAIT_MAX);
                }
            }
        }
    }

    async fn rest(&self, wait: Duration) {
        self.waiting.fetch_add(1, Relaxed);
        tokio::select! { () = sleep(wait) => (), () = self.stop.cancelled() => () }
        self.waiting.fetch_sub(1, Relaxed);
    }
}

fn meaning(status: &Status) -> Meaning {
    match status.code() {
        Code::InvalidArgument
        | Code::FailedPrecondition
        | Code::AlreadyExists
        | Code::NotFound
        | Code::OutOfRange => Meaning::Verdict,
        // An expired deadline arrives as `CANCELLED`.
        Code::Unavailable
        | Code::DeadlineExceeded
        | Code::ResourceExhausted
        | Code::Aborted
        | Code::Cancelled => Meaning::Transient,
        // A connection that broke half-way, not an answer.
        Code::Unknown | Code::Internal if status.source().is_some() => Meaning::Transient,
        Code::Internal if status.message().starts_with("h2 protocol error") => Meaning::Transient,
        Code::Unknown
        | Code::Internal
        | Code::Unauthenticated
        | Code::PermissionDenied
        | Code::Unimplemented
        | Code::DataLoss
        | Code::Ok => Meaning::Hopeless,
    }
}

fn shown(status: &Status) -> String {
    let mut cause = status.source();
    while let Some(deeper) = cause.and_then(Error::source) {
        cause = Some(deeper);
    }
    let cause = cause.map(|cause| format!(": {cause}")).unwrap_or_default();
    format!("{}{cause} ({:?})", status.message(), status.code())
}

fn hint(code: Code) -> &'static str {
    match code {
        Code::Unauthenticated | Code::PermissionDenied => {
            ". Set BRAMBLE_TOKEN to a token from `bramble token` with --all, or with the permissions customers.write, products.read, products.write, stock.write, orders.write, orders.price and orders.import"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_time_may_help_is_tried_again_until_the_patience_ends() {
        let calls = Calls::new(Duration::from_secs(2));
        let mut left = 4;
        let answer = calls.patiently("orders-svc", async || {
            left -= 1;
            if left > 0 { Err(Status::unavailable("away")) } else { Ok(Response::new(7)) }
        });
        assert_eq!(answer.await.unwrap(), 7);
        assert!(!calls.is_stopped());

        let started = Instant::now();
        let never =
            calls.patiently("orders-svc", async || Err::<Response<()>, _>(Status::aborted("no")));
        assert!(matches!(never.await, Err(Failure::Stopped)));
        assert!((2..4).contains(&started.elapsed().as_secs()));
        assert!(calls.is_stopped());
        assert_eq!(calls.why().unwrap(), "orders-svc: for 2 s in vain: no (Aborted)");
    }

    #[tokio::test]
    async fn a_verdict_is_not_asked_for_twice_and_a_closed_door_ends_the_import() {
        let calls = Calls::new(Duration::from_secs(60));
        let mut asked = 0;
        let refused = calls.patiently("x", async || {
            asked += 1;
            Err::<Response<()>, _>(Status::failed_precondition("short"))
        });
        assert!(matches!(refused.await, Err(Failure::Refused(_))));
        assert_eq!(asked, 1);
        let closed =
            calls.patiently("x", async || Err::<Response<()>, _>(Status::permission_denied("no")));
        assert!(matches!(closed.await, Err(Failure::Stopped)));
        assert!(calls.why().unwrap().contains("bramble token"));
        let after = calls.patiently("x", async || Ok(Response::new(())));
        assert!(matches!(after.await, Err(Failure::Stopped)));
    }
}
