//! From which day on which salary is paid: what the payroll goes by.

use proto::hr::v1::Employee;

use crate::app::{App, ann, change};

async fn pay(app: &App, employee: &Employee, salary_pence: i64) {
    let to = Employee { salary_pence: Some(salary_pence), ..employee.clone() };
    app.update(change(&to, &["salary_pence"])).await.unwrap();
}

/// As if all that was recorded had been recorded so many days earlier.
async fn days_pass(app: &App, days: i32) {
    // From the oldest on, so that none meets the next.
    for statement in [
        "update hr.salaries set effective_date = effective_date - 10000",
        "update hr.salaries set effective_date = effective_date + 10000 - $1::int",
    ] {
        let query = sqlx::query(statement);
        let query = if statement.contains("$1") { query.bind(days) } else { query };
        query.execute(&app.db).await.unwrap();
    }
}

#[tokio::test]
async fn each_day_on_which_pay_changed_has_its_salary() {
    let app = App::start().await;
    let ann = app.create(ann()).await.unwrap();
    assert_eq!(app.salaries_of(&ann.employee_id).await, [(0, 3_000_000)]);
    days_pass(&app, 30).await;
    pay(&app, &ann, 3_100_000).await;
    assert_eq!(app.salaries_of(&ann.employee_id).await, [(0, 3_000_000), (30, 3_100_000)]);
    days_pass(&app, 1).await;
    pay(&app, &ann, 3_000_000).await;
    let all = [(0, 3_000_000), (30, 3_100_000), (31, 3_000_000)];
    assert_eq!(app.salaries_of(&ann.employee_id).await, all);
}

#[tokio::test]
async fn the_last_of_a_day_counts() {
    let app = App::start().await;
    let ann = app.create(ann()).await.unwrap();
    days_pass(&app, 30).await;
    for pence in [3_100_000, 3_200_000, 3_150_000] {
        pay(&app, &ann, pence).await;
    }
    assert_eq!(app.salaries_of(&ann.employee_id).await, [(0, 3_000_000), (30, 3_150_000)]);
    assert_eq!(app.log.told_of(&ann.employee_id).await.len(), 4, "each was told of");
}

#[tokio::test]
async fn what_does_not_change_pay_adds_no_salary() {
    let app = App::start().await;
    let ann = app.create(ann()).await.unwrap();
    days_pass(&app, 30).await;
    pay(&app, &ann, 3_000_000).await;
    let promoted = Employee { role: "head baker".to_owned(), ..ann.clone() };
    app.update(change(&promoted, &["role", "salary_pence"])).await.unwrap();
    assert_eq!(app.salaries_of(&ann.employee_id).await, [(0, 3_000_000)]);
}

#[tokio::test]
async fn many_changes_at_once_leave_the_last_one() {
    let app = App::start().await;
    let ann = app.create(ann()).await.unwrap();
    let rises = (0..50).map(|n| pay(&app, &ann, 3_000_001 + n));
    futures::future::join_all(rises).await;
    let now = app.get(&ann.employee_id).await.unwrap().salary_pence.unwrap();
    assert_eq!(app.salaries_of(&ann.employee_id).await, [(0, i32::try_from(now).unwrap())]);
}

#[tokio::test]
async fn a_day_is_one_of_the_business() {
    // At any time it is another day than in UTC in one of these.
    for zone in ["Pacific/Kiritimati", "Etc/GMT+12"] {
        let app = App::start_with(&["--time-zone", zone]).await;
        let ann = app.create(ann()).await.unwrap();
        let on_its_day = "select count(*) from hr.salaries where effective_date = (recorded_at at time zone $1)::date";
        for pence in [3_000_000, 3_100_000] {
            pay(&app, &ann, pence).await;
            let found: i64 =
                sqlx::query_scalar(on_its_day).bind(zone).fetch_one(&app.db).await.unwrap();
            assert_eq!(found, 1, "{zone}");
        }
    }
}
