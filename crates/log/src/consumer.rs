//! Applies another service's events in their order, each once.
//!
//! The position is kept in this service's own schema and moves in the transaction of the effect, so redelivery, replay, two
//! replicas and a kill at any instant have no effect twice.
//!
//! A batch without an event of interest costs no synced write, which most batches would.
//!
//! An event that cannot be applied is retried a few times and then put aside as a dead letter in the position's transaction; later
//! events of the same aggregate are parked behind it, all others go on. A batch that fails for lack of time is tried again in halves.

use std::{collections::BTreeSet, future::Future, pin::pin, time::Duration};

use sqlx::PgConnection;
use tokio::time::{sleep, timeout};
use tracing::Span;

use crate::{Event, Feed, Log, Position, Source, dead, feed::BATCH_MAX, position};

/// How often an event that is refused is tried before it is put aside.
const TRIES_MAX: u32 = 3;
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// A host that vanished says nothing: without this a transaction would wait for it as long as TCP does.
const APPLY_MAX: Duration = Duration::from_secs(60);

/// The effect of events on this service.
pub trait Apply: Send + Sync + 'static {
    /// The events that are of interest, such as `order.placed`; others only move the position.
    const TYPES: &'static [&'static str];

    /// Whether one of these has an effect; when that can be told by looking at it alone.
    fn concerns(&self, _event: &Event) -> bool {
        true
    }

    /// Applies events in order, in the transaction of the position. May be called again with the same events after an error.
    fn apply(
        &self,
        tx: &mut PgConnection,
        events: &[Event],
    ) -> impl Future<Output = Result<(), ApplyError>> + Send;
}

/// Why events were not applied.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// Time may help: everything is tried again.
    #[error("{0}")]
    Retry(String),
    /// It will never work: one event is to blame.
    #[error("{0}")]
    Refused(String),
}

impl From<sqlx::Error> for ApplyError {
    fn from(error: sqlx::Error) -> Self {
        let data_are_to_blame = match &error {
            // Cardinality, data, constraints, raised by a trigger. All else (connection, deadlock, shutdown, full disk, a table that a
            // migration is about to make) may pass.
            sqlx::Error::Database(error) => error.code().is_some_and(|code| {
                ["21", "22", "23", "P0"].iter().any(|class| code.starts_with(class))
            }),
            sqlx::Error::RowNotFound
            | sqlx::Error::Encode(_)
            | sqlx::Error::Decode(_)
            | sqlx::Error::ColumnDecode { .. } => true,
            _ => false,
        };
        if data_are_to_blame {
            Self::Refused(error.to_string())
        } else {
            Self::Retry(error.to_string())
        }
    }
}

impl From<serde_json::Error> for ApplyError {
    fn from(error: serde_json::Error) -> Self {
        Self::Refused(format!("the data cannot be read: {error}"))
    }
}

/// Applies one source's events to this service.
#[derive(Debug)]
pub struct Consumer<A> {
    log: Log,
    source: Source,
    apply: A,
}

impl<A: Apply> Consumer<A> {
    pub fn new(log: Log, source: Source, apply: A) -> Self {
        Self { log, source, apply }
    }

    /// Applies events until told to end, whatever happens to NATS, Postgres and the source meanwhile.
    pub async fn run(self, shutdown: rpc::Shutdown) {
        let work = async {
            let mut told = String::new();
            let mut at_once = BATCH_MAX;
            loop {
                if let Err(error) = self.follow(&mut told, &mut at_once).await {
                    at_once = (at_once / 2).max(1);
                    let text = error.to_string();
                    self.log.progress.consumer_stopped(self.source.name, &text);
                    if text != told {
                        tracing::warn!(source = self.source.name, "events are not applied: {text}");
                        told = text;
                    }
                }
                sleep(RETRY_AFTER).await;
            }
        };
        // Dropping a transaction half-way rolls it back: the position says so.
        tokio::select! { () = work => (), () = shutdown.cancelled() => () }
    }

    async fn follow(&self, told: &mut String, at_once: &mut usize) -> anyhow::Result<()> {
        let mut db = self.log.pool.acquire().await?;
        let mut position = position::read(&mut db, self.log.source, self.source.name).await?;
        drop(db);
        let mut feed = Feed::open(&self.source, position).await?;
        loop {
            for batch in self.next(&mut feed, position).await?.chunks(*at_once) {
                self.apply_all(batch, &mut position).await?;
            }
            self.log.progress.consumer_goes_on(self.source.name);
            *at_once = (*at_once + *at_once / 8 + 1).min(BATCH_MAX);
            told.clear();
        }
    }

    /// What fails, fails at once: a feed that is open and quiet is well.
    async fn next(&self, feed: &mut Feed, position: Position) -> anyhow::Result<Vec<Event>> {
        let mut next = pin!(feed.next(position));
        if let Ok(events) = timeout(RETRY_AFTER, &mut next).await {
            return events;
        }
        self.log.progress.consumer_goes_on(self.source.name);
        next.await
    }

