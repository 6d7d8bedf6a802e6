//! The `EventLog` that every service serves.

use std::{collections::BTreeMap, pin::Pin, sync::Arc, time::Duration};

use futures::{Stream, future::BoxFuture};
use proto::log::v1 as pb;
use sqlx::{Postgres, Transaction};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use crate::{
    Apply, ApplyError, Event, Log, dead,
    error::LogError,
    event::{SUBJECT_MAX_BYTES, with_place},
    position, settled, status,
};

const PAGE_DEFAULT: i32 = 100;
const PAGE_MAX: i32 = 1000;
/// Well below what a gRPC client takes in one message.
const PAGE_MAX_BYTES: usize = 2 << 20;
const STREAM_PAGE: i64 = 200;
/// How soon a followed stream looks again when nothing wakes it.
const FOLLOW_EVERY: Duration = Duration::from_millis(200);
/// How soon a gap is looked at again, and how often before a page ends there.
const GAP_EVERY: Duration = Duration::from_millis(20);
const GAP_LOOKS: u32 = 10;

type Retry = Box<
    dyn for<'a> Fn(&'a mut sqlx::PgConnection, Event) -> BoxFuture<'a, Result<(), ApplyError>>
        + Send
        + Sync,
>;

/// Serves a log, and the dead letters of the consumers that are named to it.
pub struct EventLogService {
    log: Log,
    retries: BTreeMap<&'static str, Retry>,
}

impl EventLogService {
    #[must_use]
    pub fn new(log: Log) -> Self {
        Self { log, retries: BTreeMap::new() }
    }

    /// Lets the dead letters of a source be tried again with the consumer's own effect.
    #[must_use]
    pub fn with_retry<A: Apply + Clone>(mut self, source: &'static str, apply: A) -> Self {
        let apply = Arc::new(apply);
        self.retries.insert(
            source,
            Box::new(move |tx, event| {
                let apply = Arc::clone(&apply);
                Box::pin(async move { apply.apply(tx, &[event]).await })
            }),
        );
        self
    }
}

type EventStream = Pin<Box<dyn Stream<Item = Result<pb::StreamEventsResponse, Status>> + Send>>;

#[tonic::async_trait]
impl pb::event_log_server::EventLog for EventLogService {
    async fn list_events(
        &self,
        request: Request<pb::ListEventsRequest>,
    ) -> Result<Response<pb::ListEventsResponse>, Status> {
        let request = request.into_inner();
        let mut fields = rpc::Fields::default();
        let size = if request.page_size == 0 { PAGE_DEFAULT } else { request.page_size };
        let size = fields.within("page_size", size, 1, PAGE_MAX);
        let after = fields.within("after_sequence", request.after_sequence, 0, i64::MAX);
        fields.done()?;

        let rows = self.read_page(after, i64::from(size)).await?;
        let next_after_sequence = rows.last().map_or(after, |event| event.sequence);
        let wanted = |event: &settled::Logged| {
            request.event_type.is_empty() || event.event_type == request.event_type
        };
        let events = rows.iter().filter(|row| wanted(row)).map(to_event).collect();
        Ok(Response::new(pb::ListEventsResponse { events, next_after_sequence }))
    }

    type StreamEventsStream = EventStream;

