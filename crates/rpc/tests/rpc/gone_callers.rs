//! Callers that go away at every instant. On a pool without any net of its own, so that the handler's own task is all that saves it.

use std::{
    collections::HashMap,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use clap::Parser;
use proto::hr::v1::{self as pb, hr_service_client::HrServiceClient};
use sqlx::{PgPool, postgres::PgPoolOptions};
use tokio::net::TcpListener;
use uuid::Uuid;

use testkit::{TestDb, TestNats, eventually};

use crate::fake::PATIENCE;

const CALLERS: u64 = 40;
const CALLS_EACH: u64 = 200;
const CONNECTIONS: u64 = 100;
const CALLS_PER_CONNECTION: u64 = 20;

/// Drops a future after so many polls.
struct Polls<F>(F, u64);

impl<F: Future + Unpin> Future for Polls<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.1 == 0 {
            return Poll::Ready(None);
        }
        self.1 -= 1;
        match Pin::new(&mut self.0).poll(cx) {
            Poll::Ready(answer) => Poll::Ready(Some(answer)),
            Poll::Pending if self.1 == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    }
}

fn request(id: Uuid) -> pb::CreateEmployeeRequest {
    pb::CreateEmployeeRequest {
        request_id: id.to_string(),
        name: "Ann".to_owned(),
        email: format!("{}@example.org", id.simple()),
        role: "clerk".to_owned(),
        salary_pence: 3_000_000,
        ..Default::default()
    }
}

type Answers = Arc<Mutex<HashMap<Uuid, Option<String>>>>;

/// Calls, and goes away after some polls or some time; notes what was answered.
async fn call(mut client: HrServiceClient<rpc::Client>, number: u64, answers: Answers) {
    let id = Uuid::now_v7();
    let call = Box::pin(async move { client.create_employee(request(id)).await });
    let answer = if number.is_multiple_of(2) {
        Polls(call, 1 + number / 2 % 8).await
    } else {
        tokio::time::timeout(Duration::from_micros(number * 37 % 6000), call).await.ok()
    };
    let created = answer.and_then(Result::ok);
    let employee_id = created.map(|answer| answer.into_inner().employee.unwrap().employee_id);
    answers.lock().unwrap().insert(id, employee_id);
}

struct Hr {
    url: String,
    admin: PgPool,
    database: TestDb,
    _nats: TestNats,
    shutdown: rpc::Shutdown,
}

impl Drop for Hr {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

impl Hr {
    async fn start() -> Self {
        let (database, nats) = (TestDb::start().await, TestNats::start().await);
        let url = database.url("hr_svc");
        let config = hr_svc::Config::parse_from([
            "hr-svc",
            "--database-url",
            &url,
            "--nats-url",
            &nats.url(),
        ]);
        let pool = PgPoolOptions::new().max_connections(4).connect(&url).await.unwrap();
        let bus = log::connect(&config.nats, "hr-svc").await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shutdown = rpc::Shutdown::new();
        let told = shutdown.clone();
        tokio::spawn(async move {
            hr_svc::serve(&config, pool, bus, listener, told).await.unwrap();
        });
        let admin = PgPool::connect(&database.admin_url()).await.unwrap();
        Self { url, admin, database, _nats: nats, shutdown }
    }

    fn client(&self) -> HrServiceClient<rpc::Client> {
        HrServiceClient::new(rpc::ClientConfig::default().client(&self.url).unwrap())
    }

