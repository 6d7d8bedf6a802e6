//! All of it at once.

use std::time::Duration;

use async_nats::jetstream;
use testkit::Dice;

use crate::world::{Note, World, write};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_to_nats_relays_and_listeners_each_event_has_its_effect_once() {
    let mut world = World::start().await;
    let orders = world.log("orders", 12).await;
    let inventory = world.log("inventory", 8).await;
    let client = world.client().await;
    let source = world.source(&orders).await;
    let writing = tokio::spawn({
        let orders = orders.clone();
        async move { write(&orders, 4, 300).await }
    });
    let dice = Dice::new(5);
    let mut rounds = 0;
    while rounds < 12 || !writing.is_finished() {
        let relays = [world.run(world.relay(&orders).await), world.run(world.relay(&orders).await)];
        let listeners = [0, 1].map(|_| world.consume(&inventory, &source, Note::default()));
        dice.pause(Duration::from_millis(700)).await;
        match rounds % 4 {
            0 => world.nats.kill(),
            1 => world.nats.wipe().await,
            2 => drop(jetstream::new(client.clone()).delete_stream("ORDERS").await),
            _ => (),
        }
        dice.pause(Duration::from_millis(300)).await;
        for running in relays.iter().chain(&listeners) {
            running.abort();
        }
        if rounds % 4 == 0 {
            world.nats.restart().await;
        }
        rounds += 1;
    }
    writing.await.unwrap();
    world.run(world.relay(&orders).await);
    world.consume(&inventory, &source, Note::default());
    world.all_is_published().await;
    world.all_is_applied().await;
}
