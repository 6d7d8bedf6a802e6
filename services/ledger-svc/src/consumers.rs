//! Events of other services that are booked: a journal for each that moves money.

mod billing;
mod hr;
mod inventory;

pub(crate) use billing::BillingBooks;
pub(crate) use hr::HrBooks;
pub(crate) use inventory::InventoryBooks;

use std::fmt::Display;

use chrono::NaiveDate;
use ids::JournalId;
use log::{ApplyError, Cause, Event, Log};
use money::Money;
use proto::common::v1 as pb;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    commands,
    domain::{self, Fact, Origin, Posting},
};

/// What an event tells, and the day that it belongs to. None when it moves no money.
type Told = Option<(Fact, NaiveDate)>;

/// Books events of one source. Four statements however many.
async fn book(
    tx: &mut PgConnection,
    log: &Log,
    source: &str,
    events: &[Event],
    read: impl Fn(&Event) -> Result<Told, ApplyError>,
) -> Result<(), ApplyError> {
    let mut postings = Vec::with_capacity(events.len());
    for event in events {
        let Some((fact, document_date)) = read(event)? else { continue };
        let lines = domain::book(&fact).map_err(refused)?;
        if lines.is_empty() {
            continue;
        }
        let posting = Posting {
            id: JournalId::generate(),
            origin: origin(event, source),
            document_date,
            description: None,
            reverses: None,
            lines,
        };
        postings.push((posting, Cause::of_event(event)));
    }
    commands::post_events(tx, log, &postings).await
}

fn origin(event: &Event, source: &str) -> Origin {
    Origin {
        source: source.to_owned(),
        event_id: event.id,
        event_type: event.event_type.clone(),
        event_time: Some(event.time),
        sequence: Some(event.sequence),
        causation_id: event.causation_id,
        request_id: event.request_id,
        actor: Some(event.actor.clone()).filter(|actor| !actor.is_empty()),
        traceparent: event.traceparent.clone(),
    }
}

fn read_id(text: &str) -> Result<Uuid, ApplyError> {
    text.parse().map_err(refused)
}

fn day(text: &str) -> Result<NaiveDate, ApplyError> {
    rpc::from_date(text).map_err(refused)
}

fn amount(money: Option<&pb::Money>) -> Result<Money, ApplyError> {
    rpc::from_money(money).map_err(refused)
}

fn not_booked(event: &Event) -> ApplyError {
    refused(format!("{} is not booked", event.event_type))
}

fn refused(why: impl Display) -> ApplyError {
    ApplyError::Refused(why.to_string())
}
