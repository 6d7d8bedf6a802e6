//! A database and a NATS of each test's own: the Postgres of `BRAMBLE_ADMIN_DATABASE_URL`, and the `nats-server` that is on the path.

use std::{
    net::{Ipv4Addr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    time::Duration,
};

use sqlx::{AssertSqlSafe, Connection, PgConnection, postgres::PgConnectOptions};
use uuid::Uuid;

pub(crate) struct TestDb {
    admin: PgConnectOptions,
    name: String,
}

impl TestDb {
    pub(crate) async fn start() -> Self {
        let admin: PgConnectOptions =
            std::env::var("BRAMBLE_ADMIN_DATABASE_URL").unwrap().parse().unwrap();
        let database = Self { admin, name: format!("test_{}", Uuid::now_v7().simple()) };
        execute(&database.admin, format!("create database {}", database.name)).await;
        schema::migrate(&database.url(database.admin.get_username())).await.unwrap();
        database
    }

    pub(crate) fn url(&self, role: &str) -> String {
        let (host, port) = (self.admin.get_host(), self.admin.get_port());
        format!("postgres://{role}:{role}@{host}:{port}/{}", self.name)
    }
}

impl Drop for TestDb {
    fn drop(&mut self) {
        let (admin, drop) =
            (self.admin.clone(), format!("drop database {} with (force)", self.name));
        let in_own_runtime = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(execute(&admin, drop));
        });
        let _ = in_own_runtime.join();
    }
}

async fn execute(admin: &PgConnectOptions, sql: String) {
    let mut db = PgConnection::connect_with(admin).await.unwrap();
    sqlx::query(AssertSqlSafe(sql)).execute(&mut db).await.unwrap();
}

pub(crate) struct TestNats {
    child: Child,
    port: u16,
    _store: tempfile::TempDir,
}

impl TestNats {
    pub(crate) async fn start() -> Self {
        let store = tempfile::tempdir().unwrap();
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let child = Command::new("nats-server")
            .args(["-js", "-a", "127.0.0.1", "-p", &port.to_string(), "-sd"])
            .arg(store.path())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Self { child, port, _store: store }
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }
}

impl Drop for TestNats {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
