use ids::PayrollRunId;
use log::{Apply, ApplyError, Event};
use proto::events::v1::JournalPosted;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::store;

/// What the books answer to payroll: each run keeps the journals of what it told.
#[derive(Debug, Clone)]
pub(crate) struct Books;

impl Apply for Books {
    const TYPES: &'static [&'static str] = &["journal.posted"];

    /// One statement for each journal that books something of ours.
    async fn apply(&self, tx: &mut PgConnection, events: &[Event]) -> Result<(), ApplyError> {
        for event in events {
            let data: JournalPosted = event.data()?;
            // What was posted by hand, or reverses such, answers nothing that was told here.
            if data.ref_type != "payroll" || data.source_event_id.is_empty() {
                continue;
            }
            let id: PayrollRunId = data.ref_id.parse().map_err(refused)?;
            let event_id: Uuid = data.source_event_id.parse().map_err(refused)?;
            let journal_id: Uuid = data.journal_id.parse().map_err(refused)?;
            if !store::payroll_runs::note_journal(tx, id, event_id, journal_id).await? {
                return Err(refused(format!("payroll run {id} never told of event {event_id}")));
            }
        }
        Ok(())
    }
}

fn refused(why: impl std::fmt::Display) -> ApplyError {
    ApplyError::Refused(why.to_string())
}
