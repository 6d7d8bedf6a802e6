//! A disk that takes nothing: what is counted waits in memory, and is written once it can be.

use std::{fs, os::unix::fs::symlink, process::Command, time::Duration};

use manifest::Manifest;
use proto::events::v1::ProductCreated;
use testkit::{eventually, refusal};
use tonic::Code;

use crate::{
    folder, model,
    shop::{Consumer, PATIENCE, SOURCES, Shop, Spawned, still},
    trade::{Trade, ended, event, new_id, placed, trade},
};

/// While a folder has a file's temporary name, the file cannot be written, not even by root.
async fn nothing_is_lost_while(blocked: impl Fn(u64) -> String) {
    let shop = Shop::start().await;
    let dir = tempfile::tempdir().unwrap();
    let consumer = Consumer::start(shop.config(dir.path(), &[]), still()).await;
    for source in SOURCES {
        Trade::new(source, 9).go_on(&shop, 10).await;
    }
    let before = shop.caught_up(dir.path()).await;
    consumer.is_ready_soon().await;

    let block = dir.path().join(blocked(before.version + 1));
    fs::create_dir(&block).unwrap();
    let data = ProductCreated { sku: "new".to_owned(), ..Default::default() };
    shop.publish("inventory", &[event("product.created", "new", &data)]).await;
    consumer.is_not_ready_soon().await;
    ended(trade(&shop, 30, 10)).await;
    let refused = refusal(consumer.flush().await);
    refused.is(Code::Unavailable, "NOT_WRITTEN");
    assert_eq!(refused.message, "the materializations cannot be written now");
    assert_eq!(consumer.manifest().await.unwrap().version, i64::try_from(before.version).unwrap());
    // What was there stays there, whole.
    let (manifest, tables) = folder::read(dir.path());
    assert_eq!(manifest, before);
    assert_eq!(tables, model::tables(&shop, &manifest).await);

    fs::remove_dir(&block).unwrap();
    shop.caught_up(dir.path()).await;
    consumer.is_ready_soon().await;
    consumer.stop().await;
    let (manifest, tables) = folder::read(dir.path());
    assert_eq!(tables, model::tables(&shop, &manifest).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_while_the_manifest_cannot_be_written() {
    nothing_is_lost_while(|_| "manifest.json.tmp".to_owned()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_while_a_table_cannot_be_written() {
    nothing_is_lost_while(|version| format!("stock_snapshot.{version}.0.parquet.tmp")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_leaves_nothing_behind_and_loses_nothing() {
    let shop = Shop::start().await;
    let dir = tempfile::tempdir().unwrap();
    let consumer = shop.consume(dir.path()).await;
    let mut trades = SOURCES.map(|source| Trade::new(source, 11));
    for _ in 0..10 {
        let live = shop.caught_up(dir.path()).await;
        // Whoever writes there is told that the disk is full.
        let full = format!("open_invoices.{}.0.parquet.tmp", live.version + 1);
        symlink("/dev/full", dir.path().join(full)).unwrap();
        for trade in &mut trades {
            trade.go_on(&shop, 5).await;
        }
    }
    shop.caught_up(dir.path()).await;
    consumer.stop().await;
    let (manifest, tables) = folder::read(dir.path());
    assert_eq!(tables, model::tables(&shop, &manifest).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_the_disk_is_said_once() {
    let shop = Shop::start().await;
    let dir = tempfile::tempdir().unwrap();
    let said = tempfile::NamedTempFile::new().unwrap();
    let mut command = shop.command(dir.path(), "10");
    let mut child = Spawned(command.stderr(said.reopen().unwrap()).spawn().unwrap());
    let count = |text: &str| {
        let said = fs::read_to_string(said.path()).unwrap();
        said.lines().filter(|line| line.contains(text)).count()
    };
    eventually("the folder is open", PATIENCE, async || {
        Manifest::read(dir.path()).unwrap().is_some()
    })
    .await;
    let block = dir.path().join("manifest.json.tmp");
    fs::create_dir(&block).unwrap();
    shop.publish("orders", &[placed(&new_id(), 1, "2026-11-24T09:00:00Z")]).await;
    let wrong = "are not written: the manifest cannot be written";
    eventually("it is said", PATIENCE, async || count(wrong) > 0).await;
    // It is tried again and again meanwhile.
    tokio::time::sleep(Duration::from_secs(1)).await;
    fs::remove_dir(&block).unwrap();
    shop.caught_up(dir.path()).await;
    Command::new("kill").arg(child.0.id().to_string()).status().unwrap();
    assert!(child.0.wait().unwrap().success());
    assert_eq!((count(wrong), count("are written again")), (1, 1));
}
