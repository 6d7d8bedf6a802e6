use std::{collections::BTreeSet, fs, path::Path, sync::Arc};

use futures::future::{join, join_all};
use manifest::Manifest;
use olap_consumer::Clock;
use testkit::eventually;
use tokio::{sync::Mutex, task::block_in_place};

use crate::{
    folder,
    shop::{Consumer, PATIENCE, Shop, now, still},
    trade::{Lasting, ended, issued, new_id, placed, trade},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_counted_is_on_the_disk_when_the_call_returns() {
    let shop = Shop::start().await;
    let dir = tempfile::tempdir().unwrap();
    let mut config = shop.config(dir.path(), &[]);
    config.flush_interval_ms = 3_600_000;
    let consumer = Consumer::start(config, still()).await;
    consumer.is_ready_soon().await;
    assert_eq!(consumer.flush().await.unwrap(), 1, "nothing is counted yet");
    ended(trade(&shop, 20, 17)).await;
    let newest = shop.newest().await;
    eventually("all is counted", PATIENCE, async || {
        let version = consumer.flush().await.unwrap();
        let found = Manifest::read(dir.path()).unwrap().unwrap();
        assert_eq!(i64::try_from(found.version).unwrap(), version);
        newest.iter().all(|(source, id)| {
            found.positions.get(*source).is_some_and(|position| position.log_id == *id)
        })
    })
    .await;
    let (last, _) = folder::read(dir.path());
    let version = consumer.flush().await.unwrap();
    assert_eq!(version, i64::try_from(last.version).unwrap(), "there was nothing to write");

    let told = consumer.manifest().await.unwrap();
    assert_eq!(told.version, version);
    assert_eq!(told.write_time, Some(rpc::to_time(last.written_at)));
    let positions: Vec<_> =
        told.positions.iter().map(|at| (at.source.as_str(), at.sequence)).collect();
    assert_eq!(
        positions,
        newest.into_iter().collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>()
    );
    let files = |path: &String, rows: u64| (path.clone(), i64::try_from(rows).unwrap());
    let named: Vec<_> = last.files.iter().map(|file| files(&file.path, file.row_count)).collect();
    let shown: Vec<_> = told.files.iter().map(|file| (file.path.clone(), file.row_count)).collect();
    assert_eq!(shown, named);
    consumer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_at_once_share_a_write() {
    let shop = Shop::start().await;
    let dir = tempfile::tempdir().unwrap();
    // While somebody holds it nobody learns what time it is, and so no write begins.
    let hands = Arc::new(Mutex::new(()));
    let held = Arc::clone(&hands);
    let clock: Clock = Arc::new(move || {
        block_in_place(|| drop(held.blocking_lock()));
        now()
    });
    let consumer = Consumer::start(shop.config(dir.path(), &[]), clock).await;
    consumer.is_ready_soon().await;
    let mut trading = Lasting::start(&shop, 100, 18);
    let mut calls = 0;
    let first = consumer.flush().await.unwrap();
    while !trading.has_ended() || calls < 300 {
        trading.go_on().await;
        let held = hands.lock().await;
        let go_on = async {
            // They have come when one that came after them is answered.
            consumer.manifest().await.unwrap();
            drop(held);
        };
        let (answers, ()) = join(join_all((0..100).map(|_| consumer.flush())), go_on).await;
        calls += answers.len();
        let versions: BTreeSet<i64> = answers.into_iter().map(Result::unwrap).collect();
        assert!(versions.len() <= 10, "{versions:?}");
    }
    trading.end().await;
    let last = consumer.flush().await.unwrap();
    let written = usize::try_from(last - first).unwrap();
    assert!(written < calls / 5, "{written} versions of {calls} calls");
    consumer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_written_are_those_of_the_files() {
    let shop = Shop::start().await;
    let dir = tempfile::tempdir().unwrap();
    let consumer = shop.consume(dir.path()).await;
    // As told with the version that is on the disk.
    let written = async || {
        let version = Manifest::read(dir.path()).unwrap().unwrap().version;
        let mut bytes = 0;
        eventually("it tells of the version", PATIENCE, async || {
            let told = consumer.manifest().await.unwrap();
            bytes = u64::try_from(told.written_bytes).unwrap();
            told.version == i64::try_from(version).unwrap()
        })
        .await;
        bytes
    };
    let json_bytes = || fs::metadata(dir.path().join("manifest.json")).unwrap().len();
    shop.caught_up(dir.path()).await;
    let mut expected = json_bytes();
    assert_eq!(written().await, expected);
    for _ in 0..3 {
        let before = Manifest::read(dir.path()).unwrap().unwrap();
        shop.publish("orders", &[placed(&new_id(), 1, "2026-11-24T09:00:00Z")]).await;
        let manifest = shop.caught_up(dir.path()).await;
        let new = manifest.files.iter().filter(|file| !before.files.contains(file));
        expected += new.map(|file| file.size_bytes).sum::<u64>() + json_bytes();
        assert_eq!(written().await, expected);
    }
    consumer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn much_is_written_before_it_is_time() {
    let shop = Shop::start().await;
    let dir = tempfile::tempdir().unwrap();
    let consumer = seldom(&shop, dir.path()).await;
    // Nobody asks for it, and the interval has not passed.
    for lot in 0..3 {
        let version = || Manifest::read(dir.path()).unwrap().unwrap().version;
        let before = version();
        ended(trade(&shop, 100, 52 + lot)).await;
        eventually("a lot is written", PATIENCE, async || version() > before).await;
    }
    let rows = || folder::lines(dir.path(), "order_facts").len();
    eventually("some is written", PATIENCE, async || rows() >= 100).await;
    let newest = shop.newest().await;
    eventually("all is counted", PATIENCE, async || {
        consumer.flush().await.unwrap();
        let found = Manifest::read(dir.path()).unwrap().unwrap();
        let counted = |source: &str| found.positions.get(source).map_or(0, |at| at.log_id);
        newest.iter().all(|(source, id)| counted(source) == *id)
    })
    .await;
    consumer.stop().await;
    let (manifest, tables) = folder::read(dir.path());
    assert_eq!(tables, crate::model::tables(&shop, &manifest).await);
    assert!(manifest.version >= 4, "{}", manifest.version);
}

/// Writes only when a hundred rows wait.
async fn seldom(shop: &Shop, folder: &Path) -> Consumer {
    let mut config = shop.config(folder, &["--flush-rows", "100"]);
    config.flush_interval_ms = 3_600_000;
    let consumer = Consumer::start(config, Arc::new(now)).await;
    consumer.is_ready_soon().await;
    eventually("the first version is written", PATIENCE, async || {
        Manifest::read(folder).unwrap().is_some()
    })
    .await;
    consumer
}

/// Each to a customer of its own.
async fn issue(shop: &Shop, invoices: i64) {
    let invoices: Vec<_> =
        (1..=invoices).map(|owed| issued(&new_id(), owed, "2026-12-24")).collect();
    shop.publish("billing", &invoices).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_debts_are_written_before_it_is_time() {
    let shop = Shop::start().await;
    let dir = tempfile::tempdir().unwrap();
    let consumer = seldom(&shop, dir.path()).await;
    issue(&shop, 99).await;
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let debts = || folder::lines(dir.path(), "receivables_by_day").len();
    assert_eq!(debts(), 0, "so many may wait");
    issue(&shop, 100).await;
    eventually("they are written", PATIENCE, async || debts() >= 100).await;
    consumer.stop().await;
    assert_eq!(debts(), 199);
}
