//! A database and a NATS of each test's own.
#![allow(dead_code, reason = "not every test binary needs all of it")]

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    time::Duration,
};

use sqlx::{AssertSqlSafe, Connection, PgConnection, postgres::PgConnectOptions};
use uuid::Uuid;

pub(crate) struct TestDb {
    admin: PgConnectOptions,
    pub(crate) name: String,
}

impl TestDb {
    pub(crate) async fn start() -> Self {
        let url = std::env::var("BRAMBLE_TEST_ADMIN_URL")
            .or_else(|_| std::env::var("BRAMBLE_ADMIN_DATABASE_URL"))
            .unwrap();
        let admin: PgConnectOptions = url.parse().unwrap();
        let database = Self { admin, name: format!("test_{}", Uuid::now_v7().simple()) };
        database.admin(&format!("create database {}", database.name)).await;
        schema::migrate(&database.url(database.admin.get_username())).await.unwrap();
        database
    }

    pub(crate) fn url(&self, role: &str) -> String {
        format!("postgres://{role}:{role}@{}/{}", self.address(), self.name)
    }

    /// The same with another port of this host.
    pub(crate) fn url_at(&self, role: &str, port: u16) -> String {
        format!("postgres://{role}:{role}@127.0.0.1:{port}/{}", self.name)
    }

    pub(crate) fn address(&self) -> String {
        format!("{}:{}", self.admin.get_host(), self.admin.get_port())
    }

    /// Runs a statement in another database of the same Postgres.
    pub(crate) async fn admin(&self, sql: &str) {
        execute(&self.admin, sql.to_owned()).await;
    }
}

impl Drop for TestDb {
    fn drop(&mut self) {
        let admin = self.admin.clone();
        let drop = format!("drop database if exists {} with (force)", self.name);
        let in_own_runtime = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(execute(&admin, drop));
        });
        let _ = in_own_runtime.join();
    }
}

async fn execute(admin: &PgConnectOptions, sql: String) {
    let mut db = PgConnection::connect_with(admin).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut db).await.unwrap();
}

pub(crate) struct TestNats {
    child: Child,
    port: u16,
    store: tempfile::TempDir,
}

impl TestNats {
    pub(crate) async fn start() -> Self {
        let store = tempfile::tempdir().unwrap();
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let child = spawn(port, &store);
        let nats = Self { child, port, store };
        nats.wait().await;
        nats
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again where it was.
    pub(crate) async fn restart(&mut self) {
        self.child = spawn(self.port, &self.store);
        self.wait().await;
    }

    /// Kills it, and starts it with nothing.
    pub(crate) async fn wipe(&mut self) {
        self.kill();
        self.store = tempfile::tempdir().unwrap();
        self.restart().await;
    }

    async fn wait(&self) {
        while TcpStream::connect(self.addr()).is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

fn spawn(port: u16, store: &tempfile::TempDir) -> Child {
    let program =
        std::env::var("BRAMBLE_TEST_NATS_SERVER").unwrap_or_else(|_| "nats-server".to_owned());
    Command::new(program)
        .args(["-js", "-a", "127.0.0.1", "-p", &port.to_string(), "-sd"])
        .arg(store.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

impl Drop for TestNats {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
