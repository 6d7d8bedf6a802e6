//! Deadlines, and how much at once.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use proto::log::v1::{ListEventsRequest, StreamEventsRequest};
use rpc::{Call, ClientConfig, ServerConfig};
use tokio::sync::Semaphore;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;

use testkit::eventually;

use crate::fake::{PATIENCE, Running, ask, open_doors, serve};

/// Work that takes until it is let go, and how much of it has begun and ended.
#[derive(Clone)]
struct Gate {
    go: Arc<Semaphore>,
    begun: Arc<AtomicUsize>,
    ended: Arc<AtomicUsize>,
}

impl Gate {
    fn new() -> Self {
        let count = || Arc::new(AtomicUsize::new(0));
        Self { go: Arc::new(Semaphore::new(0)), begun: count(), ended: count() }
    }

    async fn pass(self) -> Result<(), Status> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        self.go.acquire().await.unwrap().forget();
        self.ended.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    async fn serve(&self, calls_max: usize) -> Running {
        let gate = self.clone();
        serve(ServerConfig { calls_max, ..open_doors() }, move || gate.clone().pass()).await
    }

    async fn has_begun(&self, count: usize) {
        eventually("calls begin", PATIENCE, async || self.begun.load(Ordering::SeqCst) == count)
            .await;
    }

    async fn has_ended(&self, count: usize) {
        eventually("calls end", PATIENCE, async || self.ended.load(Ordering::SeqCst) == count)
            .await;
    }
}

