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

    /// One statement for each, and one that locks all of their runs: by id, as commands do.
    async fn apply(&self, tx: &mut PgConnection, events: &[Event]) -> Result<(), ApplyError> {
        let answers = events.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let runs: Vec<Uuid> = answers.iter().map(|(id, ..)| id.0).collect();
        store::payroll_runs::lock_all(tx, &runs).await?;
        for (id, event_id, journal_id) in answers {
            if !store::payroll_runs::note_journal(tx, id, event_id, journal_id).await? {
                return Err(refused(format!("payroll run {id} never told of event {event_id}")));
            }
        }
        Ok(())
    }
}

/// The run, the event that it told of, and the journal.
fn read(event: &Event) -> Result<(PayrollRunId, Uuid, Uuid), ApplyError> {
    let data: JournalPosted = event.data()?;
    let id = data.ref_id.parse().map_err(refused)?;
    let event_id = data.source_event_id.parse().map_err(refused)?;
    let journal_id = data.journal_id.parse().map_err(refused)?;
    Ok((id, event_id, journal_id))
}

fn refused(why: impl std::fmt::Display) -> ApplyError {
    ApplyError::Refused(why.to_string())
}
