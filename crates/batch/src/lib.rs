//! Group commit: requests that arrive while a transaction commits wait in a bounded queue and go together in the next one.
//!
//! At low load a request waits for nobody; under load one synced write serves many. What one request did wrong is its own verdict; a
//! transaction that is undone as a whole is tried again with each request alone, so that a bad one never fails its neighbours.
//!
//! **Invariant:** a transaction that may have been committed is never tried again here: only the caller knows whether its request can be
//! repeated.
//!
//! The work runs in tasks of the batcher, so a caller that goes away takes nothing with it.

use std::{
    future::Future,
    io::{self, ErrorKind},
    sync::Arc,
    time::Duration,
};

use futures::future::BoxFuture;
use rpc::Written;
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

/// Requests in one transaction at most.
pub const BATCH_MAX: usize = 128;
/// Requests that may wait; more are refused.
const QUEUE_MAX: usize = 4096;
/// A transaction on a host that vanished would take as long as TCP waits.
const RUN_MAX: Duration = Duration::from_secs(60);

/// Why a request got no verdict.
#[derive(Debug, thiserror::Error)]
pub enum BatchError<E> {
    #[error("too many requests are waiting")]
    Full,
    #[error("the service is stopping")]
    Stopping,
    #[error(transparent)]
    Failed(E),
}

/// A transaction's failure.
pub trait Failure: std::fmt::Display + Sized + Send + 'static {
    /// The same failure once more, for each request of the batch, if trying each alone is of no use or not safe: Postgres is away, or
    /// went away while the transaction may have been committed. None if the transaction is undone.
    fn of_all(&self) -> Option<Self>;
}

impl Failure for sqlx::Error {
    fn of_all(&self) -> Option<Self> {
        match self {
            Self::PoolTimedOut => Some(Self::PoolTimedOut),
            Self::PoolClosed => Some(Self::PoolClosed),
            Self::Io(error) => Some(Self::Io(io::Error::new(error.kind(), error.to_string()))),
            Self::Tls(_) | Self::Protocol(_) | Self::WorkerCrashed => {
                Some(Self::Io(io::Error::new(ErrorKind::ConnectionAborted, self.to_string())))
            }
            // The session was ended, perhaps between the commit and its answer.
            Self::Database(error) if error.code().is_some_and(|code| code.starts_with("57P")) => {
                Some(Self::Io(io::Error::new(ErrorKind::ConnectionAborted, self.to_string())))
            }
            _ => None,
        }
    }
}

struct Job<C, V, E> {
    command: C,
    verdict: oneshot::Sender<Verdict<V, E>>,
}

/// And the last event that its transaction appended to the log.
type Verdict<V, E> = Result<(V, Option<i64>), BatchError<E>>;

/// Gathers commands of one kind into transactions. Cheap to clone.
pub struct Batcher<C, V, E> {
    queue: mpsc::Sender<Job<C, V, E>>,
}

impl<C, V, E> Clone for Batcher<C, V, E> {
    fn clone(&self) -> Self {
        Self { queue: self.queue.clone() }
    }
}

impl<C, V, E> std::fmt::Debug for Batcher<C, V, E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batcher").field("free", &self.queue.capacity()).finish()
    }
}

impl<C, V, E> Batcher<C, V, E>
where
    C: Clone + Send + Sync + 'static,
    V: Send + 'static,
    E: Failure,
{
    /// Starts `workers` tasks, each with one transaction at a time. `run` gets commands in the order of their arrival and gives one
    /// verdict each, or an error if its transaction did not commit.
    pub fn start<F, R>(workers: usize, run: F) -> Self
    where
        F: Fn(Vec<C>) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Vec<V>, E>> + Send + 'static,
    {
        let (queue, jobs) = mpsc::channel(QUEUE_MAX);
        let jobs = Arc::new(tokio::sync::Mutex::new(jobs));
        let run: Arc<Run<C, V, E>> = Arc::new(move |commands| Box::pin(run(commands)));
        for _ in 0..workers.max(1) {
            tokio::spawn(work(Arc::clone(&jobs), Arc::clone(&run)));
        }
        Self { queue }
    }

    /// Waits for the verdict of one command.
    pub async fn submit(&self, command: C) -> Result<V, BatchError<E>> {
        let (verdict, answer) = oneshot::channel();
        self.queue.try_send(Job { command, verdict }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => BatchError::Full,
            mpsc::error::TrySendError::Closed(_) => BatchError::Stopping,
        })?;
        let (verdict, written) = answer.await.map_err(|_| BatchError::Stopping)??;
        if let Some(written) = written {
            Written::commit_of(written);
        }
        Ok(verdict)
    }
}

