//! Keeps the folder: opens it, has the sources followed into it, and writes when it is time.
//!
//! A write is due at each interval in which something changed, when [`Handle::flush`] asks for one, and at the end. All who ask while one
//! is under way share the next. It runs beside the counting, which goes on whether or not the disk takes anything: what is counted is
//! bounded by the business, so it can wait in memory for as long as that lasts.
//!
//! A folder that cannot be used is said so once and looked at again, so that putting it right is enough. One that was deleted or replaced
//! under way is opened anew: whatever it holds, or nothing, is counted from there.

use std::{panic, path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context;
use chrono::{DateTime, Utc};
use futures::{
    FutureExt,
    future::{BoxFuture, join_all},
};
use manifest::Manifest;
use rpc::Shutdown;
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::spawn_blocking,
    time::{MissedTickBehavior, interval, sleep},
};

use crate::{
    OlapError,
    consumers::{Follower, SharedBooks},
    domain::{Books, BusinessDays},
    store::{NotFlushed, Store},
};

/// Calls that may wait for a write; more are refused.
const WAITING_MAX: usize = 1024;
const REOPEN_AFTER: Duration = Duration::from_secs(1);

/// Says what time it is.
pub type Clock = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;

type Waiting = oneshot::Sender<Result<u64, OlapError>>;

/// What was written last.
#[derive(Debug, Clone, Default)]
pub(crate) struct Written {
    /// None before the first write.
    pub(crate) manifest: Option<Manifest>,
    /// Since the process started.
    pub(crate) bytes: u64,
    /// Whether the folder was read, and is held.
    pub(crate) is_open: bool,
    /// Whether the last write was one.
    pub(crate) is_well: bool,
}

/// What a folder is kept by.
pub(crate) struct Materializer {
    pub(crate) folder: PathBuf,
    pub(crate) calendar: BusinessDays,
    pub(crate) flush_interval: Duration,
    pub(crate) followers: Vec<Follower>,
    pub(crate) clock: Clock,
}

/// What the work goes on with.
struct Desk {
    requests: mpsc::Receiver<Waiting>,
    written: watch::Sender<Written>,
    told: String,
}

impl Materializer {
    /// The work, to be run until told to end, and who may ask it.
    pub(crate) fn start(self) -> (impl FnOnce(Shutdown) -> BoxFuture<'static, ()>, Handle) {
        let (asking, requests) = mpsc::channel(WAITING_MAX);
        let (written, reading) = watch::channel(Written::default());
        let desk = Desk { requests, written, told: String::new() };
        let work = move |shutdown| self.run(desk, shutdown).boxed();
        (work, Handle { requests: asking, written: reading })
    }

    async fn run(self, mut desk: Desk, shutdown: Shutdown) {
        while !shutdown.is_cancelled() {
            match self.open().await {
                Ok(Some((store, books))) => self.keep(store, books, &mut desk, &shutdown).await,
                Ok(None) => desk.tell("another process holds the folder"),
                Err(error) => desk.tell(&format!("{error:#}")),
            }
            desk.turn_away();
            tokio::select! { () = sleep(REOPEN_AFTER) => (), () = shutdown.cancelled() => () }
        }
    }

    async fn open(&self) -> anyhow::Result<Option<(Store, Books)>> {
        let (folder, calendar) = (self.folder.clone(), self.calendar);
        let opened = apart(move || Store::open(&folder, calendar)).await;
        opened.with_context(|| format!("the folder {} cannot be used", self.folder.display()))
    }

    /// Counts and writes until told to end, or until the folder is another.
    async fn keep(&self, store: Store, books: Books, desk: &mut Desk, shutdown: &Shutdown) {
        tracing::info!(folder = %self.folder.display(), "the folder is open");
        desk.told.clear();
        desk.written.send_modify(|written| {
            written.manifest = store.manifest().cloned();
            (written.is_open, written.is_well) = (true, true);
        });
        let books = Arc::new(SharedBooks::new(books));
        let counting = join_all(self.followers.iter().map(|follower| follower.run(&books)));
        let writing = self.write(store, Arc::clone(&books), desk, shutdown);
        tokio::select! { _ = counting => (), () = writing => () }
        desk.written.send_modify(|written| written.is_open = false);
    }

