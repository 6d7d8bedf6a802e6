use chrono_tz::Tz;
use ids::PayrollRunId;
use log::{Cause, Log, RequestKey};
use sqlx::{PgConnection, types::Json};
use uuid::Uuid;

use crate::{
    HrError, commands,
    domain::{self, Pay, PayrollRun, Payslip, Period, RunKind, RunStatus},
    store,
};

/// As many as a preview shows.
const PREVIEW_MAX: usize = 1000;

#[derive(Debug)]
pub(crate) struct CreatePayrollRun {
    pub(crate) request_key: Option<RequestKey>,
    pub(crate) cause: Cause,
    pub(crate) period: Period,
    pub(crate) payroll_group: String,
    pub(crate) supplementary: bool,
    /// In their order.
    pub(crate) employee_ids: Vec<Uuid>,
}

/// Calculates a run as a draft, or finds the one that there is. Some twelve statements however many are paid.
#[tracing::instrument(name = "hr.create_payroll_run", skip_all, fields(period = %command.period))]
pub(crate) async fn create_payroll_run(
    log: &Log,
    zone: Tz,
    command: &CreatePayrollRun,
) -> Result<PayrollRun, HrError> {
    loop {
        // Where another one was drafted meanwhile, it is there to be found, unless it is discarded by then.
        if let Some(run) = try_create(log, zone, command).await? {
            return Ok(run);
        }
    }
}

/// What [`create_payroll_run`] would answer, with the first payslips. Keeps and tells nothing: a run that there is not yet has the nil key.
#[tracing::instrument(name = "hr.preview_payroll_run", skip_all, fields(period = %command.period))]
pub(crate) async fn preview_payroll_run(
    log: &Log,
    zone: Tz,
    command: &CreatePayrollRun,
) -> Result<(PayrollRun, Vec<Payslip>), HrError> {
    let mut tx = log.begin().await?;
    let (run, mut payslips) = match command.find(&mut tx).await? {
        Some(run) => {
            command.accept(&run)?;
            let payslips = store::payslips::all(&mut tx, run.id).await?;
            (run, payslips)
        }
        None => command.draft(&mut tx, PayrollRunId(Uuid::nil()), zone).await?,
    };
    tx.rollback().await?;
    payslips.truncate(PREVIEW_MAX);
    Ok((run, payslips))
}

/// None when another run was drafted meanwhile.
async fn try_create(
    log: &Log,
    zone: Tz,
    command: &CreatePayrollRun,
) -> Result<Option<PayrollRun>, HrError> {
    let mut tx = log.begin().await?;
    let found = command.find(&mut tx).await?;
    let id = found.as_ref().map_or_else(PayrollRunId::generate, |found| found.id);
    let request_key = command.request_key.as_ref();
    if let Some(earlier) = log::answered(&mut tx, store::SCHEMA, request_key, id).await? {
        return store::payroll_runs::get_answered(&mut tx, &earlier).await.map(Some);
    }
    if let Some(found) = found {
        command.accept(&found)?;
        log.commit(tx).await?;
        return Ok(Some(found));
    }
    let (run, payslips) = command.draft(&mut tx, id, zone).await?;
    if !store::payroll_runs::insert_draft(&mut tx, &run).await? {
        return Ok(None);
    }
    store::payslips::insert(&mut tx, &payslips).await?;
    let drafted = commands::drafted("payroll.drafted", &run, &command.cause);
    log.append(&mut tx, &[drafted]).await?;
    log.commit(tx).await?;
    Ok(Some(run))
}

impl CreatePayrollRun {
    fn kind(&self) -> RunKind {
        if self.supplementary { RunKind::Supplementary } else { RunKind::Regular }
    }

    /// The run that there is already, instead of which no other one is made.
    async fn find(&self, db: &mut PgConnection) -> Result<Option<PayrollRun>, HrError> {
        store::payroll_runs::find_live(db, &self.payroll_group, self.period, self.kind()).await
    }

    /// Refuses a draft that was asked for with others.
    fn accept(&self, found: &PayrollRun) -> Result<(), HrError> {
        if found.employee_ids == self.employee_ids {
            Ok(())
        } else {
            Err(HrError::DraftExists(found.id))
        }
    }

    async fn draft(
        &self,
        tx: &mut PgConnection,
        id: PayrollRunId,
        zone: Tz,
    ) -> Result<(PayrollRun, Vec<Payslip>), HrError> {
        let created_at = store::clock(tx).await?;
        let last = Period::of(domain::day_of(created_at, zone)).next();
        if self.period > last {
            return Err(HrError::PeriodAhead { last });
        }
        if self.supplementary {
            let (group, kind) = (self.payroll_group.as_str(), RunKind::Regular);
            let regular = store::payroll_runs::find_live(tx, group, self.period, kind).await?;
            if regular.is_none_or(|regular| regular.status == RunStatus::Draft) {
                return Err(HrError::RegularRunMissing);
            }
        }
        let run = PayrollRun {
            id,
            period: self.period,
            payroll_group: self.payroll_group.clone(),
            kind: self.kind(),
            status: RunStatus::Draft,
            employee_ids: self.employee_ids.clone(),
            payslip_count: 0,
            totals: Json(Pay::default()),
            created_at,
            approved_at: None,
            paid_on: None,
            reversed_on: None,
            reverses_run_id: None,
            reversal_run_id: None,
            journal_id: None,
            payment_journal_id: None,
            reversal_journal_id: None,
            repayment_journal_id: None,
            version: 1,
        };
        let payslips = commands::calculate(tx, &run).await?;
        Ok((run.with_payslips(&payslips), payslips))
    }
}
