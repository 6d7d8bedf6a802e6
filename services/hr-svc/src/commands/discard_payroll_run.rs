use log::Log;

use crate::{
    HrError,
    commands::{self, OnRun},
    domain::{Move, PayrollRun},
    store,
};

/// Gives a draft up. Locks the month's runs.
#[tracing::instrument(name = "hr.discard_payroll_run", skip_all, fields(payroll_run.id = %command.id))]
pub(crate) async fn discard_payroll_run(log: &Log, command: &OnRun) -> Result<PayrollRun, HrError> {
    let mut tx = log.begin().await?;
    let request_key = command.request_key.as_ref();
    if let Some(earlier) = log::answered(&mut tx, store::SCHEMA, request_key, command.id).await? {
        return store::payroll_runs::get_answered(&mut tx, &earlier).await;
    }
    let run = store::payroll_runs::lock(&mut tx, command.id).await?;
    let Some(after) = commands::moved(&run, Move::Discard, command.etag.as_deref())? else {
        log.commit(tx).await?;
        return Ok(run);
    };
    let told = commands::drafted("payroll.discarded", &after, &command.cause);
    store::payroll_runs::update(&mut tx, &after, told.id()).await?;
    log.append(&mut tx, &[told]).await?;
    log.commit(tx).await?;
    Ok(after)
}
