//! Streams that are deleted, wiped, away, or too small: all events arrive, and each is applied once.

use std::time::Duration;

use async_nats::jetstream;
use log::{EventLogService, Feed, Position, Relay};
use proto::log::v1::{ListEventsRequest, event_log_client::EventLogClient};

use testkit::{Port, eventually};

use crate::world::{Note, PATIENCE, World, commit};

/// A writer, its relay and a listener, all running.
async fn running() -> (World, log::Log, log::Source) {
    let world = World::start().await;
    let (orders, inventory) = (world.log("orders", 8).await, world.log("inventory", 8).await);
    world.run(world.relay(&orders).await);
    let source = world.source(&orders).await;
    world.consume(&inventory, &source, Note::default());
    commit(&orders, 0..50).await;
    world.all_is_applied().await;
    (world, orders, source)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_was_deleted_is_filled_again_though_nothing_new_happens() {
    let (world, orders, _) = running().await;
    commit(&orders, 0..5).await;
    jetstream::new(world.client().await).delete_stream("ORDERS").await.unwrap();
    world.all_is_published().await;
    world.all_is_applied().await;
    commit(&orders, 0..5).await;
    world.all_is_published().await;
    world.all_is_applied().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_was_purged_is_filled_again_at_other_places() {
    let (world, orders, _) = running().await;
    let context = jetstream::new(world.client().await);
    context.get_stream("ORDERS").await.unwrap().purge().await.unwrap();
    world.all_is_published().await;
    assert_eq!(world.published().await[0].stream_sequence, 51);
    commit(&orders, 0..5).await;
    world.all_is_applied().await;
    // And now at lower ones than before.
    context.delete_stream("ORDERS").await.unwrap();
    commit(&orders, 0..5).await;
    world.all_is_published().await;
    world.all_is_applied().await;
    commit(&orders, 0..5).await;
    world.all_is_applied().await;
    let place = "select stream_sequence from inventory.consumer_positions";
    assert_eq!(world.count(place).await, 65, "the position is one of the new stream");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_was_deleted_from_the_tail_is_published_again() {
    let (world, orders, _) = running().await;
    let context = jetstream::new(world.client().await);
    let stream = context.get_stream("ORDERS").await.unwrap();
    stream.delete_message(50).await.unwrap();
    let mut leader = world.relay(&orders).await.lead().await.unwrap();
    leader.step().await.unwrap();
    world.all_is_published().await;
    commit(&orders, 0..5).await;
    world.all_is_published().await;
    world.all_is_applied().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nats_that_is_killed_and_away_for_a_while_loses_nothing() {
    let (mut world, orders, _) = running().await;
    for _ in 0..3 {
        world.nats.kill();
        commit(&orders, 0..20).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        world.nats.restart().await;
        commit(&orders, 0..20).await;
    }
    world.all_is_published().await;
    world.all_is_applied().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nats_that_is_wiped_is_filled_again_from_the_log() {
    let (mut world, orders, _) = running().await;
    commit(&orders, 0..20).await;
    world.nats.wipe().await;
    world.all_is_published().await;
    commit(&orders, 0..20).await;
    world.all_is_published().await;
    world.all_is_applied().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listener_that_was_away_too_long_fetches_what_the_stream_dropped() {
    let world = World::start().await;
    let (orders, inventory) = (world.log("orders", 8).await, world.log("inventory", 8).await);
    // Room for some forty events.
    world.run(Relay::new(orders.clone(), world.client().await, 32 << 10));
    let source = world.source(&orders).await;
    let before = world.consume(&inventory, &source, Note::default());
    commit(&orders, 0..10).await;
    world.all_is_applied().await;
    before.abort();

    commit(&orders, (0..1500).map(|n| n % 64)).await;
    eventually("the last event is published", PATIENCE, async || {
        world.published().await.last().is_some_and(|event| event.sequence == 1510)
    })
    .await;
    let kept = world.published().await;
    assert!(kept.len() < 100, "{} of 1510 are still in the stream", kept.len());
    world.consume(&inventory, &source, Note::default());
    world.all_is_applied().await;
    commit(&orders, 0..10).await;
    world.all_is_applied().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hole_is_given_in_pages_and_never_passed_over() {
    let world = World::start().await;
    let orders = world.log("orders", 4).await;
    world.run(world.relay(&orders).await);
    commit(&orders, (0..1200).map(|n| n % 64)).await;
    world.all_is_published().await;
    let context = jetstream::new(world.client().await);
    let stream = context.get_stream("ORDERS").await.unwrap();
    stream.purge().sequence(1151).await.unwrap();
    stream.delete_message(1160).await.unwrap();

    let source = world.source(&orders).await;
    let mut position = Position::default();
    let mut feed = Feed::open(&source, position).await.unwrap();
    let mut sizes = Vec::new();
    while position.log_id < 1200 {
        let mut events = feed.next(position).await.unwrap();
        if position.log_id == 0 {
            // Whoever could not apply them asks for the same again, though the next page is under way.
            let ids: Vec<_> = events.iter().map(|event| event.id).collect();
            events = feed.next(position).await.unwrap();
            assert!(events.iter().map(|event| event.id).eq(ids));
        }
        sizes.push(events.len());
        for event in events {
            assert_eq!(event.previous, position.log_id);
            position.log_id = event.sequence;
            position.event_id = event.id;
        }
    }
    assert!(sizes.iter().all(|size| *size <= 500), "{sizes:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hole_waits_for_a_source_that_is_away() {
    let world = World::start().await;
    let (orders, inventory) = (world.log("orders", 4).await, world.log("inventory", 4).await);
    world.run(world.relay(&orders).await);
    commit(&orders, 0..20).await;
    world.all_is_published().await;
    let context = jetstream::new(world.client().await);
    let stream = context.get_stream("ORDERS").await.unwrap();
    stream.purge().sequence(15).await.unwrap();

    let nobody = Port::any().unwrap();
    let url = format!("http://127.0.0.1:{}", nobody.number());
    let nowhere = rpc::ClientConfig::default().client(&url).unwrap();
    let mut source = world.source(&orders).await;
    source.log = EventLogClient::new(nowhere);
    let position = Position::default();
    let mut feed = Feed::open(&source, position).await.unwrap();
    assert!(feed.next(position).await.is_err());

    source.log = world.serve(EventLogService::new(orders.clone())).await;
    world.consume(&inventory, &source, Note::default());
    world.all_is_applied().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_does_not_go_on_behind_a_message_that_is_no_event() {
    let (world, orders, _) = running().await;
    let context = jetstream::new(world.client().await);
    publish(&context, "garbage".to_owned()).await;
    let refusal = world.relay(&orders).await.lead().await.unwrap_err().to_string();
    assert!(refusal.contains("message 51 of stream ORDERS is no event"), "{refusal}");
    commit(&orders, 0..5).await;
    context.get_stream("ORDERS").await.unwrap().delete_message(51).await.unwrap();
    world.all_is_published().await;
    world.all_is_applied().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_is_no_event_stops_nobody_who_listens() {
    let world = World::start().await;
    let (orders, inventory) = (world.log("orders", 4).await, world.log("inventory", 4).await);
    world.relay(&orders).await.lead().await.unwrap();
    commit(&orders, 0..2).await;
    let source = world.source(&orders).await;
    let page = source.log.clone().list_events(ListEventsRequest::default()).await.unwrap();
    let [first, second] = page.into_inner().events.try_into().unwrap();
    let context = jetstream::new(world.client().await);
    for payload in [first.cloud_event, "garbage".to_owned(), second.cloud_event] {
        publish(&context, payload).await;
    }
    world.consume(&inventory, &source, Note::default());
    world.all_is_applied().await;
}

async fn publish(context: &jetstream::Context, payload: String) {
    let answer = context.publish("bramble.orders.order.noted.v1", payload.into()).await.unwrap();
    answer.await.unwrap();
}
