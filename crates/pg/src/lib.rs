//! The way to Postgres: one small pool a service, on which no statement, lock or forgotten transaction can last.
//!
//! A caller that goes away while a transaction is being begun can leave a connection inside it, and later writes on that
//! connection would be answered and then lost. Three things close it, each alone enough: handlers run in tasks that a caller's going does
//! not drop (crate `rpc`); a connection that comes back to the pool inside a transaction is closed, which rolls it back; Postgres ends
//! sessions that idle in a transaction.

use std::{
    ops::{Deref, DerefMut},
    str::FromStr,
    time::Duration,
};

use sqlx::{
    AssertSqlSafe, Connection, PgConnection, PgPool, PgTransaction, Row,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::time::timeout;

/// Settings of the pool.
#[derive(Debug, Clone, clap::Args)]
pub struct PgConfig {
    /// Where the service's schema is, with the service's own role.
    #[arg(long, env)]
    pub database_url: String,
    /// Few: one Postgres on a Pi serves the whole fleet.
    #[arg(long, env = "BRAMBLE_DB_CONNECTIONS", default_value_t = 4)]
    pub db_connections: u32,
}

const RETRY_EVERY: Duration = Duration::from_secs(1);
/// How long readiness waits for a connection of the pool.
const BUSY_AFTER: Duration = Duration::from_millis(500);

/// How long a connection that comes back may take to say how it is.
const RELEASE_MAX: Duration = Duration::from_secs(5);

/// What no session of ours may exceed, in milliseconds.
const SESSION_LIMITS: [(&str, &str); 4] = [
    ("statement_timeout", "15000"),
    ("lock_timeout", "10000"),
    ("idle_in_transaction_session_timeout", "10000"),
    // A statement on one row needs no compiler.
    ("jit", "off"),
];

/// The newest migration of a schema that its service needs.
#[must_use]
pub fn schema_version(schema: &str) -> i64 {
    match schema {
        "orders" | "inventory" | "billing" | "hr" | "ledger" => 2,
        _ => 1,
    }
}

/// Opens the pool, waiting until Postgres answers and `schema` has been migrated as far as its service needs.
pub async fn connect(config: &PgConfig, schema: &'static str) -> anyhow::Result<PgPool> {
    let options = PgConnectOptions::from_str(&config.database_url)?
        .application_name(schema)
        .options(SESSION_LIMITS);
    let pool = pool_options(config.db_connections).connect_lazy_with(options);
    let mut told = String::new();
    loop {
        match is_migrated(&pool, schema).await {
            Ok(true) => return Ok(pool),
            Ok(false) => tell(&mut told, &format!("waiting for the migrations of schema {schema}")),
            Err(error) => tell(&mut told, &format!("waiting for Postgres: {error}")),
        }
        tokio::time::sleep(RETRY_EVERY).await;
    }
}

/// Reads what may be asked for by any of several filters: each statement is planned for those that it has. Else Postgres might take one plan
/// for whatever comes, from the sixth time on, which uses the index of none of them.
#[derive(Debug)]
pub struct FilteredRead(PgTransaction<'static>);

impl FilteredRead {
    pub async fn begin(pool: &PgPool) -> sqlx::Result<Self> {
        let begin = "begin read only; set local plan_cache_mode = force_custom_plan";
        Ok(Self(pool.begin_with(begin).await?))
    }
}

impl Deref for FilteredRead {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.0
    }
}

impl DerefMut for FilteredRead {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.0
    }
}

/// Whether Postgres answers right now; for readiness. A pool whose connections are all at work does not mean that it is away.
pub async fn is_there(pool: PgPool) -> bool {
    let one_of_ours = sqlx::query("select 1").execute(&pool);
    if let Ok(answer) = timeout(BUSY_AFTER, one_of_ours).await {
        return answer.is_ok();
    }
    let Ok(mut one_more) = PgConnection::connect_with(&pool.connect_options()).await else {
        return false;
    };
    let answers = one_more.ping().await.is_ok();
    answers && one_more.close().await.is_ok()
}

/// Whether a statement failed because Postgres is away, stopping, full or too busy, so that the same may work later.
#[must_use]
pub fn is_away(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        // Connection, a transaction that was idle for too long, transaction rollback, resources, lock not available, operator intervention.
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            ["08", "25P03", "40", "53", "55", "57"].iter().any(|class| code.starts_with(class))
        }),
        _ => false,
    }
}

fn pool_options(connections: u32) -> PgPoolOptions {
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(Duration::from_secs(10))
        .max_lifetime(Duration::from_secs(30 * 60))
        .after_release(|connection, _| {
            // Outside a transaction each statement is one of its own, and so has the same start; but only as one message: a prepared
            // one is executed some microseconds after its transaction began. (A plain `rollback` would do as well, but Postgres
            // logs a warning for each that finds nothing to roll back.)
            Box::pin(async move {
                let asked = sqlx::raw_sql("select statement_timestamp() = transaction_timestamp()")
                    .fetch_one(connection);
                // Of a host that vanished nothing is ever heard: the place of its connection in the pool must not wait for it.
                let answer = timeout(RELEASE_MAX, asked).await;
                answer.map_err(|_| sqlx::Error::PoolTimedOut)??.try_get(0)
            })
        })
}

async fn is_migrated(pool: &PgPool, schema: &str) -> sqlx::Result<bool> {
    let statement =
        format!("select coalesce(max(version), 0) from {schema}._migrations where success");
    match sqlx::query_scalar::<_, i64>(AssertSqlSafe(statement)).fetch_one(pool).await {
        Ok(newest) => Ok(newest >= schema_version(schema)),
        // No such schema or table, or not granted yet.
        Err(sqlx::Error::Database(error))
            if error.code().is_some_and(|code| ["3F000", "42P01", "42501"].contains(&&*code)) =>
        {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// Logs a line when it differs from the one before: waiting is said once, not every second.
fn tell(told: &mut String, line: &str) {
    if told != line {
        tracing::info!("{line}");
        line.clone_into(told);
    }
}
