//! Counts the services' logs from where a folder stands, or from their start, up to given events: from the logs themselves, not the bus.
//!
//! It runs beside the live folder, in one of its own, which may be gone on with later. All sources are counted at once, since each has tables
//! of its own: while a page of one is counted, its next one is fetched and read, and what waits is written. In memory are two pages of each
//! source, and rows up to twice a limit.

use std::{
    collections::BTreeMap,
    fs, io,
    path::Path,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use chrono::{DateTime, Utc};
use futures::{TryFutureExt, future::try_join_all};
use log::Event;
use manifest::Counted;
use proto::log::v1::ListEventsRequest;
use tokio::{sync::Notify, task::JoinSet, time::sleep};
use tonic::Status;

use crate::{
    consumers::{Followed, Follower, SharedBooks, Told},
    domain::BusinessDays,
    materializer::apart,
    store::{Look, NotFlushed, Opened, Snapshot, Store, Trace},
};

/// Small, since two of each source are in memory.
const PAGE: i32 = 500;
const ASK_MAX: Duration = Duration::from_secs(30);
/// A service that is away is asked again so often, a second between.
const ASKED_MAX: u32 = 60;
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// How far each source is counted, or is to be.
pub(crate) type Places = BTreeMap<String, Counted>;

/// A folder beside the live one, and what is counted in it.
pub(crate) struct Counting {
    store: Box<Store>,
    books: Arc<SharedBooks>,
    limits: Limits,
    written_rows: Arc<AtomicU64>,
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
        let written_rows = Arc::new(AtomicU64::new(store.snapshot().row_count()));
        Ok(Self { store, books: Arc::from(books), limits, written_rows })
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

    /// Whether what is in the folder was counted from these logs: one may have been restored to an earlier time since.
    pub(crate) async fn is_of(&self, followers: &[Follower]) -> anyhow::Result<bool> {
        for follower in followers {
            let counted = self.books.lock()?.position(follower.followed.source);
            if !patiently(follower, || follower.knows(counted)).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Counts exactly up to the targets; without any, all that is logged by now. `progress` is told how far each source is, and how many rows
    /// are written.
    pub(crate) async fn up_to(
        self,
        followers: &[Follower],
        targets: Option<&Places>,
        progress: impl Fn(Places, u64) + Sync,
    ) -> anyhow::Result<Self> {
        let (books, rows_max) = (self.books.clone(), self.limits.rows_max);
        let (written, progress) = (Arc::clone(&self.written_rows), &progress);
        let counting = followers.iter().map(|follower| {
            let target = targets.map(|targets| target_of(targets, follower));
            let (books, written) = (&books, &written);
            async move {
                let mut pages = Pages::open(follower, books, target)?;
                while let Some(page) = pages.next().await? {
                    books.count(follower.followed, page).await?;
                    let counted = books.lock()?.positions.clone();
                    progress(counted, written.load(Ordering::Relaxed));
                    books.has_room(rows_max).await?;
                }
                pages.check_end()
            }
        });
        self.write_beside(try_join_all(counting).map_ok(|_| ())).await
    }

    /// Counts one source up to its target, and looks at a row behind each event.
    pub(crate) async fn trace(
        self,
        follower: &Follower,
        targets: &Places,
        tracing: &mut Tracing,
    ) -> anyhow::Result<Self> {
        let (books, rows_max) = (self.books.clone(), self.limits.rows_max);
        (tracing.trace.watch)(&mut *books.lock()?);
        let counting = async {
            let mut pages = Pages::open(follower, &books, Some(target_of(targets, follower)))?;
            while let Some(page) = pages.next().await? {
                for told in page {
                    let event = told.event.clone();
                    books.count(follower.followed, vec![told]).await?;
                    tracing.look(&books, follower.followed.source, &event)?;
                }
                books.has_room(rows_max).await?;
            }
            pages.check_end()
        };
        self.write_beside(counting).await
    }

    /// Counts, and writes meanwhile whenever much waits.
    async fn write_beside(
        mut self,
        counting: impl Future<Output = anyhow::Result<()>>,
    ) -> anyhow::Result<Self> {
        let (books, ended) = (self.books.clone(), Notify::new());
        let writing = async {
            loop {
                tokio::select! {
                    biased;
                    () = ended.notified() => return Ok(self),
                    () = books.much_waits.notified() => (),
                }
                // Days behind the newest event that is counted of what is owed are not aged yet.
                let until = books.lock()?.receivables.until.unwrap_or_default();
                self = self.flush(until).await?;
            }
        };
        let (mut counting, mut writing) = (pin!(counting), pin!(writing));
        tokio::select! {
            counted = &mut counting => {
                ended.notify_one();
                // A write that is under way comes to its end: the folder is nobody else's before.
                let written = writing.await;
                counted.and(written)
            }
            // Nothing but a failure ends it.
            failed = &mut writing => failed,
        }
    }

    /// Writes what is counted. `now` says which business day it is.
    pub(crate) async fn flush(self, now: DateTime<Utc>) -> anyhow::Result<Self> {
        let Self { mut store, books, limits, written_rows } = self;
        let counted = Arc::clone(&books);
        let flushed;
        (store, flushed) = apart(move || {
            let flushed = store.flush(&counted, now);
            (store, flushed)
        })
        .await;
        limits.written.fetch_add(store.take_written_bytes(), Ordering::Relaxed);
        written_rows.store(store.snapshot().row_count(), Ordering::Relaxed);
        match flushed {
            Ok(()) => Ok(Self { store, books, limits, written_rows }),
            Err(NotFlushed::Failed(error)) => Err(error),
            Err(replaced @ NotFlushed::Replaced) => Err(replaced.into()),
        }
    }

    pub(crate) fn written_rows(&self) -> u64 {
        self.written_rows.load(Ordering::Relaxed)
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

/// The pages of one log: while one is counted, the next one is fetched and read.
struct Pages<'a> {
    follower: &'a Follower,
    /// None: all that there is.
    target: Option<Counted>,
    /// The last event that was given.
    at: Counted,
    /// One, or none at the end. Ends when it is dropped.
    ahead: JoinSet<anyhow::Result<Vec<Told>>>,
}

impl<'a> Pages<'a> {
    fn open(
        follower: &'a Follower,
        books: &SharedBooks,
        target: Option<Counted>,
    ) -> anyhow::Result<Self> {
        let at = books.lock()?.position(follower.followed.source);
        let mut pages = Self { follower, target, at, ahead: JoinSet::new() };
        pages.fetch();
        Ok(pages)
    }

    async fn next(&mut self) -> anyhow::Result<Option<Vec<Told>>> {
        let Some(page) = self.ahead.join_next().await else { return Ok(None) };
        let page = page??;
        let Some(Told { event, .. }) = page.last() else { return Ok(None) };
        self.at = Counted { stream_sequence: 0, log_id: event.sequence, event_id: event.id };
        self.fetch();
        Ok(Some(page))
    }

    fn fetch(&mut self) {
        let up_to = self.target.map_or(i64::MAX, |target| target.log_id);
        if self.at.log_id < up_to {
            self.ahead.spawn(page(self.follower.clone(), self.at.log_id, up_to));
        }
    }

    fn check_end(&self) -> anyhow::Result<()> {
        let (source, at) = (self.follower.followed.source, self.at);
        let Some(target) = self.target else { return Ok(()) };
        ensure!(
            (at.log_id, at.event_id) == (target.log_id, target.event_id),
            "the log of {source} does not have event {} at {}, which is counted in the live files",
            target.event_id,
            target.log_id
        );
        Ok(())
    }
}

fn target_of(targets: &Places, follower: &Follower) -> Counted {
    targets.get(follower.followed.source).copied().unwrap_or_default()
}

/// Asks a source, again and again while it does not answer.
async fn patiently<T, F>(follower: &Follower, ask: impl Fn() -> F) -> anyhow::Result<T>
where
    F: Future<Output = Result<T, Status>>,
{
    let mut asked = 1;
    loop {
        match ask().await {
            Ok(answer) => return Ok(answer),
            Err(status) if asked == ASKED_MAX => {
                let source = follower.followed.source;
                bail!("the log of {source} cannot be read: {}", status.message())
            }
            Err(_) => asked += 1,
        }
        sleep(ASK_AGAIN_AFTER).await;
    }
}

/// The next events of a log, up to a place in it; none at its end.
async fn page(follower: Follower, after: i64, up_to: i64) -> anyhow::Result<Vec<Told>> {
    let ask = || {
        let mut log = follower.source.log.clone();
        let mut request = tonic::Request::new(ListEventsRequest {
            after_sequence: after,
            page_size: PAGE,
            event_type: String::new(),
        });
        request.set_timeout(ASK_MAX);
        async move { log.list_events(request).await }
    };
    let page = patiently(&follower, ask).await?.into_inner();
    // It takes a while, which others should not wait for.
    apart(move || read(follower.followed, &page.events, after, up_to)).await
}

fn read(
    followed: Followed,
    events: &[proto::log::v1::Event],
    after: i64,
    up_to: i64,
) -> anyhow::Result<Vec<Told>> {
    let source = followed.source;
    let mut told = Vec::with_capacity(events.len());
    let mut last = after;
    for event in events.iter().take_while(|event| event.sequence <= up_to) {
        ensure!(
            event.previous == last,
            "event {} of {source} comes behind {}, but {last} was counted",
            event.sequence,
            event.previous
        );
        last = event.sequence;
        let parsed = Event::parse(event.cloud_event.as_bytes(), 0);
        let parsed = parsed.with_context(|| format!("event {last} of {source}"))?;
        told.push(Told::read(followed, parsed));
    }
    Ok(told)
}

pub(crate) fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}
