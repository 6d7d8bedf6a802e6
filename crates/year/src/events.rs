//! A service's event log as that service would have written it (see `proto/bramble/events` and the crate `log`).

use anyhow::Context;
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::copying::{Rows, time};

/// What is known of an event besides its data.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Happened<'a> {
    pub(crate) at: DateTime<Utc>,
    pub(crate) id: Uuid,
    pub(crate) event_type: &'static str,
    pub(crate) subject: &'a str,
    /// Of its aggregate, after it.
    pub(crate) version: i32,
    /// The event that it follows from.
    pub(crate) because_of: Option<Uuid>,
}

/// An event in its place.
#[derive(Debug, Clone)]
pub(crate) struct Logged {
    pub(crate) source: &'static str,
    pub(crate) sequence: i64,
    pub(crate) id: Uuid,
    pub(crate) event_type: String,
    /// The `CloudEvents` object.
    pub(crate) payload: String,
}

#[derive(Debug)]
pub(crate) struct EventLog {
    source: &'static str,
    rows: Rows,
    newest: Option<Logged>,
}

/// As `log` writes it.
#[derive(Serialize)]
struct CloudEvent<'a> {
    specversion: &'static str,
    id: Uuid,
    source: String,
    #[serde(rename = "type")]
    event_type: &'static str,
    subject: &'a str,
    datacontenttype: &'static str,
    version: i32,
    actor: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    causationid: Option<Uuid>,
    time: String,
    data: Box<RawValue>,
}

impl EventLog {
    pub(crate) fn new(source: &'static str, rows: Rows) -> Self {
        Self { source, rows, newest: None }
    }

    /// Gives the event's own id.
    pub(crate) fn append(
        &mut self,
        happened: Happened<'_>,
        data: &impl Serialize,
    ) -> anyhow::Result<Uuid> {
        let Happened { at, id, event_type, subject, version, because_of } = happened;
        let event = CloudEvent {
            specversion: "1.0",
            id,
            source: format!("/bramble/{}", self.source),
            event_type,
            subject,
            datacontenttype: "application/json",
            version,
            actor: "year",
            causationid: because_of,
            time: time(at),
            data: serde_json::value::to_raw_value(data)?,
        };
        let payload = serde_json::to_string(&event)?;
        let sequence = self.newest.as_ref().map_or(1, |newest| newest.sequence + 1);
        let rows = &mut self.rows;
        rows.plain(sequence).plain(event_type).plain(self.source).text(&payload).time(at).end()?;
        let (source, event_type) = (self.source, event_type.to_owned());
        self.newest = Some(Logged { source, sequence, id, event_type, payload });
        Ok(id)
    }

    /// Its newest event.
    pub(crate) fn finish(self) -> anyhow::Result<Logged> {
        self.rows.finish()?;
        self.newest.with_context(|| format!("{} has no event", self.source))
    }
}
