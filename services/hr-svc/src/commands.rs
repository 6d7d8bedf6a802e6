//! What the service can be told to do: one file per verb, one transaction per command. Whoever locks a month's runs and employees locks the
//! runs first; of each in the order of their keys.

mod create_employee;
mod update_employee;
mod terminate_employee;
mod rehire_employee;
mod correct_first_day;
mod set_salary;
mod create_payroll_run;
mod recalculate_payroll_run;
mod approve_payroll_run;
mod pay_payroll_run;
mod discard_payroll_run;
mod reverse_payroll_run;

pub(crate) use approve_payroll_run::approve_payroll_run;
pub(crate) use correct_first_day::correct_first_day;
pub(crate) use create_employee::{CreateEmployee, create_employee};
pub(crate) use create_payroll_run::{CreatePayrollRun, create_payroll_run, preview_payroll_run};
pub(crate) use discard_payroll_run::discard_payroll_run;
pub(crate) use pay_payroll_run::pay_payroll_run;
pub(crate) use recalculate_payroll_run::recalculate_payroll_run;
pub(crate) use rehire_employee::rehire_employee;
pub(crate) use reverse_payroll_run::reverse_payroll_run;
pub(crate) use set_salary::{SetSalary, set_salary};
pub(crate) use terminate_employee::terminate_employee;
pub(crate) use update_employee::{UpdateEmployee, update_employee};

use chrono::NaiveDate;
use ids::{EmployeeId, PayrollRunId};
use log::{Cause, NewEvent, RequestKey};
use money::Money;
use proto::events::v1::{EmployeeChanged, PayrollApproved, PayrollDrafted};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    HrError,
    domain::{self, Employee, Move, PayrollRun, Payslip, Step},
    store,
};

/// What is told to an employee on a day.
#[derive(Debug)]
pub(crate) struct OnEmployee {
    pub(crate) request_key: Option<RequestKey>,
    pub(crate) cause: Cause,
    pub(crate) id: EmployeeId,
    /// The version that the caller has seen; none to change whatever is there.
    pub(crate) etag: Option<String>,
    /// None for today.
    pub(crate) day: Option<NaiveDate>,
}

/// What is told to a run.
#[derive(Debug)]
pub(crate) struct OnRun {
    pub(crate) request_key: Option<RequestKey>,
    pub(crate) cause: Cause,
    pub(crate) id: PayrollRunId,
    /// The version that the caller has seen; none to change whatever is there.
    pub(crate) etag: Option<String>,
}

/// Employees whom one run is for: its payslips are written and compared in one go.
const RUN_MAX: usize = 10_000;

/// Refuses one who has not seen the employee as she is.
fn check_etag(etag: Option<&str>, employee: &Employee) -> Result<(), HrError> {
    match etag {
        Some(etag) if etag != employee.version.to_string() => Err(HrError::StaleEtag(employee.id)),
        Some(_) | None => Ok(()),
    }
}

fn employee_event(
    event_type: &'static str,
    employee: &Employee,
    changed_fields: Vec<String>,
    cause: &Cause,
) -> NewEvent {
    let data = EmployeeChanged { employee_id: employee.id.to_string(), changed_fields };
    NewEvent::new(event_type, employee.id, employee.version, &data, cause)
}

/// The run one version later, as a move leaves it; none when it was made before. Refuses one who has not seen the run as it is.
fn moved(run: &PayrollRun, by: Move, etag: Option<&str>) -> Result<Option<PayrollRun>, HrError> {
    let status = match run.step(by) {
        Step::To(status) => status,
        Step::Made => return Ok(None),
        Step::NotPossible { from, to } => {
            return Err(HrError::MoveNotPossible { id: run.id, from, to });
        }
    };
    if etag.is_some_and(|etag| etag != run.version.to_string()) {
        return Err(HrError::StaleRunEtag(run.id));
    }
    Ok(Some(PayrollRun { status, version: run.version + 1, ..run.clone() }))
}

/// What a run comes to at this moment. Holds the rows of all who may be due something. Five statements, or six.
async fn calculate(tx: &mut PgConnection, run: &PayrollRun) -> Result<Vec<Payslip>, HrError> {
    let limit = i64::try_from(RUN_MAX).unwrap_or(i64::MAX).saturating_add(1);
    let (group, only) = (run.payroll_group.as_str(), run.employee_ids.as_slice());
    let ids = store::workers::lock(tx, group, only, limit).await?;
    if ids.len() > RUN_MAX {
        return Err(HrError::RunTooLarge { max: RUN_MAX });
    }
    if let Some(missing) = only.iter().find(|id| !ids.contains(id)) {
        return Err(not_in_group(tx, *missing, group).await?);
    }
    let workers = store::workers::load(tx, &ids, run.period).await?;
    domain::calculate(run.id, run.period, &workers).map_err(HrError::NotPayable)
}

async fn not_in_group(tx: &mut PgConnection, id: Uuid, group: &str) -> Result<HrError, HrError> {
    let employee_id = EmployeeId(id);
    if store::employees::exists(tx, employee_id).await? {
        return Ok(HrError::NotInGroup { employee_id, group: group.to_owned() });
    }
    Ok(HrError::EmployeeNotFound(employee_id))
}

/// Whether payslips say the same, one by one.
fn are_the_same(some: &[Payslip], others: &[Payslip]) -> bool {
    some.len() == others.len() && some.iter().zip(others).all(|(one, other)| one.says_what(other))
}

/// `payroll.drafted` or `payroll.discarded`.
fn drafted(event_type: &'static str, run: &PayrollRun, cause: &Cause) -> NewEvent {
    let data = PayrollDrafted {
        payroll_run_id: run.id.to_string(),
        period: run.period.to_string(),
        group: run.payroll_group.clone(),
    };
    NewEvent::new(event_type, run.id, run.version, &data, cause)
}

/// A run's sums, as the books want them.
fn approved(run: &PayrollRun, effective_date: NaiveDate) -> Result<PayrollApproved, HrError> {
    let totals = &run.totals;
    Ok(PayrollApproved {
        payroll_run_id: run.id.to_string(),
        period: run.period.to_string(),
        group: run.payroll_group.clone(),
        payslip_count: run.payslip_count,
        gross: to_money(totals.gross_pence)?,
        paye: to_money(totals.paye_pence)?,
        employee_ni: to_money(totals.employee_ni_pence)?,
        employee_pension: to_money(totals.employee_pension_pence)?,
        employer_ni: to_money(totals.employer_ni_pence)?,
        employer_pension: to_money(totals.employer_pension_pence)?,
        net: to_money(totals.net_pence())?,
        effective_date: rpc::to_date(effective_date),
    })
}

/// Pence as an event has them. Sums of all that a run can be for are far from what money can be.
fn to_money(pence: i64) -> Result<Option<proto::common::v1::Money>, HrError> {
    let money = Money::from_hundredths(pence.into());
    let money = money.map_err(|error| sqlx::Error::Encode(Box::new(error)))?;
    Ok(Some(rpc::to_money(money)))
}
