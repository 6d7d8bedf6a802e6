//! Counts all logs from their start beside the live folder, and proves that it comes to the same; unless it is only to be verified, what was
//! counted then takes the place of what is live.
//!
//! The live folder goes on meanwhile. It is caught up with in rounds; then one of its versions is held still and compared, row by row. For
//! the swap the counting of the live folder pauses for the last few events only; who reads sees the version before, and then the next.
//!
//! Where a row differs, the logs are counted once more, and the row is looked at behind each event: the event with which it left what the
//! live files say is the first that they do not stand for, as far as the row can tell. Of a sum it is the one that is just what they lack,
//! if there is one.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, anyhow};
use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use futures::{FutureExt, future::BoxFuture};
use rpc::Shutdown;
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::sleep,
};

use crate::{
    OlapError,
    consumers::Follower,
    counting::{Counting, Culprit, Limits, Places, Tracing, remove},
    domain::BusinessDays,
    materializer::{Clock, Handle, apart},
    store::{Difference, Differences, compare},
};

/// Beside the live files, in their folder.
pub(crate) const BESIDE: &str = "rebuild";
pub(crate) const TRACED: &str = "trace";
/// Rounds of catching up before the live folder must wait.
const ROUNDS_MAX: usize = 10;
/// Events that it may wait for.
const LEFT_MAX: u64 = 500;
/// How often it is looked whether the time of day has come.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How far a rebuild is, and what came of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rebuild {
    pub(crate) id: u64,
    pub(crate) verify_only: bool,
    pub(crate) state: State,
    /// How far the sources' logs are counted.
    pub(crate) counted: Places,
    pub(crate) total: Places,
    /// Rows that were counted and are written.
    pub(crate) counted_rows: u64,
    /// Of what is compared with each other, both together.
    pub(crate) compared_rows: Arc<AtomicU64>,
    pub(crate) total_rows: u64,
    pub(crate) started_at: DateTime<Utc>,
    pub(crate) ended_at: Option<DateTime<Utc>>,
    pub(crate) compared_version: u64,
    /// 0 while it is not live.
    pub(crate) version: u64,
    pub(crate) difference_count: u64,
    pub(crate) differences: Vec<Difference>,
    pub(crate) first_event: Option<Culprit>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum State {
    #[default]
    Counting,
    Comparing,
    Tracing,
    Swapping,
    Done,
    Failed(String),
}

/// What rebuilds are made with.
pub(crate) struct Rebuilder {
    pub(crate) folder: PathBuf,
    pub(crate) calendar: BusinessDays,
    pub(crate) followers: Vec<Follower>,
    pub(crate) rows_max: usize,
    pub(crate) clock: Clock,
    pub(crate) live: Handle,
    /// When it is done each day, where the business is.
    pub(crate) at: Option<NaiveTime>,
}

/// Asks for a rebuild.
#[derive(Debug, Clone)]
pub(crate) struct RebuildHandle {
    requests: mpsc::Sender<Asked>,
    is_running: Arc<AtomicBool>,
    newest: watch::Receiver<Option<Rebuild>>,
}

#[derive(Debug)]
struct Asked {
    verify_only: bool,
    begun: oneshot::Sender<Rebuild>,
}

struct Desk {
    requests: mpsc::Receiver<Asked>,
    is_running: Arc<AtomicBool>,
    newest: watch::Sender<Option<Rebuild>>,
}

impl RebuildHandle {
    /// Begins one. Gives it as it begins.
    pub(crate) async fn start(&self, verify_only: bool) -> Result<Rebuild, OlapError> {
        if self.is_running.swap(true, Ordering::AcqRel) {
            return Err(OlapError::Rebuilding);
        }
        let (begun, answer) = oneshot::channel();
        // Whoever set the flag is the only one who asks.
        let asked = self.requests.send(Asked { verify_only, begun }).await;
        asked.map_err(|_| OlapError::Stopping)?;
        answer.await.map_err(|_| OlapError::Stopping)
    }

    pub(crate) fn newest(&self) -> Result<Rebuild, OlapError> {
        self.newest.borrow().clone().ok_or(OlapError::NoRebuild)
    }
}

impl Rebuilder {
    /// The work, to be run until told to end, and who may ask for it.
    pub(crate) fn start(self) -> (impl FnOnce(Shutdown) -> BoxFuture<'static, ()>, RebuildHandle) {
        let (asking, requests) = mpsc::channel(1);
        let (newest, reading) = watch::channel(None);
        let is_running = Arc::new(AtomicBool::new(false));
        let desk = Desk { requests, is_running: Arc::clone(&is_running), newest };
        let work = move |shutdown| self.run(desk, shutdown).boxed();
        (work, RebuildHandle { requests: asking, is_running, newest: reading })
    }

    async fn run(self, mut desk: Desk, shutdown: Shutdown) {
        let mut done_on = self.due_day();
        let mut id = 0;
        while !shutdown.is_cancelled() {
            let asked = tokio::select! {
                () = shutdown.cancelled() => return,
                asked = desk.requests.recv() => asked,
                () = sleep(LOOK_EVERY) => None,
            };
            let due = self.due_day();
            if !self.live.written().is_open {
                // It is another process's, which does that, or is being counted anew anyway.
                done_on = due;
            }
            let is_due = due > done_on && !desk.is_running.swap(true, Ordering::AcqRel);
            let verify_only = match (&asked, is_due) {
                (Some(asked), _) => asked.verify_only,
                (None, true) => false,
                (None, false) => continue,
            };
            done_on = due;
            id += 1;
            let rebuild =
                Rebuild { id, verify_only, started_at: (self.clock)(), ..Rebuild::default() };
            desk.newest.send_replace(Some(rebuild.clone()));
            if let Some(asked) = asked {
                let _ = asked.begun.send(rebuild);
            }
            let done = tokio::select! {
                () = shutdown.cancelled() => return,
                done = self.rebuild(verify_only, &desk) => done,
            };
            self.live.read_done();
            self.end(&desk, done);
        }
    }

