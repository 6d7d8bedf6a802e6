//! Queries that strangers wrote. Each runs in a process of its own, which is killed when it takes too long, when its asker goes away or does
//! not read, and which can take no more memory than a query may have: nothing that a query does is felt by another one or by this
//! process, and all that it took is free again once it is over.
//!
//! The process is this program once more. It says which tables the query reads, is given those tables' sound files of one version, and
//! answers in pieces that go to the asker as they are.

mod frame;
mod parameter;
mod placeholders;
mod statement;
mod worker;

pub(crate) use frame::Limits;
pub(crate) use worker::work;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use arrow_flight::FlightData;
use futures::{Stream, stream};
use manifest::Manifest;
use prost::Message;
use serde::Serialize;
use serde_json::json;
use tokio::{
    io::{AsyncWriteExt, BufReader},
    process::{Child, ChildStdin, ChildStdout, Command},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    task::spawn_blocking,
    time::{Instant, timeout_at},
};

use crate::{
    AnalyticsError, Config,
    domain::{MinPosition, TABLES, WATERMARK},
    queries::{Times, including, wait_until},
    store::{Folder, Version},
};
use frame::{Failure, Files, Frame, Task};

/// The argument with which this program is the process of a query.
pub(crate) const ARGUMENT: &str = "sql-worker";
pub(crate) const SQL_MAX_BYTES: usize = 64 << 10;
/// Under which the columns of an answer tell the version that it is from.
const NOTE: &str = "bramble.watermark";
/// How many versions a query tries whose files go away before its answer has begun.
const VERSIONS_MAX: usize = 8;
/// Pieces that wait for the asker to read.
const PIECES_AHEAD: usize = 2;

#[derive(Clone)]
pub(crate) struct Sandbox {
    folder: Arc<Folder>,
    permits: Arc<Semaphore>,
    limits: Limits,
    time_zone: String,
    program: PathBuf,
}

/// A query, and what its answer is to be.
#[derive(Debug, Default)]
pub(crate) struct Question {
    pub(crate) sql: String,
    /// What stands for each `?` of it: encoded `FlightData`, not looked at.
    pub(crate) parameters: Vec<Vec<u8>>,
    /// Of which types its columns would be, and then of which the parameters should be. There are no rows.
    pub(crate) columns_only: bool,
    pub(crate) min_position: MinPosition,
}

/// What comes of a query, until something goes wrong.
type Pieces = mpsc::Sender<Result<FlightData, AnalyticsError>>;

impl Sandbox {
    pub(crate) fn new(folder: Arc<Folder>, config: &Config) -> std::io::Result<Self> {
        let program = match &config.sql_worker {
            Some(program) => program.clone(),
            None => std::env::current_exe()?,
        };
        Ok(Self {
            folder,
            permits: Arc::new(Semaphore::new(usize::from(config.sql_queries_max))),
            limits: Limits {
                memory_mib: config.sql_memory_mib,
                threads: config.sql_threads,
                seconds: config.sql_seconds_max,
                rows: config.sql_rows_max,
                answer_mib: config.sql_answer_mib_max,
            },
            time_zone: config.time_zone.name().to_owned(),
            program,
        })
    }

    pub(crate) fn time_zone(&self) -> &str {
        &self.time_zone
    }

