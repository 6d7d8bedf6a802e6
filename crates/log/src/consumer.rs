//! Applies another service's events in their order, each once.
//!
//! The position is kept in this service's own schema and moves in the transaction of the effect, so redelivery, replay, two
//! replicas and a kill at any instant have no effect twice. Messages are read by an ordered consumer without acks. A message whose
//! `previous` is not the position tells of a hole (the stream lost or dropped its oldest): the hole is fetched from the source's own log over
//! gRPC before anything behind it is applied.
//!
//! An event that cannot be applied is retried a few times and then put aside as a dead letter in the position's transaction; later
//! events of the same aggregate are parked behind it, all others go on.

use std::{collections::BTreeSet, future::Future, pin::Pin, time::Duration};

use async_nats::{
    Client,
    jetstream::{self, consumer::DeliverPolicy, consumer::pull::OrderedConfig},
};
use futures::{Stream, StreamExt};
use proto::log::v1::{ListEventsRequest, event_log_client::EventLogClient};
use sqlx::{AssertSqlSafe, PgConnection, Row};
use tokio::time::sleep;
use uuid::Uuid;

use crate::{Event, Log, dead, event::stream_name};

/// Events that are applied in one transaction at most.
const BATCH_MAX: usize = 500;
/// How often an event that is refused is tried before it is put aside.
const TRIES_MAX: u32 = 3;
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// A stream that says nothing for so long is opened again, in case it was replaced.
const SILENCE_MAX: Duration = Duration::from_secs(15);
const HOLE_PAGE: i32 = 500;

/// The effect of events on this service.
pub trait Apply: Send + Sync + 'static {
    /// The events that are of interest, such as `order.placed`; others only move the position.
    const TYPES: &'static [&'static str];

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
        // Classes 22, 23 and P0: the data are to blame. All else (connection, deadlock, shutdown, full disk) may pass.
        let data = error
            .as_database_error()
            .and_then(sqlx::error::DatabaseError::code)
            .is_some_and(|code| ["22", "23", "P0"].iter().any(|class| code.starts_with(class)));
        if data { Self::Refused(error.to_string()) } else { Self::Retry(error.to_string()) }
    }
}

impl From<serde_json::Error> for ApplyError {
    fn from(error: serde_json::Error) -> Self {
        Self::Refused(format!("the data cannot be read: {error}"))
    }
}

/// Where events come from: a service's stream and, for holes in it, the service's own log.
#[derive(Debug, Clone)]
pub struct Source {
    /// Such as `orders`.
    pub name: &'static str,
    pub nats: Client,
    pub log: EventLogClient<rpc::Client>,
}

/// How far a source's events were taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Position {
    pub stream_sequence: u64,
    pub log_id: i64,
    pub event_id: Uuid,
}

