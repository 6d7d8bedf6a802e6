//! All sources are counted at once: one that is slow, fails or never answers keeps no other from being counted, and nothing from ending.

use std::time::Duration;

use log::EventLogService;
use proto::{
    log::v1::{
        self as pb,
        event_log_server::{EventLog, EventLogServer},
    },
    olap::v1::rebuild::State,
};
use rpc::Shutdown;
use testkit::eventually;
use tokio::{net::TcpListener, sync::watch, time::timeout};
use tonic::{Request, Response, Status};

use crate::{
    folder,
    shop::{Consumer, PATIENCE, SOURCES, Shop, open_doors, still},
    trade::{ended, trade},
};

/// What becomes of calls for pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    Open,
    /// They wait until it is another.
    Shut,
    /// The first event of each page comes behind another one than it should.
    Wrong,
}

/// A source's log behind a door.
struct Behind {
    log: EventLogService,
    door: watch::Receiver<Door>,
}

type Answer<T> = Result<Response<T>, Status>;

fn not_asked<T>() -> Answer<T> {
    Err(Status::unimplemented("only pages are asked for"))
}

#[tonic::async_trait]
impl EventLog for Behind {
    async fn list_events(
        &self,
        request: Request<pb::ListEventsRequest>,
    ) -> Answer<pb::ListEventsResponse> {
        let mut door = self.door.clone();
        let door = *door.wait_for(|door| *door != Door::Shut).await.unwrap();
        let mut page = self.log.list_events(request).await?.into_inner();
        if door == Door::Wrong
            && let Some(event) = page.events.first_mut()
        {
            event.previous += 1;
        }
        Ok(Response::new(page))
    }

    type StreamEventsStream = <EventLogService as EventLog>::StreamEventsStream;

    async fn stream_events(
        &self,
        _: Request<pb::StreamEventsRequest>,
    ) -> Answer<Self::StreamEventsStream> {
        not_asked()
    }

    async fn list_dead_letters(
        &self,
        _: Request<pb::ListDeadLettersRequest>,
    ) -> Answer<pb::ListDeadLettersResponse> {
        not_asked()
    }

    async fn retry_dead_letters(
        &self,
        _: Request<pb::RetryDeadLettersRequest>,
    ) -> Answer<pb::RetryDeadLettersResponse> {
        not_asked()
    }

    async fn discard_dead_letter(
        &self,
        _: Request<pb::DiscardDeadLetterRequest>,
    ) -> Answer<pb::DiscardDeadLetterResponse> {
        not_asked()
    }

    async fn get_log_status(
        &self,
        _: Request<pb::GetLogStatusRequest>,
    ) -> Answer<pb::GetLogStatusResponse> {
        not_asked()
    }
}

/// A door before a source's log, and the address behind which it is.
pub(crate) async fn door(shop: &Shop, source: &str) -> (watch::Sender<Door>, String) {
    let (sender, door) = watch::channel(Door::Open);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let service = Behind { log: EventLogService::new(shop.log(source).clone()), door };
    let server = rpc::Server::new(Shutdown::new()).service(EventLogServer::new(service));
    tokio::spawn(async move { server.serve(&open_doors(), listener).await.unwrap() });
    (sender, url)
}

/// A shop whose orders and invoices are behind doors, with some trade that is counted.
struct Counted {
    shop: Shop,
    dir: tempfile::TempDir,
    consumer: Consumer,
    orders: watch::Sender<Door>,
    billing: watch::Sender<Door>,
}

async fn counted(seed: u64) -> Counted {
    let shop = Shop::start().await;
    let dir = tempfile::tempdir().unwrap();
    let (orders, orders_url) = door(&shop, "orders").await;
    let (billing, billing_url) = door(&shop, "billing").await;
    let mut config = shop.config(dir.path(), &["--flush-rows", "100"]);
    (config.orders_url, config.billing_url) = (orders_url, billing_url);
    let consumer = Consumer::start(config, still()).await;
    consumer.is_ready_soon().await;
    ended(trade(&shop, 200, seed)).await;
    shop.caught_up(dir.path()).await;
    // What is on the disk is known to the service a moment later: once it answers.
    consumer.flush().await.unwrap();
    Counted { shop, dir, consumer, orders, billing }
}

impl Counted {
    /// Begins a rebuild, and waits until it has counted all but the orders.
    async fn begin(&self) {
        self.orders.send_replace(Door::Shut);
        self.consumer.start_rebuild(false).await.unwrap();
        let newest = self.shop.newest().await;
        let others = SOURCES.iter().filter(|source| **source != "orders");
        let others: i64 = others.map(|source| newest[source]).sum();
        eventually("the others are counted", PATIENCE, async || {
            let rebuild = self.consumer.newest_rebuild().await.unwrap();
            assert_eq!((rebuild.state(), rebuild.error.as_str()), (State::Counting, ""));
            if rebuild.sources.is_empty() {
                return false;
            }
            assert!(rebuild.counted_events <= others && others < rebuild.total_events);
            for of in &rebuild.sources {
                let counted = if of.source == "orders" { 0 } else { of.total_events };
                assert!(of.counted_events <= counted && of.total_events == newest[&*of.source]);
            }
            rebuild.counted_events == others
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_is_slow_keeps_no_other_waiting() {
    let counted = counted(60).await;
    counted.begin().await;
    // What is live goes on, too.
    ended(trade(&counted.shop, 5, 61)).await;
    counted.shop.caught_up(counted.dir.path()).await;
    counted.orders.send_replace(Door::Open);
    let done = counted.consumer.rebuilt().await;
    assert_eq!((done.state(), done.error.as_str()), (State::Done, ""));
    assert_eq!((done.difference_count, done.counted_events), (0, done.total_events));
    assert!(done.version > done.compared_version);
    // Both sides were read whole.
    assert!(done.counted_rows > 0 && done.compared_rows == done.total_rows);
    assert!(done.total_rows > done.counted_rows);
    counted.consumer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_fails_ends_it_whatever_the_others_wait_for() {
    let counted = counted(62).await;
    let before = folder::read(counted.dir.path());
    counted.orders.send_replace(Door::Shut);
    counted.billing.send_replace(Door::Wrong);
    counted.consumer.start_rebuild(false).await.unwrap();
    let failed = counted.consumer.rebuilt().await;
    assert_eq!(failed.state(), State::Failed);
    assert!(failed.error.contains("of billing comes behind"), "{}", failed.error);
    assert!(!counted.dir.path().join("rebuild").exists());
    assert_eq!(folder::read(counted.dir.path()), before);

    counted.orders.send_replace(Door::Open);
    counted.billing.send_replace(Door::Open);
    counted.consumer.start_rebuild(false).await.unwrap();
    let done = counted.consumer.rebuilt().await;
    assert_eq!((done.state(), done.difference_count), (State::Done, 0));
    counted.consumer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_is_told_to_end_waits_for_no_source() {
    let counted = counted(63).await;
    counted.begin().await;
    let before = folder::read(counted.dir.path());
    let Counted { shop, dir, consumer, .. } = counted;
    // What does not end by itself is given up after twenty.
    timeout(Duration::from_secs(19), consumer.stop()).await.unwrap();
    assert_eq!(folder::read(dir.path()), before);
    // What was counted beside is not in the way of the next one.
    let consumer = shop.consume(dir.path()).await;
    consumer.is_ready_soon().await;
    assert!(!dir.path().join("rebuild").exists());
    consumer.start_rebuild(false).await.unwrap();
    assert_eq!(consumer.rebuilt().await.difference_count, 0);
    consumer.stop().await;
}
