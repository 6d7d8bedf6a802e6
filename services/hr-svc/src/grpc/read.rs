//! Requests as commands: every field is looked at before a request is refused.

use std::collections::BTreeSet;

use chrono::Datelike;
use ids::EmployeeId;
use log::{Cause, RequestKey};
use prost_types::{FieldMask, Struct};
use proto::hr::v1 as pb;
use rpc::Fields;
use tonic::Status;
use uuid::Uuid;

use crate::{
    commands::{CreateEmployee, CreatePayrollRun, OnEmployee, OnRun, SetSalary, UpdateEmployee},
    domain::{EmployeeChange, INPUT_MAX_PENCE, Pay, Period, RunStatus},
    store,
};

/// £20,000,000 a year; what an `integer` of Postgres holds is not much more.
const SALARY_MAX_PENCE: i64 = 2_000_000_000;
const CHANGEABLE: [&str; 6] =
    ["name", "email", "role", "salary_pence", "payroll_meta", "payroll_group"];
const GROUP_DEFAULT: &str = "main";
const GROUP_MAX: usize = 32;
const ROLE_MAX: usize = 64;
const NAMED_MAX: usize = 1000;

pub(super) fn create_employee(
    request: pb::CreateEmployeeRequest,
) -> Result<CreateEmployee, Status> {
    let mut fields = Fields::default();
    let (request_key, cause) = key(&mut fields, &request.request_id, "CreateEmployee", &request);
    if request.salary_pence != 0 || request.payroll_meta.is_some() {
        rpc::require("pay.write")?;
    }
    let command = CreateEmployee {
        request_key,
        cause,
        name: fields.text("name", request.name, 1, 255),
        email: fields.email("email", request.email),
        role: fields.text("role", request.role, 1, ROLE_MAX),
        salary_pence: salary(&mut fields, "salary_pence", request.salary_pence),
        payroll_meta: payroll_meta(&mut fields, "payroll_meta", request.payroll_meta),
        payroll_group: payroll_group(&mut fields, "payroll_group", &request.payroll_group),
        hire_date: fields.optional_date("hire_date", &request.hire_date),
    };
    fields.done()?;
    Ok(command)
}

pub(super) fn employees(
    fields: &mut Fields,
    request: &pb::ListEmployeesRequest,
) -> store::employees::Filter {
    let role = given(&request.role).map(|role| fields.text("role", role, 1, ROLE_MAX));
    let group = given(&request.payroll_group);
    store::employees::Filter {
        payroll_group: group.map(|group| payroll_group(fields, "payroll_group", &group)),
        role,
        employed_on: fields.optional_date("employed_on", &request.employed_on),
    }
}

pub(super) fn update_employee(
    request: pb::UpdateEmployeeRequest,
) -> Result<UpdateEmployee, Status> {
    let mut fields = Fields::default();
    let (request_key, cause) = key(&mut fields, &request.request_id, "UpdateEmployee", &request);
    let employee = request.employee.unwrap_or_default();
    let id: Option<EmployeeId> = fields.id("employee.employee_id", &employee.employee_id);
    let change = change(&mut fields, &employee, request.update_mask);
    let Some(id) = id else { return Err(fields.refuse()) };
    fields.done()?;
    if change.salary_pence.is_some() || change.payroll_meta.is_some() {
        rpc::require("pay.write")?;
    }
    Ok(UpdateEmployee { request_key, cause, id, etag: given(&employee.etag), change })
}

/// What the mask names of an employee.
fn change(fields: &mut Fields, employee: &pb::Employee, mask: Option<FieldMask>) -> EmployeeChange {
    let mut change = EmployeeChange::default();
    for path in fields.update_mask(mask, &CHANGEABLE) {
        match path.as_str() {
            "name" => {
                change.name = Some(fields.text("employee.name", employee.name.clone(), 1, 255));
            }
            "email" => change.email = Some(fields.email("employee.email", employee.email.clone())),
            "role" => {
                let role = fields.text("employee.role", employee.role.clone(), 1, ROLE_MAX);
                change.role = Some(role);
            }
            "salary_pence" => match employee.salary_pence {
                Some(pence) => {
                    change.salary_pence = Some(salary(fields, "employee.salary_pence", pence));
                }
                None => fields.bad("employee.salary_pence", "is required"),
            },
            "payroll_meta" => {
                let meta = employee.payroll_meta.clone();
                change.payroll_meta = Some(payroll_meta(fields, "employee.payroll_meta", meta));
            }
            "payroll_group" => {
                let group = employee.payroll_group.as_str();
                change.payroll_group = Some(payroll_group(fields, "employee.payroll_group", group));
            }
            // Complained of above.
            _ => (),
        }
    }
    change
}

