//! Where the log ends, for the answers to writes that appended nothing themselves: whoever has one asks analytics for that much.

use std::sync::atomic::{AtomicU64, Ordering};

use futures::{FutureExt, future::BoxFuture};
use sqlx::AssertSqlSafe;
use tokio::sync::Mutex;

use crate::Log;

/// Whoever asks while the end is being read shares the next look.
#[derive(Debug, Default)]
pub(crate) struct End {
    begun: AtomicU64,
    /// The last look that was answered, and what it found.
    found: Mutex<(u64, i64)>,
}

impl Log {
    /// The place of the newest event that is committed, 0 before the first: no event whose commit was known when this was asked lies behind
    /// it, whichever replica wrote it.
    pub async fn end(&self) -> sqlx::Result<i64> {
        let before = self.end.begun.load(Ordering::SeqCst);
        let mut found = self.end.found.lock().await;
        if found.0 > before {
            return Ok(found.1);
        }
        let look = self.end.begun.fetch_add(1, Ordering::SeqCst) + 1;
        let statement = format!("select coalesce(max(id), 0) from {}.events_log", self.source);
        let newest = sqlx::query_scalar(AssertSqlSafe(statement)).fetch_one(&self.pool).await?;
        *found = (look, newest);
        Ok(newest)
    }

    /// What the server says it with: none while Postgres does not say.
    pub fn tells_end(
        &self,
    ) -> impl Fn() -> BoxFuture<'static, Option<i64>> + Send + Sync + 'static {
        let log = self.clone();
        move || {
            let log = log.clone();
            async move { log.end().await.ok() }.boxed()
        }
    }
}
