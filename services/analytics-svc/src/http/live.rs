//! Server-sent events: each panel when the page opens, and again whenever it has changed.
//!
//! A panel is looked at twice a second, which costs one `stat` as long as there is no new version; what is found is shared between all pages.
//! Each panel has a task of its own, so that a neighbour that does not answer holds up its own panel only. A stream ends with the token that
//! opened it, with the page, or with the process.

use std::{sync::Arc, time::Duration};

use axum::body::{Body, Bytes};
use chrono::NaiveDate;
use futures::StreamExt;
use rpc::Shutdown;
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc},
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};
use tokio_stream::wrappers::ReceiverStream;

use super::{
    now,
    panels::{Board, Panel, Refused},
};

const LOOK_EVERY: Duration = Duration::from_millis(500);
/// By it a page knows that it is still connected, and what time it is here; and we, whether the page is still there.
const BEAT_EVERY: Duration = Duration::from_secs(5);
/// Of a stream whose token does not end.
const AGE_MAX: Duration = Duration::from_secs(12 * 60 * 60);
const QUEUE: usize = 16;

/// The body of an answer that goes on until `until`, in Unix seconds.
pub(super) fn events(
    board: Arc<Board>,
    day: Option<NaiveDate>,
    until: Option<i64>,
    seat: OwnedSemaphorePermit,
    shutdown: Shutdown,
) -> Body {
    let (sender, receiver) = mpsc::channel::<Bytes>(QUEUE);
    let left = until.map_or(i64::MAX, |until| until.saturating_sub(now().timestamp()));
    let left = Duration::from_secs(u64::try_from(left).unwrap_or(0)).min(AGE_MAX);
    let end = Instant::now() + left;
    tokio::spawn(async move {
        let _seat = seat;
        let mut following = JoinSet::new();
        for panel in Panel::ALL {
            following.spawn(follow(Arc::clone(&board), panel, day, sender.clone()));
        }
        following.spawn(beat(sender.clone()));
        tokio::select! {
            () = sender.closed() => (),
            () = sleep_until(end) => (),
            () = shutdown.cancelled() => (),
        }
    });
    Body::from_stream(ReceiverStream::new(receiver).map(Ok::<_, std::convert::Infallible>))
}

async fn follow(
    board: Arc<Board>,
    panel: Panel,
    day: Option<NaiveDate>,
    sender: mpsc::Sender<Bytes>,
) {
    let mut sent: Option<Arc<str>> = None;
    loop {
        let shown = board.show(panel, board.key(day).await).await;
        let json = shown.unwrap_or_else(|refused: Refused| refused.json().into());
        if sent.as_ref() != Some(&json) {
            // JSON of ours has no line break.
            let event = format!("event: {}\ndata: {json}\n\n", panel.name());
            if sender.send(event.into()).await.is_err() {
                return;
            }
            sent = Some(json);
        }
        sleep(LOOK_EVERY).await;
    }
}

async fn beat(sender: mpsc::Sender<Bytes>) {
    while sender
        .send(format!("event: beat\ndata: \"{}\"\n\n", now().to_rfc3339()).into())
        .await
        .is_ok()
    {
        sleep(BEAT_EVERY).await;
    }
}
