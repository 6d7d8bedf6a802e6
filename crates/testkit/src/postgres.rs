use sqlx::{AssertSqlSafe, Connection, PgConnection, postgres::PgConnectOptions};
use uuid::Uuid;

/// A migrated database of a test's own on the Postgres of `BRAMBLE_ADMIN_DATABASE_URL`; dropped with it.
pub struct TestDb {
    admin_url: String,
    admin: PgConnectOptions,
    pub name: String,
}

impl TestDb {
    pub async fn start() -> Self {
        Self::start_at(None).await
    }

    /// As it was before the migrations that come after a version.
    pub async fn start_at(version: Option<i64>) -> Self {
        let admin_url =
            std::env::var("BRAMBLE_ADMIN_DATABASE_URL").expect("run by `cargo xtask test`");
        let admin = admin_url.parse().unwrap();
        let name = format!("test_{}", Uuid::now_v7().simple());
        let database = Self { admin_url, admin, name };
        database.admin(&format!("create database {}", database.name)).await;
        schema::migrate_up_to(&database.admin_url(), version).await.unwrap();
        database
    }

    /// For a service's role.
    pub fn url(&self, role: &str) -> String {
        format!("postgres://{role}:{role}@{}/{}", self.address(), self.name)
    }

    /// For a role that sees everything.
    pub fn admin_url(&self) -> String {
        let server = self.admin_url.rsplit_once('/').unwrap().0;
        format!("{server}/{}", self.name)
    }

    /// The same with another port of this host.
    pub fn url_at(&self, role: &str, port: u16) -> String {
        format!("postgres://{role}:{role}@127.0.0.1:{port}/{}", self.name)
    }

    pub fn address(&self) -> String {
        format!("{}:{}", self.admin.get_host(), self.admin.get_port())
    }

    /// Runs a statement in another database of the same Postgres.
    pub async fn admin(&self, sql: &str) {
        execute(&self.admin, sql.to_owned()).await;
    }
}

impl Drop for TestDb {
    /// Does not wait for it: this thread may be all that the test's own connections have to come to an end, which Postgres waits for.
    fn drop(&mut self) {
        let admin = self.admin.clone();
        let drop = format!("drop database if exists {} with (force)", self.name);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(execute(&admin, drop));
        });
    }
}

async fn execute(admin: &PgConnectOptions, sql: String) {
    let mut db = PgConnection::connect_with(admin).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut db).await.unwrap();
}
