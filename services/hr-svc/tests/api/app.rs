//! The service under test with all that it needs, and the words that the tests use.

use std::time::Duration;

use async_nats::jetstream;
use chrono::NaiveDate;
use clap::Parser;
use hr_svc::Config;
use prost_types::{FieldMask, Struct, Value, value::Kind};
use proto::{
    hr::v1::{
        self as pb, hr_service_client::HrServiceClient,
        payroll_service_client::PayrollServiceClient,
    },
    log::v1::event_log_client::EventLogClient,
};
use rpc::Shutdown;
use sqlx::PgPool;
use tokio::net::TcpListener;
use tonic::Status;
use uuid::Uuid;

use testkit::{PlayedService, ServiceLog, TestDb, TestNats, past_midnight};

pub(crate) const WAIT_MAX: Duration = Duration::from_secs(60);

pub(crate) struct App {
    pub(crate) client: HrServiceClient<rpc::Client>,
    pub(crate) payroll: PayrollServiceClient<rpc::Client>,
    pub(crate) event_log: EventLogClient<rpc::Client>,
    pub(crate) log: ServiceLog,
    pub(crate) ledger: PlayedService,
    /// Sees everything.
    pub(crate) db: PgPool,
    bus: async_nats::Client,
    url: String,
    shutdown: Shutdown,
    _database: TestDb,
    _nats: TestNats,
}

impl Drop for App {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

impl App {
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// With settings of its own.
    pub(crate) async fn start_with(settings: &[&str]) -> Self {
        let database = TestDb::start().await;
        let nats = TestNats::start().await;
        let (database_url, nats_url) = (database.url("hr_svc"), nats.url());
        let line = [
            "hr-svc",
            "--database-url",
            &database_url,
            "--nats-url",
            &nats_url,
            // No hole is ever fetched here.
            "--ledger-url",
            "http://127.0.0.1:9",
        ];
        let config = Config::parse_from(line.iter().chain(settings));
        let shutdown = Shutdown::new();
        let bus = log::connect(&config.nats, "test").await.unwrap();
        let ledger = PlayedService::start(&database, bus.clone(), "ledger", &shutdown).await;
        let pool = pg::connect(&config.postgres, "hr").await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (nats_of_service, told) = (bus.clone(), shutdown.clone());
        tokio::spawn(async move {
            hr_svc::serve(&config, pool, nats_of_service, listener, told).await.unwrap();
        });
        let channel = rpc::ClientConfig::default().client(&url).unwrap();
        let db = PgPool::connect(&database.admin_url()).await.unwrap();
        past_midnight(&db, "Europe/London", 2).await;
        Self {
            client: HrServiceClient::new(channel.clone()),
            payroll: PayrollServiceClient::new(channel.clone()),
            event_log: EventLogClient::new(channel),
            log: ServiceLog::new(&db, "hr", WAIT_MAX),
            ledger,
            db,
            bus,
            url,
            shutdown,
            _database: database,
            _nats: nats,
        }
    }

    /// A client of whoever has the token.
    pub(crate) fn with_token(&self, token: String) -> HrServiceClient<rpc::Client> {
        let config = rpc::ClientConfig { token: Some(token), ..Default::default() };
        HrServiceClient::new(config.client(&self.url).unwrap())
    }

    /// The payroll of whoever has the token.
    pub(crate) fn payroll_with_token(&self, token: String) -> PayrollServiceClient<rpc::Client> {
        let config = rpc::ClientConfig { token: Some(token), ..Default::default() };
        PayrollServiceClient::new(config.client(&self.url).unwrap())
    }

    pub(crate) async fn create(
        &self,
        request: pb::CreateEmployeeRequest,
    ) -> Result<pb::Employee, Status> {
        Ok(self.client.clone().create_employee(request).await?.into_inner().employee.unwrap())
    }

    pub(crate) async fn get(&self, employee_id: &str) -> Result<pb::Employee, Status> {
        let request = pb::GetEmployeeRequest { employee_id: employee_id.to_owned() };
        Ok(self.client.clone().get_employee(request).await?.into_inner().employee.unwrap())
    }

    pub(crate) async fn update(
        &self,
        request: pb::UpdateEmployeeRequest,
    ) -> Result<pb::Employee, Status> {
        Ok(self.client.clone().update_employee(request).await?.into_inner().employee.unwrap())
    }

    /// Ann on that salary from that day on, with nothing withheld.
    pub(crate) async fn hire(&self, salary_pence: i64, hire_date: &str) -> pb::Employee {
        let hire_date = hire_date.to_owned();
        let request =
            pb::CreateEmployeeRequest { salary_pence, hire_date, payroll_meta: None, ..ann() };
        self.create(request).await.unwrap()
    }

    pub(crate) async fn terminate(
        &self,
        employee: &pb::Employee,
        last_day: &str,
    ) -> Result<pb::Employee, Status> {
        let request = pb::TerminateEmployeeRequest {
            employee_id: employee.employee_id.clone(),
            last_day: last_day.to_owned(),
            ..Default::default()
        };
        Ok(self.client.clone().terminate_employee(request).await?.into_inner().employee.unwrap())
    }

    pub(crate) async fn rehire(
        &self,
        employee: &pb::Employee,
        first_day: &str,
    ) -> Result<pb::Employee, Status> {
        let request = pb::RehireEmployeeRequest {
            employee_id: employee.employee_id.clone(),
            first_day: first_day.to_owned(),
            ..Default::default()
        };
        Ok(self.client.clone().rehire_employee(request).await?.into_inner().employee.unwrap())
    }

