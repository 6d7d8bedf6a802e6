use chrono_tz::Tz;
use ids::EmployeeId;
use log::{Cause, Log, RequestKey};

use crate::{
    HrError, commands,
    domain::{Employee, EmployeeChange},
    store,
};

#[derive(Debug)]
pub(crate) struct UpdateEmployee {
    pub(crate) request_key: Option<RequestKey>,
    pub(crate) cause: Cause,
    pub(crate) id: EmployeeId,
    /// The version that the caller has seen; none to change whatever is there.
    pub(crate) etag: Option<String>,
    pub(crate) change: EmployeeChange,
}

/// Locks the employee's row. A change that changes nothing writes nothing.
#[tracing::instrument(name = "hr.update_employee", skip_all, fields(employee.id = %command.id))]
pub(crate) async fn update_employee(
    log: &Log,
    zone: Tz,
    command: UpdateEmployee,
) -> Result<Employee, HrError> {
    let mut tx = log.begin().await?;
    let request_key = command.request_key.as_ref();
    let answered = log::answered(&mut tx, store::SCHEMA, request_key, command.id).await?;
    let today = store::today(&mut tx, zone).await?;
    if let Some(earlier) = answered {
        return store::employees::get_answered(&mut tx, &earlier, today).await;
    }
    let before = store::employees::lock(&mut tx, command.id, today).await?;
    commands::check_etag(command.etag.as_deref(), &before)?;
    let (after, changed_fields) = before.clone().with(command.change);
    if changed_fields.is_empty() {
        log.commit(tx).await?;
        return Ok(before);
    }
    match store::employees::update(&mut tx, &after).await {
        Err(HrError::EmailTaken { .. }) => {
            tx.rollback().await?;
            let mut db = log.pool().acquire().await?;
            let employee_id = store::employees::find_id(&mut db, &after.email).await?;
            return Err(HrError::EmailTaken { employee_id });
        }
        updated => updated?,
    }
    if after.salary_pence != before.salary_pence {
        let from = after.pay_day(today);
        store::salaries::write(&mut tx, after.id, from, after.salary_pence).await?;
    }
    let updated =
        commands::employee_event("employee.updated", &after, changed_fields, &command.cause);
    log.append(&mut tx, &[updated]).await?;
    log.commit(tx).await?;
    Ok(after)
}
