//! Counts the services' logs from where a folder stands, or from their start, up to given events: from the logs themselves, not the bus.
//!
//! It runs beside the live folder, in one of its own, which may be gone on with later. In memory are two pages of events, and rows
//! up to a limit.

use std::{
    collections::BTreeMap,
    fs, io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use chrono::{DateTime, Utc};
use log::Event;
use manifest::Counted;
use proto::log::v1::ListEventsRequest;
use tokio::time::sleep;

use crate::{
    consumers::{Follower, SharedBooks},
    domain::BusinessDays,
    materializer::apart,
    store::{Look, NotFlushed, Opened, Snapshot, Store, Trace},
};

const PAGE: i32 = 1000;
const ASK_MAX: Duration = Duration::from_secs(30);
/// A service that is away is asked again so often, a second between.
const ASKED_MAX: u32 = 60;
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// How far each source is to be counted.
pub(crate) type Targets = BTreeMap<String, Counted>;

/// A folder beside the live one, and what is counted in it.
pub(crate) struct Counting {
    store: Box<Store>,
    books: Arc<SharedBooks>,
    limits: Limits,
}

/// How much waits in memory, and who is told what is written.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    pub(crate) rows_max: usize,
    /// Bytes.
    pub(crate) written: Arc<AtomicU64>,
}

/// The event behind a difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Culprit {
    pub(crate) source: String,
    pub(crate) sequence: i64,
    pub(crate) event_id: uuid::Uuid,
    pub(crate) event_type: String,
    pub(crate) subject: String,
}

/// Looks for it while events are counted.
pub(crate) struct Tracing {
    trace: Trace,
    /// The one with which the row left what the live files say, or came into being.
    left: Option<Culprit>,
    /// The first that is just what they lack.
    explains: Option<Culprit>,
}

impl Counting {
    /// Goes on with what is in the folder, if it can be; else it begins anew.
    pub(crate) async fn open(
        folder: &Path,
        calendar: BusinessDays,
        limits: Limits,
    ) -> anyhow::Result<Self> {
        let path = folder.to_owned();
        let opened = apart(move || match Store::open(&path, calendar, 0) {
            Ok(opened @ (Opened::Ready(..) | Opened::Held)) => anyhow::Ok(opened),
            Ok(Opened::Old(_)) | Err(_) => {
                remove(&path)?;
                Store::open(&path, calendar, 0)
            }
        });
        let Opened::Ready(mut store, books) = opened.await? else {
            bail!("{} is in use", folder.display())
        };
        store.keep_nothing();
        Ok(Self { store, books: Arc::from(books), limits })
    }

    /// Begins anew, whatever is in the folder.
    pub(crate) async fn begin(
        folder: &Path,
        calendar: BusinessDays,
        limits: Limits,
    ) -> anyhow::Result<Self> {
        let path = folder.to_owned();
        apart(move || remove(&path)).await?;
        Self::open(folder, calendar, limits).await
    }

    /// Counts exactly up to the targets; without any, all that is logged by now. `progress` is told the sum of all places in the logs.
    pub(crate) async fn up_to(
        mut self,
        followers: &[Follower],
        targets: Option<&Targets>,
        progress: impl Fn(u64),
        mut tracing: Option<&mut Tracing>,
    ) -> anyhow::Result<Self> {
        if let Some(tracing) = &tracing {
            (tracing.trace.watch)(&mut *self.books.lock()?);
        }
        for follower in followers {
            let source = follower.followed.source;
            let target = targets.map(|targets| targets.get(source).copied().unwrap_or_default());
            let up_to = target.map_or(i64::MAX, |target| target.log_id);
            let mut at = self.books.lock()?.position(source);
            let mut events = page(follower, at, up_to).await?;
            while let Some(last) = events.last() {
                at = Counted { stream_sequence: 0, log_id: last.sequence, event_id: last.id };
                let (counted, next) = tokio::join!(
                    count(&self.books, follower, &events, tracing.as_deref_mut()),
                    page(follower, at, up_to),
                );
                counted?;
                events = next?;
                let (newest, done, unwritten) = {
                    let books = self.books.lock()?;
                    let places = books.positions.values().map(|at| at.log_id.unsigned_abs());
                    (books.event_time, places.sum(), books.unwritten())
                };
                progress(done);
                if unwritten >= self.limits.rows_max {
                    self = self.flush(newest.unwrap_or_default()).await?;
                }
            }
            if let Some(target) = target {
                ensure!(
                    (at.log_id, at.event_id) == (target.log_id, target.event_id),
                    "the log of {source} does not have event {} at {}, which is counted in the live files",
                    target.event_id,
                    target.log_id
                );
            }
        }
        Ok(self)
    }

