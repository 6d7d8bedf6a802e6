//! Finding runs, payslips and employees: page by page, by filters that an index serves.

use proto::hr::v1::{
    self as pb, GetPayslipRequest, ListEmployeesRequest, ListPayrollRunsRequest,
    ListPayslipsRequest, PayrollRunStatus,
};
use sqlx::AssertSqlSafe;
use tonic::Code;

use testkit::refusal;

use crate::{
    app::{App, ann, new_id},
    payroll::regular,
};

async fn runs(app: &App, request: ListPayrollRunsRequest) -> (Vec<String>, String) {
    let page = app.payroll.clone().list_payroll_runs(request).await.unwrap().into_inner();
    let key = |run: pb::PayrollRun| format!("{} {}", run.period, run.payroll_group);
    (page.payroll_runs.into_iter().map(key).collect(), page.next_page_token)
}

async fn payslips(app: &App, request: ListPayslipsRequest) -> (Vec<pb::Payslip>, String) {
    let page = app.payroll.clone().list_payslips(request).await.unwrap().into_inner();
    (page.payslips, page.next_page_token)
}

async fn hire_into(app: &App, group: &str, role: &str, hire_date: &str) -> pb::Employee {
    let request = pb::CreateEmployeeRequest {
        payroll_group: group.to_owned(),
        role: role.to_owned(),
        hire_date: hire_date.to_owned(),
        payroll_meta: None,
        ..ann()
    };
    app.create(request).await.unwrap()
}

#[tokio::test]
async fn runs_come_newest_first_page_by_page_while_others_are_made() {
    let app = App::start().await;
    app.hire(120_000, "2024-01-01").await;
    hire_into(&app, "shop-2", "baker", "2024-01-01").await;
    for month in ["2024-01", "2024-02", "2024-03"] {
        app.run(regular(month)).await;
    }
    let in_shop =
        pb::CreatePayrollRunRequest { payroll_group: "shop-2".to_owned(), ..regular("2024-02") };
    app.create_run(in_shop).await.unwrap();
    let mut request = ListPayrollRunsRequest { page_size: 3, ..Default::default() };
    let (page, token) = runs(&app, request.clone()).await;
    assert_eq!(page, ["2024-02 shop-2", "2024-03 main", "2024-02 main"]);
    app.draft("2024-04").await.unwrap();
    request.page_token = token;
    assert_eq!(runs(&app, request.clone()).await, (vec!["2024-01 main".to_owned()], String::new()));

    let all = ListPayrollRunsRequest::default;
    let period = ListPayrollRunsRequest { period: "2024-02".to_owned(), ..all() };
    assert_eq!(runs(&app, period).await.0, ["2024-02 shop-2", "2024-02 main"]);
    let group = ListPayrollRunsRequest { payroll_group: "shop-2".to_owned(), ..all() };
    assert_eq!(runs(&app, group).await.0, ["2024-02 shop-2"]);
    let drafts = ListPayrollRunsRequest { status: PayrollRunStatus::Draft.into(), ..all() };
    assert_eq!(runs(&app, drafts.clone()).await.0, ["2024-04 main", "2024-02 shop-2"]);
    let both = ListPayrollRunsRequest { period: "2024-04".to_owned(), ..drafts };
    assert_eq!(runs(&app, both).await.0, ["2024-04 main"]);

    let bad = ListPayrollRunsRequest {
        page_size: 1001,
        page_token: request.page_token,
        period: "May".to_owned(),
        payroll_group: "A".to_owned(),
        status: 9,
    };
    let refused = refusal(app.payroll.clone().list_payroll_runs(bad).await);
    refused.names(&["period", "payroll_group", "status", "page_size", "page_token"]);
}

