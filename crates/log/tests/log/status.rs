//! Operators are told how far everything is, and what holds it up.

use log::EventLogService;
use proto::log::v1::{
    GetLogStatusRequest, GetLogStatusResponse, RelayStatus, event_log_client::EventLogClient,
};
use testkit::eventually;

use crate::world::{Note, PATIENCE, World, append, note};

async fn status(of: &EventLogClient<rpc::Client>) -> GetLogStatusResponse {
    of.clone().get_log_status(GetLogStatusRequest {}).await.unwrap().into_inner()
}

async fn relay(of: &EventLogClient<rpc::Client>) -> RelayStatus {
    status(of).await.relay.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_says_what_waits_what_was_put_aside_and_why_it_does_not_go_on() {
    let mut world = World::start().await;
    let (orders, inventory) = (world.log("orders", 4).await, world.log("inventory", 4).await);
    let writes = world.serve(EventLogService::new(orders.clone())).await;
    let listens = world.serve(EventLogService::new(inventory.clone())).await;
    let empty = status(&writes).await;
    assert_eq!((empty.source.as_str(), empty.last_sequence), ("orders", 0));
    assert!(empty.last_event_time.is_none() && empty.consumers.is_empty());
    assert_eq!(empty.relay.unwrap(), RelayStatus::default());

    // Nobody carries them yet: what is not known to be published waits.
    append(&orders, &[note("a", 1, false), note("a", 2, true), note("a", 3, false)]).await;
    let waiting = status(&writes).await;
    assert_eq!(waiting.last_sequence, 3);
    let carried = waiting.relay.unwrap();
    assert_eq!((carried.published_sequence, carried.waiting_count), (None, 3));
    assert!(carried.waiting_since_time.is_some());
    assert!(
        carried.waiting_since_time.unwrap().seconds <= waiting.last_event_time.unwrap().seconds
    );

    world.run(world.relay(&orders).await);
    let source = world.source(&orders).await;
    world.consume(&inventory, &source, Note::default());
    eventually("all is published", PATIENCE, async || {
        let all = RelayStatus { published_sequence: Some(3), ..RelayStatus::default() };
        relay(&writes).await == all
    })
    .await;
    eventually("all is applied or put aside", PATIENCE, async || {
        let found = status(&listens).await;
        let Some(of) = found.consumers.first() else { return false };
        (of.sequence, of.dead_letter_count, &*of.source, &*of.error) == (3, 2, "orders", "")
            && of.update_time.is_some()
    })
    .await;

    world.nats.kill();
    append(&orders, &[note("b", 1, false), note("b", 2, false)]).await;
    eventually("the relay says why it does not go on", PATIENCE, async || {
        let relay = relay(&writes).await;
        (relay.published_sequence, relay.waiting_count) == (Some(3), 2) && !relay.error.is_empty()
    })
    .await;
    eventually("the consumer says so, too", PATIENCE, async || {
        let of = status(&listens).await.consumers.remove(0);
        of.sequence == 3 && !of.error.is_empty()
    })
    .await;

    world.nats.restart().await;
    eventually("both go on", PATIENCE, async || {
        let of = status(&listens).await.consumers.remove(0);
        let all = RelayStatus { published_sequence: Some(5), ..RelayStatus::default() };
        (of.sequence, &*of.error) == (5, "") && relay(&writes).await == all
    })
    .await;
}
