//! What may be found in the folder, and what is made of it.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use manifest::Manifest;
use olap_consumer::Clock;
use testkit::{eventually, refusal};
use tonic::Code;

use crate::{
    folder, model,
    shop::{Consumer, PATIENCE, SOURCES, Shop, now, still},
    trade::{Trade, ended, new_id, placed, trade},
};

/// A folder in which some trade is counted, with nobody at work in it.
async fn written(shop: &Shop, clock: &Clock) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let consumer = Consumer::start(shop.config(dir.path(), &[]), Arc::clone(clock)).await;
    for source in SOURCES {
        Trade::new(source, 12).go_on(shop, 20).await;
    }
    shop.caught_up(dir.path()).await;
    consumer.stop().await;
    dir
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// A file, what is in it instead, and settings of the consumer that finds it so.
type Damage = (String, Option<Vec<u8>>, &'static [&'static str]);

fn contents(folder: &Path) -> BTreeSet<(PathBuf, Vec<u8>)> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_process_left_half_done_is_no_harm() {
    let shop = Shop::start().await;
    let clock = still();
    let dir = written(&shop, &clock).await;
    let version = Manifest::read(dir.path()).unwrap().unwrap().version;
    let leave = |name: &str| fs::write(dir.path().join(name), b"PAR1 and no more").unwrap();
    let next = format!("sales_by_hour.{}.0.parquet", version + 1);
    let beside = format!("ar_ageing.{}.0.parquet.tmp", version + 1);
    for name in [&next, &beside, "manifest.json.tmp", "notes.txt", "mine.parquet"] {
        leave(name);
    }
    let consumer = Consumer::start(shop.config(dir.path(), &[]), clock).await;
    consumer.is_ready_soon().await;
    let is_there = |name: &str| dir.path().join(name).exists();
    assert!(!is_there(&beside) && !is_there("manifest.json.tmp"));
    shop.publish("orders", &[placed(&new_id(), 1, "2026-11-24T09:00:00Z")]).await;
    let manifest = shop.caught_up(dir.path()).await;
    assert!(manifest.files.iter().any(|file| file.path == next), "the name is used again");
    ended(trade(&shop, 20, 13)).await;
    shop.caught_up(dir.path()).await;
    consumer.stop().await;
    let (manifest, tables) = folder::read(dir.path());
    assert_eq!(tables, model::tables(&shop, &manifest).await);
    assert!(is_there("notes.txt") && is_there("mine.parquet"), "what is not ours stays");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_trusted_is_refused_until_it_is_deleted_and_counted_anew() {
    let shop = Shop::start().await;
    let clock = still();
    let good = written(&shop, &clock).await;
    let manifest = Manifest::read(good.path()).unwrap().unwrap();
    let victim = |table: &str| manifest.files_of(table).next().unwrap().path.clone();
    let json = fs::read_to_string(good.path().join("manifest.json")).unwrap();
    let edited = |from: &str, to: &str| {
        assert!(json.contains(from), "{from}");
        json.replace(from, to).into_bytes()
    };
    let saved: serde_json::Value = serde_json::from_str(&json).unwrap();
    let format = saved["olap_consumer"]["format"].as_u64().unwrap();
    let told = |format: u64| format!("\"format\":{format}");
    let mut flipped = fs::read(good.path().join(victim("open_invoices"))).unwrap();
    flipped[40] ^= 1;
    let damages: [Damage; 7] = [
        (victim("open_invoices"), Some(flipped), &[]),
        (victim("sales_by_hour"), Some(b"PAR1".to_vec()), &[]),
        (victim("stock_snapshot"), None, &[]),
        ("manifest.json".to_owned(), Some(json.as_bytes()[..json.len() / 2].to_vec()), &[]),
        ("manifest.json".to_owned(), Some(edited(&told(format), &told(format + 1))), &[]),
        (
            "manifest.json".to_owned(),
            Some(edited("\"stock_snapshot\"", "\"stock_movements\"")),
            &[],
        ),
        (
            "manifest.json".to_owned(),
            Some(json.clone().into_bytes()),
            &["--time-zone", "Asia/Tokyo"],
        ),
    ];
    for (number, (name, bytes, arguments)) in damages.into_iter().enumerate() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("olap");
        copy(good.path(), &dir);
        match bytes {
            Some(bytes) => fs::write(dir.join(&name), bytes).unwrap(),
            None => fs::remove_file(dir.join(&name)).unwrap(),
        }
        let damaged = contents(&dir);
        let consumer = Consumer::start(shop.config(&dir, arguments), Arc::clone(&clock)).await;
        eventually("it answers", PATIENCE, async || {
            consumer.manifest().await.is_err_and(|status| status.message().contains("not open"))
        })
        .await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        refusal(consumer.manifest().await).is(Code::Unavailable, "NOT_OPEN");
        refusal(consumer.flush().await).is(Code::Unavailable, "NOT_OPEN");
        refusal(consumer.start_rebuild(false).await).is(Code::Unavailable, "NOT_OPEN");
        assert!(!consumer.is_ready().await, "damage {number}");
        assert_eq!(contents(&dir), damaged, "damage {number}: nothing is touched");

        fs::remove_dir_all(&dir).unwrap();
        shop.caught_up(&dir).await;
        consumer.stop().await;
        if arguments.is_empty() {
            assert_eq!(folder::read(&dir).1, folder::read(good.path()).1, "damage {number}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_that_is_deleted_or_put_back_under_way_is_counted_from_what_is_there() {
    let shop = Shop::start().await;
    let root = tempfile::tempdir().unwrap();
    let (dir, old) = (root.path().join("olap"), root.path().join("old"));
    let consumer = shop.consume(&dir).await;
    let mut trades = SOURCES.map(|source| Trade::new(source, 14));
    let mut go_on = async |sources: usize| {
        for trade in &mut trades[..sources] {
            trade.go_on(&shop, 10).await;
        }
        shop.caught_up(&dir).await;
        let (manifest, tables) = folder::read(&dir);
        assert_eq!(tables, model::tables(&shop, &manifest).await);
        manifest
    };
    // Many more versions than it takes to count all of it at once.
    let mut before = go_on(4).await;
    while before.version < 20 {
        before = go_on(4).await;
    }
    fs::remove_dir_all(&dir).unwrap();
    eventually("it is counted anew", PATIENCE, async || {
        let found = Manifest::read(&dir);
        found.is_ok_and(|found| found.is_some_and(|found| found.version < before.version))
    })
    .await;
    go_on(4).await;
    copy(&dir, &old);
    go_on(4).await;
    for entry in fs::read_dir(&dir).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    copy(&old, &dir);
    // The tables of the others must be counted again, too.
    go_on(1).await;
    go_on(4).await;
    consumer.is_ready_soon().await;
    consumer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_one_process_writes_into_a_folder() {
    let shop = Shop::start().await;
    let root = tempfile::tempdir().unwrap();
    let (dir, aside) = (root.path().join("olap"), root.path().join("aside"));
    let mut config = shop.config(&dir, &[]);
    config.flush_interval_ms = 1000;
    let first = Consumer::start(config, Arc::new(now)).await;
    first.is_ready_soon().await;
    // A copy in its place, though equal, is another folder, which is held as well.
    fs::rename(&dir, &aside).unwrap();
    copy(&aside, &dir);
    eventually("the first holds the copy", PATIENCE, async || {
        File::open(&dir).unwrap().try_lock().is_err()
    })
    .await;
    let second = shop.consume(&dir).await;
    ended(trade(&shop, 20, 15)).await;
    shop.caught_up(&dir).await;
    refusal(second.manifest().await).is(Code::Unavailable, "NOT_OPEN");
    first.is_ready_soon().await;
    assert!(!second.is_ready().await);
    first.stop().await;
    second.is_ready_soon().await;
    ended(trade(&shop, 20, 16)).await;
    shop.caught_up(&dir).await;
    second.stop().await;
    let (manifest, tables) = folder::read(&dir);
    assert_eq!(tables, model::tables(&shop, &manifest).await);
}
