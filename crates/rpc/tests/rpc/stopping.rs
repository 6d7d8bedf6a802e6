//! The end of a process.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use proto::log::v1::StreamEventsRequest;
use tokio::{sync::Notify, time::timeout};

use testkit::eventually;

use crate::fake::{PATIENCE, ask, open_doors, serve, serve_with};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_call_is_answered_before_the_process_ends() {
    let (begun, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let gate = (Arc::clone(&begun), Arc::clone(&go));
    let mut running = serve(open_doors(), move || {
        let (begun, go) = gate.clone();
        async move {
            begun.notify_one();
            go.notified().await;
            Ok(())
        }
    })
    .await;
    let mut client = running.client.clone();
    let call = tokio::spawn(async move { client.list_events(ask(None)).await });
    begun.notified().await;
    running.shutdown.cancel();
    let address = running.url.trim_start_matches("http://").to_owned();
    eventually("nobody new is let in", PATIENCE, async || {
        tokio::net::TcpStream::connect(&address).await.is_err()
    })
    .await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!running.ended.is_finished());
    go.notify_one();
    call.await.unwrap().unwrap();
    (&mut running.ended).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_follows_a_stream_does_not_keep_the_process_from_ending() {
    let mut running = serve(open_doors(), || async { Ok(()) }).await;
    let mut client = running.client.clone();
    let mut stream =
        client.stream_events(StreamEventsRequest::default()).await.unwrap().into_inner();
    let began = Instant::now();
    running.shutdown.cancel();
    let end = timeout(PATIENCE, stream.message()).await.unwrap();
    assert!(end.unwrap().is_none());
    (&mut running.ended).await.unwrap().unwrap();
    // Those who are served may stay for 20 s.
    assert!(began.elapsed() < Duration::from_secs(15));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn background_work_is_told_and_may_end_well() {
    let ended = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&ended);
    let mut running = serve_with(
        open_doors(),
        || async { Ok(()) },
        |server| {
            server.background(|shutdown| async move {
                shutdown.cancelled().await;
                tokio::time::sleep(Duration::from_millis(200)).await;
                told.store(true, Ordering::SeqCst);
            })
        },
    )
    .await;
    running.shutdown.cancel();
    (&mut running.ended).await.unwrap().unwrap();
    assert!(ended.load(Ordering::SeqCst));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_does_not_go_on_without_its_background_work() {
    let mut running = serve_with(
        open_doors(),
        || async { Ok(()) },
        |server| {
            server.background(|_| async {}).background(|_| async {
                assert!(std::hint::black_box(false), "a relay that fails");
            })
        },
    )
    .await;
    let ended = timeout(Duration::from_secs(10), &mut running.ended).await.unwrap();
    let failure = ended.unwrap().unwrap_err();
    assert!(failure.to_string().contains("background work failed"), "{failure}");
}
