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

    /// What was posted by hand, or reverses such, answers nothing that was told here. What cannot be read is to be refused.
    fn concerns(&self, event: &Event) -> bool {
        let data: Result<JournalPosted, _> = event.data();
        data.map_or(true, |data| data.ref_type == "payroll" && !data.source_event_id.is_empty())
    }

    /// One statement for each.
    async fn apply(&self, tx: &mut PgConnection, events: &[Event]) -> Result<(), ApplyError> {
        for event in events {
            let data: JournalPosted = event.data()?;
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
