use chrono::NaiveDate;
use log::{ApplyError, Cause, Log, NewEvent};
use sqlx::PgConnection;

use crate::{
    commands,
    domain::{Posting, booked_on},
    store,
};

/// Posts what events are booked as, each once, and tells of each. What belongs to a closed month is posted on the first open day after it.
/// Four statements however many. Holds the periods.
pub(crate) async fn post_events(
    tx: &mut PgConnection,
    log: &Log,
    postings: &[(Posting, Cause)],
) -> Result<(), ApplyError> {
    if postings.is_empty() {
        return Ok(());
    }
    let closed_through = store::periods::hold(tx).await?;
    let dated: Vec<(&Posting, NaiveDate)> = postings
        .iter()
        .map(|(posting, _)| (posting, booked_on(posting.document_date, closed_through)))
        .collect();
    let new = store::journals::insert(tx, &dated).await?;
    let entries: Vec<&Posting> =
        dated.iter().map(|(posting, _)| *posting).filter(|one| new.contains(&one.id)).collect();
    store::entries::insert(tx, &entries).await?;
    let news: Vec<NewEvent> = postings
        .iter()
        .zip(&dated)
        .filter(|((posting, _), _)| new.contains(&posting.id))
        .map(|((posting, cause), (_, date))| commands::posted(posting, *date, cause))
        .collect::<Result<_, _>>()
        .map_err(|error| ApplyError::Refused(error.to_string()))?;
    log.append(tx, &news).await?;
    Ok(())
}
