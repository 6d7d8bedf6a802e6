//! Every SQL statement of the service, one function each.

use chrono::{DateTime, NaiveDate, Utc};
use ids::EmployeeId;
use sqlx::PgConnection;

use crate::{HrError, commands::CreateEmployee, domain::Employee};

pub(crate) const SCHEMA: &str = "hr";

/// The database's clock at this moment, not at the start of the transaction: whoever gets a row's lock later is later.
pub(crate) async fn clock(db: &mut PgConnection) -> sqlx::Result<DateTime<Utc>> {
    sqlx::query_scalar!(r#"select clock_timestamp() as "clock!""#).fetch_one(db).await
}

/// Adds an employee; none when the e-mail address is taken.
pub(crate) async fn insert_employee(
    tx: &mut PgConnection,
    id: EmployeeId,
    new: &CreateEmployee,
) -> sqlx::Result<Option<Employee>> {
    sqlx::query_as!(
        Employee,
        r#"insert into hr.employees (id, name, email, role, salary_pence, payroll_meta)
           values ($1, $2, $3, $4, $5, $6)
           on conflict (lower(email)) do nothing
           returning id as "id: _", name, email, role, salary_pence, payroll_meta, created_at, version"#,
        id as _,
        new.name,
        new.email,
        new.role,
        new.salary_pence,
        new.payroll_meta,
    )
    .fetch_optional(tx)
    .await
}

pub(crate) async fn find_employee_id(
    db: &mut PgConnection,
    email: &str,
) -> sqlx::Result<Option<EmployeeId>> {
    sqlx::query_scalar!(
        r#"select id as "id: EmployeeId" from hr.employees where lower(email) = lower($1)"#,
        email
    )
    .fetch_optional(db)
    .await
}

pub(crate) async fn find_employee(
    db: &mut PgConnection,
    id: EmployeeId,
) -> sqlx::Result<Option<Employee>> {
    sqlx::query_as!(
        Employee,
        r#"select id as "id: _", name, email, role, salary_pence, payroll_meta, created_at, version
           from hr.employees where id = $1"#,
        id as _,
    )
    .fetch_optional(db)
    .await
}

/// The employee that an earlier request was answered with.
pub(crate) async fn get_employee(db: &mut PgConnection, id: &str) -> Result<Employee, HrError> {
    let id: EmployeeId = id.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
    find_employee(db, id).await?.ok_or(HrError::EmployeeNotFound(id))
}

pub(crate) async fn lock_employee(
    tx: &mut PgConnection,
    id: EmployeeId,
) -> sqlx::Result<Option<Employee>> {
    sqlx::query_as!(
        Employee,
        r#"select id as "id: _", name, email, role, salary_pence, payroll_meta, created_at, version
           from hr.employees where id = $1 for update"#,
        id as _,
    )
    .fetch_optional(tx)
    .await
}

/// Oldest first, behind a key.
pub(crate) async fn list_employees(
    db: &mut PgConnection,
    after: Option<EmployeeId>,
    limit: i64,
) -> sqlx::Result<Vec<Employee>> {
    sqlx::query_as!(
        Employee,
        r#"select id as "id: _", name, email, role, salary_pence, payroll_meta, created_at, version
           from hr.employees
           where $1::uuid is null or id > $1
           order by id limit $2"#,
        after as _,
        limit,
    )
    .fetch_all(db)
    .await
}

/// Refuses an e-mail address that another employee has.
pub(crate) async fn update_employee(
    tx: &mut PgConnection,
    after: &Employee,
) -> Result<(), HrError> {
    let updated = sqlx::query!(
        "update hr.employees
         set name = $2, email = $3, role = $4, salary_pence = $5, payroll_meta = $6, version = $7
         where id = $1 and version = $7 - 1",
        after.id as _,
        after.name,
        after.email,
        after.role,
        after.salary_pence,
        after.payroll_meta,
        after.version,
    )
    .execute(tx)
    .await;
    match updated {
        Ok(done) if done.rows_affected() == 1 => Ok(()),
        Ok(_) => Err(HrError::StaleEtag(after.id)),
        Err(sqlx::Error::Database(error)) if error.constraint() == Some("idx_employees_email") => {
            Err(HrError::EmailTaken { employee_id: None })
        }
        Err(error) => Err(error.into()),
    }
}

/// From a day on; a second change on the same day replaces the first.
pub(crate) async fn insert_salary(
    tx: &mut PgConnection,
    id: EmployeeId,
    effective_date: NaiveDate,
    salary_pence: i32,
) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into hr.salaries (employee_id, effective_date, salary_pence)
         values ($1, $2, $3)
         on conflict (employee_id, effective_date)
         do update set salary_pence = excluded.salary_pence, recorded_at = excluded.recorded_at",
        id as _,
        effective_date,
        salary_pence,
    )
    .execute(tx)
    .await?;
    Ok(())
}
