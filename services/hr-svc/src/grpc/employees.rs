use chrono::NaiveDate;
use chrono_tz::Tz;
use ids::EmployeeId;
use log::Log;
use pg::FilteredRead;
use proto::hr::v1 as pb;
use rpc::{Fields, Page};
use tonic::{Request, Response, Status};

use super::{read, show};
use crate::{HrError, commands, store};

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
        let command = read::create_employee(request.into_inner())?;
        let employee = commands::create_employee(&self.log, self.zone, command).await?;
        let employee = Some(show::employee(employee));
        Ok(Response::new(pb::CreateEmployeeResponse { employee }))
    }

    async fn get_employee(
        &self,
        request: Request<pb::GetEmployeeRequest>,
    ) -> Result<Response<pb::GetEmployeeResponse>, Status> {
        let mut fields = Fields::default();
        let id: Option<EmployeeId> = fields.id("employee_id", &request.into_inner().employee_id);
        let Some(id) = id else { return Err(fields.refuse()) };

        let mut db = self.log.pool().acquire().await.map_err(HrError::from)?;
        let today = store::today(&mut db, self.zone).await.map_err(HrError::from)?;
        let employee = store::employees::get(&mut db, id, today).await?;
        Ok(Response::new(pb::GetEmployeeResponse { employee: Some(show::employee(employee)) }))
    }

    async fn list_employees(
        &self,
        request: Request<pb::ListEmployeesRequest>,
    ) -> Result<Response<pb::ListEmployeesResponse>, Status> {
        let request = request.into_inner();
        let mut fields = Fields::default();
        let filter = read::employees(&mut fields, &request);
        let list = format!("employees {filter:?}");
        let page = Page::read(&mut fields, request.page_size, &request.page_token, &list);
        let after: Option<EmployeeId> = page.token.key(&mut fields);
        fields.done()?;

        let mut db = FilteredRead::begin(self.log.pool()).await.map_err(HrError::from)?;
        let today = store::today(&mut db, self.zone).await.map_err(HrError::from)?;
        let found = store::employees::list(&mut db, &filter, today, after, page.limit())
            .await
            .map_err(HrError::from)?;
        let mut employees: Vec<pb::Employee> = found.into_iter().map(show::employee).collect();
        let next_page_token = page.fit(&mut employees, |employee| employee.employee_id.clone());
        Ok(Response::new(pb::ListEmployeesResponse { employees, next_page_token }))
    }

    async fn update_employee(
        &self,
        request: Request<pb::UpdateEmployeeRequest>,
    ) -> Result<Response<pb::UpdateEmployeeResponse>, Status> {
        let command = read::update_employee(request.into_inner())?;
        let employee = commands::update_employee(&self.log, self.zone, command).await?;
        let employee = Some(show::employee(employee));
        Ok(Response::new(pb::UpdateEmployeeResponse { employee }))
    }

    async fn terminate_employee(
        &self,
        request: Request<pb::TerminateEmployeeRequest>,
    ) -> Result<Response<pb::TerminateEmployeeResponse>, Status> {
        let command = read::terminate_employee(&request.into_inner())?;
        let employee = commands::terminate_employee(&self.log, self.zone, &command).await?;
        let employee = Some(show::employee(employee));
        Ok(Response::new(pb::TerminateEmployeeResponse { employee }))
    }

    async fn rehire_employee(
        &self,
        request: Request<pb::RehireEmployeeRequest>,
    ) -> Result<Response<pb::RehireEmployeeResponse>, Status> {
        let command = read::rehire_employee(&request.into_inner())?;
        let employee = commands::rehire_employee(&self.log, self.zone, &command).await?;
        let employee = Some(show::employee(employee));
        Ok(Response::new(pb::RehireEmployeeResponse { employee }))
    }

    async fn correct_first_day(
        &self,
        request: Request<pb::CorrectFirstDayRequest>,
    ) -> Result<Response<pb::CorrectFirstDayResponse>, Status> {
        let command = read::correct_first_day(&request.into_inner())?;
        let employee = commands::correct_first_day(&self.log, self.zone, &command).await?;
        let employee = Some(show::employee(employee));
        Ok(Response::new(pb::CorrectFirstDayResponse { employee }))
    }

    async fn set_salary(
        &self,
        request: Request<pb::SetSalaryRequest>,
    ) -> Result<Response<pb::SetSalaryResponse>, Status> {
        let command = read::set_salary(&request.into_inner())?;
        let employee = commands::set_salary(&self.log, self.zone, command).await?;
        Ok(Response::new(pb::SetSalaryResponse { employee: Some(show::employee(employee)) }))
    }

    async fn list_salaries(
        &self,
        request: Request<pb::ListSalariesRequest>,
    ) -> Result<Response<pb::ListSalariesResponse>, Status> {
        let request = request.into_inner();
        let mut fields = Fields::default();
        let id: Option<EmployeeId> = fields.id("employee_id", &request.employee_id);
        let list = format!("salaries {id:?}");
        let page = Page::read(&mut fields, request.page_size, &request.page_token, &list);
        let after: Option<NaiveDate> = page.token.key(&mut fields);
        let Some(id) = id else { return Err(fields.refuse()) };
        fields.done()?;

        let mut db = self.log.pool().acquire().await.map_err(HrError::from)?;
        if !store::employees::exists(&mut db, id).await.map_err(HrError::from)? {
            return Err(HrError::EmployeeNotFound(id).into());
        }
        let found = store::salaries::list(&mut db, id, after, page.limit()).await;
        let found = found.map_err(HrError::from)?;
        let mut salaries: Vec<pb::Salary> =
            found.into_iter().map(|salary| show::salary(id, &salary)).collect();
        let next_page_token = page.fit(&mut salaries, |salary| salary.effective_date.clone());
        Ok(Response::new(pb::ListSalariesResponse { salaries, next_page_token }))
    }
}
