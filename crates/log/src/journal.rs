use std::sync::{Arc, Mutex};

use futures::{FutureExt, future::BoxFuture};
use rpc::Written;
use sqlx::{AssertSqlSafe, PgConnection, PgPool, Postgres, Transaction};
use tokio::sync::Notify;

use crate::{NewEvent, settled::Gaps, status::Progress};

/// The event log of this service: its schema's `events_log`.
#[derive(Debug, Clone)]
pub struct Log {
    pub(crate) pool: PgPool,
    /// The service's schema, which is its source's name too; a constant, never input.
    pub(crate) source: &'static str,
    pub(crate) committed: Arc<Notify>,
    pub(crate) gaps: Arc<Mutex<Gaps>>,
    pub(crate) progress: Arc<Progress>,
}

impl Log {
    #[must_use]
    pub fn new(pool: PgPool, source: &'static str) -> Self {
        Self {
            pool,
            source,
            committed: Arc::default(),
            gaps: Arc::default(),
            progress: Arc::default(),
        }
    }

    /// The pool that the service's own statements use too.
    #[must_use]
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Begins the transaction of one command.
    pub async fn begin(&self) -> sqlx::Result<Transaction<'static, Postgres>> {
        let tx = self.pool.begin().await?;
        Written::begin();
        Ok(tx)
    }

    /// Appends events in the given order, in the transaction of the state that they tell of. One statement however many.
    pub async fn append(&self, tx: &mut PgConnection, events: &[NewEvent]) -> sqlx::Result<()> {
        if events.is_empty() {
            return Ok(());
        }
        let types: Vec<&str> = events.iter().map(|event| event.event_type).collect();
        let payloads: Vec<String> = events
            .iter()
            .map(|event| event.to_json(self.source))
            .collect::<Result<_, _>>()
            .map_err(|error| sqlx::Error::Encode(error.into()))?;
        // The xid comes first: the relay's proof needs every id to be drawn by a transaction that has one.
        let statement = format!(
            "with drawn as materialized (select pg_current_xact_id())
             insert into {0}.events_log (event_type, source, payload)
             select event_type, '{0}',
                    payload::jsonb || jsonb_build_object(
                      'time', to_char(now() at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'))
             from drawn, unnest($1::text[], $2::text[]) with ordinality as e (event_type, payload, place)
             order by place
             returning id",
            self.source
        );
        let ids: Vec<i64> = sqlx::query_scalar(AssertSqlSafe(statement))
            .bind(types)
            .bind(payloads)
            .fetch_all(tx)
            .await?;
        debug_assert_eq!(ids.len(), events.len());
        if let Some(last) = ids.last() {
            Written::append(*last);
        }
        Ok(())
    }

    /// Commits and wakes the relay.
    pub async fn commit(&self, tx: Transaction<'static, Postgres>) -> sqlx::Result<()> {
        tx.commit().await?;
        Written::commit();
        self.committed.notify_waiters();
        self.committed.notify_one();
        Ok(())
    }

    /// Where the log ends, for a server to say with writes that have appended nothing: no event whose commit was known when this was asked
    /// lies behind it, whichever replica wrote it. None while Postgres does not say.
    pub fn tells_end(
        &self,
    ) -> impl Fn() -> BoxFuture<'static, Option<i64>> + Send + Sync + 'static {
        let (pool, source) = (self.pool.clone(), self.source);
        move || {
            let pool = pool.clone();
            let statement = format!("select coalesce(max(id), 0) from {source}.events_log");
            async move { sqlx::query_scalar(AssertSqlSafe(statement)).fetch_one(&pool).await.ok() }
                .boxed()
        }
    }
}
