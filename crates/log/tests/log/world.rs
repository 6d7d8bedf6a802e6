//! Two services that are nothing but their logs, `orders` which writes and `inventory` which listens, and what the tests look at.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_nats::{Client, jetstream};
use futures::TryStreamExt;
use log::{Apply, ApplyError, Cause, Consumer, Event, EventLogService, Log, NatsConfig, NewEvent};
use log::{Relay, Source};
use proto::log::v1::{event_log_client::EventLogClient, event_log_server::EventLogServer};
use rpc::{ServerConfig, Shutdown};
use sqlx::{PgConnection, PgPool};
use tokio::{net::TcpListener, task::JoinHandle, time::sleep};
use uuid::Uuid;

use testkit::{Dice, TestDb, TestNats, eventually};

pub(crate) const STREAM_MAX_BYTES: i64 = 64 << 20;
pub(crate) const PATIENCE: Duration = Duration::from_secs(45);

pub(crate) struct World {
    pub(crate) db: TestDb,
    pub(crate) nats: TestNats,
    /// Sees everything.
    pub(crate) admin: PgPool,
    pub(crate) shutdown: Shutdown,
}

impl Drop for World {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

impl World {
    pub(crate) async fn start() -> Self {
        let db = TestDb::start().await;
        let admin = PgPool::connect(&db.admin_url()).await.unwrap();
        sqlx::raw_sql(
            "create table orders.test_counters (id int primary key, version int not null);
             insert into orders.test_counters select id, 0 from generate_series(0, 63) id;
             create table inventory.test_effects (
               event_id uuid primary key, log_id bigint not null, subject text not null,
               version int not null, times int not null default 1, place bigserial);
             grant all on orders.test_counters to orders_svc;
             grant all on inventory.test_effects, inventory.test_effects_place_seq to inventory_svc",
        )
        .execute(&admin)
        .await
        .unwrap();
        Self { db, nats: TestNats::start().await, admin, shutdown: Shutdown::new() }
    }

    /// A service's log as the service itself opens it.
    pub(crate) async fn log(&self, schema: &'static str, connections: u32) -> Log {
        let database_url = self.db.url(&format!("{schema}_svc"));
        let config = pg::PgConfig { database_url, db_connections: connections };
        Log::new(pg::connect(&config, schema).await.unwrap(), schema)
    }

    pub(crate) async fn client(&self) -> Client {
        connect(&self.nats.url()).await
    }

    pub(crate) async fn relay(&self, log: &Log) -> Relay {
        Relay::new(log.clone(), self.client().await, STREAM_MAX_BYTES)
    }

    pub(crate) fn run(&self, relay: Relay) -> JoinHandle<()> {
        tokio::spawn(relay.run(self.shutdown.clone()))
    }

    /// Serves a log over gRPC.
    pub(crate) async fn serve(&self, service: EventLogService) -> EventLogClient<rpc::Client> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shutdown = self.shutdown.clone();
        let serving = async move {
            rpc::Server::new(shutdown)
                .service(EventLogServer::new(service))
                .serve(&open_doors(), listener)
                .await
                .unwrap();
        };
        tokio::spawn(serving);
        EventLogClient::new(rpc::ClientConfig::default().client(&url).unwrap())
    }

    /// Where the listener hears of `orders`.
    pub(crate) async fn source(&self, orders: &Log) -> Source {
        let log = self.serve(EventLogService::new(orders.clone())).await;
        Source { name: "orders", nats: self.client().await, log }
    }

    pub(crate) fn consume<A: Apply>(&self, log: &Log, source: &Source, apply: A) -> JoinHandle<()> {
        let consumer = Consumer::new(log.clone(), source.clone(), apply);
        tokio::spawn(consumer.run(self.shutdown.clone()))
    }

