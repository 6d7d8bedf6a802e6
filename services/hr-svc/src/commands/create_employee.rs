use chrono::NaiveDate;
use chrono_tz::Tz;
use ids::EmployeeId;
use log::{Cause, Log, RequestKey};

use crate::{
    HrError, commands,
    domain::{Employee, Employment},
    store,
};

#[derive(Debug)]
pub(crate) struct CreateEmployee {
    pub(crate) request_key: Option<RequestKey>,
    pub(crate) cause: Cause,
    pub(crate) name: String,
    pub(crate) email: String,
    pub(crate) role: String,
    pub(crate) salary_pence: i32,
    pub(crate) payroll_meta: Option<serde_json::Value>,
    pub(crate) payroll_group: String,
    /// None for today.
    pub(crate) hire_date: Option<NaiveDate>,
}

/// Adds an employee with a first employment and a first salary. Eight statements; waits only for an equal request or the same e-mail address.
#[tracing::instrument(name = "hr.create_employee", skip_all)]
pub(crate) async fn create_employee(
    log: &Log,
    zone: Tz,
    command: CreateEmployee,
) -> Result<Employee, HrError> {
    let id = EmployeeId::generate();
    let mut tx = log.begin().await?;
    let today = store::today(&mut tx, zone).await?;
    let request_key = command.request_key.as_ref();
    if let Some(earlier) = log::answered(&mut tx, store::SCHEMA, request_key, id).await? {
        return store::employees::get_answered(&mut tx, &earlier, today).await;
    }
    if !store::employees::insert(&mut tx, id, &command).await? {
        let employee_id = store::employees::find_id(&mut tx, &command.email).await?;
        return Err(HrError::EmailTaken { employee_id });
    }
    let first_day = command.hire_date.unwrap_or(today);
    let employments = [Employment { first_day, last_day: None }];
    store::employees::write_newest_employment(&mut tx, id, &employments).await?;
    store::salaries::write(&mut tx, id, first_day, command.salary_pence).await?;
    let employee = store::employees::get(&mut tx, id, today).await?;
    let created =
        commands::employee_event("employee.created", &employee, Vec::new(), &command.cause);
    log.append(&mut tx, &[created]).await?;
    log.commit(tx).await?;
    Ok(employee)
}