    /// Applies a batch in one transaction or, when an event in it is refused, one by one.
    async fn apply_all(&self, batch: &[Event], position: &mut Position) -> anyhow::Result<()> {
        match self.try_apply(batch, *position).await {
            Ok(after) => *position = after,
            Err(ApplyError::Retry(why)) => anyhow::bail!(why),
            Err(ApplyError::Refused(_)) => {
                for event in batch {
                    *position = self.apply_one(event, *position).await?;
                }
            }
        }
        Ok(())
    }

    async fn apply_one(&self, event: &Event, position: Position) -> anyhow::Result<Position> {
        let one = std::slice::from_ref(event);
        let mut tries = 0;
        let refusal = loop {
            tries += 1;
            match self.try_apply(one, position).await {
                Ok(after) => return Ok(after),
                Err(ApplyError::Retry(why)) => anyhow::bail!(why),
                Err(ApplyError::Refused(why)) if tries == TRIES_MAX => break why,
                Err(ApplyError::Refused(_)) => sleep(RETRY_AFTER / 10).await,
            }
        };
        tracing::error!(
            source = self.source.name,
            event_type = event.event_type,
            subject = event.subject,
            sequence = event.sequence,
            "put aside as a dead letter: {refusal}"
        );
        let mut tx = self.log.begin().await?;
        self.lock_position(&mut tx, position).await?;
        dead::insert(&mut tx, self.log.source, self.source.name, event, &refusal).await?;
        let after = Position::behind(event, position);
        position::write(&mut tx, self.log.source, self.source.name, after).await?;
        self.log.commit(tx).await?;
        Ok(after)
    }

    async fn try_apply(&self, batch: &[Event], position: Position) -> Result<Position, ApplyError> {
        let late = || ApplyError::Retry(format!("not applied within {APPLY_MAX:?}"));
        timeout(APPLY_MAX, self.apply_once(batch, position)).await.unwrap_or_else(|_| Err(late()))
    }

    async fn apply_once(
        &self,
        batch: &[Event],
        position: Position,
    ) -> Result<Position, ApplyError> {
        let Some(last) = batch.last() else { return Ok(position) };
        let mut tx = self.log.begin().await?;
        self.lock_position(&mut tx, position).await?;

        let is_wanted =
            |e: &&Event| A::TYPES.contains(&e.event_type.as_str()) && self.apply.concerns(e);
        let wanted: Vec<Event> = batch.iter().filter(is_wanted).cloned().collect();
        if wanted.is_empty() {
            // Nobody waits for the disk: if a power cut takes the position back, the same events come again, and have no effect again.
            sqlx::query("set local synchronous_commit = off").execute(&mut *tx).await?;
        }
        let parked = dead::parked(&mut tx, self.log.source, self.source.name, &wanted).await?;
        let (waiting, free) = split(wanted, &parked);
        for event in &waiting {
            dead::insert(&mut tx, self.log.source, self.source.name, event, dead::PARKED).await?;
        }
        if !free.is_empty() {
            let (free, _spans) = traced(free, self.log.source);
            self.apply.apply(&mut tx, &free).await?;
        }
        let after = Position::behind(last, position);
        position::write(&mut tx, self.log.source, self.source.name, after).await?;
        self.log.commit(tx).await?;
        Ok(after)
    }

    /// Holds the position until the transaction ends; fails when another replica has moved it.
    async fn lock_position(
        &self,
        tx: &mut PgConnection,
        expected: Position,
    ) -> Result<(), ApplyError> {
        let found = position::lock(tx, self.log.source, self.source.name).await?;
        let found = found.unwrap_or_default();
        if (found.log_id, found.event_id) == (expected.log_id, expected.event_id) {
            return Ok(());
        }
        Err(ApplyError::Retry(format!(
            "another replica has applied {} up to {}",
            self.source.name, found.log_id
        )))
    }
}

/// Those whose aggregate waits behind a dead letter, and those that are free.
fn split(events: Vec<Event>, parked: &BTreeSet<String>) -> (Vec<Event>, Vec<Event>) {
    events.into_iter().partition(|event| parked.contains(&event.subject))
}

/// Each event in a span of its own, which its trace goes on with and which lasts as long as it is kept.
fn traced(events: Vec<Event>, consumer: &'static str) -> (Vec<Event>, Vec<Span>) {
    let begin = |mut event: Event| {
        // A trace that nobody began costs nothing.
        let Some(traceparent) = &event.traceparent else { return (event, Span::none()) };
        let span = tracing::info_span!(
            "apply",
            otel.kind = "consumer",
            consumer,
            event_type = event.event_type,
            subject = event.subject
        );
        telemetry::continue_trace(&span, traceparent);
        event.traceparent = telemetry::traceparent_of(&span).or(event.traceparent);
        (event, span)
    };
    events.into_iter().map(begin).unzip()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_time_may_help_is_tried_for_ever() {
        for refused in [sqlx::Error::RowNotFound, sqlx::Error::Decode("no UUID".into())] {
            assert!(matches!(ApplyError::from(refused), ApplyError::Refused(_)));
        }
        for passing in [sqlx::Error::PoolTimedOut, sqlx::Error::WorkerCrashed] {
            assert!(matches!(ApplyError::from(passing), ApplyError::Retry(_)));
        }
    }
}