    async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&self.admin).await.unwrap()
    }

    /// Waits until no work is going on any more.
    async fn is_quiet(&self) {
        eventually("all work has ended", PATIENCE, async || {
            let mut before = self.count("select count(*) from hr.employees").await;
            for _ in 0..5 {
                tokio::time::sleep(Duration::from_millis(50)).await;
                let now = self.count("select count(*) from hr.employees").await;
                if now != before {
                    return false;
                }
                before = now;
            }
            true
        })
        .await;
        let inside = "select count(*) from pg_stat_activity where datname = current_database()
                        and usename = 'hr_svc' and state like 'idle in transaction%'";
        eventually("no session is left in a transaction", PATIENCE, async || {
            self.count(inside).await == 0
        })
        .await;
    }

    async fn employees(&self) -> HashMap<Uuid, String> {
        sqlx::query_as("select request_id, resource_id from hr.requests")
            .fetch_all(&self.admin)
            .await
            .unwrap()
            .into_iter()
            .collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_that_go_away_at_every_instant_undo_and_double_nothing() {
    let hr = Hr::start().await;
    let answers = Answers::default();
    let callers = (0..CALLERS).map(|caller| {
        let (client, answers) = (hr.client(), Arc::clone(&answers));
        tokio::spawn(async move {
            for number in 0..CALLS_EACH {
                call(client.clone(), caller * CALLS_EACH + number, Arc::clone(&answers)).await;
            }
        })
    });
    futures::future::join_all(callers).await;
    // Whole connections that break with all their calls.
    for connection in 0..CONNECTIONS {
        let runtime = tokio::task::JoinSet::from_iter((0..CALLS_PER_CONNECTION).map({
            let client = hr.client();
            let answers = Arc::clone(&answers);
            move |number| call(client.clone(), 2 * (connection + number) + 1, Arc::clone(&answers))
        }));
        tokio::time::sleep(Duration::from_micros(connection * 53 % 6000)).await;
        drop(runtime);
    }
    hr.is_quiet().await;

    let answers = std::mem::take(&mut *answers.lock().unwrap());
    let answered: Vec<_> =
        answers.iter().filter_map(|(id, found)| Some((id, found.as_ref()?))).collect();
    let calls = CALLERS * CALLS_EACH;
    assert!(answers.len() as u64 > calls, "{} calls", answers.len());
    assert!(answered.len() * 20 > answers.len(), "only {} were answered", answered.len());
    assert!(answered.len() < answers.len() * 19 / 20, "{} were answered", answered.len());
    let employees = hr.employees().await;
    for (id, employee) in answered {
        assert_eq!(employees.get(id), Some(employee), "answered and not there");
    }
    check_effects(&hr).await;
    repeat_some(&hr, &answers, &employees).await;
    check_later_writes(&hr).await;
}

/// One request, one employee, one salary, one event.
async fn check_effects(hr: &Hr) {
    let employees = hr.count("select count(*) from hr.employees").await;
    assert_eq!(hr.count("select count(*) from hr.requests").await, employees);
    assert_eq!(hr.count("select count(*) from hr.salaries").await, employees);
    assert_eq!(hr.count("select count(*) from hr.events_log").await, employees);
    let joined = "select count(*) from hr.employees e
                    join hr.requests r on r.resource_id = e.id::text
                    join hr.events_log l on l.payload->>'subject' = e.id::text";
    assert_eq!(hr.count(joined).await, employees);
}

/// Who goes away and asks again gets the first one's effect, or the only one.
async fn repeat_some(
    hr: &Hr,
    answers: &HashMap<Uuid, Option<String>>,
    employees: &HashMap<Uuid, String>,
) {
    let mut client = hr.client();
    for id in answers.keys().take(200) {
        let answer = client.create_employee(request(*id)).await.unwrap().into_inner();
        let employee_id = answer.employee.unwrap().employee_id;
        assert!(employees.get(id).is_none_or(|before| *before == employee_id));
    }
    check_effects(hr).await;
}

/// What is answered now is committed, and not in a transaction that somebody left open.
async fn check_later_writes(hr: &Hr) {
    let elsewhere = PgPool::connect(&hr.database.admin_url()).await.unwrap();
    let writes = (0..100).map(|_| {
        let (mut client, elsewhere) = (hr.client(), elsewhere.clone());
        async move {
            let answer = client.create_employee(request(Uuid::now_v7())).await.unwrap();
            let id = answer.into_inner().employee.unwrap().employee_id;
            let there: bool =
                sqlx::query_scalar("select exists (select from hr.employees where id::text = $1)")
                    .bind(&id)
                    .fetch_one(&elsewhere)
                    .await
                    .unwrap();
            assert!(there, "answered and not committed: {id}");
        }
    });
    futures::future::join_all(writes).await;
}
