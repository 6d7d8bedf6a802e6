//! The services that are followed, each nothing but its log, and the consumer that follows them.

use std::{
    collections::BTreeMap,
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, SystemTime},
};

use async_nats::Client;
use chrono::{DateTime, Utc};
use clap::Parser;
use log::{EventLogService, Log, NatsConfig, NewEvent};
use manifest::Manifest;
use olap_consumer::{Clock, Config};
use proto::{
    log::v1::event_log_server::EventLogServer,
    olap::v1::{self as pb, materializations_service_client::MaterializationsServiceClient},
};
use rpc::Shutdown;
use sqlx::{AssertSqlSafe, PgPool};
use testkit::{Dice, PlayedService, TestDb, TestNats, eventually};
use tokio::{net::TcpListener, task::JoinHandle};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

pub(crate) const SOURCES: [&str; 4] = ["orders", "inventory", "billing", "ledger"];
const STREAM_MAX_BYTES: i64 = 64 << 20;
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Shop {
    pub(crate) nats: TestNats,
    /// Sees everything.
    pub(crate) admin: PgPool,
    services: BTreeMap<&'static str, PlayedService>,
    urls: BTreeMap<&'static str, String>,
    shutdown: Shutdown,
    _database: TestDb,
}

impl Drop for Shop {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

impl Shop {
    pub(crate) async fn start() -> Self {
        let database = TestDb::start().await;
        let nats = TestNats::start().await;
        let shutdown = Shutdown::new();
        let (mut services, mut urls) = (BTreeMap::new(), BTreeMap::new());
        for source in SOURCES {
            let bus = client(&nats.url()).await;
            let service = PlayedService::start(&database, bus, source, &shutdown).await;
            urls.insert(source, serve_log(&service.log, &shutdown).await);
            services.insert(source, service);
        }
        let admin = PgPool::connect(&database.admin_url()).await.unwrap();
        Self { nats, admin, services, urls, shutdown, _database: database }
    }

    pub(crate) fn log(&self, source: &str) -> &Log {
        &self.services[source].log
    }

    pub(crate) async fn publish(&self, source: &str, events: &[NewEvent]) {
        self.services[source].publish(events).await;
    }

    /// Logs an event as if it had happened then. Its data need not be what its type promises.
    pub(crate) async fn publish_at(
        &self,
        source: &str,
        event_type: &str,
        subject: &str,
        time: &str,
        data: serde_json::Value,
    ) {
        let payload = serde_json::json!({
            "specversion": "1.0", "id": uuid::Uuid::now_v7(), "source": format!("/bramble/{source}"),
            "type": event_type, "subject": subject, "time": time, "version": 1, "actor": "test", "data": data,
        });
        // The xid comes first, as the relay expects.
        let statement = format!(
            "with drawn as materialized (select pg_current_xact_id())
             insert into {source}.events_log (event_type, source, payload) select $1, $2, $3 from drawn"
        );
        sqlx::query(AssertSqlSafe(statement))
            .bind(event_type)
            .bind(source)
            .bind(payload)
            .execute(&self.admin)
            .await
            .unwrap();
    }

    /// As by a restore from a backup of before that event.
    pub(crate) async fn forget(&self, source: &str, from: i64) {
        let mut tx = self.admin.begin().await.unwrap();
        sqlx::query("set local session_replication_role = replica")
            .execute(&mut *tx)
            .await
            .unwrap();
        let delete = format!("delete from {source}.events_log where id >= $1");
        sqlx::query(AssertSqlSafe(delete)).bind(from).execute(&mut *tx).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// The place of the newest event in each source's log.
    pub(crate) async fn newest(&self) -> BTreeMap<&'static str, i64> {
        let mut newest = BTreeMap::new();
        for source in SOURCES {
            let statement = format!("select coalesce(max(id), 0) from {source}.events_log");
            let id = sqlx::query_scalar(AssertSqlSafe(statement)).fetch_one(&self.admin);
            newest.insert(source, id.await.unwrap());
        }
        newest
    }

    /// Waits until the folder stands for all that is logged by now. Gives its manifest.
    pub(crate) async fn caught_up(&self, folder: &Path) -> Manifest {
        let newest = self.newest().await;
        let mut manifest = None;
        eventually("all is counted", PATIENCE, async || {
            let Ok(Some(found)) = Manifest::read(folder) else { return false };
            let counted = |source: &str| found.positions.get(source).map_or(0, |at| at.log_id);
            let all = newest.iter().all(|(source, id)| counted(source) >= *id);
            manifest = Some(found);
            all
        })
        .await;
        manifest.unwrap()
    }

    pub(crate) fn config(&self, folder: &Path, more: &[&str]) -> Config {
        let folder = folder.to_str().unwrap();
        let mut arguments = vec!["olap-consumer", "--olap-dir", folder];
        let nats = self.nats.url();
        arguments.extend(["--nats-url", &nats, "--flush-interval-ms", "50"]);
        let urls = SOURCES.map(|source| (format!("--{source}-url"), self.urls[source].as_str()));
        urls.iter().for_each(|(name, url)| arguments.extend([name.as_str(), url]));
        arguments.extend(more);
        Config::parse_from(arguments)
    }

    /// The consumer in this process.
    pub(crate) async fn consume(&self, folder: &Path) -> Consumer {
        Consumer::start(self.config(folder, &[]), Arc::new(now)).await
    }

    /// The real binary.
    pub(crate) fn spawn(&self, folder: &Path) -> Spawned {
        Spawned(self.command(folder, "10").spawn().unwrap())
    }

