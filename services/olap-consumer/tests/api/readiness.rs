use std::{fs, sync::Arc};

use manifest::Manifest;

use crate::{
    folder, model,
    shop::{Consumer, Shop, now, still},
    trade::{ended, trade},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_whose_log_does_not_have_what_was_counted_is_not_followed() {
    let (shop, other) = (Shop::start().await, Shop::start().await);
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("olap");
    let clock = still();
    let consumer = Consumer::start(shop.config(&dir, &[]), Arc::clone(&clock)).await;
    ended(trade(&shop, 20, 24)).await;
    shop.caught_up(&dir).await;
    consumer.stop().await;
    let before = folder::read(&dir);

    // As after a restore from a backup of before: the log has other events at these places.
    ended(trade(&other, 30, 25)).await;
    let consumer = Consumer::start(other.config(&dir, &[]), clock).await;
    consumer.is_not_ready_soon().await;
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    assert!(!consumer.is_ready().await);
    let after = folder::read(&dir);
    assert_eq!((&after.0.positions, &after.1), (&before.0.positions, &before.1));

    fs::remove_dir_all(&dir).unwrap();
    other.caught_up(&dir).await;
    consumer.is_ready_soon().await;
    consumer.stop().await;
    let (manifest, tables) = folder::read(&dir);
    assert_eq!(tables, model::tables(&other, &manifest).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_is_shorter_than_what_was_counted_is_not_followed() {
    let (shop, other) = (Shop::start().await, Shop::start().await);
    let dir = tempfile::tempdir().unwrap();
    let consumer = shop.consume(dir.path()).await;
    ended(trade(&shop, 20, 26)).await;
    shop.caught_up(dir.path()).await;
    consumer.stop().await;
    let before = Manifest::read(dir.path()).unwrap().unwrap();
    ended(trade(&other, 2, 26)).await;
    let consumer = other.consume(dir.path()).await;
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    assert!(!consumer.is_ready().await);
    consumer.stop().await;
    let after = Manifest::read(dir.path()).unwrap().unwrap();
    assert_eq!(after.positions, before.positions);
}

/// The service and NATS go on, and the log says nothing of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_is_restored_to_an_earlier_time_meanwhile_is_followed_no_further() {
    let shop = Shop::start().await;
    let dir = tempfile::tempdir().unwrap();
    let consumer = shop.consume(dir.path()).await;
    ended(trade(&shop, 20, 29)).await;
    shop.caught_up(dir.path()).await;
    consumer.is_ready_soon().await;
    let newest = shop.newest().await["orders"];
    shop.forget("orders", newest).await;
    consumer.is_not_ready_soon().await;
    consumer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn services_that_are_away_are_followed_by_their_streams() {
    let shop = Shop::start().await;
    let dir = tempfile::tempdir().unwrap();
    let consumer = shop.consume(dir.path()).await;
    ended(trade(&shop, 20, 27)).await;
    shop.caught_up(dir.path()).await;
    consumer.stop().await;

    let mut config = shop.config(dir.path(), &[]);
    let nobody = "http://127.0.0.1:9";
    let urls = [&mut config.orders_url, &mut config.inventory_url];
    for url in urls.into_iter().chain([&mut config.billing_url, &mut config.ledger_url]) {
        nobody.clone_into(url);
    }
    let consumer = Consumer::start(config, Arc::new(now)).await;
    consumer.is_ready_soon().await;
    ended(trade(&shop, 20, 28)).await;
    shop.caught_up(dir.path()).await;
    consumer.stop().await;
    let (manifest, tables) = folder::read(dir.path());
    assert_eq!(tables, model::tables(&shop, &manifest).await);
}
