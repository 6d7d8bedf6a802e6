//! Carries the log to JetStream, in the log's order, without loss and without doubles.
//!
//! The stream's own tail is the cursor: on start and after any error the relay reads the last message and goes on behind its `sequence`.
//! Every batch is published atomically on the condition that the tail is still that one, so a second relay, or the ghost of an
//! earlier one, is fenced out and steps back. Nothing is written to Postgres. Cost: one statement and one synced publish a batch.
//!
//! A relay that has nothing to publish looks now and then whether the stream is still as it left it, so that one that was wiped is
//! filled again without waiting for the next event. One whose Postgres was started again checks the tail against the log once more: it may be
//! an older copy.

use std::{sync::Arc, time::Duration};

use async_nats::{
    Client, HeaderMap,
    jetstream::{self, stream},
};
use bytes::Bytes;
use serde::Deserialize;
use sqlx::AssertSqlSafe;
use tokio::time::{Instant, sleep, timeout};

use crate::{
    Event, Log,
    event::{nats_subject, stream_name, with_place},
    settled::{self, Logged},
};

/// JetStream takes at most 1000 messages in an atomic batch.
const BATCH_MAX: i64 = 500;
/// A batch of one message may be larger.
const BATCH_MAX_BYTES: usize = 4 << 20;
/// How long the relay sleeps when nobody wakes it: what another replica committed is seen that late at most.
const POLL_EVERY: Duration = Duration::from_millis(500);
/// How often an idle relay looks whether the stream is as it left it.
const VERIFY_EVERY: Duration = Duration::from_secs(5);
/// How soon a gap is looked at again; twice as late each time, since each look reads what waits behind the gap.
const GAP_FIRST: Duration = Duration::from_millis(5);
const GAP_MAX: Duration = Duration::from_millis(80);
/// A gap that stays open for so long is worth a line.
const GAP_TOLD: Duration = Duration::from_secs(30);
const RETRY_AFTER: Duration = Duration::from_secs(1);
const PUBLISH_MAX: Duration = Duration::from_secs(10);
/// A host that vanished says nothing: without this the relay would wait for it as long as TCP does.
const STEP_MAX: Duration = Duration::from_secs(60);

const WRONG_LAST_SEQUENCE: u64 = 10_071;

/// Why a relay stops leading.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    #[error("another relay published first, or the stream was replaced")]
    Fenced,
    #[error("Postgres was started again")]
    Restarted,
    #[error(
        "stream {stream} ends with event {event_id} at sequence {sequence}, which the log does not have: Postgres was restored to \
         an earlier time, or this is another database's stream; nothing is published until one of them is put right"
    )]
    UnknownTail { stream: String, sequence: i64, event_id: String },
    #[error("NATS: {0}")]
    Nats(String),
    #[error("Postgres: {0}")]
    Database(#[from] sqlx::Error),
    #[error("no answer within {STEP_MAX:?}")]
    Late,
}

/// One that is being built up: see [`Relay::lead`].
#[derive(Debug, Clone)]
pub struct Relay {
    log: Log,
    client: Client,
    stream_max_bytes: i64,
}

impl Relay {
    #[must_use]
    pub fn new(log: Log, client: Client, stream_max_bytes: i64) -> Self {
        Self { log, client, stream_max_bytes }
    }

    /// Carries events until told to end, whatever happens to NATS and Postgres meanwhile.
    pub async fn run(self, shutdown: rpc::Shutdown) {
        let mut told = String::new();
        let work = async {
            loop {
                let error = match timeout(STEP_MAX, self.lead()).await {
                    Ok(Ok(leader)) => leader.run(&mut told).await,
                    Ok(Err(error)) => error,
                    Err(_) => RelayError::Late,
                };
                let text = error.to_string();
                match &error {
                    RelayError::Fenced | RelayError::Restarted => tracing::debug!("{text}"),
                    _ if text == told => (),
                    _ => tracing::warn!(source = self.log.source, "events wait in the log: {text}"),
                }
                if !matches!(error, RelayError::Fenced | RelayError::Restarted) {
                    self.log.progress.relay_stopped(&text);
                }
                told = text;
                sleep(RETRY_AFTER).await;
            }
        };
        tokio::select! { () = work => (), () = shutdown.cancelled() => () }
    }

