//! The events of one source, in order and without a hole, whatever its stream has lost.
//!
//! Messages are read by an ordered consumer without acks. One whose `previous` is not the position tells of a hole (the stream lost or
//! dropped its oldest): the hole is fetched page by page from the source's own log over gRPC before anything behind it is given.
//! So a message that cannot be read, or that the bus dropped, is no loss either.
//!
//! **Invariant:** what is given follows the position: the first event's `previous` is the position's `log_id`, each next one's the
//! sequence before it. A source whose log contradicts the position (it was restored to an earlier time) gives nothing but an error.

use std::{collections::VecDeque, pin::Pin, time::Duration};

use anyhow::{Context, bail, ensure};
use async_nats::{
    Client,
    jetstream::{
        self,
        consumer::{DeliverPolicy, pull::OrderedConfig},
        message::StreamMessage,
        stream::{self, LastRawMessageErrorKind},
    },
};
use futures::{Stream, StreamExt};
use proto::log::v1::{ListEventsRequest, ListEventsResponse, event_log_client::EventLogClient};
use tokio::{task::JoinSet, time::timeout};
use tonic::{Response, Status};

use crate::{Event, Position, event::stream_name};

/// Events that are given at once at most.
pub(crate) const BATCH_MAX: usize = 500;
const HOLE_PAGE: i32 = 500;
/// A stream that says nothing for so long is looked at, in case it was replaced.
const SILENCE_MAX: Duration = Duration::from_secs(5);

/// Where events come from: a service's stream and, for holes in it, the service's own log.
#[derive(Debug, Clone)]
pub struct Source {
    /// Such as `orders`.
    pub name: &'static str,
    pub nats: Client,
    pub log: EventLogClient<rpc::Client>,
}

/// The events of one source behind a position, in order, without a hole.
pub struct Feed {
    source: Source,
    /// When the stream was made: another time, another stream.
    created: String,
    arrivals: Arrivals,
    /// The place in the stream up to which messages have arrived.
    seen: u64,
    /// Arrived and not given yet.
    pending: VecDeque<Event>,
    /// The next page of a hole, and what it is behind: fetched while the one before is applied.
    ahead: JoinSet<(i64, Result<ListEventsResponse, Status>)>,
    told: bool,
}

/// What has arrived since it was last looked at.
type Arrivals = Pin<Box<dyn Stream<Item = Vec<Result<Arrival, String>>> + Send>>;

struct Arrival {
    place: u64,
    event: Result<Event, serde_json::Error>,
}

