use chrono_tz::Tz;
use ids::PayrollRunId;
use log::{Log, NewEvent};
use proto::events::v1::{PayrollPaid, PayrollReversed};
use sqlx::PgConnection;

use crate::{
    HrError,
    commands::{self, OnRun},
    domain::{self, Move, PayrollRun, Payslip, RunKind, RunStatus},
    store,
};

/// Takes a run back by its mirror, which is answered, too. The wages were never owed: the mirror has the run's own day. Money that was
/// paid comes back today. Locks the month's runs.
#[tracing::instrument(name = "hr.reverse_payroll_run", skip_all, fields(payroll_run.id = %command.id))]
pub(crate) async fn reverse_payroll_run(
    log: &Log,
    zone: Tz,
    command: &OnRun,
) -> Result<(PayrollRun, PayrollRun), HrError> {
    let mut tx = log.begin().await?;
    let request_key = command.request_key.as_ref();
    if let Some(earlier) = log::answered(&mut tx, store::SCHEMA, request_key, command.id).await? {
        let run = store::payroll_runs::get_answered(&mut tx, &earlier).await?;
        return with_mirror(&mut tx, run).await;
    }
    let run = store::payroll_runs::lock(&mut tx, command.id).await?;
    let Some(after) = commands::moved(&run, Move::Reverse, command.etag.as_deref())? else {
        let both = with_mirror(&mut tx, run).await?;
        log.commit(tx).await?;
        return Ok(both);
    };
    let now = store::clock(&mut tx).await?;
    let today = domain::day_of(now, zone);
    let mirror = PayrollRun {
        id: PayrollRunId::generate(),
        kind: RunKind::Reversal,
        status: RunStatus::Reversed,
        created_at: now,
        approved_at: Some(now),
        reversed_on: Some(today),
        reverses_run_id: Some(run.id),
        paid_on: None,
        journal_id: None,
        payment_journal_id: None,
        reversal_journal_id: None,
        repayment_journal_id: None,
        version: 1,
        ..run.clone()
    };
    let payslips = store::payslips::all(&mut tx, run.id).await?;
    let payslips: Vec<Payslip> =
        payslips.iter().map(|payslip| payslip.mirrored(mirror.id)).collect();
    let mirror = mirror.with_payslips(&payslips);
    if !store::payroll_runs::insert_draft(&mut tx, &mirror).await? {
        return Err(HrError::StaleRunEtag(run.id));
    }
    store::payslips::insert(&mut tx, &payslips).await?;
    store::payroll_runs::close_mirror(&mut tx, &mirror).await?;

    let was_paid = run.status == RunStatus::Paid;
    let mut after =
        PayrollRun { reversed_on: Some(today), reversal_run_id: Some(mirror.id), ..after };
    let data = PayrollReversed {
        payroll_run_id: after.id.to_string(),
        reversal_id: mirror.id.to_string(),
        approved: Some(commands::approved(&after, after.period.last_day())?),
        was_paid,
    };
    let told = NewEvent::new("payroll.reversed", after.id, after.version, &data, &command.cause);
    store::payroll_runs::update(&mut tx, &after, told.id()).await?;
    let mut events = vec![told];
    if was_paid {
        after.version += 1;
        let data = PayrollPaid {
            payroll_run_id: after.id.to_string(),
            net: commands::to_money(after.totals.net_pence())?,
            pay_date: rpc::to_date(today),
        };
        let told = NewEvent::new("payroll.repaid", after.id, after.version, &data, &command.cause);
        store::payroll_runs::note_repaid(&mut tx, &after, told.id()).await?;
        events.push(told);
    }
    log.append(&mut tx, &events).await?;
    log.commit(tx).await?;
    Ok((after, mirror))
}

async fn with_mirror(
    db: &mut PgConnection,
    run: PayrollRun,
) -> Result<(PayrollRun, PayrollRun), HrError> {
    let mirror = run.reversal_run_id.ok_or(sqlx::Error::RowNotFound)?;
    let mirror = store::payroll_runs::get(db, mirror).await?;
    Ok((run, mirror))
}
