//! The real binary, killed at any instant: each version that is found stands for exactly its positions, and the last one for everything.

use std::{
    collections::BTreeSet,
    process::Command,
    time::{Duration, Instant},
};

use manifest::Manifest;

use testkit::{Dice, eventually};

use crate::{
    folder, model,
    shop::{PATIENCE, Shop, Spawned},
    trade::{ended, trade},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_that_is_killed_at_any_instant_loses_and_doubles_nothing() {
    let shop = Shop::start().await;
    let dir = tempfile::tempdir().unwrap();
    let dice = Dice::new(6);
    let mut trading = trade(&shop, 200, 6);
    let (mut kills, mut versions) = (0, BTreeSet::new());
    let began = Instant::now();
    while kills < 40 || versions.len() < 13 {
        assert!(began.elapsed() < Duration::from_secs(300), "{kills} kills, {versions:?}");
        // On a fast machine, too, there is trade as long as there are kills.
        if trading.iter().all(tokio::task::JoinHandle::is_finished) {
            ended(trading).await;
            trading = trade(&shop, 200, 7 + kills);
        }
        let child = shop.spawn(dir.path());
        let micros = dice.roll(250_000);
        tokio::time::sleep(Duration::from_micros(20_000 + micros)).await;
        drop(child);
        kills += 1;
        if Manifest::read(dir.path()).unwrap().is_none() {
            continue;
        }
        let (manifest, tables) = folder::read(dir.path());
        if versions.insert(manifest.version) {
            assert_eq!(tables, model::tables(&shop, &manifest).await, "kill {kills}");
        }
    }
    ended(trading).await;
    let child = shop.spawn(dir.path());
    shop.caught_up(dir.path()).await;
    drop(child);
    let (manifest, tables) = folder::read(dir.path());
    assert_eq!(tables, model::tables(&shop, &manifest).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_has_what_is_counted_written() {
    let shop = Shop::start().await;
    let dir = tempfile::tempdir().unwrap();
    let mut child = Spawned(shop.command(dir.path(), "3600000").spawn().unwrap());
    eventually("the folder is open", PATIENCE, async || {
        Manifest::read(dir.path()).unwrap().is_some()
    })
    .await;
    ended(trade(&shop, 20, 7)).await;
    // Nothing but the end shows what is counted in memory: it has this long to be.
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(Manifest::read(dir.path()).unwrap().unwrap().positions.is_empty());
    let told = Command::new("kill").arg(child.0.id().to_string()).status().unwrap();
    assert!(told.success() && child.0.wait().unwrap().success());
    let (manifest, tables) = folder::read(dir.path());
    for (source, newest) in shop.newest().await {
        assert_eq!(manifest.positions[source].log_id, newest);
    }
    assert_eq!(tables, model::tables(&shop, &manifest).await);
}