    fn limits(&self) -> Limits {
        Limits { rows_max: self.rows_max, written: Arc::clone(&self.live.beside) }
    }

    /// The last day on which the time has come; none when there is no time.
    fn due_day(&self) -> Option<NaiveDate> {
        let now = (self.clock)().with_timezone(&self.calendar.0);
        let today = now.date_naive();
        self.at.and_then(|at| if now.time() >= at { Some(today) } else { today.pred_opt() })
    }

    fn end(&self, desk: &Desk, done: anyhow::Result<()>) {
        for name in [BESIDE, TRACED] {
            if let Err(error) = remove(&self.folder.join(name)) {
                tracing::warn!(name, "what was counted beside cannot be deleted: {error}");
            }
        }
        let state = match done {
            Ok(()) => State::Done,
            Err(error) => {
                tracing::error!("the rebuild failed: {error:#}");
                State::Failed(format!("{error:#}"))
            }
        };
        desk.note(|rebuild| {
            rebuild.state = state;
            rebuild.ended_at = Some((self.clock)());
            tracing::info!(
                rebuild.id,
                rebuild.verify_only,
                rebuild.difference_count,
                rebuild.version,
                "the rebuild has ended"
            );
        });
        desk.is_running.store(false, Ordering::Release);
    }

    async fn rebuild(&self, verify_only: bool, desk: &Desk) -> anyhow::Result<()> {
        let path = self.folder.join(BESIDE);
        let counting = Counting::begin(&path, self.calendar, self.limits()).await?;
        let counting = self.catch_up(counting, desk).await?;

        // Held still until it is compared.
        let (live, manifest) = self.live.read().await?;
        let counting = self.count(counting, &manifest.positions, desk).await?;
        let counting = counting.flush(manifest.written_at).await?;
        let (counted, read) = (counting.snapshot(), Arc::<AtomicU64>::default());
        desk.note(|rebuild| {
            (rebuild.state, rebuild.compared_version) = (State::Comparing, manifest.version);
            rebuild.counted_rows = counting.written_rows();
            rebuild.compared_rows = Arc::clone(&read);
            rebuild.total_rows = live.row_count() + counted.row_count();
        });
        let differences = apart(move || compare(&live, &counted, &read)).await?;
        self.live.read_done();
        self.note_differences(differences, &manifest.positions, desk).await?;
        if verify_only {
            return Ok(());
        }
        desk.note(|rebuild| rebuild.state = State::Counting);
        let counting = self.catch_up(counting, desk).await?;
        desk.note(|rebuild| rebuild.state = State::Swapping);
        let swapping = self.live.swap()?;
        let manifest = swapping.frozen.await.context("the live folder cannot be swapped now")?;
        let counting = self.count(counting, &manifest.positions, desk).await?;
        drop(counting.flush(manifest.written_at).await?);
        let gone = || anyhow!("the live folder was not swapped");
        swapping.ready.send(path).map_err(|_| gone())?;
        let version = swapping.done.await.map_err(|_| gone())??;
        desk.note(|rebuild| rebuild.version = version);
        Ok(())
    }

    /// Until little is left.
    async fn catch_up(&self, mut counting: Counting, desk: &Desk) -> anyhow::Result<Counting> {
        for _ in 0..ROUNDS_MAX {
            let targets = self.live.written().manifest.context(OlapError::NotOpen)?.positions;
            let before =
                desk.newest.borrow().as_ref().map_or(0, |rebuild| events(&rebuild.counted));
            counting = self.count(counting, &targets, desk).await?;
            if events(&targets).saturating_sub(before) <= LEFT_MAX {
                break;
            }
        }
        Ok(counting)
    }

    async fn count(
        &self,
        counting: Counting,
        targets: &Places,
        desk: &Desk,
    ) -> anyhow::Result<Counting> {
        desk.note(|rebuild| rebuild.total.clone_from(targets));
        let progress = |counted, rows| {
            desk.note(|rebuild| (rebuild.counted, rebuild.counted_rows) = (counted, rows));
        };
        counting.up_to(&self.followers, Some(targets), progress).await
    }

    async fn note_differences(
        &self,
        differences: Differences,
        targets: &Places,
        desk: &Desk,
    ) -> anyhow::Result<()> {
        let Differences { count, told, trace } = differences;
        for Difference { table, key, live, counted } in &told {
            tracing::error!(table, key, live, counted, "the live files differ from the logs");
        }
        desk.note(|rebuild| (rebuild.difference_count, rebuild.differences) = (count, told));
        let Some(trace) = trace else { return Ok(()) };
        desk.note(|rebuild| rebuild.state = State::Tracing);
        let mut tracing = Tracing::new(trace);
        let of_source = |follower: &&Follower| follower.followed.source == tracing.source();
        let Some(follower) = self.followers.iter().find(of_source) else { return Ok(()) };
        let path = self.folder.join(TRACED);
        let counting = Counting::begin(&path, self.calendar, self.limits()).await?;
        counting.trace(follower, targets, &mut tracing).await?;
        desk.note(|rebuild| rebuild.first_event = tracing.culprit());
        Ok(())
    }
}

/// Their number up to these places in the logs, with gaps.
pub(crate) fn events(places: &Places) -> u64 {
    places.values().map(|at| at.log_id.unsigned_abs()).sum()
}

impl Desk {
    fn note(&self, change: impl FnOnce(&mut Rebuild)) {
        self.newest.send_modify(|newest| {
            if let Some(rebuild) = newest {
                change(rebuild);
            }
        });
    }
}
