use log::Log;

use crate::{
    LedgerError,
    commands::{ChangePeriod, close_period::change},
    domain::{Period, PeriodState},
    queries, store,
};

/// Reopens the month that was closed last. Holds the periods alone: waits for all who post.
#[tracing::instrument(name = "ledger.reopen_period", skip_all, fields(period = %command.month))]
pub(crate) async fn reopen_period(log: &Log, command: ChangePeriod) -> Result<Period, LedgerError> {
    let month = command.month;
    let mut tx = log.begin().await?;
    let request_key = command.request_key.as_ref();
    if log::answered(&mut tx, store::SCHEMA, request_key, month).await?.is_some() {
        return Ok(queries::period(&mut tx, month).await?);
    }
    match store::periods::hold_alone(&mut tx).await? {
        Some(last) if last > month => return Err(LedgerError::PeriodOutOfOrder { first: last }),
        Some(last) if last == month => {
            change(&mut tx, log, month, PeriodState::Open, &command.cause).await?;
        }
        _ => (),
    }
    let period = queries::period(&mut tx, month).await?;
    log.commit(tx).await?;
    Ok(period)
}