    /// All that the stream of `orders` holds.
    pub(crate) async fn published(&self) -> Vec<Event> {
        let context = jetstream::new(self.client().await);
        let Ok(stream) = context.get_stream("ORDERS").await else { return Vec::new() };
        let config = jetstream::consumer::pull::Config {
            ack_policy: jetstream::consumer::AckPolicy::None,
            ..Default::default()
        };
        let consumer = stream.create_consumer(config).await.unwrap();
        let expected = usize::try_from(consumer.cached_info().num_pending).unwrap();
        let batch = consumer.fetch().max_messages(expected).messages().await.unwrap();
        let messages: Vec<_> = batch.try_collect().await.unwrap();
        let parse = |message: &jetstream::Message| {
            Event::parse(&message.payload, message.info().unwrap().stream_sequence).unwrap()
        };
        messages.iter().map(parse).collect()
    }

    /// Sequence and id of all events in the log of `orders`.
    pub(crate) async fn logged(&self) -> Vec<(i64, Uuid)> {
        sqlx::query_as("select id, (payload->>'id')::uuid from orders.events_log order by id")
            .fetch_all(&self.admin)
            .await
            .unwrap()
    }

    /// Waits until as many events are in the stream as in the log, and checks that they are the same.
    pub(crate) async fn all_is_published(&self) {
        let logged = self.logged().await;
        let context = jetstream::new(self.client().await);
        eventually("all events are published", PATIENCE, async || {
            match context.get_stream("ORDERS").await {
                Ok(stream) => stream.cached_info().state.messages >= logged.len() as u64,
                Err(_) => false,
            }
        })
        .await;
        assert_chain(&self.published().await, &logged);
    }

    /// Waits until the listener has applied all of the log, and checks that each event had one effect, in its aggregate's order.
    pub(crate) async fn all_is_applied(&self) {
        let logged = self.logged().await;
        let last = logged.last().map_or(0, |(sequence, _)| *sequence);
        let position = "select coalesce(max(log_id), 0) from inventory.consumer_positions";
        eventually("all events are applied", PATIENCE, async || {
            sqlx::query_scalar::<_, i64>(position).fetch_one(&self.admin).await.unwrap() >= last
        })
        .await;
        let effects: Vec<(i64, Uuid, i32)> = sqlx::query_as(
            "select log_id, event_id, times from inventory.test_effects order by log_id",
        )
        .fetch_all(&self.admin)
        .await
        .unwrap();
        let once: Vec<_> = logged.iter().map(|(sequence, id)| (*sequence, *id, 1)).collect();
        assert_same(&effects, &once);
        let inverted: Vec<String> = sqlx::query_scalar(
            "select subject from (
               select subject, version, row_number() over (partition by subject order by place) as place
               from inventory.test_effects) effects
             where version <> place",
        )
        .fetch_all(&self.admin)
        .await
        .unwrap();
        assert!(inverted.is_empty(), "out of order: {inverted:?}");
    }

    pub(crate) async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&self.admin).await.unwrap()
    }
}

/// Events are those of the log, each once and in its order, and each names the one before it.
pub(crate) fn assert_chain(events: &[Event], logged: &[(i64, Uuid)]) {
    let found: Vec<_> = events.iter().map(|event| (event.sequence, event.id)).collect();
    assert_same(&found, logged);
    let mut last = 0;
    for event in events {
        assert_eq!(event.previous, last, "the chain breaks at {}", event.sequence);
        last = event.sequence;
    }
}

/// Says where two lists differ, and not the whole of both.
fn assert_same<T: PartialEq + std::fmt::Debug>(found: &[T], expected: &[T]) {
    let differs = found.iter().zip(expected).position(|(a, b)| a != b);
    if let Some(at) = differs {
        panic!("at {at} there is {:?} instead of {:?}", found[at], expected[at]);
    }
    assert_eq!(found.len(), expected.len(), "all is the same, but for how many");
}

pub(crate) async fn connect(url: &str) -> Client {
    log::connect(&nats_config(url), "test").await.unwrap()
}

pub(crate) fn nats_config(url: &str) -> NatsConfig {
    NatsConfig {
        nats_url: url.to_owned(),
        nats_user: None,
        nats_password: None,
        stream_max_bytes: STREAM_MAX_BYTES,
    }
}

