use prost_types::value::Kind;
use proto::hr::v1::{CreatePayrollRunRequest, PayrollRunKind, PayrollRunStatus};
use tonic::Code;

use testkit::refusal;

use crate::{
    app::{App, ann, change, day, new_id, object, text},
    payroll::{gross, regular, supplementary},
};

#[tokio::test]
async fn a_run_is_what_its_payslips_say() {
    let app = App::start().await;
    let ann = app.hire(120_000, "2024-01-01").await;
    let inputs = [
        ("paye_pence", 1000),
        ("employee_ni_pence", 200),
        ("employee_pension_pence", 300),
        ("employer_ni_pence", 400),
        ("employer_pension_pence", 500),
    ];
    app.withhold(&ann, &inputs).await;
    let bob = app.hire(240_000, "2024-01-01").await;
    let run = app.draft("2024-05").await.unwrap();
    assert_eq!((run.period.as_str(), run.payroll_group.as_str()), ("2024-05", "main"));
    assert_eq!((run.kind(), run.status()), (PayrollRunKind::Regular, PayrollRunStatus::Draft));
    assert_eq!((run.payslip_count, run.etag.as_str()), (2, "1"));
    let totals = run.totals.unwrap();
    assert_eq!((totals.gross_pence, totals.net_pence), (30_000, 28_500));
    assert_eq!((totals.paye_pence, totals.employee_ni_pence), (1000, 200));
    assert_eq!((totals.employee_pension_pence, totals.employer_ni_pence), (300, 400));
    assert_eq!(totals.employer_pension_pence, 500);
    assert_eq!(app.get_run(&run.payroll_run_id).await.unwrap(), run);
    let payslips = app.payslips_of(&run).await;
    let whose: Vec<&str> = payslips.iter().map(|payslip| payslip.employee_id.as_str()).collect();
    assert_eq!(whose, [ann.employee_id.as_str(), &bob.employee_id]);
    assert_eq!(payslips[0].pay.unwrap().net_pence, 8500);
    assert_eq!(payslips[0].status(), PayrollRunStatus::Draft);
    assert_eq!(app.run_counts().await, (1, 2, 1));
    app.check_books().await;
}

#[tokio::test]
async fn running_again_finds_the_same_run_however_it_stands() {
    let app = App::start().await;
    let ann = app.hire(120_000, "2024-01-01").await;
    let draft = app.draft("2024-05").await.unwrap();
    app.set_salary(&ann, 240_000, "2024-05-01").await.unwrap();
    assert_eq!(app.draft("2024-05").await.unwrap(), draft, "it is not calculated anew by itself");
    let draft = app.recalculate(&draft).await.unwrap();
    let run = app.approve(&draft).await.unwrap();
    assert_eq!(app.draft("2024-05").await.unwrap(), run);
    let run = app.pay_run(&run, "").await.unwrap();
    assert_eq!(app.draft("2024-05").await.unwrap(), run);
    assert_ne!(app.draft("2024-06").await.unwrap().payroll_run_id, run.payroll_run_id);
    assert_eq!(app.run_counts().await.0, 2);
}

#[tokio::test]
async fn a_hundred_at_once_with_ids_of_their_own_or_none_are_one() {
    let app = App::start().await;
    app.hire(120_000, "2024-01-01").await;
    let requests = (0..100).map(|place| {
        let request_id = if place % 2 == 0 { new_id() } else { String::new() };
        app.create_run(CreatePayrollRunRequest { request_id, ..regular("2024-05") })
    });
    let mut ids: Vec<String> = futures::future::join_all(requests)
        .await
        .into_iter()
        .map(|answer| answer.unwrap().payroll_run_id)
        .collect();
    ids.dedup();
    assert_eq!(ids.len(), 1);
    assert_eq!(app.run_counts().await, (1, 1, 1));
    // A supplementary one, too.
    app.approve(&app.draft("2024-05").await.unwrap()).await.unwrap();
    app.hire(120_000, "2024-05-31").await;
    let answers = futures::future::join_all((0..100).map(|_| app.draft_more("2024-05"))).await;
    assert!(answers.into_iter().all(|answer| gross(&answer.unwrap()) == 323));
    assert_eq!(app.run_counts().await, (2, 2, 3));
}

#[tokio::test]
async fn the_same_request_is_answered_with_the_run_as_it_is_then() {
    let app = App::start().await;
    app.hire(120_000, "2024-01-01").await;
    let request = CreatePayrollRunRequest { request_id: new_id(), ..regular("2024-05") };
    let draft = app.create_run(request.clone()).await.unwrap();
    let discarded = app.discard(&draft).await.unwrap();
    assert_eq!(app.create_run(request.clone()).await.unwrap(), discarded);
    let other = CreatePayrollRunRequest { period: "2024-06".to_owned(), ..request.clone() };
    let refused = refusal(app.create_run(other).await);
    refused.is(Code::AlreadyExists, "REQUEST_ID_USED");
    assert_eq!(refused.facts, [format!("request_id: {}", request.request_id)]);
    // A refusal is not remembered.
    let early = CreatePayrollRunRequest { request_id: new_id(), ..regular("2023-12") };
    refusal(app.create_run(early.clone()).await).is(Code::FailedPrecondition, "NOTHING_TO_PAY");
    app.hire(120_000, "2023-01-01").await;
    assert_eq!(gross(&app.create_run(early).await.unwrap()), 10_000);
}