    async fn write(
        &self,
        mut store: Store,
        books: Arc<SharedBooks>,
        desk: &mut Desk,
        shutdown: &Shutdown,
    ) {
        let mut ticks = interval(self.flush_interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let mut waiting = Vec::new();
            let goes_on = tokio::select! {
                () = shutdown.cancelled() => false,
                asked = desk.requests.recv_many(&mut waiting, WAITING_MAX) => asked > 0,
                _ = ticks.tick() => true,
            };
            if !goes_on {
                desk.requests.close();
                while let Ok(late) = desk.requests.try_recv() {
                    waiting.push(late);
                }
            }
            let (now, counted) = ((self.clock)(), Arc::clone(&books));
            let flushed;
            (store, flushed) = apart(move || {
                let flushed = store.flush(&counted, now);
                (store, flushed)
            })
            .await;
            let answer = desk.note(&mut store, &flushed);
            for waiting in waiting {
                // Who asked may have gone.
                let _ = waiting.send(answer.clone());
            }
            if !goes_on || matches!(flushed, Err(NotFlushed::Replaced)) {
                return;
            }
        }
    }
}

impl Desk {
    /// Tells what came of a flush: to those who look, to the log once, and to those who wait for it.
    fn note(
        &mut self,
        store: &mut Store,
        flushed: &Result<(), NotFlushed>,
    ) -> Result<u64, OlapError> {
        let manifest = store.manifest().cloned();
        let version = manifest.as_ref().map_or(0, |manifest| manifest.version);
        self.written.send_modify(|written| {
            written.manifest = manifest;
            written.bytes += store.take_written_bytes();
            written.is_well = flushed.is_ok();
        });
        match flushed {
            Ok(()) if self.told.is_empty() => Ok(version),
            Ok(()) => {
                tracing::info!("the materializations are written again");
                self.told.clear();
                Ok(version)
            }
            Err(error) => {
                self.tell(&error.to_string());
                Err(OlapError::NotWritten)
            }
        }
    }

    /// Once, not each time.
    fn tell(&mut self, why: &str) {
        if self.told != why {
            tracing::error!("the materializations are not written: {why}");
            why.clone_into(&mut self.told);
        }
    }

    /// Nothing is open that could be written.
    fn turn_away(&mut self) {
        while let Ok(waiting) = self.requests.try_recv() {
            let _ = waiting.send(Err(OlapError::NotOpen));
        }
    }
}

/// Work that blocks. It goes on when nobody waits for it any more; its panic is ours.
async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match spawn_blocking(work).await {
        Ok(done) => done,
        Err(lost) => panic::resume_unwind(lost.into_panic()),
    }
}

/// Asks the materializer.
#[derive(Debug, Clone)]
pub(crate) struct Handle {
    requests: mpsc::Sender<Waiting>,
    written: watch::Receiver<Written>,
}

impl Handle {
    pub(crate) fn written(&self) -> Written {
        self.written.borrow().clone()
    }

    /// For readiness.
    pub(crate) fn is_well(&self) -> bool {
        let written = self.written.borrow();
        written.is_open && written.is_well
    }

    /// Has everything written that was counted before the call. Gives the version that holds it.
    pub(crate) async fn flush(&self) -> Result<u64, OlapError> {
        let (waiting, answer) = oneshot::channel();
        self.requests.try_send(waiting).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => OlapError::Busy,
            mpsc::error::TrySendError::Closed(_) => OlapError::Stopping,
        })?;
        answer.await.unwrap_or(Err(OlapError::Stopping))
    }
}
