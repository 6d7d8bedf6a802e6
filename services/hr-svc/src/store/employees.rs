//! Employees with their employments. `today` says which salary is shown.

use chrono::NaiveDate;
use ids::EmployeeId;
use pg::FilteredRead;
use sqlx::PgConnection;

use crate::{
    HrError,
    commands::CreateEmployee,
    domain::{Employee, Employment},
};

/// Which employees a list is of; none is any.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    pub(crate) payroll_group: Option<String>,
    pub(crate) role: Option<String>,
    pub(crate) employed_on: Option<NaiveDate>,
}

/// Adds an employee; false when the e-mail address is taken.
pub(crate) async fn insert(
    tx: &mut PgConnection,
    id: EmployeeId,
    new: &CreateEmployee,
) -> sqlx::Result<bool> {
    let inserted = sqlx::query!(
        "insert into hr.employees (id, name, email, role, salary_pence, payroll_meta, payroll_group)
         values ($1, $2, $3, $4, $5, $6, $7)
         on conflict (lower(email)) do nothing",
        id as _,
        new.name,
        new.email,
        new.role,
        new.salary_pence,
        new.payroll_meta,
        new.payroll_group,
    )
    .execute(tx)
    .await?
    .rows_affected();
    Ok(inserted == 1)
}

/// The newest employment: a new one, or other days of the one that there is.
pub(crate) async fn write_newest_employment(
    tx: &mut PgConnection,
    id: EmployeeId,
    employments: &[Employment],
) -> sqlx::Result<()> {
    let Some(newest) = employments.last() else { return Ok(()) };
    let place = i32::try_from(employments.len()).unwrap_or(i32::MAX);
    sqlx::query!(
        "insert into hr.employments (employee_id, place, first_day, last_day) values ($1, $2, $3, $4)
         on conflict (employee_id, place)
         do update set first_day = excluded.first_day, last_day = excluded.last_day",
        id as _,
        place,
        newest.first_day,
        newest.last_day,
    )
    .execute(tx)
    .await?;
    Ok(())
}

pub(crate) async fn find_id(
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

pub(crate) async fn get(
    db: &mut PgConnection,
    id: EmployeeId,
    today: NaiveDate,
) -> Result<Employee, HrError> {
    let found = sqlx::query_as!(
        Employee,
        r#"select id as "id: _", name, email, role, payroll_meta, payroll_group, created_at, version,
                  coalesce(hr.current_salary(id, $2), salary_pence) as "salary_pence!",
                  (select coalesce(jsonb_agg(to_jsonb(m) order by m.place), '[]')
                   from hr.employments m where m.employee_id = e.id) as "employments!: _"
           from hr.employees e where id = $1"#,
        id as _,
        today,
    )
    .fetch_optional(db)
    .await?;
    found.ok_or(HrError::EmployeeNotFound(id))
}

/// The employee that an earlier request was answered with.
pub(crate) async fn get_answered(
    db: &mut PgConnection,
    id: &str,
    today: NaiveDate,
) -> Result<Employee, HrError> {
    let id: EmployeeId = id.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
    get(db, id, today).await
}

/// Waits for the employee's row, and reads what belongs to it only then: a statement that waits would show all else as it was before.
pub(crate) async fn lock(
    tx: &mut PgConnection,
    id: EmployeeId,
    today: NaiveDate,
) -> Result<Employee, HrError> {
    sqlx::query!("select id from hr.employees where id = $1 for no key update", id as _)
        .fetch_optional(&mut *tx)
        .await?;
    get(tx, id, today).await
}

/// Oldest first, behind a key.
pub(crate) async fn list(
    db: &mut FilteredRead,
    filter: &Filter,
    today: NaiveDate,
    after: Option<EmployeeId>,
    limit: i64,
) -> sqlx::Result<Vec<Employee>> {
    sqlx::query_as!(
        Employee,
        r#"select id as "id: _", name, email, role, payroll_meta, payroll_group, created_at, version,
                  coalesce(hr.current_salary(id, $6), salary_pence) as "salary_pence!",
                  (select coalesce(jsonb_agg(to_jsonb(m) order by m.place), '[]')
                   from hr.employments m where m.employee_id = e.id) as "employments!: _"
           from hr.employees e
           where ($1::uuid is null or id > $1)
             and ($2::text is null or payroll_group = $2)
             and ($3::text is null or role = $3)
             and ($4::date is null or exists (
               select from hr.employments m
               where m.employee_id = e.id and m.first_day <= $4 and (m.last_day is null or m.last_day >= $4)))
           order by id limit $5"#,
        after as _,
        filter.payroll_group,
        filter.role,
        filter.employed_on,
        limit,
        today,
    )
    .fetch_all(&mut **db)
    .await
}

/// Refuses an e-mail address that another employee has.
pub(crate) async fn update(tx: &mut PgConnection, after: &Employee) -> Result<(), HrError> {
    let updated = sqlx::query!(
        "update hr.employees
         set name = $2, email = $3, role = $4, salary_pence = $5, payroll_meta = $6, payroll_group = $7, version = $8
         where id = $1 and version = $8 - 1",
        after.id as _,
        after.name,
        after.email,
        after.role,
        after.salary_pence,
        after.payroll_meta,
        after.payroll_group,
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

pub(crate) async fn exists(db: &mut PgConnection, id: EmployeeId) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"select exists (select from hr.employees where id = $1) as "exists!""#,
        id as _
    )
    .fetch_one(db)
    .await
}
