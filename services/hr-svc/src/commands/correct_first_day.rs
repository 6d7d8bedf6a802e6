use chrono_tz::Tz;
use log::Log;

use crate::{
    HrError,
    commands::{self, OnEmployee},
    domain::Employee,
    store,
};

/// Locks the employee's row. A first day that is so already writes nothing.
#[tracing::instrument(name = "hr.correct_first_day", skip_all, fields(employee.id = %command.id))]
pub(crate) async fn correct_first_day(
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
    let first_day = command.day.unwrap_or(today);
    let after = employee
        .clone()
        .first_day_corrected(first_day)
        .map_err(|why| HrError::NotEmployable { employee_id: command.id, why })?;
    let Some(mut after) = after else {
        log.commit(tx).await?;
        return Ok(employee);
    };
    commands::check_etag(command.etag.as_deref(), &employee)?;
    store::employees::write_newest_employment(&mut tx, after.id, &after.employments).await?;
    // Somebody who worked here before her first salary was said, earned that one.
    let first = store::salaries::list(&mut tx, after.id, None, 1).await?.pop();
    if let Some(first) = first.filter(|first| first_day < first.effective_date) {
        store::salaries::write(&mut tx, after.id, first_day, first.salary_pence).await?;
    }
    // Another first day may be one of another salary.
    let salary = store::salaries::current(&mut tx, after.id, today).await?;
    after.salary_pence = salary.unwrap_or(after.salary_pence);
    store::employees::update(&mut tx, &after).await?;
    let changed = vec!["employments".to_owned()];
    let told = commands::employee_event("employee.updated", &after, changed, &command.cause);
    log.append(&mut tx, &[told]).await?;
    log.commit(tx).await?;
    Ok(after)
}
