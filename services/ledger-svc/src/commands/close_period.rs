use chrono_tz::Tz;
use log::{Cause, Log, NewEvent, RequestKey};
use proto::events::v1::PeriodChanged;
use sqlx::PgConnection;

use crate::{
    LedgerError,
    domain::{Month, Period, PeriodState, day_of},
    queries, store,
};

/// To close or to reopen one.
#[derive(Debug)]
pub(crate) struct ChangePeriod {
    pub(crate) request_key: Option<RequestKey>,
    pub(crate) cause: Cause,
    pub(crate) month: Month,
}

/// Closes a month after all before it that have journals. Holds the periods alone: waits for all who post.
#[tracing::instrument(name = "ledger.close_period", skip_all, fields(period = %command.month))]
pub(crate) async fn close_period(
    log: &Log,
    zone: Tz,
    command: ChangePeriod,
) -> Result<Period, LedgerError> {
    let month = command.month;
    let mut tx = log.begin().await?;
    let request_key = command.request_key.as_ref();
    if log::answered(&mut tx, store::SCHEMA, request_key, month).await?.is_some() {
        return Ok(queries::period(&mut tx, month).await?);
    }
    let closed_through = store::periods::hold_alone(&mut tx).await?;
    if closed_through.is_none_or(|closed| closed < month) {
        admit(&mut tx, zone, month, closed_through).await?;
        change(&mut tx, log, month, PeriodState::Closed, &command.cause).await?;
    }
    let period = queries::period(&mut tx, month).await?;
    log.commit(tx).await?;
    Ok(period)
}

async fn admit(
    tx: &mut PgConnection,
    zone: Tz,
    month: Month,
    closed_through: Option<Month>,
) -> Result<(), LedgerError> {
    let today = day_of(store::now(tx).await?, zone);
    if month >= Month::of(today) {
        return Err(LedgerError::PeriodNotOver(month));
    }
    let open_from = closed_through.map(|closed| closed.next().first_day());
    match store::journals::first_day_before(tx, month.first_day(), open_from).await? {
        Some(day) => Err(LedgerError::PeriodOutOfOrder { first: Month::of(day) }),
        None => Ok(()),
    }
}

/// Notes and tells what a month is now.
pub(super) async fn change(
    tx: &mut PgConnection,
    log: &Log,
    month: Month,
    state: PeriodState,
    cause: &Cause,
) -> Result<(), LedgerError> {
    let version = store::periods::change(tx, month, state, cause.actor()).await?;
    let event_type = match state {
        PeriodState::Closed => "period.closed",
        PeriodState::Open => "period.reopened",
    };
    let data = PeriodChanged { period: month.to_string() };
    log.append(tx, &[NewEvent::new(event_type, month, version, &data, cause)]).await?;
    Ok(())
}
