//! Events that are large, one by one and together: no message between services, bus and listeners outgrows what is taken.

use async_nats::jetstream;
use log::{Cause, Log, NewEvent};

use crate::world::{Note, World, append, commit};

fn event(version: i32, bytes: usize) -> NewEvent {
    let data = serde_json::json!({ "text": "x".repeat(bytes) });
    NewEvent::new("order.noted", "large", version, &data, &Cause::default())
}

async fn append_large(orders: &Log, count: i32) {
    for version in 1..=count {
        append(orders, &[event(version, 500_000)]).await;
    }
}

#[tokio::test]
async fn an_event_that_no_bus_carries_is_refused_before_it_is_written() {
    let world = World::start().await;
    let orders = world.log("orders", 2).await;
    let mut tx = orders.begin().await.unwrap();
    assert!(orders.append(&mut tx, &[event(1, 600_000)]).await.is_err());
}

#[tokio::test]
async fn large_events_are_carried_however_many_they_are() {
    let world = World::start().await;
    let orders = world.log("orders", 2).await;
    append_large(&orders, 20).await;
    let mut leader = world.relay(&orders).await.lead().await.unwrap();
    let mut steps = 0;
    while leader.step().await.unwrap() != log::Step::Idle {
        steps += 1;
    }
    assert!(steps > 1, "ten megabytes at once");
    world.all_is_published().await;
}

#[tokio::test]
async fn a_hole_of_large_events_is_filled() {
    let world = World::start().await;
    let (orders, inventory) = (world.log("orders", 2).await, world.log("inventory", 2).await);
    append_large(&orders, 20).await;
    commit(&orders, 0..3).await;
    world.run(world.relay(&orders).await);
    world.all_is_published().await;
    let context = jetstream::new(world.client().await);
    context.get_stream("ORDERS").await.unwrap().purge().sequence(22).await.unwrap();
    let source = world.source(&orders).await;
    world.consume(&inventory, &source, Note::default());
    world.all_is_applied().await;
}
