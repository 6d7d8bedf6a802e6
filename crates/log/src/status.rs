//! How far a service's events are written, published and applied, and what holds them up.
//!
//! The log and the positions are read from Postgres when they are asked for, in three statements; what only the relay and the consumers of this
//! process know, they note in [`Progress`] as they go. Of several replicas each tells of its own relay.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, Utc};
use proto::log::v1 as pb;
use sqlx::{AssertSqlSafe, Row, postgres::PgRow};

use crate::Log;

/// Events that wait are counted up to here.
const WAITING_MAX: i64 = 10_000;

/// What the relay and the consumers of this process note.
#[derive(Debug, Default)]
pub(crate) struct Progress(Mutex<Noted>);

#[derive(Debug, Default)]
struct Noted {
    published: Option<i64>,
    relay_error: String,
    consumer_errors: BTreeMap<&'static str, String>,
}

impl Progress {
    pub(crate) fn published(&self, sequence: i64) {
        let mut noted = self.noted();
        noted.published = Some(sequence);
        noted.relay_error.clear();
    }

    pub(crate) fn relay_stopped(&self, why: &str) {
        why.clone_into(&mut self.noted().relay_error);
    }

    pub(crate) fn consumer_goes_on(&self, source: &'static str) {
        self.noted().consumer_errors.remove(source);
    }

    pub(crate) fn consumer_stopped(&self, source: &'static str, why: &str) {
        self.noted().consumer_errors.insert(source, why.to_owned());
    }

    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) async fn read(log: &Log) -> sqlx::Result<pb::GetLogStatusResponse> {
    let (published, relay_error, errors) = {
        let noted = log.progress.noted();
        (noted.published, noted.relay_error.clone(), noted.consumer_errors.clone())
    };
    let newest =
        format!("select id, recorded_at from {}.events_log order by id desc limit 1", log.source);
    let newest = sqlx::query(AssertSqlSafe(newest)).fetch_optional(&log.pool).await?;
    let waiting = format!(
        "select count(*) as waiting, min(recorded_at) as since
         from (select recorded_at from {}.events_log where id > $1 order by id limit $2) rest",
        log.source
    );
    let waiting = sqlx::query(AssertSqlSafe(waiting))
        .bind(published.unwrap_or(0))
        .bind(WAITING_MAX)
        .fetch_one(&log.pool)
        .await?;
    let consumers = format!(
        "select source, log_id, updated_at,
           (select count(*) from {0}.dead_letters of where of.source = at.source) as dead
         from {0}.consumer_positions at order by source",
        log.source
    );
    let consumers = sqlx::query(AssertSqlSafe(consumers)).fetch_all(&log.pool).await?;
    let since: Option<DateTime<Utc>> = waiting.try_get("since")?;
    Ok(pb::GetLogStatusResponse {
        source: log.source.to_owned(),
        last_sequence: newest.as_ref().map_or(Ok(0), |row| row.try_get("id"))?,
        last_event_time: newest
            .map(|row| row.try_get("recorded_at"))
            .transpose()?
            .map(rpc::to_time),
        relay: Some(pb::RelayStatus {
            published_sequence: published,
            waiting_count: small(waiting.try_get("waiting")?),
            waiting_since_time: since.map(rpc::to_time),
            error: relay_error,
        }),
        consumers: consumers.iter().map(|row| consumer(row, &errors)).collect::<Result<_, _>>()?,
    })
}

fn consumer(
    row: &PgRow,
    errors: &BTreeMap<&'static str, String>,
) -> sqlx::Result<pb::ConsumerStatus> {
    let source: String = row.try_get("source")?;
    Ok(pb::ConsumerStatus {
        error: errors.get(source.as_str()).cloned().unwrap_or_default(),
        source,
        sequence: row.try_get("log_id")?,
        update_time: Some(rpc::to_time(row.try_get("updated_at")?)),
        dead_letter_count: small(row.try_get("dead")?),
    })
}

fn small(count: i64) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}
