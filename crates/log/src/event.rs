//! Events as `CloudEvents` 1.0 JSON: the same text in the log, on NATS, and over gRPC.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use uuid::Uuid;

/// NATS carries messages up to 1 MiB unless told otherwise, and one that is too large would hold up all behind it. Half of that, since
/// Postgres adds white space.
const EVENT_MAX_BYTES: usize = 512 << 10;
/// What a dead letter has room for.
pub(crate) const SUBJECT_MAX_BYTES: usize = 128;

/// Why an event happens: who asked for it, in which request and trace, and which event it follows from.
#[derive(Debug, Clone, Default)]
pub struct Cause {
    actor: String,
    traceparent: Option<String>,
    request_id: Option<Uuid>,
    event_id: Option<Uuid>,
}

impl Cause {
    /// The call that is being served; to be taken before the work goes to another task.
    #[must_use]
    pub fn of_call() -> Self {
        match rpc::Call::current() {
            Some(call) => Self {
                actor: call.actor.to_string(),
                traceparent: call.traceparent(),
                ..Self::default()
            },
            None => Self {
                actor: "system".to_owned(),
                traceparent: telemetry::traceparent(),
                ..Self::default()
            },
        }
    }

    /// The same call with the `request_id` that it carries, if any.
    #[must_use]
    pub fn with_request(self, request_id: Option<Uuid>) -> Self {
        Self { request_id, ..self }
    }

    /// Another event: its actor, request and trace go on.
    #[must_use]
    pub fn of_event(event: &Event) -> Self {
        Self {
            actor: event.actor.clone(),
            traceparent: telemetry::traceparent().or_else(|| event.traceparent.clone()),
            request_id: event.request_id,
            event_id: Some(event.id),
        }
    }

    /// Who asked.
    #[must_use]
    pub fn actor(&self) -> &str {
        &self.actor
    }

    /// The trace that it is part of.
    #[must_use]
    pub fn traceparent(&self) -> Option<&str> {
        self.traceparent.as_deref()
    }
}

/// An event to be written. Its time is the database's, its sequence the log's.
#[derive(Debug)]
pub struct NewEvent {
    pub(crate) id: Uuid,
    pub(crate) event_type: &'static str,
    subject: String,
    version: i32,
    cause: Cause,
    data: Result<Box<RawValue>, String>,
}

impl NewEvent {
    /// `event_type` is `<entity>.<verb in the past>`, `subject` the aggregate's key, `version` the aggregate's after the event, from 1,
    /// and `data` a message of `proto::events`.
    #[must_use]
    pub fn new(
        event_type: &'static str,
        subject: impl std::fmt::Display,
        version: i32,
        data: &impl Serialize,
        cause: &Cause,
    ) -> Self {
        Self {
            id: Uuid::now_v7(),
            event_type,
            subject: subject.to_string(),
            version,
            cause: cause.clone(),
            data: serde_json::value::to_raw_value(data).map_err(|error| error.to_string()),
        }
    }

    /// The key of the event itself.
    #[must_use]
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// The `CloudEvents` object but for `time`, which Postgres adds.
    pub(crate) fn to_json(&self, source: &str) -> Result<String, String> {
        let data = self.data.as_ref().map_err(Clone::clone)?;
        let envelope = Envelope {
            specversion: "1.0",
            id: self.id,
            source: format!("/bramble/{source}"),
            event_type: self.event_type,
            subject: &self.subject,
            datacontenttype: "application/json",
            version: self.version,
            actor: &self.cause.actor,
            traceparent: self.cause.traceparent.as_deref(),
            requestid: self.cause.request_id,
            causationid: self.cause.event_id,
            data,
        };
        if self.subject.len() > SUBJECT_MAX_BYTES {
            return Err(format!("the subject of {} is too long", self.event_type));
        }
        let json = serde_json::to_string(&envelope).map_err(|error| error.to_string())?;
        if json.len() > EVENT_MAX_BYTES {
            return Err(format!(
                "{} has {} bytes, which no bus carries",
                self.event_type,
                json.len()
            ));
        }
        Ok(json)
    }
}

