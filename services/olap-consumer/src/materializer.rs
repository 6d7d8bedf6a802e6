//! Keeps the folder: opens it, has the sources followed into it, and writes when it is time.
//!
//! A write is due at each interval in which something changed, sooner after a quiet time ([`turns`]), as soon as much has, when
//! [`Handle::flush`] asks for one, and at the end. All who ask while one is under way share the next. It runs beside the counting, which
//! goes on while the disk takes nothing, until too many rows wait of the tables that are not in memory.
//!
//! A folder that cannot be used is said so once and looked at again, so that putting it right is enough. One that was deleted or replaced
//! under way is opened anew: whatever it holds, or nothing, is counted from there. One of an older version of this service is counted anew
//! beside its files, which stay as they are until they are replaced in one step; whoever is killed goes on there.

mod turns;

use std::{
    panic,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

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
    time::{Instant, sleep, sleep_until, timeout},
};

use self::turns::Turns;
use crate::{
    OlapError,
    consumers::{Follower, SharedBooks},
    counting::{Counting, Limits, remove},
    domain::BusinessDays,
    rebuild::{BESIDE, TRACED},
    store::{Held, NotFlushed, Opened, Snapshot, Store, adopt},
};

/// Calls that may wait for a write; more are refused.
const WAITING_MAX: usize = 1024;
const REOPEN_AFTER: Duration = Duration::from_secs(1);
/// How long counting may pause for a swap.
const SWAP_MAX: Duration = Duration::from_secs(120);

/// Says what time it is.
pub type Clock = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;

type Waiting = oneshot::Sender<Result<u64, OlapError>>;

/// What is asked of the materializer.
enum Asked {
    Flush(Waiting),
    /// The version that is live once all is written that was counted; its files stay until it is said to be read.
    Read(oneshot::Sender<Result<(Snapshot, Manifest), OlapError>>),
    ReadDone,
    Swap(Swap),
}

/// The materializer's part of a swap.
struct Swap {
    /// Told the version up to which is to be counted, which is the last of its kind.
    frozen: oneshot::Sender<Manifest>,
    /// Told the folder in which that was done.
    ready: oneshot::Receiver<PathBuf>,
    /// Told the new version.
    done: oneshot::Sender<anyhow::Result<u64>>,
}

/// The other part.
pub(crate) struct Swapping {
    pub(crate) frozen: oneshot::Receiver<Manifest>,
    pub(crate) ready: oneshot::Sender<PathBuf>,
    pub(crate) done: oneshot::Receiver<anyhow::Result<u64>>,
}

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
    /// Rows that may wait in memory to be written.
    pub(crate) rows_max: usize,
    /// Versions that stay beside the live one.
    pub(crate) versions_kept: u64,
    pub(crate) followers: Vec<Follower>,
    pub(crate) clock: Clock,
}

/// What the work goes on with.
struct Desk {
    requests: mpsc::Receiver<Asked>,
    written: watch::Sender<Written>,
    beside: Arc<AtomicU64>,
    told: String,
}

impl Materializer {
    /// The work, to be run until told to end, and who may ask it.
    pub(crate) fn start(self) -> (impl FnOnce(Shutdown) -> BoxFuture<'static, ()>, Handle) {
        let (asking, requests) = mpsc::channel(WAITING_MAX);
        let (written, reading) = watch::channel(Written::default());
        let beside = Arc::new(AtomicU64::new(0));
        let desk = Desk { requests, written, beside: Arc::clone(&beside), told: String::new() };
        let work = move |shutdown| self.run(desk, shutdown).boxed();
        (work, Handle { requests: asking, written: reading, beside })
    }

    async fn run(self, mut desk: Desk, shutdown: Shutdown) {
        let mut is_tidy = false;
        while !shutdown.is_cancelled() {
            let goes_on = match self.open().await {
                Ok(Opened::Ready(store, books)) => {
                    if !is_tidy {
                        self.tidy();
                        is_tidy = true;
                    }
                    self.keep(store, *books, &mut desk, &shutdown).await
                }
                Ok(Opened::Old(held)) => {
                    desk.close();
                    self.upgrade(&held, &mut desk, &shutdown).await
                }
                Ok(Opened::Held) => {
                    desk.tell("another process holds the folder");
                    false
                }
                Err(error) => {
                    desk.tell(&format!("{error:#}"));
                    false
                }
            };
            if goes_on {
                continue;
            }
            desk.close();
            tokio::select! { () = sleep(REOPEN_AFTER) => (), () = shutdown.cancelled() => () }
        }
    }

