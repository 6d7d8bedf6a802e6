use async_nats::Client;
use log::{Log, NewEvent, Relay};
use sqlx::PgPool;

use crate::TestDb;

const STREAM_MAX_BYTES: i64 = 64 << 20;

/// A service that a test plays: nothing but its log, and the relay that carries it.
pub struct PlayedService {
    pub log: Log,
}

impl PlayedService {
    /// Its stream is there when this returns.
    pub async fn start(
        database: &TestDb,
        bus: Client,
        schema: &'static str,
        shutdown: &rpc::Shutdown,
    ) -> Self {
        let pool = PgPool::connect(&database.url(&format!("{schema}_svc"))).await.unwrap();
        let log = Log::new(pool, schema);
        let relay = Relay::new(log.clone(), bus, STREAM_MAX_BYTES);
        relay.lead().await.unwrap();
        tokio::spawn(relay.run(shutdown.clone()));
        Self { log }
    }

    /// In one transaction.
    pub async fn publish(&self, events: &[NewEvent]) {
        let mut tx = self.log.begin().await.unwrap();
        self.log.append(&mut tx, events).await.unwrap();
        self.log.commit(tx).await.unwrap();
    }
}