    pub(crate) fn command(&self, folder: &Path, flush_interval_ms: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_olap-consumer"));
        for source in SOURCES {
            command.env(format!("BRAMBLE_{}_URL", source.to_uppercase()), &self.urls[source]);
        }
        command
            .env("BRAMBLE_OLAP_DIR", folder)
            .env("BRAMBLE_NATS_URL", self.nats.url())
            .env("BRAMBLE_GRPC_ADDR", "127.0.0.1:0")
            .env("BRAMBLE_OPEN", "true")
            .env("BRAMBLE_OLAP_FLUSH_INTERVAL_MS", flush_interval_ms)
            .stderr(Stdio::null());
        command
    }
}

/// A running process, which is killed when it is dropped.
pub(crate) struct Spawned(pub(crate) Child);

impl Drop for Spawned {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// How long processes live until they are killed: until any instant of so long, and of longer where they get nowhere in that.
pub(crate) struct Lives {
    dice: Dice,
    shortest: Duration,
    longest: Duration,
}

impl Lives {
    pub(crate) fn new(seed: u64, longest: Duration) -> Self {
        Self { dice: Dice::new(seed), shortest: longest, longest }
    }

    /// Waits until the next one is over.
    pub(crate) async fn pass(&self) {
        self.dice.pause(self.longest).await;
    }

    /// Whether it got somewhere. So that about half of them do on a slow machine, too.
    pub(crate) fn note(&mut self, got_somewhere: bool) {
        let next = if got_somewhere { self.longest * 4 / 5 } else { self.longest * 5 / 4 };
        self.longest = next.max(self.shortest);
        assert!(self.longest < PATIENCE, "none gets anywhere");
    }
}

/// A running consumer.
pub(crate) struct Consumer {
    pub(crate) client: MaterializationsServiceClient<rpc::Client>,
    channel: rpc::Client,
    shutdown: Shutdown,
    serving: JoinHandle<anyhow::Result<()>>,
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Consumer {
    pub(crate) async fn start(mut config: Config, clock: Clock) -> Self {
        config.server.open = true;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let nats = log::connect(&config.nats, "test").await.unwrap();
        let shutdown = Shutdown::new();
        let told = shutdown.clone();
        let serving = tokio::spawn(async move {
            olap_consumer::serve(&config, nats, clock, listener, told).await
        });
        let channel = rpc::ClientConfig::default().client(&url).unwrap();
        let client = MaterializationsServiceClient::new(channel.clone());
        Self { client, channel, shutdown, serving }
    }

    /// As by SIGTERM.
    pub(crate) async fn stop(mut self) {
        self.shutdown.cancel();
        (&mut self.serving).await.unwrap().unwrap();
    }

    pub(crate) async fn manifest(&self) -> Result<pb::GetManifestResponse, tonic::Status> {
        let request = pb::GetManifestRequest {};
        Ok(self.client.clone().get_manifest(request).await?.into_inner())
    }

    pub(crate) async fn flush(&self) -> Result<i64, tonic::Status> {
        Ok(self.client.clone().flush(pb::FlushRequest {}).await?.into_inner().version)
    }

    pub(crate) async fn start_rebuild(
        &self,
        verify_only: bool,
    ) -> Result<pb::Rebuild, tonic::Status> {
        let request = pb::StartRebuildRequest { verify_only };
        Ok(self.client.clone().start_rebuild(request).await?.into_inner().rebuild.unwrap())
    }

    pub(crate) async fn newest_rebuild(&self) -> Result<pb::Rebuild, tonic::Status> {
        let request = pb::GetRebuildRequest {};
        Ok(self.client.clone().get_rebuild(request).await?.into_inner().rebuild.unwrap())
    }

    /// Waits for the end of the newest one.
    pub(crate) async fn rebuilt(&self) -> pb::Rebuild {
        let mut newest = pb::Rebuild::default();
        eventually("the rebuild has ended", PATIENCE, async || {
            newest = self.newest_rebuild().await.unwrap();
            newest.end_time.is_some()
        })
        .await;
        newest
    }

    pub(crate) async fn is_ready(&self) -> bool {
        let mut health = HealthClient::new(self.channel.clone());
        let answer = health.check(HealthCheckRequest { service: String::new() }).await;
        answer.is_ok_and(|answer| answer.into_inner().status == 1)
    }

    pub(crate) async fn is_ready_soon(&self) {
        eventually("it is ready", PATIENCE, async || self.is_ready().await).await;
    }

    pub(crate) async fn is_not_ready_soon(&self) {
        eventually("it is not ready", PATIENCE, async || !self.is_ready().await).await;
    }
}

pub(crate) async fn client(url: &str) -> Client {
    let config = NatsConfig {
        nats_url: url.to_owned(),
        nats_user: None,
        nats_password: None,
        stream_max_bytes: STREAM_MAX_BYTES,
    };
    log::connect(&config, "test").await.unwrap()
}

async fn serve_log(log: &Log, shutdown: &Shutdown) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (service, shutdown) = (EventLogService::new(log.clone()), shutdown.clone());
    tokio::spawn(async move {
        rpc::Server::new(shutdown)
            .service(EventLogServer::new(service))
            .serve(&open_doors(), listener)
            .await
            .unwrap();
    });
    url
}

pub(crate) fn open_doors() -> rpc::ServerConfig {
    rpc::ServerConfig {
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

/// A clock that stands still, so that no day turns over meanwhile.
pub(crate) fn still() -> Clock {
    let began = now();
    Arc::new(move || began)
}

pub(crate) fn now() -> DateTime<Utc> {
    SystemTime::now().into()
}