    pub(crate) async fn correct(
        &self,
        employee: &pb::Employee,
        first_day: &str,
    ) -> Result<pb::Employee, Status> {
        let request = pb::CorrectFirstDayRequest {
            employee_id: employee.employee_id.clone(),
            first_day: first_day.to_owned(),
            ..Default::default()
        };
        Ok(self.client.clone().correct_first_day(request).await?.into_inner().employee.unwrap())
    }

    pub(crate) async fn set_salary(
        &self,
        employee: &pb::Employee,
        salary_pence: i64,
        effective_date: &str,
    ) -> Result<pb::Employee, Status> {
        let request = pb::SetSalaryRequest {
            employee_id: employee.employee_id.clone(),
            salary_pence: Some(salary_pence),
            effective_date: effective_date.to_owned(),
            ..Default::default()
        };
        Ok(self.client.clone().set_salary(request).await?.into_inner().employee.unwrap())
    }

    /// Says what the payroll withholds, and what it owes on top.
    pub(crate) async fn withhold(&self, employee: &pb::Employee, inputs: &[(&str, i32)]) {
        let inputs: Vec<(&str, Kind)> =
            inputs.iter().map(|(key, pence)| (*key, Kind::NumberValue((*pence).into()))).collect();
        let to = pb::Employee { payroll_meta: Some(object(&inputs)), ..employee.clone() };
        self.update(change(&to, &["payroll_meta"])).await.unwrap();
    }

    /// What is earned from which day on.
    pub(crate) async fn salary_history(&self, employee_id: &str) -> Vec<(String, i64)> {
        let request = pb::ListSalariesRequest {
            employee_id: employee_id.to_owned(),
            page_size: 1000,
            page_token: String::new(),
        };
        let salaries = self.client.clone().list_salaries(request).await.unwrap().into_inner();
        let salaries = salaries.salaries.into_iter();
        salaries.map(|salary| (salary.effective_date, salary.salary_pence)).collect()
    }

    /// Today, where the business is: the same day throughout a test.
    pub(crate) async fn today(&self) -> NaiveDate {
        sqlx::query_scalar("select (now() at time zone 'Europe/London')::date")
            .fetch_one(&self.db)
            .await
            .unwrap()
    }

    /// Days from which on salaries are paid, in pence a year, oldest first; days as how many they are behind the first.
    pub(crate) async fn salaries_of(&self, employee_id: &str) -> Vec<(i32, i32)> {
        sqlx::query_as(
            "select effective_date - min(effective_date) over (), salary_pence from hr.salaries
             where employee_id = $1 order by effective_date",
        )
        .bind(employee_id.parse::<Uuid>().unwrap())
        .fetch_all(&self.db)
        .await
        .unwrap()
    }

    /// Employees, salaries and events that there are.
    pub(crate) async fn counts(&self) -> (i64, i64, i64) {
        sqlx::query_as(
            "select (select count(*) from hr.employees), (select count(*) from hr.salaries),
                    (select count(*) from hr.events_log)",
        )
        .fetch_one(&self.db)
        .await
        .unwrap()
    }

    /// So many first messages of the service's stream, headers and all.
    pub(crate) async fn published(&self, count: u64) -> Vec<jetstream::message::StreamMessage> {
        let context = jetstream::new(self.bus.clone());
        let complete = async {
            loop {
                if let Ok(stream) = context.get_stream("HR").await
                    && stream.cached_info().state.last_sequence >= count
                {
                    return stream;
                }
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        };
        let patience = std::time::Duration::from_secs(60);
        let stream = tokio::time::timeout(patience, complete).await.unwrap();
        let mut messages = Vec::new();
        for place in 1..=count {
            messages.push(stream.get_raw_message(place).await.unwrap());
        }
        messages
    }
}

pub(crate) fn new_id() -> String {
    Uuid::now_v7().to_string()
}

/// Ann, a baker on £30,000, with an e-mail address of her own.
pub(crate) fn ann() -> pb::CreateEmployeeRequest {
    pb::CreateEmployeeRequest {
        name: "Ann".to_owned(),
        email: format!("{}@example.org", Uuid::now_v7().simple()),
        role: "baker".to_owned(),
        salary_pence: 3_000_000,
        payroll_meta: Some(object(&[("tax_code", text("1257L"))])),
        ..Default::default()
    }
}

/// A change of the fields named, as they are in `to`.
pub(crate) fn change(to: &pb::Employee, fields: &[&str]) -> pb::UpdateEmployeeRequest {
    pb::UpdateEmployeeRequest {
        request_id: String::new(),
        employee: Some(pb::Employee { etag: String::new(), ..to.clone() }),
        update_mask: Some(mask(fields)),
    }
}

/// The same for one who has seen `to` as it is.
pub(crate) fn change_as_seen(to: &pb::Employee, fields: &[&str]) -> pb::UpdateEmployeeRequest {
    pb::UpdateEmployeeRequest { employee: Some(to.clone()), ..change(to, fields) }
}

pub(crate) fn mask(fields: &[&str]) -> FieldMask {
    FieldMask { paths: fields.iter().map(|field| (*field).to_owned()).collect() }
}

pub(crate) fn object(fields: &[(&str, Kind)]) -> Struct {
    let field =
        |(key, kind): &(&str, Kind)| ((*key).to_owned(), Value { kind: Some(kind.clone()) });
    Struct { fields: fields.iter().map(field).collect() }
}

pub(crate) fn text(text: &str) -> Kind {
    Kind::StringValue(text.to_owned())
}

pub(crate) fn day(date: NaiveDate) -> String {
    date.format("%Y-%m-%d").to_string()
}

/// First and last days of employments.
pub(crate) fn spans(employee: &pb::Employee) -> Vec<(String, String)> {
    let span = |span: &pb::Employment| (span.first_day.clone(), span.last_day.clone());
    employee.employments.iter().map(span).collect()
}