#[tokio::test]
async fn payslips_are_found_by_run_by_employee_and_by_id() {
    let app = App::start().await;
    let mut people = Vec::new();
    for _ in 0..5 {
        people.push(app.hire(120_000, "2024-01-01").await.employee_id);
    }
    let first = app.run(regular("2024-01")).await;
    let second = app.run(regular("2024-02")).await;
    let of_run = ListPayslipsRequest {
        payroll_run_id: first.payroll_run_id.clone(),
        page_size: 2,
        ..Default::default()
    };
    let mut request = of_run.clone();
    let mut found = Vec::new();
    for _ in 0..3 {
        let (page, token) = payslips(&app, request.clone()).await;
        found.extend(page.into_iter().map(|payslip| payslip.employee_id));
        request.page_token = token;
    }
    assert_eq!((found, request.page_token.as_str()), (people.clone(), ""));

    let hers = ListPayslipsRequest { employee_id: people[2].clone(), ..Default::default() };
    let (mine, _) = payslips(&app, hers.clone()).await;
    let of: Vec<&str> = mine.iter().map(|payslip| payslip.payroll_run_id.as_str()).collect();
    assert_eq!(of, [first.payroll_run_id.as_str(), &second.payroll_run_id]);
    let both = ListPayslipsRequest { payroll_run_id: second.payroll_run_id.clone(), ..hers };
    assert_eq!(payslips(&app, both).await.0, mine[1..]);
    let get = GetPayslipRequest { payslip_id: mine[0].payslip_id.clone() };
    let got = app.payroll.clone().get_payslip(get).await.unwrap().into_inner().payslip.unwrap();
    assert_eq!(
        (&got, got.period.as_str(), got.status()),
        (&mine[0], "2024-01", PayrollRunStatus::Approved)
    );

    let nobody = ListPayslipsRequest { employee_id: new_id(), ..Default::default() };
    assert_eq!(payslips(&app, nobody).await, (Vec::new(), String::new()));
}

#[tokio::test]
async fn what_is_no_payslip_is_not_found_and_bad_fields_are_named() {
    let app = App::start().await;
    let mut payroll = app.payroll.clone();
    let get = GetPayslipRequest { payslip_id: new_id() };
    let refused = refusal(payroll.get_payslip(get.clone()).await);
    refused.is(Code::NotFound, "PAYSLIP_NOT_FOUND");
    assert_eq!(refused.facts, [format!("payslip_id: {}", get.payslip_id)]);
    refusal(payroll.get_payslip(GetPayslipRequest::default()).await).names(&["payslip_id"]);
    let none = ListPayslipsRequest::default();
    refusal(payroll.list_payslips(none).await).names(&["payroll_run_id"]);
    let bad = ListPayslipsRequest {
        page_size: -1,
        page_token: "x".to_owned(),
        payroll_run_id: "x".to_owned(),
        employee_id: "x".to_owned(),
    };
    let refused = refusal(payroll.list_payslips(bad).await);
    refused.names(&["payroll_run_id", "employee_id", "page_size", "page_token"]);
    let unknown = ListPayslipsRequest { payroll_run_id: new_id(), ..Default::default() };
    refusal(payroll.list_payslips(unknown).await).is(Code::NotFound, "PAYROLL_RUN_NOT_FOUND");
}

#[tokio::test]
async fn employees_are_found_by_group_by_role_and_by_the_day_on_which_they_work() {
    let app = App::start().await;
    let baker = hire_into(&app, "main", "baker", "2024-01-01").await;
    let cook = hire_into(&app, "main", "cook", "2024-03-01").await;
    let other = hire_into(&app, "shop-2", "cook", "2024-01-01").await;
    app.terminate(&baker, "2024-02-10").await.unwrap();
    app.rehire(&baker, "2024-05-01").await.unwrap();
    let found = async |group: &str, role: &str, employed_on: &str| {
        let request = ListEmployeesRequest {
            payroll_group: group.to_owned(),
            role: role.to_owned(),
            employed_on: employed_on.to_owned(),
            ..Default::default()
        };
        let page = app.client.clone().list_employees(request).await.unwrap().into_inner();
        let of = |one: pb::Employee| match one.employee_id {
            id if id == baker.employee_id => 'b',
            id if id == cook.employee_id => 'c',
            id if id == other.employee_id => 'o',
            _ => '?',
        };
        page.employees.into_iter().map(of).collect::<String>()
    };
    assert_eq!(found("", "", "").await, "bco");
    assert_eq!(
        (found("main", "", "").await, found("", "cook", "").await),
        ("bc".into(), "co".into())
    );
    assert_eq!(
        (found("main", "cook", "").await, found("none", "", "").await),
        ("c".into(), String::new())
    );
    for (day, who) in [
        ("2023-12-31", ""),
        ("2024-01-01", "bo"),
        ("2024-02-10", "bo"),
        ("2024-02-11", "o"),
        ("2024-03-01", "co"),
        ("2024-05-01", "bco"),
        ("2090-01-01", "bco"),
    ] {
        assert_eq!(found("", "", day).await, who, "{day}");
    }
    assert_eq!(found("main", "baker", "2024-03-01").await, "");
}

