//! Leaving and coming back.

use futures::future::join_all;
use proto::hr::v1::{self as pb, Employee};
use serde_json::json;
use tonic::Code;

use testkit::refusal;

use crate::{
    app::{App, day, new_id, spans},
    payroll::{gross, regular},
};

fn span(first_day: &str, last_day: &str) -> (String, String) {
    (first_day.to_owned(), last_day.to_owned())
}

fn terminate(employee: &Employee, last_day: &str) -> pb::TerminateEmployeeRequest {
    pb::TerminateEmployeeRequest {
        request_id: new_id(),
        employee_id: employee.employee_id.clone(),
        last_day: last_day.to_owned(),
        etag: employee.etag.clone(),
    }
}

fn rehire(employee: &Employee, first_day: &str) -> pb::RehireEmployeeRequest {
    pb::RehireEmployeeRequest {
        request_id: new_id(),
        employee_id: employee.employee_id.clone(),
        first_day: first_day.to_owned(),
        etag: employee.etag.clone(),
    }
}

#[tokio::test]
async fn one_who_leaves_can_come_back_and_each_time_is_kept() {
    let app = App::start().await;
    let ann = app.hire(3_000_000, "2026-01-05").await;
    let left = app.terminate(&ann, "2026-03-31").await.unwrap();
    let mut times = vec![span("2026-01-05", "2026-03-31")];
    assert_eq!((spans(&left), left.etag.as_str()), (times.clone(), "2"));
    let back = app.rehire(&ann, "2026-06-01").await.unwrap();
    times.push(span("2026-06-01", ""));
    assert_eq!((spans(&back), back.salary_pence), (times.clone(), Some(3_000_000)));
    assert_eq!(app.get(&ann.employee_id).await.unwrap(), back);
    let told = app.log.events_of(&ann.employee_id).await;
    let of = |kind: &str, version: i64| {
        let data = json!({"employeeId": ann.employee_id, "changedFields": ["employments"]});
        (kind.to_owned(), version, data)
    };
    assert_eq!(told[1..], [of("employee.terminated", 2), of("employee.rehired", 3)]);
}

#[tokio::test]
async fn without_a_day_it_is_today() {
    let app = App::start().await;
    let today = day(app.today().await);
    let ann = app.hire(1, "2026-01-05").await;
    let left = app.terminate(&ann, "").await.unwrap();
    assert_eq!(spans(&left), [span("2026-01-05", &today)]);
    let bob = app.hire(1, "2026-01-05").await;
    app.terminate(&bob, "2026-01-31").await.unwrap();
    let back = app.rehire(&bob, "").await.unwrap();
    assert_eq!(spans(&back), [span("2026-01-05", "2026-01-31"), span(&today, "")]);
}

#[tokio::test]
async fn a_last_day_is_moved_and_the_same_again_changes_nothing() {
    let app = App::start().await;
    let ann = app.hire(1, "2026-01-05").await;
    for last_day in ["2027-03-31", "2026-06-30", "2026-01-05", "2026-01-04"] {
        let left = app.terminate(&ann, last_day).await.unwrap();
        assert_eq!(spans(&left), [span("2026-01-05", last_day)]);
        assert_eq!(app.terminate(&ann, last_day).await.unwrap(), left, "one version later only");
    }
    assert_eq!(app.log.told_of(&ann.employee_id).await.len(), 5);
    // She never came that day, but does now.
    let came = app.rehire(&ann, "2026-01-05").await.unwrap();
    assert_eq!(spans(&came), [span("2026-01-05", "2026-01-04"), span("2026-01-05", "")]);
    assert_eq!(app.rehire(&ann, "2026-01-05").await.unwrap(), came);
}

