//! What every call passes before its handler: token and permission, deadline, a bound on how many run, a task of its own.

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures::{FutureExt, future::BoxFuture};
use http::{HeaderMap, Request, Response};
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout, timeout_at},
};
use tonic::{Code, Status, body::Body};
use tower::{Layer, Service};
use tracing::Instrument;

use crate::{
    Shutdown,
    access::{Access, Rule},
    body,
    call::{Call, Permissions},
    error::retry,
    position::{LogEnd, Written},
};

/// A call that says nothing of its deadline has this long; one that asks for longer gets no more than that.
const DEADLINE_DEFAULT: Duration = Duration::from_secs(30);
const DEADLINE_MAX: Duration = Duration::from_secs(60);
/// A tenth of a caller's deadline is kept back, within these bounds, so that our own refusal arrives before the transport gives up.
const SHAVED_MIN: Duration = Duration::from_millis(5);
const SHAVED_MAX: Duration = Duration::from_millis(250);

/// Statements have their own, much shorter limits; but on a host that vanished nothing ends before TCP gives up.
const HANDLER_MAX: Duration = Duration::from_secs(5 * 60);

#[derive(Clone)]
pub(crate) struct DoorLayer {
    pub(crate) access: Arc<Access>,
    pub(crate) calls: Arc<Semaphore>,
    pub(crate) log_end: Option<LogEnd>,
    pub(crate) stopping: Shutdown,
}

impl<S> Layer<S> for DoorLayer {
    type Service = Door<S>;

    fn layer(&self, inner: S) -> Door<S> {
        Door { inner, door: self.clone() }
    }
}

#[derive(Clone)]
pub(crate) struct Door<S> {
    inner: S,
    door: DoorLayer,
}

impl<S> Service<Request<Body>> for Door<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    S::Error: Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response<Body>, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let mut ready = self.inner.clone();
        std::mem::swap(&mut ready, &mut self.inner);
        let door = self.door.clone();
        async move {
            let call = match door.admit(&request) {
                Ok(call) => call,
                Err(refusal) => return Ok(refusal.into_http()),
            };
            let Ok(permit) = Arc::clone(&door.calls).try_acquire_owned() else {
                let refusal =
                    retry(Code::ResourceExhausted, "TOO_MANY_CALLS", "too many calls at once");
                return Ok(refusal.into_http());
            };
            let deadline = call.deadline;
            let span = tracing::info_span!("rpc", path = request.uri().path(), actor = %call.actor);
            if let Some(traceparent) = &call.traceparent {
                telemetry::continue_trace(&span, traceparent);
            }
            // In a task of its own, the handler ends what it has begun whether or not anybody waits for it.
            let handler = async move {
                let writes = door.access.writes(request.uri().path());
                let request = request.map(|body| body::until(deadline, body));
                let answering = timeout(HANDLER_MAX, call.scope(ready.call(request)));
                let (answer, written) = Written::by(answering).await;
                let mut answer = answer.unwrap_or_else(|_| Ok(no_end().into_http()))?;
                if let (true, Some(log_end)) = (writes, &door.log_end) {
                    log_end.note(&mut answer, written).await;
                }
                Ok(answer.map(|body| body::holding(permit, body)))
            };
            match timeout_at(deadline, tokio::spawn(handler.instrument(span))).await {
                Ok(Ok(answer)) => answer,
                Ok(Err(panicked)) => {
                    tracing::error!(error = %panicked, "a handler failed");
                    Ok(Status::internal("internal error").into_http())
                }
                Err(_) => {
                    let refusal =
                        retry(Code::DeadlineExceeded, "DEADLINE_EXCEEDED", "no answer in time");
                    Ok(refusal.into_http())
                }
            }
        }
        .boxed()
    }
}

impl DoorLayer {
    fn admit(&self, request: &Request<Body>) -> Result<Call, Status> {
        let headers = request.headers();
        let mut call = Call {
            actor: "anonymous".into(),
            permissions: Permissions::Only(Arc::default()),
            deadline: deadline(headers)?,
            traceparent: headers.get("traceparent").and_then(|t| t.to_str().ok()).map(Into::into),
            stopping: self.stopping.clone(),
        };
        let rule = match self.access.rule(request.uri().path()) {
            None | Some(Rule::Public) => return Ok(call),
            Some(Rule::Nobody) => return Err(Status::permission_denied("nobody may call this")),
            Some(Rule::Needs(permission)) => permission,
        };
        let identity = self.access.identify(headers)?;
        call.actor = identity.actor;
        call.permissions = identity.permissions;
        call.require(rule)?;
        Ok(call)
    }
}

fn no_end() -> Status {
    tracing::error!("a handler did not end within {HANDLER_MAX:?} and is given up");
    Status::internal("internal error")
}

fn deadline(headers: &HeaderMap) -> Result<Instant, Status> {
    let asked =
        headers.get("grpc-timeout").and_then(|value| value.to_str().ok()).and_then(read_timeout);
    let left = asked.map_or(DEADLINE_DEFAULT, |asked| asked.min(DEADLINE_MAX));
    match left.checked_sub((left / 10).clamp(SHAVED_MIN, SHAVED_MAX)) {
        Some(left) => Ok(Instant::now() + left),
        None => Err(retry(Code::DeadlineExceeded, "DEADLINE_EXCEEDED", "too little time is left")),
    }
}

/// Reads the `grpc-timeout` header: up to eight digits and a unit.
fn read_timeout(value: &str) -> Option<Duration> {
    let (digits, unit) = value.split_at_checked(value.len().checked_sub(1)?)?;
    let amount: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(amount.saturating_mul(3600)),
        "M" => Duration::from_secs(amount.saturating_mul(60)),
        "S" => Duration::from_secs(amount),
        "m" => Duration::from_millis(amount),
        "u" => Duration::from_micros(amount),
        "n" => Duration::from_nanos(amount),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_in_every_unit() {
        assert_eq!(read_timeout("2M"), Some(Duration::from_secs(120)));
        assert_eq!(read_timeout("250m"), Some(Duration::from_millis(250)));
        assert_eq!(read_timeout("7n"), Some(Duration::from_nanos(7)));
        for bad in ["", "m", "5", "5x", "-1S", "ééé"] {
            assert_eq!(read_timeout(bad), None, "{bad}");
        }
    }
}