type Run<C, V, E> = dyn Fn(Vec<C>) -> BoxFuture<'static, Result<Vec<V>, E>> + Send + Sync;
type Jobs<C, V, E> = Arc<tokio::sync::Mutex<mpsc::Receiver<Job<C, V, E>>>>;

async fn work<C, V, E>(jobs: Jobs<C, V, E>, run: Arc<Run<C, V, E>>)
where
    C: Clone + Send + Sync + 'static,
    V: Send + 'static,
    E: Failure,
{
    loop {
        let mut batch = Vec::new();
        // Held only while waiting for work: the next worker takes what arrives while this one commits.
        if jobs.lock().await.recv_many(&mut batch, BATCH_MAX).await == 0 {
            return;
        }
        let (commands, answers): (Vec<C>, Vec<_>) =
            batch.into_iter().map(|job| (job.command, job.verdict)).unzip();
        let whole = run_apart(run(commands.clone())).await;
        match whole {
            Ok((Ok(verdicts), written)) => {
                for (answer, verdict) in answers.into_iter().zip(verdicts) {
                    let _ = answer.send(Ok((verdict, written)));
                }
            }
            Ok((Err(error), _)) => {
                if let Some(alike) = error.of_all() {
                    tracing::warn!(%error, count = commands.len(), "a batch failed");
                    let failures = std::iter::successors(Some(alike), E::of_all);
                    for (answer, failure) in answers.into_iter().zip(failures) {
                        let _ = answer.send(Err(BatchError::Failed(failure)));
                    }
                } else if let [_, _, ..] = commands.as_slice() {
                    tracing::warn!(%error, count = commands.len(), "a batch failed: each request goes alone");
                    for (command, answer) in commands.into_iter().zip(answers) {
                        let _ = answer.send(alone(&run, command).await);
                    }
                } else if let Some(answer) = answers.into_iter().next() {
                    let _ = answer.send(Err(BatchError::Failed(error)));
                }
            }
            // Those who wait hear that their answers are gone.
            Err(Lost) => (),
        }
    }
}

/// What came of it nobody knows.
struct Lost;

/// Runs in a task of its own: a panic fails this transaction and not the worker, and so does one that never ends.
async fn run_apart<T: Send + 'static>(
    run: impl Future<Output = T> + Send + 'static,
) -> Result<(T, Option<i64>), Lost> {
    match tokio::spawn(timeout(RUN_MAX, Written::by(run))).await {
        Ok(Ok(ended)) => Ok(ended),
        Ok(Err(_)) => {
            tracing::error!("a batch did not end within {RUN_MAX:?}");
            Err(Lost)
        }
        Err(panicked) => {
            tracing::error!(error = %panicked, "a batch failed");
            Err(Lost)
        }
    }
}

