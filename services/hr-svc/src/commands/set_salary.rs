use chrono::NaiveDate;
use chrono_tz::Tz;
use ids::EmployeeId;
use log::{Cause, Log, RequestKey};

use crate::{HrError, commands, domain::Employee, store};

#[derive(Debug)]
pub(crate) struct SetSalary {
    pub(crate) request_key: Option<RequestKey>,
    pub(crate) cause: Cause,
    pub(crate) id: EmployeeId,
    pub(crate) etag: Option<String>,
    pub(crate) salary_pence: i32,
    /// None for today, or the first day of one who is yet to come.
    pub(crate) effective_date: Option<NaiveDate>,
}

/// Locks the employee's row, which a payroll that is being calculated holds. A salary that is there already writes nothing.
#[tracing::instrument(name = "hr.set_salary", skip_all, fields(employee.id = %command.id))]
pub(crate) async fn set_salary(
    log: &Log,
    zone: Tz,
    command: SetSalary,
) -> Result<Employee, HrError> {
    let mut tx = log.begin().await?;
    let request_key = command.request_key.as_ref();
    let answered = log::answered(&mut tx, store::SCHEMA, request_key, command.id).await?;
    let today = store::today(&mut tx, zone).await?;
    if let Some(earlier) = answered {
        return store::employees::get_answered(&mut tx, &earlier, today).await;
    }
    let mut employee = store::employees::lock(&mut tx, command.id, today).await?;
    commands::check_etag(command.etag.as_deref(), &employee)?;
    let from = command.effective_date.unwrap_or_else(|| employee.pay_day(today));
    if !store::salaries::write(&mut tx, employee.id, from, command.salary_pence).await? {
        log.commit(tx).await?;
        return Ok(employee);
    }
    let current = store::salaries::current(&mut tx, employee.id, today).await?;
    employee.salary_pence = current.unwrap_or(employee.salary_pence);
    employee.version += 1;
    store::employees::update(&mut tx, &employee).await?;
    let changed = vec!["salary_pence".to_owned()];
    let told = commands::employee_event("employee.updated", &employee, changed, &command.cause);
    log.append(&mut tx, &[told]).await?;
    log.commit(tx).await?;
    Ok(employee)
}
