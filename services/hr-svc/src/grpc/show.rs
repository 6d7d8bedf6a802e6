//! What is kept, as answers.

use ids::EmployeeId;
use proto::hr::v1 as pb;
use uuid::Uuid;

use crate::{
    domain::{Earning, Employee, Employment, Pay, PayrollRun, Payslip, RunKind, RunStatus},
    store::salaries::Salary,
};

/// Pay is shown only to those who may see it.
pub(super) fn employee(employee: Employee) -> pb::Employee {
    let pay = rpc::may("pay.read");
    pb::Employee {
        employee_id: employee.id.to_string(),
        name: employee.name,
        email: employee.email,
        role: employee.role,
        salary_pence: pay.then(|| i64::from(employee.salary_pence)),
        payroll_meta: employee.payroll_meta.filter(|_| pay).map(rpc::json_to_struct),
        create_time: Some(rpc::to_time(employee.created_at)),
        etag: employee.version.to_string(),
        payroll_group: employee.payroll_group,
        employments: employee.employments.iter().map(employment).collect(),
    }
}

fn employment(employment: &Employment) -> pb::Employment {
    pb::Employment {
        first_day: rpc::to_date(employment.first_day),
        last_day: employment.last_day.map(rpc::to_date).unwrap_or_default(),
    }
}

pub(super) fn salary(id: EmployeeId, salary: &Salary) -> pb::Salary {
    pb::Salary {
        employee_id: id.to_string(),
        effective_date: rpc::to_date(salary.effective_date),
        salary_pence: salary.salary_pence.into(),
        record_time: Some(rpc::to_time(salary.recorded_at)),
    }
}

/// One with the nil key is a preview.
pub(super) fn payroll_run(run: PayrollRun) -> pb::PayrollRun {
    let is_kept = !run.id.0.is_nil();
    let status = status(run.status);
    let kind = match run.kind {
        RunKind::Regular => pb::PayrollRunKind::Regular,
        RunKind::Supplementary => pb::PayrollRunKind::Supplementary,
        RunKind::Reversal => pb::PayrollRunKind::Reversal,
    };
    pb::PayrollRun {
        payroll_run_id: key(run.id.0),
        period: run.period.to_string(),
        payroll_group: run.payroll_group,
        kind: kind.into(),
        status: status.into(),
        employee_ids: run.employee_ids.iter().map(ToString::to_string).collect(),
        payslip_count: run.payslip_count,
        totals: Some(pay(&run.totals)),
        create_time: is_kept.then(|| rpc::to_time(run.created_at)),
        approve_time: run.approved_at.map(rpc::to_time),
        pay_date: run.paid_on.map(rpc::to_date).unwrap_or_default(),
        reverse_date: run.reversed_on.map(rpc::to_date).unwrap_or_default(),
        reverses_run_id: optional(run.reverses_run_id),
        reversal_run_id: optional(run.reversal_run_id),
        journal_id: optional(run.journal_id),
        payment_journal_id: optional(run.payment_journal_id),
        reversal_journal_id: optional(run.reversal_journal_id),
        repayment_journal_id: optional(run.repayment_journal_id),
        etag: if is_kept { run.version.to_string() } else { String::new() },
    }
}

pub(super) fn payslip(payslip: &Payslip) -> pb::Payslip {
    let is_kept = !payslip.payroll_run_id.0.is_nil();
    let earlier = payslip.earlier.map_or_else(Pay::default, |earlier| earlier.0);
    pb::Payslip {
        payslip_id: if is_kept { payslip.id.to_string() } else { String::new() },
        payroll_run_id: key(payslip.payroll_run_id.0),
        employee_id: payslip.employee_id.to_string(),
        period: payslip.period.to_string(),
        status: status(payslip.status).into(),
        pay: Some(pay(&payslip.pay)),
        earnings: payslip.earnings.iter().map(earning).collect(),
        earlier: Some(pay(&earlier)),
    }
}

fn pay(pay: &Pay) -> pb::Pay {
    pb::Pay {
        gross_pence: pay.gross_pence,
        paye_pence: pay.paye_pence,
        employee_ni_pence: pay.employee_ni_pence,
        employee_pension_pence: pay.employee_pension_pence,
        net_pence: pay.net_pence(),
        employer_ni_pence: pay.employer_ni_pence,
        employer_pension_pence: pay.employer_pension_pence,
    }
}

fn earning(earning: &Earning) -> pb::Earning {
    pb::Earning {
        first_day: rpc::to_date(earning.first_day),
        last_day: rpc::to_date(earning.last_day),
        salary_pence: earning.salary_pence.into(),
        gross_pence: earning.gross_pence,
    }
}

fn status(status: RunStatus) -> pb::PayrollRunStatus {
    match status {
        RunStatus::Draft => pb::PayrollRunStatus::Draft,
        RunStatus::Approved => pb::PayrollRunStatus::Approved,
        RunStatus::Paid => pb::PayrollRunStatus::Paid,
        RunStatus::Discarded => pb::PayrollRunStatus::Discarded,
        RunStatus::Reversed => pb::PayrollRunStatus::Reversed,
    }
}

fn key(id: Uuid) -> String {
    if id.is_nil() { String::new() } else { id.to_string() }
}

fn optional(id: Option<impl ToString>) -> String {
    id.map(|id| id.to_string()).unwrap_or_default()
}
