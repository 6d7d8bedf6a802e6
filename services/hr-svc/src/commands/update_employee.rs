use chrono_tz::Tz;
use ids::EmployeeId;
use log::{Cause, Log, NewEvent, RequestKey};
use proto::events::v1::EmployeeChanged;

use crate::{
    HrError,
    domain::{self, Employee, EmployeeChange},
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
    if let Some(earlier) = log::answered(&mut tx, store::SCHEMA, request_key, command.id).await? {
        return store::get_employee(&mut tx, &earlier).await;
    }
    let before = store::lock_employee(&mut tx, command.id)
        .await?
        .ok_or(HrError::EmployeeNotFound(command.id))?;
    if command.etag.is_some_and(|etag| etag != before.version.to_string()) {
        return Err(HrError::StaleEtag(command.id));
    }
    let (after, changed_fields) = before.clone().with(command.change);
    if changed_fields.is_empty() {
        log.commit(tx).await?;
        return Ok(before);
    }
    match store::update_employee(&mut tx, &after).await {
        Err(HrError::EmailTaken { .. }) => {
            tx.rollback().await?;
            let mut db = log.pool().acquire().await?;
            let employee_id = store::find_employee_id(&mut db, &after.email).await?;
            return Err(HrError::EmailTaken { employee_id });
        }
        updated => updated?,
    }
    if after.salary_pence != before.salary_pence {
        let today = domain::day_of(store::clock(&mut tx).await?, zone);
        store::insert_salary(&mut tx, after.id, today, after.salary_pence).await?;
    }
    let data = EmployeeChanged { employee_id: after.id.to_string(), changed_fields };
    let event = NewEvent::new("employee.updated", after.id, after.version, &data, &command.cause);
    log.append(&mut tx, &[event]).await?;
    log.commit(tx).await?;
    Ok(after)
}
