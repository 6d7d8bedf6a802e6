//! Who may do and see what of the payroll, with real keys and tokens.

use proto::hr::v1::{
    self as pb, ListSalariesRequest, SetSalaryRequest, payroll_service_client::PayrollServiceClient,
};
use testkit::{Keys, Refusal, refusal};
use tonic::Code;

use crate::{
    app::{App, ann},
    payroll::{approval, payment, regular},
};

async fn doors() -> (App, Keys) {
    let keys = Keys::new(1);
    let file = keys.public();
    (App::start_with(&["--auth-public-key", file.to_str().unwrap()]).await, keys)
}

/// What each method refuses to this caller, with the permission that it needs.
async fn asked(mut caller: PayrollServiceClient<rpc::Client>) -> [(Refusal, &'static str); 10] {
    let id = || crate::app::new_id();
    let run = pb::PayrollRun { payroll_run_id: id(), etag: "1".to_owned(), ..Default::default() };
    let payroll_run_id = run.payroll_run_id.clone();
    let get = pb::GetPayrollRunRequest { payroll_run_id: id() };
    let recalculate =
        pb::RecalculatePayrollRunRequest { payroll_run_id: id(), ..Default::default() };
    let discard = pb::DiscardPayrollRunRequest { payroll_run_id: id(), ..Default::default() };
    let reverse = pb::ReversePayrollRunRequest { payroll_run_id, ..Default::default() };
    let payslips = pb::ListPayslipsRequest { payroll_run_id: id(), ..Default::default() };
    let slip = pb::GetPayslipRequest { payslip_id: id() };
    let list = pb::ListPayrollRunsRequest { page_size: -1, ..Default::default() };
    [
        (refusal(caller.create_payroll_run(regular("2024-05")).await), "payroll.run"),
        (refusal(caller.recalculate_payroll_run(recalculate).await), "payroll.run"),
        (refusal(caller.discard_payroll_run(discard).await), "payroll.run"),
        (refusal(caller.approve_payroll_run(approval(&run)).await), "payroll.approve"),
        (refusal(caller.pay_payroll_run(payment(&run, "")).await), "payroll.pay"),
        (refusal(caller.reverse_payroll_run(reverse).await), "payroll.reverse"),
        (refusal(caller.get_payroll_run(get).await), "payroll.read"),
        (refusal(caller.list_payroll_runs(list).await), "payroll.read"),
        (refusal(caller.get_payslip(slip).await), "pay.read"),
        (refusal(caller.list_payslips(payslips).await), "pay.read"),
    ]
}

#[tokio::test]
async fn each_method_needs_its_permission_and_no_other() {
    let (app, keys) = doors().await;
    let all = [
        "payroll.run",
        "payroll.approve",
        "payroll.pay",
        "payroll.reverse",
        "payroll.read",
        "pay.read",
    ];
    for held in all {
        let others = [&["employees.read", "employees.write"][..], &[held]].concat();
        let caller = app.payroll_with_token(keys.token(&others, 600));
        for (refused, needed) in asked(caller).await {
            if needed == held {
                assert_ne!(refused.code, Code::PermissionDenied, "{needed}: {refused:?}");
            } else {
                refused.is(Code::PermissionDenied, "PERMISSION_MISSING");
                assert_eq!(refused.facts, [format!("permission: {needed}")]);
            }
        }
    }
    for (refused, _) in asked(app.payroll.clone()).await {
        refused.is(Code::Unauthenticated, "TOKEN_MISSING");
    }
    assert_eq!(app.run_counts().await, (0, 0, 0));
}

#[tokio::test]
async fn salaries_and_employments_have_doors_of_their_own() {
    let (app, keys) = doors().await;
    let caller = |permissions: &[&str]| app.with_token(keys.token(permissions, 600));
    let mut owner = caller(&["employees.write", "pay.write"]);
    let ann = owner.create_employee(ann()).await.unwrap().into_inner();
    let employee_id = ann.employee.unwrap().employee_id;
    let set = SetSalaryRequest {
        employee_id: employee_id.clone(),
        salary_pence: Some(5),
        ..Default::default()
    };
    let list = ListSalariesRequest { employee_id: employee_id.clone(), ..Default::default() };
    let leave =
        pb::TerminateEmployeeRequest { employee_id: employee_id.clone(), ..Default::default() };
    let back = pb::RehireEmployeeRequest { employee_id, ..Default::default() };
    let correct = pb::CorrectFirstDayRequest::default();
    let mut nobody = caller(&["employees.read", "payroll.run"]);
    let mut writer = caller(&["employees.write"]);
    let refused = [
        (refusal(nobody.set_salary(set.clone()).await), "pay.write"),
        (refusal(writer.set_salary(set.clone()).await), "pay.write"),
        (refusal(nobody.list_salaries(list.clone()).await), "pay.read"),
        (refusal(nobody.terminate_employee(leave.clone()).await), "employees.write"),
        (refusal(nobody.rehire_employee(back).await), "employees.write"),
        (refusal(nobody.correct_first_day(correct).await), "employees.write"),
    ];
    for (refused, permission) in refused {
        refused.is(Code::PermissionDenied, "PERMISSION_MISSING");
        assert_eq!(refused.facts, [format!("permission: {permission}")]);
    }
    let shown =
        caller(&["pay.write"]).set_salary(set).await.unwrap().into_inner().employee.unwrap();
    assert_eq!(
        (shown.salary_pence, shown.payroll_meta),
        (None, None),
        "what was there is not shown"
    );
    let listed = caller(&["pay.read"]).list_salaries(list).await.unwrap().into_inner().salaries;
    assert_eq!(listed[0].salary_pence, 5);
    let left = caller(&["employees.write"]).terminate_employee(leave).await.unwrap();
    assert_eq!(left.into_inner().employee.unwrap().salary_pence, None);
}

#[tokio::test]
async fn a_preview_shows_payslips_to_those_who_may_see_pay() {
    let (app, keys) = doors().await;
    let mut writer = app.with_token(keys.token(&["employees.write", "pay.write"], 600));
    let request = pb::CreateEmployeeRequest { hire_date: "2024-01-01".to_owned(), ..ann() };
    writer.create_employee(request).await.unwrap();
    let preview = pb::CreatePayrollRunRequest { validate_only: true, ..regular("2024-05") };
    for (permissions, count) in [(&["payroll.run"][..], 0), (&["payroll.run", "pay.read"], 1)] {
        let mut caller = app.payroll_with_token(keys.token(permissions, 600));
        let shown = caller.create_payroll_run(preview.clone()).await.unwrap().into_inner();
        assert_eq!((shown.payslips.len(), shown.payroll_run.unwrap().payslip_count), (count, 1));
    }
}
