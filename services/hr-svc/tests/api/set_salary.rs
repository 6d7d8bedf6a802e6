//! What is earned from which day on.

use chrono::Days;
use futures::future::join_all;
use proto::hr::v1::{Employee, ListSalariesRequest, SetSalaryRequest};
use serde_json::json;
use tonic::Code;

use testkit::refusal;

use crate::app::{App, change, day, new_id};

fn request(employee: &Employee, salary_pence: i64, effective_date: &str) -> SetSalaryRequest {
    SetSalaryRequest {
        request_id: new_id(),
        employee_id: employee.employee_id.clone(),
        salary_pence: Some(salary_pence),
        effective_date: effective_date.to_owned(),
        etag: String::new(),
    }
}

#[tokio::test]
async fn a_salary_holds_from_its_day_on_past_today_or_to_come() {
    let app = App::start().await;
    let today = app.today().await;
    let ann = app.hire(100, "2020-01-01").await;
    let tomorrow = day(today + Days::new(1));
    assert_eq!(app.set_salary(&ann, 400, &tomorrow).await.unwrap().salary_pence, Some(100));
    assert_eq!(app.set_salary(&ann, 200, "2021-01-01").await.unwrap().salary_pence, Some(200));
    assert_eq!(app.set_salary(&ann, 50, "2019-01-01").await.unwrap().salary_pence, Some(200));
    let now = app.set_salary(&ann, 300, "").await.unwrap();
    assert_eq!((now.salary_pence, now.etag.as_str()), (Some(300), "5"));
    assert_eq!(app.get(&ann.employee_id).await.unwrap(), now);
    let said = [
        ("2019-01-01".to_owned(), 50),
        ("2020-01-01".to_owned(), 100),
        ("2021-01-01".to_owned(), 200),
        (day(today), 300),
        (tomorrow, 400),
    ];
    assert_eq!(app.salary_history(&ann.employee_id).await, said);
    let told = app.log.events_of(&ann.employee_id).await;
    let data = json!({"employeeId": ann.employee_id, "changedFields": ["salary_pence"]});
    assert_eq!(told.len(), 5);
    assert!(told[1..].iter().all(|(kind, _, told)| kind == "employee.updated" && *told == data));
}

#[tokio::test]
async fn what_is_said_for_tomorrow_is_shown_tomorrow() {
    let app = App::start().await;
    let ann = app.hire(100, "2020-01-01").await;
    let tomorrow = app.today().await + Days::new(1);
    app.set_salary(&ann, 400, &day(tomorrow)).await.unwrap();
    // As if a day passed.
    let passed = "update hr.salaries set effective_date = effective_date - 1";
    sqlx::query(passed).execute(&app.db).await.unwrap();
    assert_eq!(app.get(&ann.employee_id).await.unwrap().salary_pence, Some(400));
}

#[tokio::test]
async fn one_who_is_yet_to_come_is_changed_from_the_first_day_on() {
    let app = App::start().await;
    let first = day(app.today().await + Days::new(40));
    let ann = app.hire(100, &first).await;
    assert_eq!(app.set_salary(&ann, 200, "").await.unwrap().salary_pence, Some(200));
    let to = Employee { salary_pence: Some(300), ..ann.clone() };
    let updated = app.update(change(&to, &["salary_pence"])).await.unwrap();
    assert_eq!(updated.salary_pence, Some(300));
    assert_eq!(app.get(&ann.employee_id).await.unwrap(), updated);
    assert_eq!(app.salary_history(&ann.employee_id).await, [(first, 300)]);
}

#[tokio::test]
async fn the_same_again_changes_nothing() {
    let app = App::start().await;
    let ann = app.hire(100, "2020-01-01").await;
    let set = app.set_salary(&ann, 200, "2021-01-01").await.unwrap();
    assert_eq!(app.set_salary(&ann, 200, "2021-01-01").await.unwrap(), set);
    let request = request(&ann, 300, "2022-01-01");
    let set = async || app.client.clone().set_salary(request.clone()).await;
    for answer in join_all((0..100).map(|_| set())).await {
        assert_eq!(answer.unwrap().into_inner().employee.unwrap().etag, "3");
    }
    assert_eq!(app.log.told_of(&ann.employee_id).await.len(), 3);
    let other = SetSalaryRequest { salary_pence: Some(301), ..request };
    let refused = refusal(app.client.clone().set_salary(other).await);
    refused.is(Code::AlreadyExists, "REQUEST_ID_USED");
}

#[tokio::test]
async fn bad_fields_strangers_and_stale_etags_are_refused() {
    let app = App::start().await;
    let bad = SetSalaryRequest {
        request_id: "x".to_owned(),
        employee_id: "ann".to_owned(),
        salary_pence: Some(2_000_000_001),
        effective_date: "1899-12-31".to_owned(),
        etag: String::new(),
    };
    let refused = refusal(app.client.clone().set_salary(bad).await);
    refused.names(&["request_id", "employee_id", "salary_pence", "effective_date"]);
    let ann = app.hire(100, "2020-01-01").await;
    // Nobody's pay is 0 because it was left out.
    let left_out = SetSalaryRequest { salary_pence: None, ..request(&ann, 0, "") };
    refusal(app.client.clone().set_salary(left_out).await).names(&["salary_pence"]);
    let nobody = Employee { employee_id: new_id(), ..ann.clone() };
    let refused = refusal(app.set_salary(&nobody, 1, "").await);
    refused.is(Code::NotFound, "EMPLOYEE_NOT_FOUND");
    assert_eq!(refused.facts, [format!("employee_id: {}", nobody.employee_id)]);
    let stale = SetSalaryRequest { etag: "2".to_owned(), ..request(&ann, 1, "") };
    let refused = refusal(app.client.clone().set_salary(stale).await);
    refused.is(Code::Aborted, "ETAG_STALE");
    assert_eq!(app.salary_history(&ann.employee_id).await, [("2020-01-01".to_owned(), 100)]);
}

#[tokio::test]
async fn salaries_come_page_by_page() {
    let app = App::start().await;
    let ann = app.hire(100, "2020-01-01").await;
    for year in 2021..2025 {
        app.set_salary(&ann, year, &format!("{year}-01-01")).await.unwrap();
    }
    let mut request = ListSalariesRequest {
        employee_id: ann.employee_id.clone(),
        page_size: 2,
        page_token: String::new(),
    };
    let mut pages = Vec::new();
    for _ in 0..3 {
        let page = app.client.clone().list_salaries(request.clone()).await.unwrap().into_inner();
        pages.push(page.salaries.iter().map(|salary| salary.salary_pence).collect::<Vec<_>>());
        assert!(page.salaries.iter().all(|salary| salary.record_time.is_some()));
        request.page_token = page.next_page_token;
        // What comes meanwhile before the page moves nothing.
        app.set_salary(&ann, 7, "2019-01-01").await.unwrap();
    }
    assert_eq!(pages, [vec![100, 2021], vec![2022, 2023], vec![2024]]);
    assert_eq!(request.page_token, "");

    let bad =
        ListSalariesRequest { page_size: -1, page_token: "x".to_owned(), ..Default::default() };
    let refused = refusal(app.client.clone().list_salaries(bad).await);
    refused.names(&["employee_id", "page_size", "page_token"]);
    let nobody = ListSalariesRequest { employee_id: new_id(), ..Default::default() };
    let refused = refusal(app.client.clone().list_salaries(nobody).await);
    refused.is(Code::NotFound, "EMPLOYEE_NOT_FOUND");
}