    /// Writes what is counted. `now` says which business day it is.
    pub(crate) async fn flush(self, now: DateTime<Utc>) -> anyhow::Result<Self> {
        let Self { mut store, books, limits } = self;
        let counted = Arc::clone(&books);
        let flushed;
        (store, flushed) = apart(move || {
            let flushed = store.flush(&counted, now);
            (store, flushed)
        })
        .await;
        limits.written.fetch_add(store.take_written_bytes(), Ordering::Relaxed);
        match flushed {
            Ok(()) => Ok(Self { store, books, limits }),
            Err(NotFlushed::Failed(error)) => Err(error),
            Err(replaced @ NotFlushed::Replaced) => Err(replaced.into()),
        }
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        self.store.snapshot()
    }
}

impl Tracing {
    pub(crate) fn new(trace: Trace) -> Self {
        Self { trace, left: None, explains: None }
    }

    pub(crate) fn source(&self) -> &str {
        &self.trace.source
    }

    pub(crate) fn culprit(self) -> Option<Culprit> {
        self.explains.or(self.left)
    }

    fn look(&mut self, books: &SharedBooks, source: &str, event: &Event) -> anyhow::Result<()> {
        let look = (self.trace.look)(&*books.lock()?);
        let culprit = || Culprit {
            source: source.to_owned(),
            sequence: event.sequence,
            event_id: event.id,
            event_type: event.event_type.clone(),
            subject: event.subject.clone(),
        };
        match look {
            Look::Untouched => return Ok(()),
            Look::Same => {
                self.left = None;
                return Ok(());
            }
            Look::Other => (),
            Look::Explains => _ = self.explains.get_or_insert_with(culprit),
        }
        self.left.get_or_insert_with(culprit);
        Ok(())
    }
}

async fn count(
    books: &SharedBooks,
    follower: &Follower,
    events: &[Event],
    tracing: Option<&mut Tracing>,
) -> anyhow::Result<()> {
    let Some(tracing) = tracing else { return books.count(follower.followed, events).await };
    for event in events {
        books.count(follower.followed, std::slice::from_ref(event)).await?;
        tracing.look(books, follower.followed.source, event)?;
    }
    Ok(())
}

/// The next events of a log, up to a place in it; none at its end.
async fn page(follower: &Follower, at: Counted, up_to: i64) -> anyhow::Result<Vec<Event>> {
    if at.log_id >= up_to {
        return Ok(Vec::new());
    }
    let source = follower.followed.source;
    let mut asked = 1;
    let page = loop {
        let mut request = tonic::Request::new(ListEventsRequest {
            after_sequence: at.log_id,
            page_size: PAGE,
            event_type: String::new(),
        });
        request.set_timeout(ASK_MAX);
        match follower.source.log.clone().list_events(request).await {
            Ok(page) => break page.into_inner(),
            Err(status) if asked == ASKED_MAX => {
                bail!("the log of {source} cannot be read: {}", status.message())
            }
            Err(_) => asked += 1,
        }
        sleep(ASK_AGAIN_AFTER).await;
    };
    let mut events = Vec::with_capacity(page.events.len());
    let mut last = at.log_id;
    for event in page.events.iter().take_while(|event| event.sequence <= up_to) {
        ensure!(
            event.previous == last,
            "event {} of {source} comes behind {}, but {last} was counted",
            event.sequence,
            event.previous
        );
        last = event.sequence;
        let read = Event::parse(event.cloud_event.as_bytes(), 0);
        events.push(read.with_context(|| format!("event {last} of {source}"))?);
    }
    Ok(events)
}

pub(crate) fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}
