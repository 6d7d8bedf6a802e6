use chrono_tz::Tz;
use log::Log;

use crate::{
    HrError,
    commands::{self, OnEmployee},
    domain::Employee,
    store,
};

/// Locks the employee's row. The newest employment has its last day already: writes nothing.
#[tracing::instrument(name = "hr.terminate_employee", skip_all, fields(employee.id = %command.id))]
pub(crate) async fn terminate_employee(
    log: &Log,
    zone: Tz,
    command: &OnEmployee,
) -> Result<Employee, HrError> {
    let mut tx = log.begin().await?;
    let request_key = command.request_key.as_ref();
    let answered = log::answered(&mut tx, store::SCHEMA, request_key, command.id).await?;
    let today = store::today(&mut tx, zone).await?;
    if let Some(earlier) = answered {
        return store::employees::get_answered(&mut tx, &earlier, today).await;
    }
    let employee = store::employees::lock(&mut tx, command.id, today).await?;
    let after = employee
        .clone()
        .terminated(command.day.unwrap_or(today))
        .map_err(|why| HrError::NotEmployable { employee_id: command.id, why })?;
    let Some(after) = after else {
        log.commit(tx).await?;
        return Ok(employee);
    };
    commands::check_etag(command.etag.as_deref(), &employee)?;
    store::employees::write_newest_employment(&mut tx, after.id, &after.employments).await?;
    store::employees::update(&mut tx, &after).await?;
    let changed = vec!["employments".to_owned()];
    let told = commands::employee_event("employee.terminated", &after, changed, &command.cause);
    log.append(&mut tx, &[told]).await?;
    log.commit(tx).await?;
    Ok(after)
}
