use log::Log;

use crate::{
    HrError,
    commands::{self, OnRun},
    domain::{Move, PayrollRun},
    store,
};

/// Calculates a draft anew. Locks the month's runs. One that comes out the same writes nothing.
#[tracing::instrument(name = "hr.recalculate_payroll_run", skip_all, fields(payroll_run.id = %command.id))]
pub(crate) async fn recalculate_payroll_run(
    log: &Log,
    command: &OnRun,
) -> Result<PayrollRun, HrError> {
    let mut tx = log.begin().await?;
    let request_key = command.request_key.as_ref();
    if let Some(earlier) = log::answered(&mut tx, store::SCHEMA, request_key, command.id).await? {
        return store::payroll_runs::get_answered(&mut tx, &earlier).await;
    }
    let run = store::payroll_runs::lock(&mut tx, command.id).await?;
    let after = commands::moved(&run, Move::Recalculate, command.etag.as_deref())?;
    let payslips = commands::calculate(&mut tx, &run).await?;
    let before = store::payslips::all(&mut tx, run.id).await?;
    let after = after.filter(|_| !commands::are_the_same(&before, &payslips));
    let Some(after) = after else {
        log.commit(tx).await?;
        return Ok(run);
    };
    let after = after.with_payslips(&payslips);
    store::payslips::delete(&mut tx, run.id).await?;
    store::payslips::insert(&mut tx, &payslips).await?;
    store::payroll_runs::update_draft(&mut tx, &after).await?;
    let drafted = commands::drafted("payroll.drafted", &after, &command.cause);
    log.append(&mut tx, &[drafted]).await?;
    log.commit(tx).await?;
    Ok(after)
}
