//! Bodies with a limit: a request that arrives too slowly fails, and a streamed answer counts as a call as long as it lasts.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, Sleep, sleep_until},
};
use tonic::{Status, body::Body};

/// A request's body that fails once the deadline has passed: a caller that sends half a message holds nothing for ever.
pub(crate) fn until(deadline: Instant, body: Body) -> Body {
    Body::new(Until { body, late: Box::pin(sleep_until(deadline)) })
}

/// An answer's body that holds its call's place until it has been sent.
pub(crate) fn holding(permit: OwnedSemaphorePermit, body: Body) -> Body {
    Body::new(Holding { body, _permit: permit })
}

struct Until {
    body: Body,
    late: Pin<Box<Sleep>>,
}

impl http_body::Body for Until {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            return Poll::Ready(frame);
        }
        let late = || Status::deadline_exceeded("the request did not arrive in time");
        self.late.as_mut().poll(cx).map(|()| Some(Err(late())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

struct Holding {
    body: Body,
    _permit: OwnedSemaphorePermit,
}

impl http_body::Body for Holding {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