impl Position {
    fn behind(event: &Event, before: Self) -> Self {
        Self {
            // An event fetched over gRPC has no place in the stream: the one before is still a good start.
            stream_sequence: event.stream_sequence.max(before.stream_sequence),
            log_id: event.sequence,
            event_id: event.id,
        }
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
            loop {
                if let Err(error) = self.follow(&mut told).await {
                    let text = error.to_string();
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

    async fn follow(&self, told: &mut String) -> anyhow::Result<()> {
        let mut db = self.log.pool.acquire().await?;
        let mut position = read_position(&mut db, self.log.source, self.source.name).await?;
        drop(db);
        let mut feed = Feed::open(&self.source, position).await?;
        loop {
            let batch = feed.next(position).await?;
            self.apply_all(&batch, &mut position).await?;
            told.clear();
        }
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
        write_position(&mut tx, self.log.source, self.source.name, after).await?;
        self.log.commit(tx).await?;
        Ok(after)
    }

    async fn try_apply(&self, batch: &[Event], position: Position) -> Result<Position, ApplyError> {
        let Some(last) = batch.last() else { return Ok(position) };
        let mut tx = self.log.begin().await?;
        self.lock_position(&mut tx, position).await?;

        let wanted: Vec<Event> =
            batch.iter().filter(|e| A::TYPES.contains(&e.event_type.as_str())).cloned().collect();
        let parked = dead::parked(&mut tx, self.log.source, self.source.name, &wanted).await?;
        let (waiting, free) = split(wanted, &parked);
        for event in &waiting {
            dead::insert(&mut tx, self.log.source, self.source.name, event, dead::PARKED).await?;
        }
        if !free.is_empty() {
            self.apply.apply(&mut tx, &free).await?;
        }
        let after = Position::behind(last, position);
        write_position(&mut tx, self.log.source, self.source.name, after).await?;
        self.log.commit(tx).await?;
        Ok(after)
    }

    /// Holds the position until the transaction ends; fails when another replica has moved it.
    async fn lock_position(
        &self,
        tx: &mut PgConnection,
        expected: Position,
    ) -> Result<(), ApplyError> {
        let found = lock_position(tx, self.log.source, self.source.name).await?;
        if found.log_id == expected.log_id {
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

/// The events of one source behind a position, in order, without a hole.
pub struct Feed {
    source: Source,
    batches: Batches,
}

/// What has arrived since it was last looked at; a message that cannot be read says why.
type Batches = Pin<Box<dyn Stream<Item = Vec<Result<Event, String>>> + Send>>;

impl Feed {
    /// Opens the source's stream where the position is, or at its start when the stream is not the one that the position is from.
    pub async fn open(source: &Source, position: Position) -> anyhow::Result<Self> {
        let name = stream_name(source.name);
        let stream = jetstream::new(source.nats.clone()).get_stream(&name).await?;
        let start = if is_ours(&stream, position).await { position.stream_sequence + 1 } else { 1 };
        let consumer = stream
            .create_consumer(OrderedConfig {
                deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: start },
                ..Default::default()
            })
            .await?;
        let messages = consumer.messages().await?.map(|message| {
            let message = message.map_err(|error| error.to_string())?;
            let place = message.info().map_err(|error| error.to_string())?.stream_sequence;
            Event::parse(&message.payload, place).map_err(|error| error.to_string())
        });
        let batches = Box::pin(messages.ready_chunks(BATCH_MAX));
        Ok(Self { source: source.clone(), batches })
    }

    /// Waits for the next events behind `position`: at least one, in order, the first one's `previous` being the position.
    pub async fn next(&mut self, position: Position) -> anyhow::Result<Vec<Event>> {
        loop {
            let batch = tokio::time::timeout(SILENCE_MAX, self.batches.next()).await;
            let Ok(batch) = batch else {
                self.check_silence(position).await?;
                continue;
            };
            let batch = batch.ok_or_else(|| anyhow::anyhow!("the stream has ended"))?;
            let batch: Vec<Event> = batch
                .into_iter()
                .collect::<Result<_, _>>()
                .map_err(|error| anyhow::anyhow!("a message cannot be read: {error}"))?;
            let fresh: Vec<Event> =
                batch.into_iter().filter(|event| event.sequence > position.log_id).collect();
            if fresh.is_empty() {
                continue;
            }
            return self.fill(fresh, position.log_id).await;
        }
    }

    /// Puts in what is missing before and between events.
    async fn fill(&mut self, events: Vec<Event>, mut last: i64) -> anyhow::Result<Vec<Event>> {
        let mut whole = Vec::with_capacity(events.len());
        for event in events {
            if event.sequence <= last {
                continue;
            }
            if event.previous > last {
                tracing::warn!(
                    source = self.source.name,
                    from = last,
                    to = event.sequence,
                    "a hole in the stream"
                );
                whole.extend(self.fetch(last, event.previous).await?);
            }
            last = event.sequence;
            whole.push(event);
        }
        Ok(whole)
    }

    /// Events with `after` < sequence ≤ `up_to`, from the source's own log.
    async fn fetch(&mut self, after: i64, up_to: i64) -> anyhow::Result<Vec<Event>> {
        let mut fetched = Vec::new();
        let mut after_sequence = after;
        while after_sequence < up_to {
            let request = ListEventsRequest {
                after_sequence,
                page_size: HOLE_PAGE,
                event_type: String::new(),
            };
            let page = self.source.log.list_events(request).await?.into_inner();
            anyhow::ensure!(!page.events.is_empty(), "the log of {} has a hole", self.source.name);
            for event in page.events.iter().filter(|event| event.sequence <= up_to) {
                fetched.push(Event::parse(event.cloud_event.as_bytes(), 0)?);
            }
            after_sequence = page.next_after_sequence;
        }
        Ok(fetched)
    }

    /// A silent stream is well if it is still the one that the position is from, or has nothing new.
    async fn check_silence(&mut self, position: Position) -> anyhow::Result<()> {
        let name = stream_name(self.source.name);
        let stream = jetstream::new(self.source.nats.clone()).get_stream(&name).await?;
        let last = stream.get_info().await?.state.last_sequence;
        let well = last == position.stream_sequence || (last == 0 && position.log_id == 0);
        anyhow::ensure!(well, "stream {name} is silent though it goes on");
        Ok(())
    }
}

impl std::fmt::Debug for Feed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Feed").field("source", &self.source.name).finish_non_exhaustive()
    }
}

/// Whether the event at the position's place in the stream is the one that the position is from.
async fn is_ours(stream: &jetstream::stream::Stream, position: Position) -> bool {
    if position.stream_sequence == 0 {
        return false;
    }
    match stream.get_raw_message(position.stream_sequence).await {
        Ok(message) => Event::parse(&message.payload, message.sequence)
            .is_ok_and(|event| event.id == position.event_id || event.sequence <= position.log_id),
        Err(_) => false,
    }
}

async fn read_position(
    db: &mut PgConnection,
    schema: &'static str,
    source: &str,
) -> sqlx::Result<Position> {
    let statement = format!(
        "insert into {schema}.consumer_positions (source, stream_sequence, log_id, event_id)
         values ($1, 0, 0, $2) on conflict (source) do nothing"
    );
    sqlx::query(AssertSqlSafe(statement)).bind(source).bind(Uuid::nil()).execute(&mut *db).await?;
    lock_position(db, schema, source).await
}

async fn lock_position(
    db: &mut PgConnection,
    schema: &'static str,
    source: &str,
) -> sqlx::Result<Position> {
    let statement = format!(
        "select stream_sequence, log_id, event_id from {schema}.consumer_positions where source = $1 for update"
    );
    let row = sqlx::query(AssertSqlSafe(statement)).bind(source).fetch_one(db).await?;
    Ok(Position {
        stream_sequence: u64::try_from(row.try_get::<i64, _>("stream_sequence")?).unwrap_or(0),
        log_id: row.try_get("log_id")?,
        event_id: row.try_get("event_id")?,
    })
}

async fn write_position(
    db: &mut PgConnection,
    schema: &'static str,
    source: &str,
    position: Position,
) -> sqlx::Result<()> {
    let statement = format!(
        "update {schema}.consumer_positions
         set stream_sequence = $2, log_id = $3, event_id = $4, updated_at = now() where source = $1"
    );
    let written = sqlx::query(AssertSqlSafe(statement))
        .bind(source)
        .bind(i64::try_from(position.stream_sequence).unwrap_or(i64::MAX))
        .bind(position.log_id)
        .bind(position.event_id)
        .execute(db)
        .await?
        .rows_affected();
    if written == 1 { Ok(()) } else { Err(sqlx::Error::RowNotFound) }
}