#[tokio::test]
async fn what_does_not_fit_is_refused() {
    let app = App::start().await;
    let ann = app.hire(1, "2026-01-05").await;
    let facts = [format!("employee_id: {}", ann.employee_id)];
    let refused = refusal(app.terminate(&ann, "2026-01-03").await);
    refused.is(Code::FailedPrecondition, "LAST_DAY_TOO_EARLY");
    assert_eq!(refused.facts, facts);
    let refused = refusal(app.rehire(&ann, "2026-06-01").await);
    refused.is(Code::FailedPrecondition, "STILL_EMPLOYED");
    assert_eq!(refused.facts, facts);
    app.terminate(&ann, "2026-03-31").await.unwrap();
    for first_day in ["2026-03-31", "2026-01-05", "2025-12-01"] {
        let refused = refusal(app.rehire(&ann, first_day).await);
        refused.is(Code::FailedPrecondition, "EMPLOYMENTS_OVERLAP");
        assert_eq!(refused.facts, facts);
    }
    app.rehire(&ann, "2026-04-01").await.unwrap();
    assert_eq!(app.log.told_of(&ann.employee_id).await.len(), 3);
    // Postgres would refuse it, too.
    let overlap = "update hr.employments set last_day = '2026-04-01' where place = 1";
    let refused = sqlx::query(overlap).execute(&app.db).await.unwrap_err();
    assert!(refused.to_string().contains("overlap"), "{refused}");
}

#[tokio::test]
async fn a_first_day_is_corrected_and_what_was_earned_before_it_is_paid() {
    let app = App::start().await;
    let ann = app.hire(120_000, "2024-03-11").await;
    app.set_salary(&ann, 240_000, "2024-06-01").await.unwrap();
    let corrected = app.correct(&ann, "2024-02-01").await.unwrap();
    assert_eq!(spans(&corrected), [span("2024-02-01", "")]);
    assert_eq!(app.correct(&ann, "2024-02-01").await.unwrap(), corrected, "nothing to correct");
    let said = |from: &str, pence: i64| (from.to_owned(), pence);
    let all =
        [said("2024-02-01", 120_000), said("2024-03-11", 120_000), said("2024-06-01", 240_000)];
    assert_eq!(app.salary_history(&ann.employee_id).await, all);
    assert_eq!(gross(&app.run(regular("2024-02")).await), 10_000);
    let told = app.log.events_of(&ann.employee_id).await.pop().unwrap();
    let data = json!({"employeeId": ann.employee_id, "changedFields": ["employments"]});
    assert_eq!(told, ("employee.updated".to_owned(), 3, data));
    // Later, too: nothing is said anew, and the month that was run is made good by no one.
    let later = app.correct(&ann, "2024-03-01").await.unwrap();
    assert_eq!((spans(&later), later.salary_pence), (vec![span("2024-03-01", "")], Some(240_000)));
    assert_eq!(app.salary_history(&ann.employee_id).await, all);
    refusal(app.draft_more("2024-02").await).is(Code::FailedPrecondition, "NET_NEGATIVE");
}

#[tokio::test]
async fn a_first_day_fits_between_the_days_around_it() {
    let app = App::start().await;
    let ann = app.hire(1, "2024-01-01").await;
    app.terminate(&ann, "2024-03-31").await.unwrap();
    let refused = refusal(app.correct(&ann, "2024-04-02").await);
    refused.is(Code::FailedPrecondition, "FIRST_DAY_TOO_LATE");
    assert_eq!(refused.facts, [format!("employee_id: {}", ann.employee_id)]);
    app.correct(&ann, "2024-04-01").await.unwrap();
    app.correct(&ann, "2024-03-01").await.unwrap();
    app.rehire(&ann, "2024-06-01").await.unwrap();
    for first_day in ["2024-03-31", "2023-01-01"] {
        let refused = refusal(app.correct(&ann, first_day).await);
        refused.is(Code::FailedPrecondition, "EMPLOYMENTS_OVERLAP");
    }
    let corrected = app.correct(&ann, "2024-04-01").await.unwrap();
    assert_eq!(spans(&corrected), [span("2024-03-01", "2024-03-31"), span("2024-04-01", "")]);
    let bad = pb::CorrectFirstDayRequest { request_id: "x".to_owned(), ..Default::default() };
    let refused = refusal(app.client.clone().correct_first_day(bad).await);
    refused.names(&["request_id", "employee_id", "first_day"]);
    let stale = pb::CorrectFirstDayRequest {
        employee_id: ann.employee_id.clone(),
        first_day: "2024-05-01".to_owned(),
        etag: ann.etag.clone(),
        request_id: String::new(),
    };
    let refused = refusal(app.client.clone().correct_first_day(stale.clone()).await);
    refused.is(Code::Aborted, "ETAG_STALE");
    let nobody = Employee { employee_id: new_id(), ..ann };
    refusal(app.correct(&nobody, "2024-01-01").await).is(Code::NotFound, "EMPLOYEE_NOT_FOUND");

    let again = pb::CorrectFirstDayRequest { request_id: new_id(), etag: corrected.etag, ..stale };
    let calls = (0..100).map(async |_| app.client.clone().correct_first_day(again.clone()).await);
    let mut etags: Vec<String> = join_all(calls)
        .await
        .into_iter()
        .map(|answer| answer.unwrap().into_inner().employee.unwrap().etag)
        .collect();
    etags.dedup();
    assert_eq!(etags.len(), 1);
    let other = pb::CorrectFirstDayRequest { first_day: "2024-05-02".to_owned(), ..again };
    let used = app.client.clone().correct_first_day(other).await;
    refusal(used).is(Code::AlreadyExists, "REQUEST_ID_USED");
}

