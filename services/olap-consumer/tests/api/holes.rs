//! Streams that have lost events: what they lack is fetched from the sources' logs.

use std::sync::Arc;

use async_nats::jetstream;

use crate::{
    folder, model,
    shop::{Consumer, SOURCES, Shop, client, still},
    trade::{ended, trade},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuild_from_holey_streams_equals_what_was_counted_as_it_came() {
    let shop = Shop::start().await;
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let clock = still();
    let live = Consumer::start(shop.config(dir.path(), &[]), Arc::clone(&clock)).await;
    ended(trade(&shop, 200, 19)).await;
    shop.caught_up(dir.path()).await;

    let context = jetstream::new(client(&shop.nats.url()).await);
    for source in SOURCES {
        let mut stream = context.get_stream(source.to_uppercase()).await.unwrap();
        let before = stream.cached_info().state.messages;
        // The oldest half, and some in the middle of the rest.
        stream.purge().sequence(before / 2).await.unwrap();
        for place in before * 3 / 4..before * 3 / 4 + 20 {
            stream.delete_message(place).await.unwrap();
        }
        let after = stream.info().await.unwrap().state.messages;
        assert!(after + 20 <= before / 2 + 2, "{source}: {after} of {before}");
    }
    let rebuilding = Consumer::start(shop.config(other.path(), &[]), clock).await;
    // Both go on while it catches up.
    ended(trade(&shop, 30, 20)).await;
    shop.caught_up(other.path()).await;
    shop.caught_up(dir.path()).await;
    live.stop().await;
    rebuilding.stop().await;
    let (manifest, tables) = folder::read(dir.path());
    assert_eq!(tables, model::tables(&shop, &manifest).await);
    let (rebuilt, again) = folder::read(other.path());
    assert_eq!(again, tables);
    let at = |manifest: &manifest::Manifest| -> Vec<(i64, uuid::Uuid)> {
        manifest.positions.values().map(|at| (at.log_id, at.event_id)).collect()
    };
    assert_eq!(at(&rebuilt), at(&manifest));
    assert_eq!(rebuilt.event_time, manifest.event_time);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bus_that_is_wiped_or_away_costs_nothing_but_time() {
    let mut shop = Shop::start().await;
    let dir = tempfile::tempdir().unwrap();
    let consumer = shop.consume(dir.path()).await;
    ended(trade(&shop, 30, 21)).await;
    shop.caught_up(dir.path()).await;
    consumer.is_ready_soon().await;
    shop.nats.kill();
    consumer.is_not_ready_soon().await;
    ended(trade(&shop, 10, 22)).await;
    shop.nats.restart().await;
    consumer.is_ready_soon().await;
    shop.caught_up(dir.path()).await;
    shop.nats.wipe().await;
    ended(trade(&shop, 10, 23)).await;
    shop.caught_up(dir.path()).await;
    consumer.is_ready_soon().await;
    consumer.stop().await;
    let (manifest, tables) = folder::read(dir.path());
    assert_eq!(tables, model::tables(&shop, &manifest).await);
}