    /// What a process that was ended left half counted beside would only fill the disk.
    fn tidy(&self) {
        for name in [BESIDE, TRACED] {
            if let Err(error) = remove(&self.folder.join(name)) {
                tracing::warn!(name, "what was counted beside cannot be deleted: {error}");
            }
        }
    }

    async fn open(&self) -> anyhow::Result<Opened> {
        let (folder, calendar, kept) = (self.folder.clone(), self.calendar, self.versions_kept);
        let opened = apart(move || Store::open(&folder, calendar, kept)).await;
        opened.with_context(|| format!("the folder {} cannot be used", self.folder.display()))
    }

    /// Counts a folder of an older version anew, beside it. True when it is the live one then.
    async fn upgrade(&self, held: &Held, desk: &mut Desk, shutdown: &Shutdown) -> bool {
        tracing::info!("the folder is of an older version: it is counted anew beside it");
        tokio::select! {
            () = shutdown.cancelled() => false,
            upgraded = self.count_anew(held, &desk.beside) => match upgraded {
                Ok(version) => {
                    tracing::info!(version, "the folder is of this version now");
                    true
                }
                Err(error) => {
                    desk.tell(&format!("{error:#}"));
                    false
                }
            },
        }
    }

    async fn count_anew(&self, held: &Held, written: &Arc<AtomicU64>) -> anyhow::Result<u64> {
        let limits = Limits { rows_max: self.rows_max, written: Arc::clone(written) };
        let beside = self.folder.join(BESIDE);
        let mut counting = Counting::open(&beside, self.calendar, limits.clone()).await?;
        if !counting.is_of(&self.followers).await? {
            counting = Counting::begin(&beside, self.calendar, limits).await?;
        }
        let counting = counting.up_to(&self.followers, None, |_, _| ()).await?;
        drop(counting.flush((self.clock)()).await?);
        let (folder, before) = (self.folder.clone(), held.manifest.clone());
        apart(move || {
            let version = adopt(&folder, &before, &beside)?;
            remove(&beside)?;
            Ok(version)
        })
        .await
    }

    /// Counts and writes until told to end, or until the folder is another. True when it was swapped.
    async fn keep(
        &self,
        store: Box<Store>,
        books: SharedBooks,
        desk: &mut Desk,
        shutdown: &Shutdown,
    ) -> bool {
        tracing::info!(folder = %self.folder.display(), "the folder is open");
        desk.told.clear();
        desk.written.send_modify(|written| {
            written.manifest = store.manifest().cloned();
            (written.is_open, written.is_well) = (true, true);
        });
        let books = Arc::new(books);
        let counting = join_all(self.followers.iter().map(|follower| follower.run(&books)));
        let writing = self.write(store, Arc::clone(&books), desk, shutdown);
        let swap = tokio::select! { _ = counting => None, swap = writing => swap };
        match swap {
            Some((store, swap)) => self.swap(store, books, swap, desk).await,
            None => false,
        }
    }

    /// Gives the store when it is to be swapped.
    async fn write(
        &self,
        mut store: Box<Store>,
        books: Arc<SharedBooks>,
        desk: &mut Desk,
        shutdown: &Shutdown,
    ) -> Option<(Box<Store>, Swap)> {
        let mut turns = Turns::new(self.flush_interval, Instant::now());
        let mut is_well = true;
        loop {
            let mut asked = Vec::new();
            let goes_on = tokio::select! {
                () = shutdown.cancelled() => false,
                count = desk.requests.recv_many(&mut asked, WAITING_MAX) => count > 0,
                () = sleep_until(turns.next()) => true,
                // A disk that took nothing is left alone until the next turn.
                () = books.much_waits.notified(), if is_well => true,
                () = books.changed.notified() => {
                    turns.changed(Instant::now());
                    continue;
                }
            };
            if !goes_on {
                desk.requests.close();
                while let Ok(late) = desk.requests.try_recv() {
                    asked.push(late);
                }
            }
            let (began, before) = (Instant::now(), version(&store));
            let flushed;
            (store, flushed) = self.flush(store, &books).await;
            is_well = flushed.is_ok();
            turns.taken(began, flushed.is_err() || version(&store) > before);
            let answer = desk.note(&mut store, &flushed);
            let mut swapped = None;
            for asked in asked {
                // Who asked may have gone.
                match asked {
                    Asked::Flush(waiting) => drop(waiting.send(answer.clone())),
                    Asked::Read(waiting) => {
                        let read = answer.clone().and_then(|_| store.read());
                        drop(waiting.send(read));
                    }
                    Asked::ReadDone => store.read_done(),
                    Asked::Swap(swap) => swapped = Some(swap),
                }
            }
            if !goes_on || matches!(flushed, Err(NotFlushed::Replaced)) {
                return None;
            }
            if let Some(swap) = swapped {
                return Some((store, swap));
            }
        }
    }

