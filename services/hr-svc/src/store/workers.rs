//! What a month's pay depends on, of all who may be due something: their rows stay as they are until the transaction ends.

use std::collections::{BTreeMap, HashMap};

use ids::EmployeeId;
use sqlx::{PgConnection, types::Json};
use uuid::Uuid;

use crate::domain::{Employment, Pay, Period, SalaryFrom, Worker};

/// Keeps those of a group from changing, in the order of their keys: all, or the ones named. Whoever changes a salary, an employment or
/// the payroll data of one waits for her row.
pub(crate) async fn lock(
    tx: &mut PgConnection,
    payroll_group: &str,
    only: &[Uuid],
    limit: i64,
) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar!(
        "select id from hr.employees
         where payroll_group = $1 and ($2::uuid[] = '{}' or id = any($2))
         order by id limit $3 for share",
        payroll_group,
        only,
        limit,
    )
    .fetch_all(tx)
    .await
}

/// Those locked, in the order of their keys. Four statements however many.
pub(crate) async fn load(
    tx: &mut PgConnection,
    ids: &[Uuid],
    period: Period,
) -> sqlx::Result<Vec<Worker>> {
    let mut employments = employments(tx, ids, period).await?;
    let mut salaries = salaries(tx, ids, period).await?;
    let mut earlier = earlier(tx, ids, period).await?;
    let people = sqlx::query!(
        r#"select id as "id: EmployeeId", payroll_meta from hr.employees where id = any($1) order by id"#,
        ids
    )
    .fetch_all(tx)
    .await?;
    let worker = |id: EmployeeId, payroll_meta| Worker {
        id,
        payroll_meta,
        employments: employments.remove(&id.0).unwrap_or_default(),
        salaries: salaries.remove(&id.0).unwrap_or_default(),
        earlier: earlier.remove(&id.0),
    };
    let mut worker = worker;
    Ok(people.into_iter().map(|one| worker(one.id, one.payroll_meta)).collect())
}

async fn employments(
    tx: &mut PgConnection,
    ids: &[Uuid],
    period: Period,
) -> sqlx::Result<HashMap<Uuid, Vec<Employment>>> {
    let rows = sqlx::query!(
        "select employee_id, first_day, last_day from hr.employments
         where employee_id = any($1) and first_day <= $3 and (last_day is null or last_day >= $2)
         order by employee_id, place",
        ids,
        period.first_day(),
        period.last_day(),
    )
    .fetch_all(tx)
    .await?;
    let mut of: HashMap<Uuid, Vec<Employment>> = HashMap::new();
    for row in rows {
        let employment = Employment { first_day: row.first_day, last_day: row.last_day };
        of.entry(row.employee_id).or_default().push(employment);
    }
    Ok(of)
}

/// Those of the month, and the one in force as it begins.
async fn salaries(
    tx: &mut PgConnection,
    ids: &[Uuid],
    period: Period,
) -> sqlx::Result<HashMap<Uuid, Vec<SalaryFrom>>> {
    let rows = sqlx::query!(
        "select employee_id, effective_date, salary_pence from hr.salaries s
         where employee_id = any($1) and effective_date <= $3
           and effective_date >= coalesce((
             select max(b.effective_date) from hr.salaries b
             where b.employee_id = s.employee_id and b.effective_date <= $2), '-infinity')
         order by employee_id, effective_date",
        ids,
        period.first_day(),
        period.last_day(),
    )
    .fetch_all(tx)
    .await?;
    let mut of: HashMap<Uuid, Vec<SalaryFrom>> = HashMap::new();
    for row in rows {
        let salary =
            SalaryFrom { effective_date: row.effective_date, salary_pence: row.salary_pence };
        of.entry(row.employee_id).or_default().push(salary);
    }
    Ok(of)
}

/// What live runs of the month have paid, of whichever group.
async fn earlier(
    tx: &mut PgConnection,
    ids: &[Uuid],
    period: Period,
) -> sqlx::Result<BTreeMap<Uuid, Pay>> {
    let rows = sqlx::query!(
        r#"select employee_id, to_jsonb(paid) as "pay!: Json<Pay>"
           from (
             select p.employee_id, sum(p.gross_pence) as gross_pence, sum(p.paye_pence) as paye_pence,
                    sum(p.employee_ni_pence) as employee_ni_pence,
                    sum(p.employee_pension_pence) as employee_pension_pence,
                    sum(p.employer_ni_pence) as employer_ni_pence,
                    sum(p.employer_pension_pence) as employer_pension_pence
             from hr.payroll_runs r join hr.payslips p on p.payroll_run_id = r.id
             where r.period = $2 and r.status in ('approved', 'paid') and p.employee_id = any($1)
             group by p.employee_id) paid"#,
        ids,
        period as _,
    )
    .fetch_all(tx)
    .await?;
    Ok(rows.into_iter().map(|row| (row.employee_id, row.pay.0)).collect())
}
