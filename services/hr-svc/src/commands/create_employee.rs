use chrono_tz::Tz;
use ids::EmployeeId;
use log::{Cause, Log, NewEvent, RequestKey};
use proto::events::v1::EmployeeChanged;

use crate::{
    HrError,
    domain::{self, Employee},
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
}

/// Adds an employee with a first salary. Five statements; waits only for an equal request or the same e-mail address.
#[tracing::instrument(name = "hr.create_employee", skip_all)]
pub(crate) async fn create_employee(
    log: &Log,
    zone: Tz,
    command: CreateEmployee,
) -> Result<Employee, HrError> {
    let id = EmployeeId::generate();
    let mut tx = log.begin().await?;
    let request_key = command.request_key.as_ref();
    if let Some(earlier) = log::answered(&mut tx, store::SCHEMA, request_key, id).await? {
        return store::get_employee(&mut tx, &earlier).await;
    }
    let Some(employee) = store::insert_employee(&mut tx, id, &command).await? else {
        let employee_id = store::find_employee_id(&mut tx, &command.email).await?;
        return Err(HrError::EmailTaken { employee_id });
    };
    let today = domain::day_of(employee.created_at, zone);
    store::insert_salary(&mut tx, id, today, employee.salary_pence).await?;
    let data = EmployeeChanged { employee_id: id.to_string(), changed_fields: Vec::new() };
    let event = NewEvent::new("employee.created", id, employee.version, &data, &command.cause);
    log.append(&mut tx, &[event]).await?;
    log.commit(tx).await?;
    Ok(employee)
}