    /// Begins a query as soon as what it wants is counted and fewer than the maximum run, which must be by then. The first piece is the
    /// answer's columns. To drop the stream is to end the query.
    pub(crate) async fn ask(
        &self,
        question: Question,
        turn_by: Instant,
    ) -> Result<impl Stream<Item = Result<FlightData, AnalyticsError>> + Send + use<>, AnalyticsError>
    {
        let Question { sql, parameters, columns_only, min_position } = question;
        if sql.len() > SQL_MAX_BYTES {
            let why = format!("a query may be {} KiB long", SQL_MAX_BYTES >> 10);
            return Err(AnalyticsError::SqlRefused(why));
        }
        let min_position = Arc::new(min_position);
        if !min_position.0.is_empty() {
            wait_until(&self.folder, &min_position, &Times::of_call()).await?;
        }
        let permit = timeout_at(turn_by, Arc::clone(&self.permits).acquire_owned()).await;
        let Ok(Ok(permit)) = permit else { return Err(AnalyticsError::TooManyQueries) };
        let tables = TABLES.iter().map(|table| (table.name.to_owned(), table.empty()));
        let task = Task {
            sql,
            parameters,
            columns_only,
            limits: self.limits,
            time_zone: self.time_zone.clone(),
            tables: tables.collect(),
        };
        let (pieces, ahead) = mpsc::channel(PIECES_AHEAD);
        let sandbox = self.clone();
        tokio::spawn(async move {
            let ends = Instant::now() + Duration::from_secs(sandbox.limits.seconds.into());
            let permit = Arc::new(permit);
            let run = sandbox.run(&task, &min_position, &pieces, &permit);
            let over = tokio::select! {
                over = timeout_at(ends, run) => over,
                () = pieces.closed() => return,
            };
            drop(permit);
            if let Err(error) = over.unwrap_or(Err(AnalyticsError::SqlOutOfTime)) {
                let _ = pieces.send(Err(error)).await;
            }
        });
        Ok(stream::unfold(ahead, async |mut ahead| Some((ahead.recv().await?, ahead))))
    }

    async fn run(
        &self,
        task: &Task,
        min_position: &Arc<MinPosition>,
        pieces: &Pieces,
        permit: &Arc<OwnedSemaphorePermit>,
    ) -> Result<(), AnalyticsError> {
        let mut version = self.including(min_position).await?;
        for _ in 1..VERSIONS_MAX {
            let mut begun = false;
            let process = Process::start(&self.program, permit)?;
            let Err(error) = process.answer(&version, task, pieces, &mut begun).await else {
                return Ok(());
            };
            let newer = self.including(min_position).await?;
            if begun || Arc::ptr_eq(&newer, &version) {
                return Err(error);
            }
            version = newer;
        }
        let process = Process::start(&self.program, permit)?;
        process.answer(&version, task, pieces, &mut false).await
    }

    async fn including(&self, wanted: &Arc<MinPosition>) -> Result<Arc<Version>, AnalyticsError> {
        let (folder, wanted) = (Arc::clone(&self.folder), Arc::clone(wanted));
        spawn_blocking(move || including(&folder, &wanted)).await?
    }
}

fn unexpected() -> AnalyticsError {
    AnalyticsError::SqlWorker("it said something unexpected".to_owned())
}

fn files(version: &Version, tables: Vec<String>) -> Result<Files, AnalyticsError> {
    let mut of_tables = BTreeMap::new();
    for table in tables {
        let paths = version.files(&table)?.unwrap_or_default();
        let paths = paths.lines().map(str::to_owned).collect();
        of_tables.insert(table, paths);
    }
    let (watermark, note) = (watermark(&version.manifest), note(&version.manifest));
    Ok(Files { of_tables, watermark, note })
}

/// How far each source is counted, in JSON.
fn note(manifest: &Manifest) -> String {
    let positions = manifest.positions.iter().map(|(source, counted)| (source, counted.log_id));
    let note = json!({
        "version": manifest.version,
        "positions": positions.collect::<BTreeMap<_, _>>(),
        "event_time": manifest.event_time,
        "written_at": manifest.written_at,
    });
    note.to_string()
}

/// The definition of the view that tells how far each source is counted.
fn watermark(manifest: &Manifest) -> String {
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
    let event_time =
        manifest.event_time.map_or("null".to_owned(), |time| quoted(&time.to_rfc3339()));
    let rows = manifest
        .positions
        .iter()
        .map(|(source, counted)| format!("({}, {}::bigint)", quoted(source), counted.log_id));
    let rows = rows.collect::<Vec<_>>().join(", ");
    if rows.is_empty() {
        let table = TABLES.iter().find(|table| table.name == WATERMARK);
        return table.map(crate::domain::Table::empty).unwrap_or_default();
    }
    format!(
        "select source, sequence, {event_time}::timestamptz as event_time, {}::timestamptz as written_at, {}::bigint as version
         from (values {rows}) as counted(source, sequence)",
        quoted(&manifest.written_at.to_rfc3339()),
        manifest.version
    )
}

