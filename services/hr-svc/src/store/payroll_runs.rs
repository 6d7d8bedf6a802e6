//! Payroll runs. Those of a month are locked together, by key: what one of them pays depends on the others.

use ids::PayrollRunId;
use pg::FilteredRead;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    HrError,
    domain::{PayrollRun, Period, RunKind, RunStatus},
};

/// Which runs a list is of; none is any.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    pub(crate) period: Option<Period>,
    pub(crate) payroll_group: Option<String>,
    pub(crate) status: Option<RunStatus>,
}

/// Adds a draft; false when there is a run instead of which it would be.
pub(crate) async fn insert_draft(tx: &mut PgConnection, run: &PayrollRun) -> sqlx::Result<bool> {
    let totals = &run.totals;
    let inserted = sqlx::query!(
        "insert into hr.payroll_runs
           (id, period, payroll_group, kind, status, employee_ids, payslip_count, gross_pence, paye_pence, employee_ni_pence,
            employee_pension_pence, employer_ni_pence, employer_pension_pence, created_at, reverses_run_id)
         values ($1, $2, $3, $4, 'draft', $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
         on conflict do nothing",
        run.id as _,
        run.period as _,
        run.payroll_group,
        run.kind.to_string(),
        &run.employee_ids,
        run.payslip_count,
        totals.gross_pence,
        totals.paye_pence,
        totals.employee_ni_pence,
        totals.employee_pension_pence,
        totals.employer_ni_pence,
        totals.employer_pension_pence,
        run.created_at,
        run.reverses_run_id as _,
    )
    .execute(tx)
    .await?
    .rows_affected();
    Ok(inserted == 1)
}

/// A draft's sums after it was calculated anew.
pub(crate) async fn update_draft(tx: &mut PgConnection, run: &PayrollRun) -> Result<(), HrError> {
    let totals = &run.totals;
    let updated = sqlx::query!(
        "update hr.payroll_runs
         set payslip_count = $2, gross_pence = $3, paye_pence = $4, employee_ni_pence = $5, employee_pension_pence = $6,
             employer_ni_pence = $7, employer_pension_pence = $8, version = $9
         where id = $1 and version = $9 - 1 and status = 'draft'",
        run.id as _,
        run.payslip_count,
        totals.gross_pence,
        totals.paye_pence,
        totals.employee_ni_pence,
        totals.employee_pension_pence,
        totals.employer_ni_pence,
        totals.employer_pension_pence,
        run.version,
    )
    .execute(tx)
    .await?
    .rows_affected();
    if updated == 1 { Ok(()) } else { Err(HrError::StaleRunEtag(run.id)) }
}

/// How a run stands after a move, with the event that the books will answer to.
pub(crate) async fn update(
    tx: &mut PgConnection,
    run: &PayrollRun,
    event_id: Uuid,
) -> Result<(), HrError> {
    let updated = sqlx::query!(
        "update hr.payroll_runs
         set status = $2::text, approved_at = $3, paid_on = $4, reversed_on = $5, version = $6,
             approved_event_id = case when $2::text = 'approved' then $7 else approved_event_id end,
             paid_event_id = case when $2::text = 'paid' then $7 else paid_event_id end,
             reversed_event_id = case when $2::text = 'reversed' then $7 else reversed_event_id end
         where id = $1 and version = $6 - 1",
        run.id as _,
        run.status.to_string(),
        run.approved_at,
        run.paid_on,
        run.reversed_on,
        run.version,
        event_id,
    )
    .execute(tx)
    .await?
    .rows_affected();
    if updated == 1 { Ok(()) } else { Err(HrError::StaleRunEtag(run.id)) }
}

/// One version on, with the event that tells of the money that came back.
pub(crate) async fn note_repaid(
    tx: &mut PgConnection,
    run: &PayrollRun,
    event_id: Uuid,
) -> Result<(), HrError> {
    let updated = sqlx::query!(
        "update hr.payroll_runs set version = $2, repaid_event_id = $3
         where id = $1 and version = $2 - 1 and status = 'reversed'",
        run.id as _,
        run.version,
        event_id,
    )
    .execute(tx)
    .await?
    .rows_affected();
    if updated == 1 { Ok(()) } else { Err(HrError::StaleRunEtag(run.id)) }
}

/// A mirror is a draft only while its payslips are written. No event is of its own.
pub(crate) async fn close_mirror(
    tx: &mut PgConnection,
    mirror: &PayrollRun,
) -> Result<(), HrError> {
    let updated = sqlx::query!(
        "update hr.payroll_runs set status = 'reversed', approved_at = $2, reversed_on = $3
         where id = $1 and status = 'draft'",
        mirror.id as _,
        mirror.approved_at,
        mirror.reversed_on,
    )
    .execute(tx)
    .await?
    .rows_affected();
    if updated == 1 { Ok(()) } else { Err(HrError::StaleRunEtag(mirror.id)) }
}

pub(crate) async fn get(db: &mut PgConnection, id: PayrollRunId) -> Result<PayrollRun, HrError> {
    let found = sqlx::query_as!(
        PayrollRun,
        r#"select id as "id: _", period as "period: _", payroll_group, kind as "kind: _", status as "status: _", employee_ids,
                  payslip_count, to_jsonb(r) as "totals!: _", created_at, approved_at, paid_on, reversed_on,
                  reverses_run_id as "reverses_run_id: _",
                  (select m.id from hr.payroll_runs m where m.reverses_run_id = r.id) as "reversal_run_id: _",
                  journal_id, payment_journal_id, reversal_journal_id, repayment_journal_id, version
           from hr.payroll_runs r where id = $1"#,
        id as _,
    )
    .fetch_optional(db)
    .await?;
    found.ok_or(HrError::RunNotFound(id))
}

/// The run that an earlier request was answered with.
pub(crate) async fn get_answered(db: &mut PgConnection, id: &str) -> Result<PayrollRun, HrError> {
    let id: PayrollRunId = id.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
    get(db, id).await
}

/// Waits for all runs of the run's month, and reads the run only then.
pub(crate) async fn lock(tx: &mut PgConnection, id: PayrollRunId) -> Result<PayrollRun, HrError> {
    sqlx::query!(
        "select id from hr.payroll_runs
         where period = (select period from hr.payroll_runs where id = $1)
         order by id for no key update",
        id as _,
    )
    .fetch_all(&mut *tx)
    .await?;
    get(tx, id).await
}

/// Locks runs, and those that they take back.
pub(crate) async fn lock_all(tx: &mut PgConnection, ids: &[Uuid]) -> sqlx::Result<()> {
    sqlx::query!(
        "select id from hr.payroll_runs
         where id = any($1) or id in (select reverses_run_id from hr.payroll_runs where id = any($1))
         order by id for no key update",
        ids,
    )
    .fetch_all(tx)
    .await?;
    Ok(())
}

/// The run of a group and month that another one of its kind would be instead of: any regular one, a supplementary draft.
pub(crate) async fn find_live(
    db: &mut PgConnection,
    payroll_group: &str,
    period: Period,
    kind: RunKind,
) -> Result<Option<PayrollRun>, HrError> {
    let found = sqlx::query_scalar!(
        r#"select id as "id: PayrollRunId" from hr.payroll_runs
           where payroll_group = $1 and period = $2 and kind = $3
             and (status = 'draft' or kind = 'regular' and status in ('approved', 'paid'))"#,
        payroll_group,
        period as _,
        kind.to_string(),
    )
    .fetch_optional(&mut *db)
    .await?;
    match found {
        Some(id) => get(db, id).await.map(Some),
        None => Ok(None),
    }
}

/// Newest first, behind a key.
pub(crate) async fn list(
    db: &mut FilteredRead,
    filter: &Filter,
    before: Option<PayrollRunId>,
    limit: i64,
) -> sqlx::Result<Vec<PayrollRun>> {
    sqlx::query_as!(
        PayrollRun,
        r#"select id as "id: _", period as "period: _", payroll_group, kind as "kind: _", status as "status: _", employee_ids,
                  payslip_count, to_jsonb(r) as "totals!: _", created_at, approved_at, paid_on, reversed_on,
                  reverses_run_id as "reverses_run_id: _",
                  (select m.id from hr.payroll_runs m where m.reverses_run_id = r.id) as "reversal_run_id: _",
                  journal_id, payment_journal_id, reversal_journal_id, repayment_journal_id, version
           from hr.payroll_runs r
           where ($1::uuid is null or id < $1)
             and ($2::date is null or period = $2)
             and ($3::text is null or payroll_group = $3)
             and ($4::text is null or status = $4)
           order by id desc limit $5"#,
        before as _,
        filter.period as _,
        filter.payroll_group,
        filter.status.map(|status| status.to_string()),
        limit,
    )
    .fetch_all(&mut **db)
    .await
}

/// Notes which journal books an event of a run, or of the run that a mirror takes back; false when no such run told of the event.
pub(crate) async fn note_journal(
    tx: &mut PgConnection,
    id: PayrollRunId,
    event_id: Uuid,
    journal_id: Uuid,
) -> sqlx::Result<bool> {
    let noted = sqlx::query!(
        "update hr.payroll_runs
         set journal_id = case when approved_event_id = $2 then $3 else journal_id end,
             payment_journal_id = case when paid_event_id = $2 then $3 else payment_journal_id end,
             reversal_journal_id = case when reversed_event_id = $2 then $3 else reversal_journal_id end,
             repayment_journal_id = case when repaid_event_id = $2 then $3 else repayment_journal_id end
         where id in ($1, (select reverses_run_id from hr.payroll_runs where id = $1))
           and $2 in (approved_event_id, paid_event_id, reversed_event_id, repaid_event_id)",
        id as _,
        event_id,
        journal_id,
    )
    .execute(tx)
    .await?
    .rows_affected();
    Ok(noted == 1)
}