#[tokio::test]
async fn a_preview_shows_all_and_leaves_no_trace() {
    let app = App::start().await;
    let ann = app.hire(120_000, "2024-01-01").await;
    let request = CreatePayrollRunRequest { request_id: new_id(), ..regular("2024-05") };
    let (run, payslips) = app.preview(request.clone()).await.unwrap();
    assert_eq!((run.payroll_run_id.as_str(), run.etag.as_str(), run.create_time), ("", "", None));
    assert_eq!((gross(&run), run.payslip_count), (10_000, 1));
    assert_eq!((payslips[0].payslip_id.as_str(), payslips[0].payroll_run_id.as_str()), ("", ""));
    assert_eq!(payslips[0].employee_id, ann.employee_id);
    assert_eq!(app.run_counts().await, (0, 0, 0));
    let remembered: i64 =
        sqlx::query_scalar("select count(*) from hr.requests").fetch_one(&app.db).await.unwrap();
    assert_eq!(remembered, 0);
    // Of a run that there is it shows that one.
    let draft = app.create_run(request).await.unwrap();
    let (shown, payslips) = app.preview(regular("2024-05")).await.unwrap();
    assert_eq!((shown, payslips), (draft.clone(), app.payslips_of(&draft).await));
    let early = refusal(app.preview(regular("2023-12")).await);
    early.is(Code::FailedPrecondition, "NOTHING_TO_PAY");
}

#[tokio::test]
async fn groups_are_run_by_themselves_and_nobody_is_paid_by_two() {
    let app = App::start().await;
    let ann = app.hire(120_000, "2024-01-01").await;
    let mut shop = ann_of("shop-2");
    shop.salary_pence = 240_000;
    let bob = app.create(shop).await.unwrap();
    let run = app.run(regular("2024-05")).await;
    assert_eq!(app.gross_of(&run).await, [(ann.employee_id.clone(), 10_000)]);
    // She moves over, is paid for May already, and by the other group from June on.
    let to = proto::hr::v1::Employee { payroll_group: "shop-2".to_owned(), ..ann.clone() };
    let moved = app.update(change(&to, &["payroll_group"])).await.unwrap();
    assert_eq!((moved.payroll_group.as_str(), moved.etag.as_str()), ("shop-2", "2"));
    let in_shop = |period: &str| CreatePayrollRunRequest {
        payroll_group: "shop-2".to_owned(),
        ..regular(period)
    };
    let may = app.run(in_shop("2024-05")).await;
    assert_eq!(app.gross_of(&may).await, [(bob.employee_id.clone(), 20_000)]);
    let june = app.run(in_shop("2024-06")).await;
    assert_eq!(gross(&june), 30_000);
    let nobody = refusal(app.draft("2024-06").await);
    nobody.is(Code::FailedPrecondition, "NOTHING_TO_PAY");
}

fn ann_of(group: &str) -> proto::hr::v1::CreateEmployeeRequest {
    proto::hr::v1::CreateEmployeeRequest {
        payroll_group: group.to_owned(),
        hire_date: "2024-01-01".to_owned(),
        ..ann()
    }
}

#[tokio::test]
async fn nobody_is_paid_less_than_nothing() {
    let app = App::start().await;
    app.hire(120_000, "2024-01-01").await;
    let (bob, cleo) = (app.hire(120_000, "2024-05-16").await, app.hire(0, "2024-01-01").await);
    // Taken as they are for a part of a month, too.
    app.withhold(&bob, &[("paye_pence", 5000), ("employee_ni_pence", 163)]).await;
    app.withhold(&cleo, &[("employee_pension_pence", 1)]).await;
    let refused = refusal(app.draft("2024-05").await);
    refused.is(Code::FailedPrecondition, "NET_NEGATIVE");
    let both = format!("employee_ids: {},{}", bob.employee_id, cleo.employee_id);
    assert_eq!(refused.facts, [both]);
    app.withhold(&bob, &[("paye_pence", 5000), ("employee_ni_pence", 162)]).await;
    app.withhold(&cleo, &[("employer_pension_pence", 1)]).await;
    let run = app.draft("2024-05").await.unwrap();
    assert_eq!((run.payslip_count, run.totals.unwrap().net_pence), (3, 10_000));
}

