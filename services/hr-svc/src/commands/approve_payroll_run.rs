use log::{Log, NewEvent};

use crate::{
    HrError,
    commands::{self, OnRun},
    domain::{Move, PayrollRun},
    store,
};

/// Approves a draft, if it would still come out the same. Locks the month's runs, then the employees: what the wages were calculated
/// from stays as it is until they are owed.
#[tracing::instrument(name = "hr.approve_payroll_run", skip_all, fields(payroll_run.id = %command.id))]
pub(crate) async fn approve_payroll_run(log: &Log, command: &OnRun) -> Result<PayrollRun, HrError> {
    let mut tx = log.begin().await?;
    let request_key = command.request_key.as_ref();
    if let Some(earlier) = log::answered(&mut tx, store::SCHEMA, request_key, command.id).await? {
        return store::payroll_runs::get_answered(&mut tx, &earlier).await;
    }
    let run = store::payroll_runs::lock(&mut tx, command.id).await?;
    let Some(after) = commands::moved(&run, Move::Approve, command.etag.as_deref())? else {
        log.commit(tx).await?;
        return Ok(run);
    };
    let payslips = match commands::calculate(&mut tx, &run).await {
        Ok(payslips) => payslips,
        Err(HrError::Database(error) | HrError::Internal(error)) => return Err(error.into()),
        // It could not even be calculated any more.
        Err(_) => return Err(HrError::RunStale(run.id)),
    };
    let seen = store::payslips::all(&mut tx, run.id).await?;
    if !commands::are_the_same(&seen, &payslips) {
        return Err(HrError::RunStale(run.id));
    }
    let after = PayrollRun { approved_at: Some(store::clock(&mut tx).await?), ..after };
    let data = commands::approved(&after, after.period.last_day())?;
    let told = NewEvent::new("payroll.approved", after.id, after.version, &data, &command.cause);
    store::payroll_runs::update(&mut tx, &after, told.id()).await?;
    log.append(&mut tx, &[told]).await?;
    log.commit(tx).await?;
    Ok(after)
}
