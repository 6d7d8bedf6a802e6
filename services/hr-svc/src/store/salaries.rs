use chrono::{DateTime, NaiveDate, Utc};
use ids::EmployeeId;
use sqlx::PgConnection;

/// What was said to be earned from a day on.
#[derive(Debug)]
pub(crate) struct Salary {
    pub(crate) effective_date: NaiveDate,
    pub(crate) salary_pence: i32,
    pub(crate) recorded_at: DateTime<Utc>,
}

/// From a day on; a second one of the same day replaces the first. False when it is there already.
pub(crate) async fn write(
    tx: &mut PgConnection,
    id: EmployeeId,
    effective_date: NaiveDate,
    salary_pence: i32,
) -> sqlx::Result<bool> {
    let written = sqlx::query!(
        "insert into hr.salaries as s (employee_id, effective_date, salary_pence)
         values ($1, $2, $3)
         on conflict (employee_id, effective_date)
         do update set salary_pence = excluded.salary_pence, recorded_at = excluded.recorded_at
         where s.salary_pence <> excluded.salary_pence",
        id as _,
        effective_date,
        salary_pence,
    )
    .execute(tx)
    .await?
    .rows_affected();
    Ok(written == 1)
}

/// What is in force today or, before the first day of the newest employment, on that day.
pub(crate) async fn current(
    db: &mut PgConnection,
    id: EmployeeId,
    today: NaiveDate,
) -> sqlx::Result<Option<i32>> {
    sqlx::query_scalar!("select hr.current_salary($1, $2)", id as _, today).fetch_one(db).await
}

/// The first day first, behind a day.
pub(crate) async fn list(
    db: &mut PgConnection,
    id: EmployeeId,
    after: Option<NaiveDate>,
    limit: i64,
) -> sqlx::Result<Vec<Salary>> {
    sqlx::query_as!(
        Salary,
        "select effective_date, salary_pence, recorded_at from hr.salaries
         where employee_id = $1 and ($2::date is null or effective_date > $2)
         order by effective_date limit $3",
        id as _,
        after,
        limit,
    )
    .fetch_all(db)
    .await
}