#[tokio::test]
async fn payroll_data_from_before_the_rules_are_refused_at_the_run() {
    let app = App::start().await;
    app.hire(120_000, "2024-01-01").await;
    let mut odd = Vec::new();
    for meta in [r#"{"paye_pence": "12.34"}"#, r#"{"employer_ni_pence": 1.5}"#] {
        let one = app.hire(120_000, "2024-01-01").await;
        sqlx::query("update hr.employees set payroll_meta = $1::jsonb where id = $2::uuid")
            .bind(meta.parse::<serde_json::Value>().unwrap())
            .bind(one.employee_id.parse::<uuid::Uuid>().unwrap())
            .execute(&app.db)
            .await
            .unwrap();
        odd.push(one.employee_id);
    }
    for refused in
        [refusal(app.draft("2024-05").await), refusal(app.preview(regular("2024-05")).await)]
    {
        refused.is(Code::FailedPrecondition, "PAYROLL_META_INVALID");
        assert_eq!(refused.facts, [format!("employee_ids: {}", odd.join(","))]);
    }
    // Before they came it is nobody's business.
    refusal(app.draft("2023-12").await).is(Code::FailedPrecondition, "NOTHING_TO_PAY");
    for id in odd {
        let to = proto::hr::v1::Employee { employee_id: id, ..Default::default() };
        let to = proto::hr::v1::Employee {
            payroll_meta: Some(object(&[
                ("paye_pence", Kind::NumberValue(1234.0)),
                ("code", text("BR")),
            ])),
            ..to
        };
        app.update(change(&to, &["payroll_meta"])).await.unwrap();
    }
    assert_eq!(app.draft("2024-05").await.unwrap().totals.unwrap().paye_pence, 2468);
}

#[tokio::test]
async fn the_month_to_come_can_be_run_and_none_after_it() {
    let app = App::start().await;
    app.hire(120_000, "2024-01-01").await;
    let today = app.today().await;
    let next = day(today.checked_add_months(chrono::Months::new(1)).unwrap());
    assert_eq!(gross(&app.run(regular(&next[..7])).await), 10_000);
    let after = day(today.checked_add_months(chrono::Months::new(2)).unwrap());
    let refused = refusal(app.draft(&after[..7]).await);
    refused.names(&["period"]);
}

#[tokio::test]
async fn every_bad_field_is_named() {
    let app = App::start().await;
    for period in
        ["", "2024-13", "2024-1", "2024", "24-01", "2024-05-01", "1899-12", "3000-01", "20240-1"]
    {
        refusal(app.draft(period).await).names(&["period"]);
    }
    let id = new_id();
    let bad = CreatePayrollRunRequest {
        request_id: "x".to_owned(),
        period: "May".to_owned(),
        payroll_group: "A".to_owned(),
        employee_ids: vec![id.clone(), "ann".to_owned(), id.clone()],
        ..Default::default()
    };
    let names = [
        "request_id",
        "period",
        "payroll_group",
        "employee_ids",
        "employee_ids[1]",
        "employee_ids[2]",
    ];
    refusal(app.create_run(bad).await).names(&names);
    let ids: Vec<String> = (0..1001).map(|_| new_id()).collect();
    let many = CreatePayrollRunRequest { employee_ids: ids, ..supplementary("2024-05") };
    refusal(app.create_run(many).await).names(&["employee_ids"]);
    assert_eq!(app.run_counts().await, (0, 0, 0));
}

#[tokio::test]
async fn ten_thousand_are_paid_by_one_run_and_one_more_is_refused() {
    let app = App::start().await;
    let people = "
        insert into hr.employees (id, name, email, role, salary_pence)
          select gen_random_uuid(), 'Ann', n || '@example.org', 'baker', 0 from generate_series(1, 10001) n;
        insert into hr.employments (employee_id, place, first_day) select id, 1, '2024-01-01' from hr.employees;
        insert into hr.salaries (employee_id, effective_date, salary_pence) select id, '2024-01-01', 120000 from hr.employees;
        analyze";
    sqlx::raw_sql(people).execute(&app.db).await.unwrap();
    let refused = refusal(app.draft("2024-05").await);
    refused.is(Code::FailedPrecondition, "RUN_TOO_LARGE");
    let away = "update hr.employees set payroll_group = 'others' where email = '1@example.org'";
    sqlx::raw_sql(away).execute(&app.db).await.unwrap();
    let (preview, payslips) = app.preview(regular("2024-05")).await.unwrap();
    assert_eq!((preview.payslip_count, payslips.len()), (10_000, 1000));
    let run = app.run(regular("2024-05")).await;
    assert_eq!((run.payslip_count, gross(&run)), (10_000, 100_000_000));
    let run = app.pay_run(&run, "").await.unwrap();
    let (_, mirror) = app.reverse(&run).await.unwrap();
    assert_eq!(gross(&mirror), -100_000_000);
    app.check_books().await;
}
