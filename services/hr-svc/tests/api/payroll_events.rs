//! What is told of the payroll: totals, and nobody's pay.

use serde_json::{Value, json};

use crate::{
    app::{App, day, new_id},
    payroll::{approval, payment, pounds, regular},
};
use proto::hr::v1 as pb;

#[tokio::test]
async fn each_move_of_a_run_is_told_with_its_totals() {
    let app = App::start().await;
    let ann = app.hire(1_234_567, "2024-01-01").await;
    let inputs = [
        ("paye_pence", 10_001),
        ("employee_ni_pence", 202),
        ("employee_pension_pence", 30),
        ("employer_ni_pence", 4),
        ("employer_pension_pence", 0),
    ];
    app.withhold(&ann, &inputs).await;
    let draft = app.draft("2024-02").await.unwrap();
    app.set_salary(&ann, 1_234_579, "2024-01-01").await.unwrap();
    let draft = app.recalculate(&draft).await.unwrap();
    let run = app.approve(&draft).await.unwrap();
    app.pay_run(&run, "2024-02-28").await.unwrap();
    let (_, mirror) = app.reverse(&run).await.unwrap();
    let drafted = json!({"payrollRunId": run.payroll_run_id, "period": "2024-02", "group": "main"});
    let totals = |effective_date: &str| {
        json!({
            "payrollRunId": run.payroll_run_id,
            "period": "2024-02",
            "group": "main",
            "payslipCount": 1,
            "gross": pounds("1028.82"),
            "paye": pounds("100.01"),
            "employeeNi": pounds("2.02"),
            "employeePension": pounds("0.30"),
            "employerNi": pounds("0.04"),
            "employerPension": pounds("0.00"),
            "net": pounds("926.49"),
            "effectiveDate": effective_date,
        })
    };
    let paid = json!({"payrollRunId": run.payroll_run_id, "net": pounds("926.49"), "payDate": "2024-02-28"});
    let reversed = json!({
        "payrollRunId": run.payroll_run_id,
        "reversalId": mirror.payroll_run_id,
        "approved": totals("2024-02-29"),
        "wasPaid": true,
    });
    let repaid = json!({
        "payrollRunId": run.payroll_run_id,
        "net": pounds("926.49"),
        "payDate": day(app.today().await),
    });
    let expected = [
        ("payroll.drafted".to_owned(), 1, drafted.clone()),
        ("payroll.drafted".to_owned(), 2, drafted),
        ("payroll.approved".to_owned(), 3, totals("2024-02-29")),
        ("payroll.paid".to_owned(), 4, paid),
        ("payroll.reversed".to_owned(), 5, reversed),
        ("payroll.repaid".to_owned(), 6, repaid),
    ];
    assert_eq!(app.log.events_of(&run.payroll_run_id).await, expected);
    assert_eq!(
        app.log.events_of(&mirror.payroll_run_id).await,
        [],
        "a mirror is told of by its run"
    );

    let draft = app.draft("2024-02").await.unwrap();
    app.discard(&draft).await.unwrap();
    let told = app.log.told_of(&draft.payroll_run_id).await;
    assert_eq!(told, [("payroll.drafted".to_owned(), 1), ("payroll.discarded".to_owned(), 2)]);
    app.check_books().await;
}

#[tokio::test]
async fn a_run_that_is_taken_back_unpaid_before_its_own_day_tells_of_that_day_and_of_no_money() {
    let app = App::start().await;
    app.hire(1_200_000, "2024-01-01").await;
    let next = day(app.today().await.checked_add_months(chrono::Months::new(1)).unwrap());
    let run = app.run(regular(&next[..7])).await;
    let (reversed, _) = app.reverse(&run).await.unwrap();
    let told = app.log.events_of(&run.payroll_run_id).await;
    let kinds: Vec<&str> = told.iter().map(|(kind, ..)| kind.as_str()).collect();
    assert_eq!(kinds, ["payroll.drafted", "payroll.approved", "payroll.reversed"]);
    let (approved, reversal) = (&told[1].2, &told[2].2);
    assert_eq!(reversal["approved"], *approved, "the same sums on the same day");
    assert!(approved["effectiveDate"].as_str().unwrap().starts_with(&next[..7]));
    assert!(approved["effectiveDate"].as_str().unwrap() > reversed.reverse_date.as_str());
    app.check_books().await;
}

#[tokio::test]
async fn an_event_names_the_request_that_it_follows_from() {
    let app = App::start().await;
    app.hire(120_000, "2024-01-01").await;
    let mut payroll = app.payroll.clone();
    let mut asked = vec![None];
    let mut request_id = || {
        let id = new_id();
        asked.push(Some(id.clone()));
        id
    };
    let create = pb::CreatePayrollRunRequest { request_id: request_id(), ..regular("2024-05") };
    let run = app.create_run(create).await.unwrap();
    let approve = pb::ApprovePayrollRunRequest { request_id: request_id(), ..approval(&run) };
    payroll.approve_payroll_run(approve).await.unwrap();
    let pay = pb::PayPayrollRunRequest { request_id: request_id(), ..payment(&run, "") };
    payroll.pay_payroll_run(pay).await.unwrap();
    let payroll_run_id = run.payroll_run_id.clone();
    let reverse = pb::ReversePayrollRunRequest {
        request_id: request_id(),
        payroll_run_id,
        etag: String::new(),
    };
    payroll.reverse_payroll_run(reverse).await.unwrap();
    // The reversal and the money that came back follow from the same request.
    asked.push(asked.last().unwrap().clone());
    let told: Vec<Option<String>> =
        sqlx::query_scalar("select payload->>'requestid' from hr.events_log order by id")
            .fetch_all(&app.db)
            .await
            .unwrap();
    assert_eq!(told, asked);
}

#[tokio::test]
async fn nobodys_pay_is_told() {
    let app = App::start().await;
    // Two, so that no total is one's own.
    let ann = app.hire(91_919_196, "2024-01-01").await;
    app.withhold(&ann, &[("paye_pence", 717_171)]).await;
    app.hire(120_000, "2024-01-01").await;
    let run = app.run(regular("2024-05")).await;
    app.set_salary(&ann, 92_929_296, "2024-06-01").await.unwrap();
    app.terminate(&ann, "2024-05-31").await.unwrap();
    app.pay_run(&run, "").await.unwrap();
    app.reverse(&run).await.unwrap();
    let told: Vec<Value> =
        sqlx::query_scalar("select payload from hr.events_log").fetch_all(&app.db).await.unwrap();
    assert_eq!(told.len(), 10);
    // 91919196 / 12 = 7659933, in pence and in pounds; and whose run it was is not said.
    for event in told {
        let is_run = event["type"].as_str().unwrap().starts_with("payroll.");
        let text = event.to_string();
        for secret in ["91919196", "92929296", "7659933", "76599.33", "717171"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
        assert!(!is_run || !text.contains(&ann.employee_id), "{text}");
    }
}
