//! The service's face: each method reads its request, calls one function, and answers.

use chrono_tz::Tz;
use ids::EmployeeId;
use log::{Cause, Log, RequestKey};
use prost_types::FieldMask;
use proto::hr::v1 as pb;
use rpc::{Fields, Page};
use tonic::{Request, Response, Status};

use crate::{
    HrError,
    commands::{self, CreateEmployee, UpdateEmployee},
    domain::{Employee, EmployeeChange},
    store,
};

/// £20,000,000 a year; what an `integer` of Postgres holds is not much more.
const SALARY_MAX_PENCE: i64 = 2_000_000_000;

pub(crate) struct Hr {
    pub(crate) log: Log,
    pub(crate) zone: Tz,
}

#[tonic::async_trait]
impl pb::hr_service_server::HrService for Hr {
    async fn create_employee(
        &self,
        request: Request<pb::CreateEmployeeRequest>,
    ) -> Result<Response<pb::CreateEmployeeResponse>, Status> {
        let command = read_create_employee(request.into_inner())?;
        let employee = commands::create_employee(&self.log, self.zone, command).await?;
        Ok(Response::new(pb::CreateEmployeeResponse { employee: Some(show(employee)) }))
    }

    async fn get_employee(
        &self,
        request: Request<pb::GetEmployeeRequest>,
    ) -> Result<Response<pb::GetEmployeeResponse>, Status> {
        let mut fields = Fields::default();
        let id: Option<EmployeeId> = fields.id("employee_id", &request.into_inner().employee_id);
        let Some(id) = id else { return Err(fields.refuse()) };

        let mut db = self.log.pool().acquire().await.map_err(HrError::from)?;
        let employee = store::find_employee(&mut db, id)
            .await
            .map_err(HrError::from)?
            .ok_or(HrError::EmployeeNotFound(id))?;
        Ok(Response::new(pb::GetEmployeeResponse { employee: Some(show(employee)) }))
    }

    async fn list_employees(
        &self,
        request: Request<pb::ListEmployeesRequest>,
    ) -> Result<Response<pb::ListEmployeesResponse>, Status> {
        let request = request.into_inner();
        let mut fields = Fields::default();
        let page = Page::read(&mut fields, request.page_size, &request.page_token, "employees");
        let after: Option<EmployeeId> = page.token.key(&mut fields);
        fields.done()?;

        let mut db = self.log.pool().acquire().await.map_err(HrError::from)?;
        let found =
            store::list_employees(&mut db, after, page.limit()).await.map_err(HrError::from)?;
        let mut employees: Vec<pb::Employee> = found.into_iter().map(show).collect();
        let next_page_token = page.fit(&mut employees, |employee| employee.employee_id.clone());
        Ok(Response::new(pb::ListEmployeesResponse { employees, next_page_token }))
    }

    async fn update_employee(
        &self,
        request: Request<pb::UpdateEmployeeRequest>,
    ) -> Result<Response<pb::UpdateEmployeeResponse>, Status> {
        let command = read_update_employee(request.into_inner())?;
        let employee = commands::update_employee(&self.log, self.zone, command).await?;
        Ok(Response::new(pb::UpdateEmployeeResponse { employee: Some(show(employee)) }))
    }
}

fn read_create_employee(request: pb::CreateEmployeeRequest) -> Result<CreateEmployee, Status> {
    let mut fields = Fields::default();
    let request_id = fields.request_id(&request.request_id);
    let request_key = request_id.map(|id| RequestKey::new(id, "CreateEmployee", &request));
    let command = CreateEmployee {
        request_key,
        cause: Cause::of_call(),
        name: fields.text("name", request.name, 1, 255),
        email: fields.email("email", request.email),
        role: fields.text("role", request.role, 1, 64),
        salary_pence: read_salary(&mut fields, "salary_pence", request.salary_pence),
        payroll_meta: fields.metadata("payroll_meta", request.payroll_meta),
    };
    fields.done()?;
    Ok(command)
}

fn read_update_employee(request: pb::UpdateEmployeeRequest) -> Result<UpdateEmployee, Status> {
    let mut fields = Fields::default();
    let request_id = fields.request_id(&request.request_id);
    let request_key = request_id.map(|id| RequestKey::new(id, "UpdateEmployee", &request));
    let employee = request.employee.unwrap_or_default();
    let id: Option<EmployeeId> = fields.id("employee.employee_id", &employee.employee_id);
    let change = read_change(&mut fields, &employee, request.update_mask);
    fields.done()?;
    let Some(id) = id else { return Err(Status::internal("checked above")) };
    let etag = Some(employee.etag).filter(|etag| !etag.is_empty());
    Ok(UpdateEmployee { request_key, cause: Cause::of_call(), id, etag, change })
}

/// What the mask names of an employee.
fn read_change(
    fields: &mut Fields,
    employee: &pb::Employee,
    mask: Option<FieldMask>,
) -> EmployeeChange {
    let mut change = EmployeeChange::default();
    let paths = mask.unwrap_or_default().paths;
    if paths.is_empty() {
        fields.bad("update_mask", "names no field");
    }
    for path in paths {
        match path.as_str() {
            "name" => {
                change.name = Some(fields.text("employee.name", employee.name.clone(), 1, 255));
            }
            "email" => change.email = Some(fields.email("employee.email", employee.email.clone())),
            "role" => {
                change.role = Some(fields.text("employee.role", employee.role.clone(), 1, 64));
            }
            "salary_pence" => match employee.salary_pence {
                Some(pence) => {
                    let pence = read_salary(fields, "employee.salary_pence", pence);
                    change.salary_pence = Some(pence);
                }
                None => fields.bad("employee.salary_pence", "is required"),
            },
            "payroll_meta" => {
                let meta = fields.metadata("employee.payroll_meta", employee.payroll_meta.clone());
                change.payroll_meta = Some(meta);
            }
            other => fields.bad("update_mask", format!("{other:?} cannot be changed")),
        }
    }
    change
}

fn read_salary(fields: &mut Fields, field: &str, pence: i64) -> i32 {
    let pence = fields.within(field, pence, 0, SALARY_MAX_PENCE);
    i32::try_from(pence).unwrap_or(0)
}

/// Pay is shown only to those who may see it.
fn show(employee: Employee) -> pb::Employee {
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
    }
}