    async fn flush(
        &self,
        mut store: Box<Store>,
        books: &Arc<SharedBooks>,
    ) -> (Box<Store>, Result<(), NotFlushed>) {
        let (now, books) = ((self.clock)(), Arc::clone(books));
        apart(move || {
            let flushed = store.flush(&books, now);
            (store, flushed)
        })
        .await
    }

    /// Nothing is counted here meanwhile. False when it came to nothing: the folder goes on as it was.
    async fn swap(
        &self,
        store: Box<Store>,
        books: Arc<SharedBooks>,
        swap: Swap,
        desk: &mut Desk,
    ) -> bool {
        let (mut store, flushed) = self.flush(store, &books).await;
        let written = desk.note(&mut store, &flushed);
        let Some(before) = store.manifest().cloned().filter(|_| written.is_ok()) else {
            return true;
        };
        if swap.frozen.send(before.clone()).is_err() {
            return true;
        }
        // Who was to say so may have gone, or take too long: the folder is as it was.
        if let Ok(Ok(beside)) = timeout(SWAP_MAX, swap.ready).await {
            let folder = self.folder.clone();
            let adopted = apart(move || adopt(&folder, &before, &beside)).await;
            let _ = swap.done.send(adopted);
        }
        // It is held until here.
        drop(store);
        true
    }
}

impl Desk {
    /// Tells what came of a flush: to those who look, to the log once, and to those who wait for it.
    fn note(
        &mut self,
        store: &mut Store,
        flushed: &Result<(), NotFlushed>,
    ) -> Result<u64, OlapError> {
        let (manifest, version) = (store.manifest().cloned(), version(store));
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
    fn close(&mut self) {
        self.written.send_modify(|written| written.is_open = false);
        while let Ok(asked) = self.requests.try_recv() {
            match asked {
                Asked::Flush(waiting) => drop(waiting.send(Err(OlapError::NotOpen))),
                Asked::Read(waiting) => drop(waiting.send(Err(OlapError::NotOpen))),
                Asked::ReadDone | Asked::Swap(_) => (),
            }
        }
    }
}

/// The live one; 0 while there is none.
fn version(store: &Store) -> u64 {
    store.manifest().map_or(0, |manifest| manifest.version)
}

/// Work that blocks. It goes on when nobody waits for it any more; its panic is ours.
pub(crate) async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match spawn_blocking(work).await {
        Ok(done) => done,
        Err(lost) => panic::resume_unwind(lost.into_panic()),
    }
}

/// Asks the materializer.
#[derive(Debug, Clone)]
pub(crate) struct Handle {
    requests: mpsc::Sender<Asked>,
    written: watch::Receiver<Written>,
    /// Bytes that were written beside the live folder.
    pub(crate) beside: Arc<AtomicU64>,
}

impl Handle {
    pub(crate) fn written(&self) -> Written {
        let mut written = self.written.borrow().clone();
        written.bytes += self.beside.load(Ordering::Relaxed);
        written
    }

    /// For readiness.
    pub(crate) fn is_well(&self) -> bool {
        let written = self.written.borrow();
        written.is_open && written.is_well
    }

    /// Has everything written that was counted before the call. Gives the version that holds it.
    pub(crate) async fn flush(&self) -> Result<u64, OlapError> {
        let (waiting, answer) = oneshot::channel();
        self.ask(Asked::Flush(waiting))?;
        answer.await.unwrap_or(Err(OlapError::Stopping))
    }

    /// The same. Its files stay until [`Handle::read_done`].
    pub(crate) async fn read(&self) -> Result<(Snapshot, Manifest), OlapError> {
        let (waiting, answer) = oneshot::channel();
        self.ask(Asked::Read(waiting))?;
        answer.await.unwrap_or(Err(OlapError::Stopping))
    }

    pub(crate) fn read_done(&self) {
        // A materializer that has too much to do, or has ended, keeps files for longer, or has none.
        let _ = self.ask(Asked::ReadDone);
    }

    /// Has the live folder wait for another that takes its place.
    pub(crate) fn swap(&self) -> Result<Swapping, OlapError> {
        let (frozen, at) = oneshot::channel();
        let (made, ready) = oneshot::channel();
        let (done, version) = oneshot::channel();
        self.ask(Asked::Swap(Swap { frozen, ready, done }))?;
        Ok(Swapping { frozen: at, ready: made, done: version })
    }

    fn ask(&self, asked: Asked) -> Result<(), OlapError> {
        self.requests.try_send(asked).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => OlapError::Busy,
            mpsc::error::TrySendError::Closed(_) => OlapError::Stopping,
        })
    }
}