pub(super) fn terminate_employee(
    request: &pb::TerminateEmployeeRequest,
) -> Result<OnEmployee, Status> {
    let pb::TerminateEmployeeRequest { request_id, employee_id, last_day, etag } = request;
    let mut fields = Fields::default();
    let (request_key, cause) = key(&mut fields, request_id, "TerminateEmployee", request);
    let id = fields.id("employee_id", employee_id);
    let day = fields.optional_date("last_day", last_day);
    let Some(id) = id else { return Err(fields.refuse()) };
    fields.done()?;
    Ok(OnEmployee { request_key, cause, id, etag: given(etag), day })
}

pub(super) fn rehire_employee(request: &pb::RehireEmployeeRequest) -> Result<OnEmployee, Status> {
    let pb::RehireEmployeeRequest { request_id, employee_id, first_day, etag } = request;
    let mut fields = Fields::default();
    let (request_key, cause) = key(&mut fields, request_id, "RehireEmployee", request);
    let id = fields.id("employee_id", employee_id);
    let day = fields.optional_date("first_day", first_day);
    let Some(id) = id else { return Err(fields.refuse()) };
    fields.done()?;
    Ok(OnEmployee { request_key, cause, id, etag: given(etag), day })
}

pub(super) fn correct_first_day(
    request: &pb::CorrectFirstDayRequest,
) -> Result<OnEmployee, Status> {
    let pb::CorrectFirstDayRequest { request_id, employee_id, first_day, etag } = request;
    let mut fields = Fields::default();
    let (request_key, cause) = key(&mut fields, request_id, "CorrectFirstDay", request);
    let id = fields.id("employee_id", employee_id);
    if first_day.is_empty() {
        fields.bad("first_day", "is required");
    }
    let day = fields.optional_date("first_day", first_day);
    let Some(id) = id else { return Err(fields.refuse()) };
    fields.done()?;
    Ok(OnEmployee { request_key, cause, id, etag: given(etag), day })
}

pub(super) fn set_salary(request: &pb::SetSalaryRequest) -> Result<SetSalary, Status> {
    let mut fields = Fields::default();
    let (request_key, cause) = key(&mut fields, &request.request_id, "SetSalary", request);
    let id = fields.id("employee_id", &request.employee_id);
    if request.salary_pence.is_none() {
        fields.bad("salary_pence", "is required");
    }
    let salary_pence = salary(&mut fields, "salary_pence", request.salary_pence.unwrap_or(0));
    let effective_date = fields.optional_date("effective_date", &request.effective_date);
    let Some(id) = id else { return Err(fields.refuse()) };
    fields.done()?;
    let etag = given(&request.etag);
    Ok(SetSalary { request_key, cause, id, etag, salary_pence, effective_date })
}

pub(super) fn create_payroll_run(
    request: &pb::CreatePayrollRunRequest,
) -> Result<CreatePayrollRun, Status> {
    let mut fields = Fields::default();
    let (request_key, cause) = key(&mut fields, &request.request_id, "CreatePayrollRun", request);
    let period = period(&mut fields, "period", &request.period);
    let payroll_group = payroll_group(&mut fields, "payroll_group", &request.payroll_group);
    fields.count("employee_ids", request.employee_ids.len(), 0, NAMED_MAX);
    if !request.supplementary && !request.employee_ids.is_empty() {
        fields.bad("employee_ids", "is possible with supplementary only");
    }
    let mut employee_ids = BTreeSet::new();
    for (index, id) in request.employee_ids.iter().take(NAMED_MAX).enumerate() {
        let field = format!("employee_ids[{index}]");
        let id: Option<Uuid> = fields.id(&field, id);
        if id.is_some_and(|id| !employee_ids.insert(id)) {
            fields.bad(field, "is there twice");
        }
    }
    let Some(period) = period else { return Err(fields.refuse()) };
    fields.done()?;
    Ok(CreatePayrollRun {
        request_key,
        cause,
        period,
        payroll_group,
        supplementary: request.supplementary,
        employee_ids: employee_ids.into_iter().collect(),
    })
}

