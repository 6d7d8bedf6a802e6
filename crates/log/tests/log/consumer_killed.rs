//! A consumer that dies at any instant, and two of them at once: each event has its effect once.

use std::time::Duration;

use testkit::Dice;

use crate::world::{Note, World, commit, write};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_that_is_killed_at_any_instant_applies_each_event_once() {
    let world = World::start().await;
    let (orders, inventory) = (world.log("orders", 8).await, world.log("inventory", 8).await);
    world.run(world.relay(&orders).await);
    world.all_is_published().await;
    let source = world.source(&orders).await;
    let writing = tokio::spawn({
        let orders = orders.clone();
        async move { write(&orders, 4, 200).await }
    });
    let dice = Dice::new(4);
    let mut killed = 0;
    while killed < 100 || !writing.is_finished() {
        let running = world.consume(&inventory, &source, Note::default());
        dice.pause(Duration::from_millis(50)).await;
        running.abort();
        killed += 1;
    }
    writing.await.unwrap();
    world.consume(&inventory, &source, Note::default());
    world.all_is_applied().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_consumers_at_once_apply_each_event_once() {
    let world = World::start().await;
    let orders = world.log("orders", 8).await;
    let replicas = [world.log("inventory", 4).await, world.log("inventory", 4).await];
    world.run(world.relay(&orders).await);
    let source = world.source(&orders).await;
    for replica in &replicas {
        world.consume(replica, &source, Note::default());
    }
    write(&orders, 4, 200).await;
    world.all_is_applied().await;
}

#[tokio::test]
async fn a_consumer_is_woken_by_the_next_event_and_not_by_a_clock() {
    let world = World::start().await;
    let (orders, inventory) = (world.log("orders", 4).await, world.log("inventory", 4).await);
    world.run(world.relay(&orders).await);
    let source = world.source(&orders).await;
    world.consume(&inventory, &source, Note::default());
    commit(&orders, [1]).await;
    world.all_is_applied().await;

    let mut took = Vec::new();
    for aggregate in 0..10 {
        let began = std::time::Instant::now();
        commit(&orders, [aggregate]).await;
        world.all_is_applied().await;
        took.push(began.elapsed());
    }
    // A clock would come twice a second, and the next event right behind it.
    took.sort();
    assert!(took[5] < Duration::from_millis(250), "{took:?}");
}