    /// Makes the stream if it is not there, and reads from its tail where to go on.
    pub async fn lead(&self) -> Result<Leader, RelayError> {
        let name = stream_name(self.log.source);
        let context = jetstream::new(self.client.clone());
        let stream = context.get_or_create_stream(self.stream(&name)).await.map_err(nats)?;
        let found = &stream.cached_info().config;
        if found.max_bytes != self.stream_max_bytes || !found.allow_atomic_publish {
            let config = stream::Config {
                max_bytes: self.stream_max_bytes,
                allow_atomic_publish: true,
                ..found.clone()
            };
            context.update_stream(config).await.map_err(nats)?;
        }
        let state = stream.get_info().await.map_err(nats)?.state;
        let mut tail = Tail { stream_sequence: state.last_sequence, log_id: 0 };
        let mut last = None;
        if state.messages > 0 {
            // Not by its number: the very last one may have been deleted.
            let all = format!("bramble.{}.>", self.log.source);
            let message = stream.get_last_raw_message_by_subject(&all).await.map_err(nats)?;
            let event = Event::parse(&message.payload, message.sequence).map_err(|error| {
                nats(format!("message {} of stream {name} is no event: {error}", message.sequence))
            })?;
            tail.log_id = event.sequence;
            last = Some(event);
        }
        let epoch = self.check_known(&name, last).await?;
        tracing::debug!(stream = name, log_id = tail.log_id, "the relay leads");
        self.log.progress.published(tail.log_id);
        Ok(Leader { relay: self.clone(), tail, epoch })
    }

    fn stream(&self, name: &str) -> stream::Config {
        stream::Config {
            name: name.to_owned(),
            subjects: vec![format!("bramble.{}.>", self.log.source)],
            storage: stream::StorageType::File,
            retention: stream::RetentionPolicy::Limits,
            discard: stream::DiscardPolicy::Old,
            max_bytes: self.stream_max_bytes,
            allow_direct: true,
            allow_atomic_publish: true,
            compression: Some(stream::Compression::S2),
            ..Default::default()
        }
    }