pub(super) fn payroll_runs(
    fields: &mut Fields,
    request: &pb::ListPayrollRunsRequest,
) -> store::payroll_runs::Filter {
    let month = given(&request.period);
    let group = given(&request.payroll_group);
    store::payroll_runs::Filter {
        period: month.and_then(|month| period(fields, "period", &month)),
        payroll_group: group.map(|group| payroll_group(fields, "payroll_group", &group)),
        status: status(fields, request.status),
    }
}

/// What all moves of a run have in common; `fields` may have complaints of what they have not.
pub(super) fn on_run(
    mut fields: Fields,
    method: &'static str,
    request: &impl prost::Message,
    [request_id, payroll_run_id, etag]: [&str; 3],
) -> Result<OnRun, Status> {
    let (request_key, cause) = key(&mut fields, request_id, method, request);
    let id = fields.id("payroll_run_id", payroll_run_id);
    let Some(id) = id else { return Err(fields.refuse()) };
    fields.done()?;
    Ok(OnRun { request_key, cause, id, etag: given(etag) })
}

pub(super) fn payslips(
    fields: &mut Fields,
    request: &pb::ListPayslipsRequest,
) -> store::payslips::Filter {
    if request.payroll_run_id.is_empty() && request.employee_id.is_empty() {
        fields.bad("payroll_run_id", "is required, or employee_id");
    }
    store::payslips::Filter {
        payroll_run_id: fields.optional_id("payroll_run_id", &request.payroll_run_id),
        employee_id: fields.optional_id("employee_id", &request.employee_id),
    }
}

/// What makes the request the same as an earlier one, and what its events are caused by.
fn key(
    fields: &mut Fields,
    request_id: &str,
    method: &'static str,
    request: &impl prost::Message,
) -> (Option<RequestKey>, Cause) {
    let id = fields.request_id(request_id);
    let key = id.map(|id| RequestKey::new(id, method, request));
    (key, Cause::of_call().with_request(id))
}

fn given(text: &str) -> Option<String> {
    Some(text.to_owned()).filter(|text| !text.is_empty())
}

fn salary(fields: &mut Fields, field: &str, pence: i64) -> i32 {
    let pence = fields.within(field, pence, 0, SALARY_MAX_PENCE);
    i32::try_from(pence).unwrap_or(0)
}

fn payroll_meta(
    fields: &mut Fields,
    field: &str,
    meta: Option<Struct>,
) -> Option<serde_json::Value> {
    let meta = fields.metadata(field, meta);
    for key in Pay::of_inputs(meta.as_ref()).err().unwrap_or_default() {
        let why = format!("is no whole number from 0 to {INPUT_MAX_PENCE}");
        fields.bad(format!("{field}.{key}"), why);
    }
    meta
}

/// Empty: the one of all who have no other.
fn payroll_group(fields: &mut Fields, field: &str, group: &str) -> String {
    if group.is_empty() {
        return GROUP_DEFAULT.to_owned();
    }
    let sound = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-')
    };
    if group.len() > GROUP_MAX || !group.bytes().all(sound) {
        fields.bad(field, format!("is not 1 to {GROUP_MAX} of a-z, 0-9, _ and -"));
    }
    group.to_owned()
}

/// A month such as `2026-11`.
fn period(fields: &mut Fields, field: &str, text: &str) -> Option<Period> {
    let first_day = rpc::from_date(&format!("{text}-01")).ok();
    let first_day = first_day.filter(|day| (1900..3000).contains(&day.year()) && text.len() == 7);
    if first_day.is_none() {
        let why = if text.is_empty() { "is required" } else { "is not a month such as 2026-11" };
        fields.bad(field, why);
    }
    first_day.map(Period::of)
}

/// A filter: unspecified is none.
fn status(fields: &mut Fields, status: i32) -> Option<RunStatus> {
    match pb::PayrollRunStatus::try_from(status) {
        Ok(pb::PayrollRunStatus::Unspecified) => None,
        Ok(pb::PayrollRunStatus::Draft) => Some(RunStatus::Draft),
        Ok(pb::PayrollRunStatus::Approved) => Some(RunStatus::Approved),
        Ok(pb::PayrollRunStatus::Paid) => Some(RunStatus::Paid),
        Ok(pb::PayrollRunStatus::Discarded) => Some(RunStatus::Discarded),
        Ok(pb::PayrollRunStatus::Reversed) => Some(RunStatus::Reversed),
        Err(_) => {
            fields.bad("status", "is not a status of a payroll run");
            None
        }
    }
}