    async fn stream_events(
        &self,
        request: Request<pb::StreamEventsRequest>,
    ) -> Result<Response<EventStream>, Status> {
        let request = request.into_inner();
        let mut fields = rpc::Fields::default();
        let after = fields.within("after_sequence", request.after_sequence, 0, i64::MAX);
        fields.done()?;

        let log = self.log.clone();
        let stopping = rpc::Call::current().map(|call| call.stopping()).unwrap_or_default();
        // The small queue is what slows the reader down to its caller.
        let (sender, receiver) = mpsc::channel(16);
        tokio::spawn(async move {
            let send = send_events(&log, after, request.follow, &sender);
            tokio::select! {
                sent = send => if let Err(status) = sent {
                    let _ = sender.send(Err(status)).await;
                },
                () = sender.closed() => (),
                // A caller that follows for ever would keep the process from ending.
                () = stopping.cancelled() => {
                    let _ = sender.try_send(Err(Status::unavailable("the service is stopping")));
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    async fn list_dead_letters(
        &self,
        request: Request<pb::ListDeadLettersRequest>,
    ) -> Result<Response<pb::ListDeadLettersResponse>, Status> {
        let request = request.into_inner();
        let mut fields = rpc::Fields::default();
        let page = rpc::Page::read(&mut fields, request.page_size, &request.page_token, "dead");
        let after = page.token.key::<Uuid>(&mut fields);
        fields.done()?;

        let mut db = self.log.pool.acquire().await.map_err(away)?;
        let mut rows =
            dead::list(&mut db, self.log.source, after, page.limit()).await.map_err(away)?;
        let next_page_token = page.cut(&mut rows, |row| row.id.to_string());
        let dead_letters = rows.into_iter().map(to_dead_letter).collect();
        Ok(Response::new(pb::ListDeadLettersResponse { dead_letters, next_page_token }))
    }

    async fn retry_dead_letters(
        &self,
        request: Request<pb::RetryDeadLettersRequest>,
    ) -> Result<Response<pb::RetryDeadLettersResponse>, Status> {
        let request = request.into_inner();
        let mut fields = rpc::Fields::default();
        let retry = self.retries.get(request.source.as_str());
        if retry.is_none() {
            let known: Vec<_> = self.retries.keys().copied().collect();
            fields.bad("source", format!("is not followed here: {}", known.join(", ")));
        }
        let subject = fields.text("subject", request.subject, 1, SUBJECT_MAX_BYTES);
        let Some(retry) = retry else { return Err(fields.refuse()) };
        fields.done()?;
        let mut applied_count = 0;
        // One transaction each, so that those before a failure stay applied.
        loop {
            let mut tx = self.begin_instead_of_consumer(&request.source).await?;
            let letters = dead::lock_subject(&mut tx, self.log.source, &request.source, &subject);
            let Some(letter) = letters.await.map_err(away)?.into_iter().next() else { break };
            let event = Event::parse(letter.payload.as_bytes(), 0).map_err(ApplyError::from);
            let applied = match event {
                Ok(event) => retry(&mut tx, event).await,
                Err(error) => Err(error),
            };
            applied.map_err(|error| LogError::not_applied(letter.log_id, error))?;
            dead::delete(&mut tx, self.log.source, letter.id).await.map_err(away)?;
            self.log.commit(tx).await.map_err(away)?;
            applied_count += 1;
        }
        Ok(Response::new(pb::RetryDeadLettersResponse { applied_count }))
    }

    async fn discard_dead_letter(
        &self,
        request: Request<pb::DiscardDeadLetterRequest>,
    ) -> Result<Response<pb::DiscardDeadLetterResponse>, Status> {
        let mut fields = rpc::Fields::default();
        let id = fields.id::<Uuid>("dead_letter_id", &request.into_inner().dead_letter_id);
        let Some(id) = id else { return Err(fields.refuse()) };
        let mut db = self.log.pool.acquire().await.map_err(away)?;
        if dead::delete(&mut db, self.log.source, id).await.map_err(away)? {
            return Ok(Response::new(pb::DiscardDeadLetterResponse {}));
        }
        Err(LogError::DeadLetterNotFound(id).into())
    }

    async fn get_log_status(
        &self,
        _: Request<pb::GetLogStatusRequest>,
    ) -> Result<Response<pb::GetLogStatusResponse>, Status> {
        Ok(Response::new(status::read(&self.log).await.map_err(away)?))
    }
}

impl EventLogService {
    /// Waits a little at a gap, which most often is one whose transaction is just ending.
    async fn read_page(&self, after: i64, limit: i64) -> Result<Vec<settled::Logged>, Status> {
        let mut looks = 0;
        loop {
            let read = settled::read(&self.log, after, limit).await.map_err(away)?;
            looks += 1;
            if !read.waits || !read.rows.is_empty() || looks == GAP_LOOKS {
                let mut rows = read.rows;
                settled::truncate(&mut rows, PAGE_MAX_BYTES);
                return Ok(rows);
            }
            tokio::time::sleep(GAP_EVERY).await;
        }
    }

    /// A transaction in which the source's consumer applies and parks nothing: an event that it parked behind a letter that is
    /// applied at this moment would wait for ever.
    async fn begin_instead_of_consumer(
        &self,
        source: &str,
    ) -> Result<Transaction<'static, Postgres>, Status> {
        let mut tx = self.log.begin().await.map_err(away)?;
        position::lock(&mut tx, self.log.source, source).await.map_err(away)?;
        Ok(tx)
    }
}

/// Sends events behind a sequence: all that are there or, to one who follows, for ever. A gap that may yet be filled is no end.
async fn send_events(
    log: &Log,
    mut after: i64,
    follow: bool,
    sender: &mpsc::Sender<Result<pb::StreamEventsResponse, Status>>,
) -> Result<(), Status> {
    loop {
        let read = settled::read(log, after, STREAM_PAGE).await.map_err(away)?;
        let nothing = read.rows.is_empty();
        for row in read.rows {
            after = row.sequence;
            let event = pb::StreamEventsResponse { event: Some(to_event(&row)) };
            if sender.send(Ok(event)).await.is_err() {
                return Ok(());
            }
        }
        match (nothing, read.waits) {
            (false, _) => (),
            (true, true) => tokio::time::sleep(GAP_EVERY).await,
            (true, false) if follow => tokio::time::sleep(FOLLOW_EVERY).await,
            (true, false) => return Ok(()),
        }
    }
}

fn to_event(row: &settled::Logged) -> pb::Event {
    pb::Event {
        cloud_event: with_place(&row.payload, row.sequence, row.previous),
        sequence: row.sequence,
        previous: row.previous,
    }
}

fn to_dead_letter(row: dead::DeadLetter) -> pb::DeadLetter {
    pb::DeadLetter {
        dead_letter_id: row.id.to_string(),
        source: row.source,
        sequence: row.log_id,
        subject: row.subject,
        event_type: row.event_type,
        error: row.error,
        cloud_event: row.payload,
        create_time: Some(rpc::to_time(row.created_at)),
    }
}

fn away(error: sqlx::Error) -> Status {
    LogError::Database(error).into()
}