impl Feed {
    /// Opens the source's stream where the position is, or at its start when the stream is not the one that the position is from.
    pub async fn open(source: &Source, position: Position) -> anyhow::Result<Self> {
        let name = stream_name(source.name);
        let stream = jetstream::new(source.nats.clone()).get_stream(&name).await?;
        let created = created(stream.cached_info());
        let seen = place_of(&stream, position).await?;
        let consumer = stream
            .create_consumer(OrderedConfig {
                deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: seen + 1 },
                ..Default::default()
            })
            .await?;
        let messages = consumer.messages().await?.map(|message| {
            let message = message.map_err(|error| error.to_string())?;
            let place = message.info().map_err(|error| error.to_string())?.stream_sequence;
            Ok(Arrival { place, event: Event::parse(&message.payload, place) })
        });
        let arrivals = Box::pin(messages.ready_chunks(BATCH_MAX));
        let (source, pending, ahead) = (source.clone(), VecDeque::new(), JoinSet::new());
        Ok(Self { source, created, arrivals, seen, pending, ahead, told: false })
    }

    /// Waits for the next events behind `position`: at least one, in order, the first one's `previous` being the position.
    pub async fn next(&mut self, position: Position) -> anyhow::Result<Vec<Event>> {
        loop {
            while let Some(event) = self.pending.pop_front_if(|e| e.sequence <= position.log_id) {
                self.check_same(&event, position)?;
            }
            let Some(first) = self.pending.front() else {
                self.receive(position).await?;
                continue;
            };
            if first.previous > position.log_id {
                return self.fetch(position.log_id, first.previous).await;
            }
            self.check_follows(first.sequence, first.previous, position.log_id)?;
            let mut given = Vec::new();
            let mut last = position.log_id;
            while let Some(event) = self.pending.pop_front_if(|event| event.previous == last) {
                last = event.sequence;
                given.push(event);
            }
            return Ok(given);
        }
    }

    /// Waits until something arrives.
    async fn receive(&mut self, position: Position) -> anyhow::Result<()> {
        loop {
            let Ok(arrived) = timeout(SILENCE_MAX, self.arrivals.next()).await else {
                self.check_silence(position).await?;
                continue;
            };
            for arrival in arrived.context("the stream has ended")? {
                let Arrival { place, event } = arrival
                    .map_err(|error| anyhow::anyhow!("the stream cannot be read: {error}"))?;
                self.seen = place;
                match event {
                    Ok(event) => self.pending.push_back(event),
                    // If it was an event, the next one's `previous` tells of the hole.
                    Err(error) => tracing::error!(
                        source = self.source.name,
                        place,
                        "a message that is no event is passed over: {error}"
                    ),
                }
            }
            return Ok(());
        }
    }

    /// A page of events behind `after` and up to `up_to`, from the source's own log.
    async fn fetch(&mut self, after: i64, up_to: i64) -> anyhow::Result<Vec<Event>> {
        let page = loop {
            match self.ahead.join_next().await {
                Some(page) => {
                    let (behind, page) = page?;
                    if behind == after {
                        break page?;
                    }
                }
                None => {
                    tracing::warn!(source = self.source.name, after, up_to, "a hole in the stream");
                    self.ask(after);
                }
            }
        };
        let mut fetched = Vec::with_capacity(page.events.len());
        let mut last = after;
        for event in page.events.iter().filter(|event| event.sequence <= up_to) {
            self.check_follows(event.sequence, event.previous, last)?;
            last = event.sequence;
            fetched.push(Event::parse(event.cloud_event.as_bytes(), 0)?);
        }
        ensure!(!fetched.is_empty(), "the log of {} has no event behind {after}", self.source.name);
        if last < up_to {
            self.ask(last);
        }
        Ok(fetched)
    }

    fn ask(&mut self, after: i64) {
        let mut log = self.source.log.clone();
        let request = ListEventsRequest {
            after_sequence: after,
            page_size: HOLE_PAGE,
            event_type: String::new(),
        };
        self.ahead.spawn(async move {
            let page = log.list_events(request).await;
            (after, page.map(Response::into_inner))
        });
    }

    /// A silent stream is well if it is still the same one, and has nothing new.
    async fn check_silence(&mut self, position: Position) -> anyhow::Result<()> {
        let name = stream_name(self.source.name);
        let stream = jetstream::new(self.source.nats.clone()).get_stream(&name).await?;
        let info = stream.cached_info();
        ensure!(created(info) == self.created, "stream {name} was replaced");
        if info.state.messages == 0 || info.state.last_sequence <= self.seen {
            return Ok(());
        }
        let Some(last) = last_event(&stream, self.source.name).await? else { return Ok(()) };
        ensure!(last.sequence <= position.log_id, "stream {name} is silent though it goes on");
        if last.sequence < position.log_id && !self.told {
            tracing::warn!(
                source = self.source.name,
                "the stream ends at {}, which is before what was applied, {}: it is being filled again, or the log of {} was \
                 restored to an earlier time",
                last.sequence,
                position.log_id,
                self.source.name
            );
            self.told = true;
        }
        Ok(())
    }

    /// The event of the position must be the one that was applied.
    fn check_same(&self, event: &Event, position: Position) -> anyhow::Result<()> {
        let same = event.sequence != position.log_id || event.id == position.event_id;
        ensure!(
            same || position.event_id.is_nil(),
            "event {} of {} is {}, but {} was applied: the log was restored to an earlier time, and went on; this service's \
             position must be put right by hand",
            event.sequence,
            self.source.name,
            event.id,
            position.event_id
        );
        Ok(())
    }

    /// The log must have the event that was applied last.
    fn check_follows(&self, sequence: i64, previous: i64, last: i64) -> anyhow::Result<()> {
        if previous == last {
            return Ok(());
        }
        bail!(
            "event {sequence} of {} comes behind {previous}, but {last} was applied: the log was restored to an earlier time, and \
             went on; this service's position must be put right by hand",
            self.source.name
        )
    }
}

impl std::fmt::Debug for Feed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Feed").field("source", &self.source.name).finish_non_exhaustive()
    }
}

fn created(info: &stream::Info) -> String {
    format!("{:?}", info.created)
}

/// The place in the stream up to which nothing is new to the position; 0 when the stream is not the one that the position is from.
async fn place_of(stream: &stream::Stream, position: Position) -> anyhow::Result<u64> {
    if position.stream_sequence == 0 {
        return Ok(0);
    }
    let found = match stream.get_raw_message(position.stream_sequence).await {
        Ok(message) => parse(&message),
        Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => None,
        Err(error) => return Err(error.into()),
    };
    // One before the position's own, so that this one arrives and can be compared.
    let known = found.is_some_and(|event| event.sequence <= position.log_id);
    Ok(if known { position.stream_sequence - 1 } else { 0 })
}

async fn last_event(stream: &stream::Stream, source: &str) -> anyhow::Result<Option<Event>> {
    let all = format!("bramble.{source}.>");
    match stream.get_last_raw_message_by_subject(&all).await {
        Ok(message) => Ok(parse(&message)),
        Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn parse(message: &StreamMessage) -> Option<Event> {
    Event::parse(&message.payload, message.sequence).ok()
}
