//! Readiness, as probes see it.

use std::{sync::Arc, time::Duration};

use clap::Parser;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tonic::transport::Channel;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use testkit::{Keys, Port, TestDb, TestNats, eventually};

use crate::fake::{PATIENCE, open_doors, serve_with};

async fn status(url: &str, service: &str) -> Option<ServingStatus> {
    let channel = Channel::from_shared(url.to_owned()).unwrap().connect().await.ok()?;
    let mut client = HealthClient::new(channel);
    let request = HealthCheckRequest { service: service.to_owned() };
    Some(client.check(request).await.ok()?.into_inner().status())
}

#[tokio::test]
async fn nobody_is_ready_before_the_first_look() {
    let running = serve_with(
        open_doors(),
        || async { Ok(()) },
        |server| server.needs("something", std::future::pending),
    )
    .await;
    for service in ["", "bramble.log.v1.EventLog"] {
        assert_eq!(status(&running.url, service).await, Some(ServingStatus::NotServing));
    }
    assert_eq!(status(&running.url, "live").await, Some(ServingStatus::Serving), "all the same");
}

#[tokio::test]
async fn who_needs_nothing_is_ready_without_a_token_until_told_to_end() {
    let keys = Keys::new(1);
    let config = rpc::ServerConfig { auth_public_key: Some(keys.public()), ..open_doors() };
    let running = serve_with(config, || async { Ok(()) }, |server| server).await;
    for service in ["", "bramble.log.v1.EventLog"] {
        eventually("it is ready", PATIENCE, async || {
            status(&running.url, service).await == Some(ServingStatus::Serving)
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readiness_follows_postgres_and_nats_and_comes_back_with_them() {
    let (database, mut nats) = (TestDb::start().await, TestNats::start().await);
    let door = Arc::new(Door { port: Port::any().unwrap() });
    let through_door = database.url_at("hr_svc", door.port.number());
    let to = database.address();
    let mut open = door.open(&to);
    let config = hr_svc::Config::parse_from([
        "hr-svc",
        "--database-url",
        &through_door,
        "--nats-url",
        &nats.url(),
    ]);
    let pool = pg::connect(&config.postgres, "hr").await.unwrap();
    let bus = log::connect(&config.nats, "hr-svc").await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let shutdown = rpc::Shutdown::new();
    let told = shutdown.clone();
    let ended =
        tokio::spawn(async move { hr_svc::serve(&config, pool, bus, listener, told).await });

    let becomes = async |expected: ServingStatus| {
        eventually("readiness follows", PATIENCE, async || {
            status(&url, "").await == Some(expected)
                && status(&url, "bramble.hr.v1.HrService").await == Some(expected)
        })
        .await;
    };
    becomes(ServingStatus::Serving).await;
    nats.kill();
    becomes(ServingStatus::NotServing).await;
    nats.restart().await;
    becomes(ServingStatus::Serving).await;
    open.abort();
    becomes(ServingStatus::NotServing).await;
    open = door.open(&to);
    becomes(ServingStatus::Serving).await;
    shutdown.cancel();
    ended.await.unwrap().unwrap();
    open.abort();
}

/// Stands before Postgres.
struct Door {
    port: Port,
}

impl Door {
    /// Lets everybody through until it is aborted, which throws out those inside.
    fn open(&self, to: &str) -> tokio::task::JoinHandle<()> {
        let (port, to) = (self.port.number(), to.to_owned());
        tokio::spawn(async move {
            let listener = loop {
                match TcpListener::bind(("127.0.0.1", port)).await {
                    Ok(listener) => break listener,
                    Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            };
            let mut inside = JoinSet::new();
            while let Ok((mut client, _)) = listener.accept().await {
                let mut server = TcpStream::connect(&to).await.unwrap();
                inside.spawn(async move { copy_bidirectional(&mut client, &mut server).await });
            }
        })
    }
}