async fn alone<C, V, E>(run: &Arc<Run<C, V, E>>, command: C) -> Verdict<V, E>
where
    V: Send + 'static,
    E: Failure,
{
    match run_apart(run(vec![command])).await {
        Ok((Ok(mut verdicts), written)) => {
            verdicts.pop().map(|verdict| (verdict, written)).ok_or(BatchError::Stopping)
        }
        Ok((Err(error), _)) => Err(BatchError::Failed(error)),
        Err(Lost) => Err(BatchError::Stopping),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tokio::sync::Semaphore;

    use super::*;

    #[derive(Debug, PartialEq, thiserror::Error)]
    #[error("{0}")]
    struct Bad(&'static str);

    impl Failure for Bad {
        fn of_all(&self) -> Option<Self> {
            (self.0 == "away").then_some(Self("away"))
        }
    }

    #[tokio::test]
    async fn requests_that_arrive_during_a_commit_go_together() {
        let sizes = Arc::new(Mutex::new(Vec::new()));
        let gate = Arc::new(Semaphore::new(0));
        let batcher = Batcher::start(1, {
            let (sizes, gate) = (Arc::clone(&sizes), Arc::clone(&gate));
            move |commands: Vec<u32>| {
                sizes.lock().unwrap().push(commands.len());
                let gate = Arc::clone(&gate);
                async move {
                    gate.acquire().await.unwrap().forget();
                    Ok::<_, Bad>(commands.iter().map(|c| c * 2).collect())
                }
            }
        });
        let first = tokio::spawn({
            let batcher = batcher.clone();
            async move { batcher.submit(1).await.unwrap() }
        });
        while sizes.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        let rest: Vec<_> = (2..=10)
            .map(|n| {
                let batcher = batcher.clone();
                tokio::spawn(async move { batcher.submit(n).await.unwrap() })
            })
            .collect();
        while batcher.queue.capacity() > QUEUE_MAX - 9 {
            tokio::task::yield_now().await;
        }
        gate.add_permits(2);
        assert_eq!(first.await.unwrap(), 2);
        for (n, answer) in (2..=10).zip(rest) {
            assert_eq!(answer.await.unwrap(), n * 2);
        }
        assert_eq!(*sizes.lock().unwrap(), [1, 9]);
    }

    #[tokio::test]
    async fn whoever_submits_learns_which_event_was_the_last() {
        let batcher = Batcher::start(1, |commands: Vec<u32>| async move {
            if commands.contains(&13) && commands.len() > 1 {
                Written::append(1);
                return Err(Bad("thirteen"));
            }
            Written::begin();
            if !commands.contains(&13) {
                Written::append(100 + i64::from(commands[0]));
            }
            Written::commit();
            Ok(commands)
        });
        let submit = |command| Written::by(batcher.submit(command));
        let (verdict, written) = submit(9).await;
        assert_eq!((verdict.unwrap(), written), (9, Some(109)));
        let ((_, left), (_, right)) = tokio::join!(submit(13), submit(14));
        assert_eq!((left, right), (None, Some(114)), "each went alone");
    }

    #[tokio::test]
    async fn one_bad_request_never_fails_its_neighbours() {
        let batcher = Batcher::start(1, |commands: Vec<u32>| async move {
            tokio::task::yield_now().await;
            if commands.contains(&13) { Err(Bad("thirteen")) } else { Ok(commands) }
        });
        let all: Vec<_> = (10..=16)
            .map(|n| {
                let batcher = batcher.clone();
                tokio::spawn(async move { batcher.submit(n).await })
            })
            .collect();
        for (n, answer) in (10..=16).zip(all) {
            let answer = answer.await.unwrap();
            assert_eq!(answer.is_err(), n == 13, "{n}");
        }
    }

    #[tokio::test]
    async fn a_panic_fails_its_batch_only() {
        let batcher = Batcher::start(1, |commands: Vec<u32>| async move {
            assert!(commands != [7], "seven");
            Ok::<_, Bad>(commands)
        });
        assert!(matches!(batcher.submit(7).await, Err(BatchError::Stopping)));
        assert_eq!(batcher.submit(8).await.unwrap(), 8);
    }

    /// Submits all before the first is carried out.
    async fn submit_together(
        batcher: &Batcher<u32, u32, Bad>,
        commands: &[u32],
    ) -> Vec<Result<u32, BatchError<Bad>>> {
        futures::future::join_all(commands.iter().map(|command| batcher.submit(*command))).await
    }

    #[tokio::test]
    async fn a_panic_of_a_request_that_goes_alone_fails_that_request_only() {
        let batcher = Batcher::start(1, |commands: Vec<u32>| async move {
            assert!(commands != [7], "seven");
            if commands.len() > 1 { Err(Bad("together")) } else { Ok(commands) }
        });
        let verdicts = submit_together(&batcher, &[6, 7, 8]).await;
        let answered: Vec<_> = verdicts.into_iter().map(Result::ok).collect();
        assert_eq!(answered, [Some(6), None, Some(8)]);
        assert_eq!(batcher.submit(9).await.unwrap(), 9);
    }

    #[tokio::test(start_paused = true)]
    async fn a_transaction_that_never_ends_fails_its_batch_only() {
        let batcher = Batcher::start(1, |commands: Vec<u32>| async move {
            if commands == [7] {
                std::future::pending::<()>().await;
            }
            Ok::<_, Bad>(commands)
        });
        assert!(matches!(batcher.submit(7).await, Err(BatchError::Stopping)));
        assert_eq!(batcher.submit(8).await.unwrap(), 8);
    }

    #[tokio::test]
    async fn what_may_have_been_committed_is_not_tried_again() {
        let runs = Arc::new(Mutex::new(0));
        let batcher = Batcher::start(1, {
            let runs = Arc::clone(&runs);
            move |_: Vec<u32>| {
                *runs.lock().unwrap() += 1;
                async { Err(Bad("away")) }
            }
        });
        for verdict in submit_together(&batcher, &[1, 2, 3]).await {
            assert!(matches!(verdict, Err(BatchError::Failed(Bad("away")))));
        }
        assert_eq!(*runs.lock().unwrap(), 1);
    }
}