/// The plan of a statement of the service's own, as it is prepared, for these arguments: as a `FilteredRead` has it planned.
async fn plan(app: &App, statement: &str, types: &str, arguments: &str) -> String {
    let mut db = app.db.acquire().await.unwrap();
    let prepare = format!("prepare listed ({types}) as {statement}");
    // The index gives the order, too.
    let settings =
        "set enable_seqscan = off; set enable_sort = off; set plan_cache_mode = force_custom_plan";
    for sql in [settings, &prepare] {
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut *db).await.unwrap();
    }
    let explain = format!("explain (costs off) execute listed ({arguments})");
    let lines: Vec<String> =
        sqlx::query_scalar(AssertSqlSafe(explain)).fetch_all(&mut *db).await.unwrap();
    sqlx::raw_sql("deallocate listed; reset all").execute(&mut *db).await.unwrap();
    lines.join("\n")
}

/// A statement out of the service's own source.
fn statement(source: &str, begin: &str) -> String {
    let from = source.find(begin).unwrap();
    let text = &source[from..];
    let text = &text[..text.find("\"#").or_else(|| text.find("\",")).unwrap()];
    text.replace("\": _\"", "\"")
}

#[tokio::test]
async fn each_filter_has_its_index() {
    let app = App::start().await;
    let source = include_str!("../../src/store/payroll_runs.rs");
    let list = source.find("pub(crate) async fn list(").unwrap();
    let runs = statement(&source[list..], "select id as");
    let types = "uuid, date, text, text, bigint";
    for (arguments, index) in [
        ("null, '2024-05-01', null, null, 51", "payroll_runs_period_idx"),
        ("null, null, 'main', null, 51", "payroll_runs_payroll_group_idx"),
        ("null, null, null, 'draft', 51", "payroll_runs_status_idx"),
        ("gen_random_uuid(), null, null, null, 51", "payroll_runs_pkey"),
    ] {
        let plan = plan(&app, &runs, types, arguments).await;
        assert!(plan.contains(index) && !plan.contains("Sort"), "{index} is not in {plan}");
    }
    let source = include_str!("../../src/store/payslips.rs");
    let list = source.find("pub(crate) async fn list(").unwrap();
    let payslips = statement(source, "select p.id as") + &statement(&source[list..], "where ($1");
    let types = "uuid, uuid, uuid, bigint";
    for (arguments, index) in [
        ("gen_random_uuid(), null, null, 51", "payslips_payroll_run_id_idx"),
        ("null, gen_random_uuid(), null, 51", "payslips_employee_id_idx"),
    ] {
        let plan = plan(&app, &payslips, types, arguments).await;
        assert!(plan.contains(index) && !plan.contains("Sort"), "{index} is not in {plan}");
    }
    let source = include_str!("../../src/store/employees.rs");
    let list = source.find("pub(crate) async fn list(").unwrap();
    let employees = statement(&source[list..], "select id as");
    let types = "uuid, text, text, date, bigint, date";
    for (arguments, index) in [
        ("null, 'main', null, null, 51, '2024-05-01'", "employees_payroll_group_idx"),
        ("null, null, 'baker', null, 51, '2024-05-01'", "employees_role_idx"),
        ("null, null, null, '2024-05-01', 51, '2024-05-01'", "employments_pkey"),
    ] {
        let plan = plan(&app, &employees, types, arguments).await;
        assert!(plan.contains(index) && !plan.contains("Sort"), "{index} is not in {plan}");
    }
}