    /// Refuses a stream whose last event the log does not have. Gives the epoch of the database that was asked.
    async fn check_known(&self, stream: &str, last: Option<Event>) -> Result<String, RelayError> {
        let statement = format!(
            "select {}, exists (select from {}.events_log where id = $1 and payload->>'id' = $2)",
            settled::epoch(self.log.source),
            self.log.source
        );
        let (epoch, known): (String, bool) = sqlx::query_as(AssertSqlSafe(statement))
            .bind(last.as_ref().map(|event| event.sequence))
            .bind(last.as_ref().map(|event| event.id.to_string()))
            .fetch_one(&self.log.pool)
            .await?;
        match last {
            Some(event) if !known => Err(RelayError::UnknownTail {
                stream: stream.to_owned(),
                sequence: event.sequence,
                event_id: event.id.to_string(),
            }),
            _ => Ok(epoch),
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Tail {
    stream_sequence: u64,
    log_id: i64,
}

/// A relay that knows the tail of its stream.
#[derive(Debug)]
pub struct Leader {
    relay: Relay,
    tail: Tail,
    epoch: String,
}

/// What one step found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Published(usize),
    /// A transaction that is still open may yet commit an event that comes first.
    Waits,
    Idle,
}

impl Leader {
    async fn run(mut self, told: &mut String) -> RelayError {
        let committed = Arc::clone(&self.relay.log.committed);
        let mut verified = Instant::now();
        let mut gap = OpenGap::default();
        loop {
            let step = timeout(STEP_MAX, self.step()).await.unwrap_or(Err(RelayError::Late));
            if step.as_ref().is_ok_and(|step| *step != Step::Waits) {
                gap = OpenGap::default();
            }
            match step {
                Ok(Step::Published(_)) => {
                    verified = Instant::now();
                    told.clear();
                }
                Ok(Step::Waits) => gap.wait(self.relay.log.source, self.tail.log_id).await,
                Ok(Step::Idle) if verified.elapsed() > VERIFY_EVERY => {
                    if let Err(error) = self.verify().await {
                        return error;
                    }
                    verified = Instant::now();
                    told.clear();
                }
                Ok(Step::Idle) => {
                    // A late wake-up is no harm: the next read finds what is there.
                    let _ = timeout(POLL_EVERY, committed.notified()).await;
                }
                Err(error) => return error,
            }
        }
    }

    /// Publishes the next batch, if there is one.
    pub async fn step(&mut self) -> Result<Step, RelayError> {
        let log = &self.relay.log;
        let settled::Read { mut rows, waits, epoch } =
            settled::read(log, self.tail.log_id, BATCH_MAX).await?;
        if epoch != self.epoch {
            return Err(RelayError::Restarted);
        }
        settled::truncate(&mut rows, BATCH_MAX_BYTES);
        let Some(last) = rows.last() else {
            return Ok(if waits { Step::Waits } else { Step::Idle });
        };
        let log_id = last.sequence;
        let began = Instant::now();
        let stream_sequence = publish(&self.relay.client, log.source, &rows, self.tail).await?;
        tracing::trace!(log.source, count = rows.len(), elapsed = ?began.elapsed(), "published");
        self.tail = Tail { stream_sequence, log_id };
        log.progress.published(log_id);
        Ok(Step::Published(rows.len()))
    }

    /// Fails unless the stream still ends where this relay left it.
    async fn verify(&self) -> Result<(), RelayError> {
        let context = jetstream::new(self.relay.client.clone());
        let name = stream_name(self.relay.log.source);
        let mut stream = context.get_stream(name).await.map_err(nats)?;
        let state = &stream.info().await.map_err(nats)?.state;
        let emptied = state.messages == 0 && self.tail.log_id > 0;
        if state.last_sequence != self.tail.stream_sequence || emptied {
            return Err(RelayError::Fenced);
        }
        Ok(())
    }
}

/// A gap that the relay stands at.
#[derive(Default)]
struct OpenGap {
    looks: u32,
    since: Option<Instant>,
    told: bool,
}

impl OpenGap {
    async fn wait(&mut self, source: &str, behind: i64) {
        let since = *self.since.get_or_insert_with(Instant::now);
        if since.elapsed() > GAP_TOLD && !self.told {
            tracing::warn!(source, behind, "events wait for a transaction that is still open");
            self.told = true;
        }
        sleep((GAP_FIRST * 2_u32.pow(self.looks.min(8))).min(GAP_MAX)).await;
        self.looks += 1;
    }
}

/// The server's answer to a publish.
#[derive(Debug, Deserialize)]
struct Ack {
    #[serde(default)]
    seq: u64,
    error: Option<AckError>,
}

#[derive(Debug, Deserialize)]
struct AckError {
    #[serde(default)]
    err_code: u64,
    #[serde(default)]
    description: String,
}

/// Publishes rows as one batch behind `tail`: all or nothing. Gives the stream's new last sequence.
async fn publish(
    client: &Client,
    source: &str,
    rows: &[Logged],
    tail: Tail,
) -> Result<u64, RelayError> {
    let batch_id = uuid::Uuid::now_v7().simple().to_string();
    let mut previous = tail.log_id;
    for (index, row) in rows.iter().enumerate() {
        let mut headers = HeaderMap::new();
        headers.insert("Bramble-Event-Id", row.event_id.as_str());
        if index == 0 {
            headers
                .insert("Nats-Expected-Last-Sequence", tail.stream_sequence.to_string().as_str());
        }
        if rows.len() > 1 {
            headers.insert("Nats-Batch-Id", batch_id.as_str());
            headers.insert("Nats-Batch-Sequence", (index + 1).to_string().as_str());
        }
        let subject = nats_subject(source, &row.event_type);
        let payload = Bytes::from(with_place(&row.payload, row.sequence, previous));
        previous = row.sequence;
        if index + 1 < rows.len() {
            client.publish_with_headers(subject, headers, payload).await.map_err(nats)?;
            continue;
        }
        if rows.len() > 1 {
            headers.insert("Nats-Batch-Commit", "1");
        }
        let request =
            async_nats::Request::new().headers(headers).payload(payload).timeout(Some(PUBLISH_MAX));
        let answer = client.send_request(subject, request).await.map_err(nats)?;
        let ack: Ack = serde_json::from_slice(&answer.payload).map_err(nats)?;
        return match ack.error {
            None => Ok(ack.seq),
            Some(error) if error.err_code == WRONG_LAST_SEQUENCE => Err(RelayError::Fenced),
            Some(error) => Err(RelayError::Nats(error.description)),
        };
    }
    Ok(tail.stream_sequence)
}

fn nats(error: impl std::fmt::Display) -> RelayError {
    RelayError::Nats(error.to_string())
}
