//! Carries the log to JetStream, in the log's order, without loss and without doubles.
//!
//! The stream's own tail is the cursor: on start and after any error the relay reads the last message and goes on behind its `sequence`.
//! Every batch is published atomically on the condition that the tail is still that one, so a second relay, or the ghost of an
//! earlier one, is fenced out and steps back. Nothing is written to Postgres. Cost: one statement and one synced publish a batch.

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
    settled::{self, Logged, Settled},
};

/// JetStream takes at most 1000 messages in an atomic batch.
const BATCH_MAX: i64 = 500;
/// How long the relay sleeps when nobody wakes it: what another replica committed is seen that late at most.
const POLL_EVERY: Duration = Duration::from_millis(500);
/// How soon a gap is looked at again.
const GAP_EVERY: Duration = Duration::from_millis(5);
const RETRY_AFTER: Duration = Duration::from_secs(1);
const PUBLISH_MAX: Duration = Duration::from_secs(10);

const WRONG_LAST_SEQUENCE: u64 = 10_071;

/// Why a relay stops leading.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    #[error("another relay published first")]
    Fenced,
    #[error(
        "stream {stream} ends with event {event_id} at sequence {sequence}, which the log does not have: Postgres was restored to \
         an earlier time, or this is another database's stream; nothing is published until one of them is put right"
    )]
    UnknownTail { stream: String, sequence: i64, event_id: String },
    #[error("NATS: {0}")]
    Nats(String),
    #[error("Postgres: {0}")]
    Database(#[from] sqlx::Error),
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
                let error = match self.lead().await {
                    Ok(leader) => leader.run(&mut told).await,
                    Err(error) => error,
                };
                let text = error.to_string();
                match &error {
                    RelayError::Fenced => tracing::debug!("{text}"),
                    _ if text == told => (),
                    _ => tracing::warn!(source = self.log.source, "events wait in the log: {text}"),
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
        let config = stream::Config {
            name: name.clone(),
            subjects: vec![format!("bramble.{}.>", self.log.source)],
            storage: stream::StorageType::File,
            retention: stream::RetentionPolicy::Limits,
            discard: stream::DiscardPolicy::Old,
            max_bytes: self.stream_max_bytes,
            allow_direct: true,
            allow_atomic_publish: true,
            compression: Some(stream::Compression::S2),
            ..Default::default()
        };
        let stream = context.get_or_create_stream(config).await.map_err(nats)?;
        let state = stream.get_info().await.map_err(nats)?.state;
        let mut tail = Tail { stream_sequence: state.last_sequence, log_id: 0 };
        if state.messages > 0 {
            let last = stream.get_raw_message(state.last_sequence).await.map_err(nats)?;
            let event = Event::parse(&last.payload, last.sequence).map_err(nats)?;
            self.check_known(&name, &event).await?;
            tail.log_id = event.sequence;
        }
        tracing::debug!(stream = name, log_id = tail.log_id, "the relay leads");
        Ok(Leader { relay: self.clone(), tail, settled: Settled::default() })
    }

    async fn check_known(&self, stream: &str, event: &Event) -> Result<(), RelayError> {
        let statement = format!(
            "select exists (select from {}.events_log where id = $1 and payload->>'id' = $2)",
            self.log.source
        );
        let known: bool = sqlx::query_scalar(AssertSqlSafe(statement))
            .bind(event.sequence)
            .bind(event.id.to_string())
            .fetch_one(&self.log.pool)
            .await?;
        if known {
            return Ok(());
        }
        Err(RelayError::UnknownTail {
            stream: stream.to_owned(),
            sequence: event.sequence,
            event_id: event.id.to_string(),
        })
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
    settled: Settled,
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
        loop {
            match self.step().await {
                Ok(Step::Published(_)) => told.clear(),
                Ok(Step::Waits) => sleep(GAP_EVERY).await,
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
        let Log { pool, source, .. } = &self.relay.log;
        let read =
            settled::read(pool, source, &mut self.settled, self.tail.log_id, BATCH_MAX).await?;
        let Some(last) = read.rows.last() else {
            return Ok(if read.waits { Step::Waits } else { Step::Idle });
        };
        let log_id = last.sequence;
        let began = Instant::now();
        let stream_sequence = publish(&self.relay.client, source, &read.rows, self.tail).await?;
        tracing::trace!(source, count = read.rows.len(), elapsed = ?began.elapsed(), "published");
        self.tail = Tail { stream_sequence, log_id };
        Ok(Step::Published(read.rows.len()))
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