pub(crate) fn open_doors() -> ServerConfig {
    ServerConfig {
        grpc_addr: None,
        auth_public_key: None,
        open: true,
        plaintext: false,
        tls_cert: None,
        tls_key: None,
        calls_max: 1024,
        currency: "GBP".to_owned(),
    }
}

/// Begins the next event of one of 64 aggregates.
pub(crate) async fn next_event(tx: &mut PgConnection, aggregate: u64) -> NewEvent {
    let id = i32::try_from(aggregate % 64).unwrap();
    let version: i32 = sqlx::query_scalar(
        "update orders.test_counters set version = version + 1 where id = $1 returning version",
    )
    .bind(id)
    .fetch_one(tx)
    .await
    .unwrap();
    note(&format!("order-{id}"), version, false)
}

pub(crate) fn note(subject: &str, version: i32, poisoned: bool) -> NewEvent {
    let data = serde_json::json!({ "poisoned": poisoned, "text": "x".repeat(200) });
    NewEvent::new("order.noted", subject, version, &data, &Cause::default())
}

/// Commits one event of each aggregate named.
pub(crate) async fn commit(log: &Log, aggregates: impl IntoIterator<Item = u64>) {
    for aggregate in aggregates {
        let mut tx = log.begin().await.unwrap();
        let event = next_event(&mut tx, aggregate).await;
        log.append(&mut tx, &[event]).await.unwrap();
        log.commit(tx).await.unwrap();
    }
}

/// Commits events as they are given.
pub(crate) async fn append(log: &Log, events: &[NewEvent]) {
    let mut tx = log.begin().await.unwrap();
    log.append(&mut tx, events).await.unwrap();
    log.commit(tx).await.unwrap();
}

/// Many commands at once: of twenty one is slow between its event and its commit, and one thinks better of it.
pub(crate) async fn write(log: &Log, writers: u64, commands: u64) {
    let writer = |writer: u64| {
        let log = log.clone();
        async move {
            let dice = Dice::new(writer);
            for _ in 0..commands {
                write_one(&log, &dice).await;
            }
        }
    };
    let all: Vec<_> = (0..writers).map(|number| tokio::spawn(writer(number))).collect();
    for one in all {
        one.await.unwrap();
    }
}

async fn write_one(log: &Log, dice: &Dice) {
    let mut tx = log.begin().await.unwrap();
    let mut events = Vec::new();
    let aggregate = dice.roll(64);
    for _ in 0..=dice.roll(2) {
        events.push(next_event(&mut tx, aggregate).await);
    }
    log.append(&mut tx, &events).await.unwrap();
    match dice.roll(20) {
        0 => sleep(Duration::from_millis(50 + dice.roll(250))).await,
        1 => return,
        _ => dice.pause(Duration::from_millis(3)).await,
    }
    log.commit(tx).await.unwrap();
}

/// The listener's effect: notes each event, and how often it did.
#[derive(Debug, Clone, Default)]
pub(crate) struct Note {
    /// Poisoned events can be applied, too.
    pub(crate) cured: Arc<AtomicBool>,
    /// How often a poisoned one was tried.
    pub(crate) refused: Arc<AtomicU64>,
}

impl Apply for Note {
    const TYPES: &'static [&'static str] = &["order.noted"];

    async fn apply(&self, tx: &mut PgConnection, events: &[Event]) -> Result<(), ApplyError> {
        for event in events {
            let data: serde_json::Value = event.data()?;
            if data["poisoned"] == true && !self.cured.load(Ordering::Relaxed) {
                self.refused.fetch_add(1, Ordering::Relaxed);
                return Err(ApplyError::Refused("poison".to_owned()));
            }
            sqlx::query(
                "insert into inventory.test_effects (event_id, log_id, subject, version)
                 values ($1, $2, $3, $4)
                 on conflict (event_id) do update set times = test_effects.times + 1",
            )
            .bind(event.id)
            .bind(event.sequence)
            .bind(&event.subject)
            .bind(event.version)
            .execute(&mut *tx)
            .await?;
        }
        Ok(())
    }
}
