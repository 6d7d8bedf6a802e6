use std::time::Duration;

use sqlx::{AssertSqlSafe, PgPool};
use tokio::time::{sleep, timeout};

/// What a service has told, heard and put aside, as its own tables have it.
pub struct ServiceLog {
    db: PgPool,
    schema: &'static str,
    patience: Duration,
}

impl ServiceLog {
    /// By a connection that sees everything. Whoever waits does so no longer than `patience`.
    #[must_use]
    pub fn new(db: &PgPool, schema: &'static str, patience: Duration) -> Self {
        Self { db: db.clone(), schema, patience }
    }

    /// Types, versions and data of what was published of an aggregate, in order.
    pub async fn events_of(&self, subject: &str) -> Vec<(String, i64, serde_json::Value)> {
        let statement = format!(
            "select event_type, (payload->'version')::bigint, payload->'data' from {}.events_log
             where payload->>'subject' = $1 order by id",
            self.schema
        );
        let events = sqlx::query_as(AssertSqlSafe(statement)).bind(subject);
        events.fetch_all(&self.db).await.unwrap()
    }

    /// Types and versions only.
    pub async fn told_of(&self, subject: &str) -> Vec<(String, i64)> {
        let events = self.events_of(subject).await;
        events.into_iter().map(|(event_type, version, _)| (event_type, version)).collect()
    }

    /// Why events were put aside, in their order.
    pub async fn dead_letters(&self) -> Vec<String> {
        let statement = format!("select error from {}.dead_letters order by log_id", self.schema);
        sqlx::query_scalar(AssertSqlSafe(statement)).fetch_all(&self.db).await.unwrap()
    }

    /// Waits until all that another service has published so far is applied or put aside.
    pub async fn catch_up(&self, source: &str) {
        let newest = format!("select coalesce(max(id), 0) from {source}.events_log");
        let newest: i64 =
            sqlx::query_scalar(AssertSqlSafe(newest)).fetch_one(&self.db).await.unwrap();
        let behind = format!(
            "select coalesce(max(log_id), 0) < $2 from {}.consumer_positions where source = $1",
            self.schema
        );
        let is_behind = || {
            let behind = AssertSqlSafe(behind.as_str());
            sqlx::query_scalar::<_, bool>(behind).bind(source).bind(newest).fetch_one(&self.db)
        };
        // Not `eventually`, whose closures keep a future from other threads.
        let waiting = async {
            while is_behind().await.unwrap() {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(self.patience, waiting).await.unwrap();
    }
}