/// Killed when it is dropped; it keeps its place among those that run until it is gone.
struct Process {
    child: Option<Child>,
    told: ChildStdin,
    says: BufReader<ChildStdout>,
    permit: Arc<OwnedSemaphorePermit>,
}

impl Drop for Process {
    fn drop(&mut self) {
        let (child, permit) = (self.child.take(), Arc::clone(&self.permit));
        let runtime = tokio::runtime::Handle::try_current();
        if let (Some(mut child), Ok(runtime)) = (child, runtime) {
            runtime.spawn(async move {
                let _ = child.kill().await;
                drop(permit);
            });
        }
    }
}

impl Process {
    fn start(program: &Path, permit: &Arc<OwnedSemaphorePermit>) -> Result<Self, AnalyticsError> {
        let mut child = Command::new(program)
            .arg(ARGUMENT)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| AnalyticsError::SqlWorker(error.to_string()))?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (told, says) = pipes.ok_or_else(unexpected)?;
        let says = BufReader::new(says);
        Ok(Self { child: Some(child), told, says, permit: Arc::clone(permit) })
    }

    /// `begun` once a piece has been sent: there is no other try then.
    async fn answer(
        mut self,
        version: &Arc<Version>,
        task: &Task,
        pieces: &Pieces,
        begun: &mut bool,
    ) -> Result<(), AnalyticsError> {
        self.tell(task).await?;
        let Frame::Needs(tables) = self.next().await? else { return Err(unexpected()) };
        let version = Arc::clone(version);
        let files = spawn_blocking(move || files(&version, tables)).await??;
        self.tell(&files).await?;
        loop {
            match self.next().await? {
                Frame::Data(data) => {
                    let piece = FlightData::decode(data.as_slice()).map_err(|_| unexpected())?;
                    *begun = true;
                    if pieces.send(Ok(piece)).await.is_err() {
                        return Ok(());
                    }
                }
                Frame::Done => return Ok(()),
                Frame::Needs(_) | Frame::Failed(_) => return Err(unexpected()),
            }
        }
    }

    async fn tell(&mut self, what: &impl Serialize) -> Result<(), AnalyticsError> {
        let mut line = serde_json::to_vec(what)
            .map_err(|error| AnalyticsError::SqlWorker(error.to_string()))?;
        line.push(b'\n');
        // One that ended already says why in its last frame, or by its status.
        let _ = self.told.write_all(&line).await;
        Ok(())
    }

    async fn next(&mut self) -> Result<Frame, AnalyticsError> {
        match Frame::read(&mut self.says).await {
            Ok(Frame::Failed(failure)) => Err(failure.into()),
            Ok(frame) => Ok(frame),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                if let Some(child) = &mut self.child
                    && let Ok(status) = child.wait().await
                {
                    tracing::info!(%status, "a query's process ended without a word");
                }
                // None could be said: no memory was left to do so.
                Err(AnalyticsError::SqlOutOfMemory)
            }
            Err(error) => Err(AnalyticsError::SqlWorker(error.to_string())),
        }
    }
}

impl From<Failure> for AnalyticsError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(why) => Self::SqlRefused(why),
            Failure::Sql(message) => Self::SqlFailed(message),
            Failure::OutOfMemory => Self::SqlOutOfMemory,
            Failure::FileUnreadable(message) => Self::FileUnreadable(message.into()),
            Failure::TooManyRows => Self::SqlAnswerTooLarge("rows", "BRAMBLE_SQL_ROWS_MAX"),
            Failure::TooManyBytes => Self::SqlAnswerTooLarge("bytes", "BRAMBLE_SQL_ANSWER_MIB_MAX"),
            Failure::Internal(message) => Self::SqlWorker(message),
        }
    }
}
