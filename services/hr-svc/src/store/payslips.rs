use ids::{EmployeeId, PayrollRunId, PayslipId};
use pg::FilteredRead;
use sqlx::{PgConnection, types::Json};
use uuid::Uuid;

use crate::{
    HrError,
    domain::{Earning, Pay, Payslip},
};

/// Which payslips a list is of; one of the two is given.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    pub(crate) payroll_run_id: Option<PayrollRunId>,
    pub(crate) employee_id: Option<EmployeeId>,
}

macro_rules! payslips {
    ($rest:literal $($args:tt)*) => {
        sqlx::query_as!(
            Payslip,
            r#"select p.id as "id: _", payroll_run_id as "payroll_run_id: _", employee_id as "employee_id: _",
                      r.period as "period: _", r.status as "status: _", to_jsonb(p) as "pay!: _",
                      earnings as "earnings: _", earlier as "earlier: _"
               from hr.payslips p join hr.payroll_runs r on r.id = p.payroll_run_id "# + $rest
            $($args)*
        )
    };
}

/// Of a draft. One statement however many.
pub(crate) async fn insert(tx: &mut PgConnection, payslips: &[Payslip]) -> sqlx::Result<()> {
    let ids: Vec<Uuid> = payslips.iter().map(|payslip| payslip.id.0).collect();
    let runs: Vec<Uuid> = payslips.iter().map(|payslip| payslip.payroll_run_id.0).collect();
    let employees: Vec<Uuid> = payslips.iter().map(|payslip| payslip.employee_id.0).collect();
    let pay: Vec<Json<Pay>> = payslips.iter().map(|payslip| payslip.pay).collect();
    let earnings: Vec<Json<Vec<Earning>>> =
        payslips.iter().map(|payslip| payslip.earnings.clone()).collect();
    let earlier: Vec<Option<Json<Pay>>> = payslips.iter().map(|payslip| payslip.earlier).collect();
    sqlx::query!(
        "insert into hr.payslips
           (id, payroll_run_id, employee_id, gross_pence, paye_pence, employee_ni_pence, employee_pension_pence,
            employer_ni_pence, employer_pension_pence, earnings, earlier)
         select id, run, employee, gross_pence, paye_pence, employee_ni_pence, employee_pension_pence,
                employer_ni_pence, employer_pension_pence, earnings, earlier
         from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::jsonb[], $5::jsonb[], $6::jsonb[])
             as new (id, run, employee, pay, earnings, earlier),
           jsonb_to_record(pay) as p (gross_pence bigint, paye_pence bigint, employee_ni_pence bigint,
             employee_pension_pence bigint, employer_ni_pence bigint, employer_pension_pence bigint)",
        &ids,
        &runs,
        &employees,
        &pay as &[Json<Pay>],
        &earnings as &[Json<Vec<Earning>>],
        &earlier as &[Option<Json<Pay>>],
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// All of a draft, which is calculated anew.
pub(crate) async fn delete(tx: &mut PgConnection, run_id: PayrollRunId) -> sqlx::Result<()> {
    sqlx::query!("delete from hr.payslips where payroll_run_id = $1", run_id as _)
        .execute(tx)
        .await?;
    Ok(())
}

pub(crate) async fn get(db: &mut PgConnection, id: PayslipId) -> Result<Payslip, HrError> {
    let found = payslips!("where p.id = $1", id as _).fetch_optional(db).await?;
    found.ok_or(HrError::PayslipNotFound(id))
}

/// Oldest first, behind a key; within a run in the order of the employees' keys.
pub(crate) async fn list(
    db: &mut FilteredRead,
    filter: &Filter,
    after: Option<PayslipId>,
    limit: i64,
) -> sqlx::Result<Vec<Payslip>> {
    payslips!(
        "where ($1::uuid is null or p.payroll_run_id = $1)
           and ($2::uuid is null or p.employee_id = $2)
           and ($3::uuid is null or p.id > $3)
         order by p.id limit $4",
        filter.payroll_run_id as _,
        filter.employee_id as _,
        after as _,
        limit,
    )
    .fetch_all(&mut **db)
    .await
}

/// All of a run, in the order of the employees' keys.
pub(crate) async fn all(db: &mut PgConnection, id: PayrollRunId) -> sqlx::Result<Vec<Payslip>> {
    payslips!("where p.payroll_run_id = $1 order by p.id", id as _).fetch_all(db).await
}