fn check_retry(status: &Status, code: Code, reason: &str) {
    assert_eq!(status.code(), code, "{status}");
    let details = status.get_error_details();
    assert_eq!(details.error_info().unwrap().reason, reason);
    assert!(details.retry_info().unwrap().retry_delay.unwrap() > Duration::ZERO);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_is_answered_in_its_time_and_its_work_ends_well() {
    let gate = Gate::new();
    let running = gate.serve(10).await;
    let mut client = running.client.clone();
    // So long that all that may be kept back for the refusal is.
    let late = client.list_events(ask(Some(Duration::from_millis(2500)))).await.unwrap_err();
    check_retry(&late, Code::DeadlineExceeded, "DEADLINE_EXCEEDED");
    assert_eq!(gate.ended.load(Ordering::SeqCst), 0);
    gate.go.add_permits(1);
    gate.has_ended(1).await;

    let no_time = client.list_events(ask(Some(Duration::from_millis(2)))).await.unwrap_err();
    assert!([Code::DeadlineExceeded, Code::Cancelled].contains(&no_time.code()), "{no_time}");
    assert_eq!(gate.begun.load(Ordering::SeqCst), 1, "what cannot be answered is not begun");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_left_of_a_deadline_is_passed_on() {
    let behind = serve(open_doors(), || async {
        let left = Call::current().unwrap().deadline() - tokio::time::Instant::now();
        Err(Status::aborted(left.as_millis().to_string()))
    })
    .await;
    let client = behind.client.clone();
    let before = serve(open_doors(), move || {
        let mut client = client.clone();
        async move { client.list_events(ListEventsRequest::default()).await.map(|_| ()) }
    })
    .await;
    let mut left = Vec::new();
    for seconds in [20, 59] {
        let ask = ask(Some(Duration::from_secs(seconds)));
        let told = before.client.clone().list_events(ask).await.unwrap_err();
        left.push(told.message().parse::<u64>().unwrap());
    }
    assert!((1..20_000).contains(&left[0]) && (20_000..59_000).contains(&left[1]), "{left:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_calls_than_may_be_served_are_refused_at_once() {
    let gate = Gate::new();
    let running = gate.serve(2).await;
    let calls: Vec<_> = (0..2)
        .map(|_| {
            let mut client = running.client.clone();
            tokio::spawn(async move { client.list_events(ask(None)).await })
        })
        .collect();
    gate.has_begun(2).await;
    let refusal = running.client.clone().list_events(ask(None)).await.unwrap_err();
    check_retry(&refusal, Code::ResourceExhausted, "TOO_MANY_CALLS");
    gate.go.add_permits(3);
    for call in calls {
        call.await.unwrap().unwrap();
    }
    running.client.clone().list_events(ask(None)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_nobody_waits_for_still_counts() {
    let gate = Gate::new();
    let running = gate.serve(1).await;
    let mut client = running.client.clone();
    let gone = tokio::spawn(async move { client.list_events(ask(None)).await });
    gate.has_begun(1).await;
    gone.abort();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let refusal = running.client.clone().list_events(ask(None)).await.unwrap_err();
    assert_eq!(refusal.code(), Code::ResourceExhausted);
    gate.go.add_permits(1);
    gate.has_ended(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_streamed_answer_counts_as_a_call_as_long_as_it_lasts() {
    let running = serve(ServerConfig { calls_max: 1, ..open_doors() }, || async { Ok(()) }).await;
    let mut client = running.client.clone();
    let stream = client.stream_events(StreamEventsRequest::default()).await.unwrap();
    let refusal = client.list_events(ask(None)).await.unwrap_err();
    check_retry(&refusal, Code::ResourceExhausted, "TOO_MANY_CALLS");
    drop(stream);
    eventually("the place is free again", PATIENCE, async || {
        running.client.clone().list_events(ask(None)).await.is_ok()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_never_arrives_holds_no_place_for_ever() {
    let running = serve(ServerConfig { calls_max: 1, ..open_doors() }, || async { Ok(()) }).await;
    // Headers, and then nothing: the connection stays.
    let address = running.url.trim_start_matches("http://");
    let socket = tokio::net::TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) = h2::client::handshake(socket).await.unwrap();
    tokio::spawn(connection);
    let request = || {
        http::Request::post(format!("{}/bramble.log.v1.EventLog/ListEvents", running.url))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("grpc-timeout", "3S")
            .body(())
            .unwrap()
    };
    let mut halves = Vec::new();
    loop {
        halves.push(sender.send_request(request(), false).unwrap());
        tokio::time::sleep(Duration::from_millis(50)).await;
        let answer = running.client.clone().list_events(ask(None)).await;
        // Else the half call came while the one before took the only place.
        if answer.is_err_and(|refusal| refusal.code() == Code::ResourceExhausted) {
            break;
        }
    }
    eventually("the place is free again", PATIENCE, async || {
        running.client.clone().list_events(ask(None)).await.is_ok()
    })
    .await;
}

#[tokio::test]
async fn a_message_that_is_too_large_is_refused() {
    let running = serve(open_doors(), || async { Ok(()) }).await;
    let request = ListEventsRequest { event_type: "x".repeat(5 << 20), ..Default::default() };
    let refusal = running.client.clone().list_events(request).await.unwrap_err();
    assert_eq!(refusal.code(), Code::OutOfRange, "{refusal}");
    running.client.clone().list_events(ask(None)).await.unwrap();
}

#[tokio::test]
async fn headers_that_are_too_large_are_refused() {
    let running = serve(open_doors(), || async { Ok(()) }).await;
    let mut request = Request::new(ListEventsRequest::default());
    request.metadata_mut().insert("x-large", "x".repeat(64 << 10).parse().unwrap());
    assert!(running.client.clone().list_events(request).await.is_err());
    running.client.clone().list_events(ask(None)).await.unwrap();
}

#[tokio::test]
async fn a_panic_fails_its_call_only() {
    let calls = Arc::new(AtomicUsize::new(0));
    let running = serve(ServerConfig { calls_max: 1, ..open_doors() }, move || {
        assert!(calls.fetch_add(1, Ordering::SeqCst) > 0, "the first call fails");
        async { Ok(()) }
    })
    .await;
    let mut client = running.client.clone();
    let failure = client.list_events(ask(None)).await.unwrap_err();
    assert_eq!((failure.code(), failure.message()), (Code::Internal, "internal error"));
    client.list_events(ask(None)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_ends_well_whenever_its_caller_goes() {
    let (begun, ended) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counts = (Arc::clone(&begun), Arc::clone(&ended));
    let running = serve(open_doors(), move || {
        let (begun, ended) = (Arc::clone(&counts.0), Arc::clone(&counts.1));
        async move {
            begun.fetch_add(1, Ordering::SeqCst);
            for _ in 0..5 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            ended.fetch_add(1, Ordering::SeqCst);
            Ok(())
        }
    })
    .await;
    // For longer each time: from none that begins to all.
    let mut round = 0;
    while round < 300 || begun.load(Ordering::SeqCst) <= 100 {
        round += 1;
        assert!(round < 2000, "no more than {} calls begin", begun.load(Ordering::SeqCst));
        let client = ClientConfig::default().client(&running.url).unwrap();
        let mut client = proto::log::v1::event_log_client::EventLogClient::new(client);
        let patience = Duration::from_micros(round * 40);
        let _ = tokio::time::timeout(patience, client.list_events(ask(None))).await;
    }
    eventually("what was begun ends", PATIENCE, async || {
        begun.load(Ordering::SeqCst) == ended.load(Ordering::SeqCst)
    })
    .await;
}