#[derive(Serialize)]
struct Envelope<'a> {
    specversion: &'static str,
    id: Uuid,
    source: String,
    #[serde(rename = "type")]
    event_type: &'static str,
    subject: &'a str,
    datacontenttype: &'static str,
    version: i32,
    actor: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    requestid: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    causationid: Option<Uuid>,
    data: &'a RawValue,
}

/// An event as it arrives.
#[derive(Debug, Clone, Deserialize)]
pub struct Event {
    /// Unique for ever.
    pub id: Uuid,
    /// `<entity>.<verb in the past>`, such as `order.placed`.
    #[serde(rename = "type")]
    pub event_type: String,
    /// The aggregate's key.
    pub subject: String,
    /// When it was recorded, by the clock of its database.
    pub time: chrono::DateTime<chrono::Utc>,
    /// The aggregate's version after it, from 1 without a hole.
    pub version: i32,
    /// Who asked for it.
    #[serde(default)]
    pub actor: String,
    /// The trace that it is part of.
    pub traceparent: Option<String>,
    /// The `request_id` of the call that it goes back to, if that had one.
    #[serde(rename = "requestid")]
    pub request_id: Option<Uuid>,
    /// The event that it follows from, if it was not asked for directly.
    #[serde(rename = "causationid")]
    pub causation_id: Option<Uuid>,
    /// Its place in the log of its source.
    #[serde(default, deserialize_with = "number_in_text")]
    pub sequence: i64,
    /// The place of the one before it; 0 for the first.
    #[serde(default, deserialize_with = "number_in_text")]
    pub previous: i64,
    /// ProtoJSON of a message of `proto::events`.
    pub data: Box<RawValue>,
    /// Its place in the NATS stream; 0 when it came another way.
    #[serde(skip)]
    pub stream_sequence: u64,
}

impl Event {
    /// Reads the published JSON.
    pub fn parse(json: &[u8], stream_sequence: u64) -> Result<Self, serde_json::Error> {
        let event: Self = serde_json::from_slice(json)?;
        Ok(Self { stream_sequence, ..event })
    }

    /// Its data as the message that its type stands for.
    pub fn data<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.data.get())
    }
}

/// `CloudEvents` knows integers of 32 bits only, so 64 bits travel as text.
fn number_in_text<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

/// A logged object as it is published: with its place in the log, and the place of the one before.
pub(crate) fn with_place(payload: &str, sequence: i64, previous: i64) -> String {
    let body = payload.trim_end().strip_suffix('}').unwrap_or(payload);
    format!("{body}, \"sequence\": \"{sequence}\", \"previous\": \"{previous}\"}}")
}

/// The JetStream stream of a source: `ORDERS` of `orders`.
#[must_use]
pub fn stream_name(source: &str) -> String {
    source.to_ascii_uppercase()
}

/// The NATS subject of an event: `bramble.<service>.<entity>.<verb>.v1`.
pub(crate) fn nats_subject(source: &str, event_type: &str) -> String {
    format!("bramble.{source}.{event_type}.v1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_from_an_event_names_it_and_goes_back_to_the_same_actor_and_request() {
        let request_id = Uuid::now_v7();
        let asked = Cause { actor: "till-1".to_owned(), ..Cause::default() };
        let asked = asked.with_request(Some(request_id));
        let placed = arrived(&NewEvent::new("order.placed", "a", 1, &(), &asked));
        assert_eq!((placed.request_id, placed.causation_id), (Some(request_id), None));

        let issued = NewEvent::new("invoice.issued", "b", 1, &(), &Cause::of_event(&placed));
        let issued = arrived(&issued);
        assert_eq!((issued.actor.as_str(), issued.request_id), ("till-1", Some(request_id)));
        assert_eq!(issued.causation_id, Some(placed.id));
    }

    fn arrived(event: &NewEvent) -> Event {
        let json = event.to_json("orders").unwrap();
        let json = json.replacen('{', r#"{"time":"2026-11-26T01:00:00Z","#, 1);
        Event::parse(json.as_bytes(), 1).unwrap()
    }
}
