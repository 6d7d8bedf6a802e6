//! A relay that dies at any instant, also when its batch is in the stream and it does not know: nothing is lost or doubled.

use std::time::Duration;

use log::Relay;
use testkit::Dice;

use crate::{
    proxy::Proxy,
    world::{STREAM_MAX_BYTES, World, commit, connect, write},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_whose_answer_was_lost_is_in_the_stream_once() {
    let world = World::start().await;
    let orders = world.log("orders", 4).await;
    let proxy = Proxy::start(world.nats.addr()).await;
    let dice = Dice::new(2);
    for _ in 0..40 {
        let count = 1 + dice.roll(4);
        commit(&orders, 0..count).await;
        let relay = Relay::new(orders.clone(), connect(&proxy.url).await, STREAM_MAX_BYTES);
        let mut leader = relay.lead().await.unwrap();
        proxy.cut_next_answer();
        let dying = tokio::spawn(async move { leader.step().await });
        proxy.has_cut().await;
        dying.abort();
    }
    world.run(world.relay(&orders).await);
    world.all_is_published().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_that_waits_for_an_answer_that_never_comes_goes_on_from_the_stream() {
    let world = World::start().await;
    let orders = world.log("orders", 4).await;
    let proxy = Proxy::start(world.nats.addr()).await;
    let relay = Relay::new(orders.clone(), connect(&proxy.url).await, STREAM_MAX_BYTES);
    relay.lead().await.unwrap();
    proxy.cut_next_answer();
    world.run(relay);
    commit(&orders, 0..10).await;
    proxy.has_cut().await;
    commit(&orders, 0..10).await;
    world.all_is_published().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_that_is_killed_at_any_instant_loses_and_doubles_nothing() {
    let world = World::start().await;
    let orders = world.log("orders", 12).await;
    let writing = tokio::spawn({
        let orders = orders.clone();
        async move { write(&orders, 6, 150).await }
    });
    let client = world.client().await;
    let dice = Dice::new(3);
    let mut killed = 0;
    while killed < 60 || !writing.is_finished() {
        let relay = Relay::new(orders.clone(), client.clone(), STREAM_MAX_BYTES);
        let running = world.run(relay);
        dice.pause(Duration::from_millis(60)).await;
        running.abort();
        killed += 1;
    }
    writing.await.unwrap();
    world.run(world.relay(&orders).await);
    world.all_is_published().await;
}
