//! A Postgres that was restored to an earlier time: nobody goes on as if nothing had happened.

use async_nats::jetstream;
use log::{Feed, Position, RelayError};

use testkit::eventually;

use crate::world::{Note, PATIENCE, World, commit};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_refuses_to_lead_a_stream_whose_tail_the_log_does_not_have() {
    let world = World::start().await;
    let orders = world.log("orders", 4).await;
    let mut leader = world.relay(&orders).await.lead().await.unwrap();
    commit(&orders, 0..5).await;
    leader.step().await.unwrap();

    // Another database that is behind, and one that has gone on since.
    let restored = World::start().await;
    let past = restored.log("orders", 4).await;
    let relay = log::Relay::new(past.clone(), world.client().await, 64 << 20);
    for _ in 0..6 {
        let refusal = relay.lead().await.unwrap_err();
        assert!(matches!(&refusal, RelayError::UnknownTail { sequence: 5, .. }), "{refusal}");
        assert!(refusal.to_string().contains("restored to an earlier time"));
        commit(&past, [1]).await;
    }

    let running = restored.run(relay);
    jetstream::new(world.client().await).delete_stream("ORDERS").await.unwrap();
    let logged = restored.logged().await;
    eventually("the stream is filled from the log", PATIENCE, async || {
        world.published().await.len() == logged.len()
    })
    .await;
    crate::world::assert_chain(&world.published().await, &logged);
    running.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_notices_that_its_postgres_was_replaced_by_an_older_copy() {
    let world = World::start().await;
    let orders = world.log("orders", 4).await;
    commit(&orders, 0..3).await;
    let relay = world.relay(&orders).await;
    let mut leader = relay.lead().await.unwrap();
    leader.step().await.unwrap();
    let (name, copy) = (&world.db.name, format!("{}_copy", world.db.name));
    let leave =
        format!("select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}';");
    world.db.admin(&leave).await;
    world.db.admin(&format!("create database {copy} template {name}")).await;
    commit(&orders, 3..5).await;
    leader.step().await.unwrap();

    world.db.admin(&leave).await;
    world.db.admin(&format!("drop database {name} with (force)")).await;
    world.db.admin(&format!("alter database {copy} rename to {name}")).await;
    commit(&orders, 5..9).await;
    assert!(matches!(leader.step().await, Err(RelayError::Restarted)));
    assert!(matches!(relay.lead().await, Err(RelayError::UnknownTail { sequence: 5, .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listener_refuses_a_log_that_contradicts_what_it_applied() {
    let world = World::start().await;
    let (orders, inventory) = (world.log("orders", 4).await, world.log("inventory", 4).await);
    world.run(world.relay(&orders).await);
    let source = world.source(&orders).await;
    let listening = world.consume(&inventory, &source, Note::default());
    commit(&orders, 0..5).await;
    world.all_is_applied().await;
    listening.abort();

    // The source has other events now, and fills its stream with them.
    let applied: uuid::Uuid =
        sqlx::query_scalar("select event_id from inventory.consumer_positions")
            .fetch_one(&world.admin)
            .await
            .unwrap();
    let other = World::start().await;
    let past = other.log("orders", 4).await;
    other.run(other.relay(&past).await);
    commit(&past, 0..8).await;
    other.all_is_published().await;
    let source = other.source(&past).await;
    for stream_sequence in [0, 5, 100] {
        let position = Position { stream_sequence, log_id: 5, event_id: applied };
        let mut feed = Feed::open(&source, position).await.unwrap();
        let refusal = feed.next(position).await.unwrap_err().to_string();
        assert!(refusal.contains("restored to an earlier time"), "{refusal}");
    }
    let skipped = Position { stream_sequence: 3, log_id: 4, event_id: other.logged().await[3].1 };
    let mut feed = Feed::open(&source, skipped).await.unwrap();
    assert_eq!(feed.next(skipped).await.unwrap()[0].previous, 4);
}