#[tokio::test]
async fn bad_fields_are_named_and_nobody_is_not_found() {
    let app = App::start().await;
    let bad = pb::TerminateEmployeeRequest {
        request_id: "x".to_owned(),
        employee_id: "ann".to_owned(),
        last_day: "2026-13-01".to_owned(),
        etag: String::new(),
    };
    let refused = app.client.clone().terminate_employee(bad).await;
    refusal(refused).names(&["request_id", "employee_id", "last_day"]);
    let bad = pb::RehireEmployeeRequest {
        request_id: "x".to_owned(),
        first_day: "3000-01-01".to_owned(),
        ..Default::default()
    };
    let refused = app.client.clone().rehire_employee(bad).await;
    refusal(refused).names(&["request_id", "employee_id", "first_day"]);
    let nobody = Employee { employee_id: new_id(), ..Default::default() };
    let not_found = |refused: testkit::Refusal| {
        refused.is(Code::NotFound, "EMPLOYEE_NOT_FOUND");
        assert_eq!(refused.facts, [format!("employee_id: {}", nobody.employee_id)]);
    };
    not_found(refusal(app.terminate(&nobody, "2026-01-01").await));
    not_found(refusal(app.rehire(&nobody, "2026-01-01").await));
}

#[tokio::test]
async fn one_who_has_not_seen_the_last_change_is_refused() {
    let app = App::start().await;
    let ann = app.hire(1, "2026-01-05").await;
    let left = app.client.clone().terminate_employee(terminate(&ann, "2026-03-31")).await.unwrap();
    let left = left.into_inner().employee.unwrap();
    let stale = app.client.clone().terminate_employee(terminate(&ann, "2026-04-30")).await;
    refusal(stale).is(Code::Aborted, "ETAG_STALE");
    let stale = app.client.clone().rehire_employee(rehire(&ann, "2026-06-01")).await;
    refusal(stale).is(Code::Aborted, "ETAG_STALE");
    app.client.clone().rehire_employee(rehire(&left, "2026-06-01")).await.unwrap();
}

#[tokio::test]
async fn a_hundred_equal_requests_at_once_are_one() {
    let app = App::start().await;
    let ann = app.hire(1, "2026-01-05").await;
    let request = terminate(&ann, "2026-03-31");
    let calls =
        (0..100).map(async |_| app.client.clone().terminate_employee(request.clone()).await);
    for answer in join_all(calls).await {
        assert_eq!(answer.unwrap().into_inner().employee.unwrap().etag, "2");
    }
    // Without an id, too.
    for answer in join_all((0..100).map(|_| app.rehire(&ann, "2026-06-01"))).await {
        assert_eq!(answer.unwrap().etag, "3");
    }
    assert_eq!(app.log.told_of(&ann.employee_id).await.len(), 3);
    let other = pb::TerminateEmployeeRequest { last_day: "2026-04-30".to_owned(), ..request };
    let used = app.client.clone().terminate_employee(other).await;
    refusal(used).is(Code::AlreadyExists, "REQUEST_ID_USED");
}
