//! What is counted once more from the logs equals what was counted as it came, is told where it does not, and takes its place unnoticed.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use manifest::Manifest;
use proto::{
    events::v1::OrderPlaced,
    olap::v1::{
        self as pb, StartRebuildRequest,
        materializations_service_client::MaterializationsServiceClient, rebuild::State,
    },
};
use testkit::{Dice, Port, eventually, refusal};
use tonic::Code;

use crate::{
    at_once::{Door, door},
    folder, model,
    shop::{Consumer, Lives, PATIENCE, SOURCES, Shop, Spawned, now, still},
    trade::{Lasting, Trade, ended, event, new_id, order, placed, trade},
};

/// Nothing that was counted beside is left.
fn nothing_is_beside(dir: &Path) {
    assert!(!dir.join("rebuild").exists() && !dir.join("trace").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_live_is_proved_to_be_what_the_logs_say() {
    let shop = Shop::start().await;
    let dir = tempfile::tempdir().unwrap();
    let mut config = shop.config(dir.path(), &[]);
    let (orders, url) = door(&shop, "orders").await;
    config.orders_url = url;
    let consumer = Consumer::start(config, still()).await;
    consumer.is_ready_soon().await;
    refusal(consumer.newest_rebuild().await).is(Code::NotFound, "REBUILD_NOT_FOUND");
    ended(trade(&shop, 60, 40)).await;
    let before = shop.caught_up(dir.path()).await;
    // It lasts until it has read the orders.
    orders.send_replace(Door::Shut);
    let begun = consumer.start_rebuild(true).await.unwrap();
    assert_eq!((begun.rebuild_id, begun.verify_only, begun.state()), (1, true, State::Counting));
    refusal(consumer.start_rebuild(false).await).is(Code::FailedPrecondition, "REBUILD_UNDER_WAY");
    orders.send_replace(Door::Open);
    let found = consumer.rebuilt().await;
    assert_eq!((found.state(), found.error.as_str()), (State::Done, ""));
    assert_eq!((found.difference_count, &found.differences), (0, &vec![]));
    assert_eq!((found.first_event, found.version), (None, 0));
    assert_eq!(found.counted_events, found.total_events);
    let newest: i64 = shop.newest().await.values().sum();
    assert_eq!(found.total_events, newest);
    let each = found.sources.iter().map(|of| (of.source.as_str(), of.counted_events));
    assert_eq!(each.collect::<BTreeMap<_, _>>(), shop.newest().await);
    assert_eq!(found.compared_version, i64::try_from(before.version).unwrap());
    assert_eq!(Manifest::read(dir.path()).unwrap().unwrap(), before, "nothing live was written");
    // What was written beside counts as written, too.
    let written = consumer.manifest().await.unwrap().written_bytes;
    let live: u64 = before.files.iter().map(|file| file.size_bytes).sum();
    consumer.start_rebuild(true).await.unwrap();
    consumer.rebuilt().await;
    let more = consumer.manifest().await.unwrap().written_bytes - written;
    assert!(more.unsigned_abs() >= live, "{more} bytes of {live}");
    nothing_is_beside(dir.path());
    consumer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuild_takes_the_place_of_what_is_live_while_events_arrive() {
    let shop = Shop::start().await;
    let dir = tempfile::tempdir().unwrap();
    // Small, so that it is written, forgotten and fetched again many times.
    let small = ["--flush-rows", "100"];
    let consumer = Consumer::start(shop.config(dir.path(), &small), Arc::new(now)).await;
    consumer.is_ready_soon().await;
    ended(trade(&shop, 80, 41)).await;
    let mut swapped = Vec::new();
    let mut seen: BTreeMap<u64, Manifest> = BTreeMap::new();
    for round in 0..3 {
        let mut trading = Lasting::start(&shop, 150, 42 + 10 * round);
        consumer.start_rebuild(false).await.unwrap();
        let mut newest = pb::Rebuild::default();
        let enough = 4 * (usize::try_from(round).unwrap() + 1);
        while newest.end_time.is_none() || !trading.has_ended() || seen.len() < enough {
            if seen.len() < enough {
                trading.go_on().await;
            }
            // Whatever is found at any time is whole, and no older than what was found before.
            let (manifest, tables) = folder::read(dir.path());
            if !seen.contains_key(&manifest.version) {
                assert_eq!(tables, model::tables(&shop, &manifest).await);
            }
            if let Some((version, last)) = seen.last_key_value() {
                assert!(*version <= manifest.version);
                for (source, at) in &last.positions {
                    assert!(at.log_id <= manifest.positions[source].log_id, "{source} goes back");
                }
            }
            seen.insert(manifest.version, manifest);
            newest = consumer.newest_rebuild().await.unwrap();
            consumer.manifest().await.unwrap();
        }
        trading.end().await;
        assert_eq!((newest.state(), newest.error.as_str()), (State::Done, ""));
        assert_eq!((newest.difference_count, newest.first_event), (0, None));
        assert!(newest.version > newest.compared_version);
        swapped.push(newest.version);
    }
    assert!(swapped.is_sorted_by(|a, b| a < b), "{swapped:?}");
    shop.caught_up(dir.path()).await;
    nothing_is_beside(dir.path());
    consumer.is_ready_soon().await;
    consumer.stop().await;
    let (manifest, tables) = folder::read(dir.path());
    assert_eq!(tables, model::tables(&shop, &manifest).await);
    assert_eq!(tables.len(), 10);

    // And it is gone on with.
    let consumer = shop.consume(dir.path()).await;
    ended(trade(&shop, 20, 50)).await;
    shop.caught_up(dir.path()).await;
    consumer.stop().await;
    let (manifest, tables) = folder::read(dir.path());
    assert_eq!(tables, model::tables(&shop, &manifest).await);
}

/// The log of a source is made to say something else of an event.
async fn rewrite(shop: &Shop, source: &str, id: i64, path: &str, value: &str) {
    let statement = format!(
        "update {source}.events_log set payload = jsonb_set(payload, '{path}', '{value}') where id = {id}"
    );
    let mut tx = shop.admin.begin().await.unwrap();
    sqlx::query("set local session_replication_role = replica").execute(&mut *tx).await.unwrap();
    let changed = sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&mut *tx).await.unwrap();
    assert_eq!(changed.rows_affected(), 1);
    tx.commit().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_what_the_logs_say_is_told_with_its_event_and_put_right() {
    let shop = Shop::start().await;
    let dir = tempfile::tempdir().unwrap();
    let consumer = shop.consume(dir.path()).await;
    // Ten orders of an hour, all sums of it; the log of one is another later.
    let hour = "2026-11-24T09:30:00Z";
    let mut ids = Vec::new();
    for price in 1..=10 {
        shop.publish("orders", &[placed(&new_id(), price, hour)]).await;
        ids.push(shop.newest().await["orders"]);
    }
    shop.caught_up(dir.path()).await;
    rewrite(&shop, "orders", ids[6], "{data,total,amount}", "\"9.99\"").await;
    consumer.start_rebuild(true).await.unwrap();
    let found = consumer.rebuilt().await;
    assert_eq!((found.state(), found.error.as_str()), (State::Done, ""));
    assert_eq!(found.difference_count, 1);
    let row = &found.differences[0];
    assert_eq!(
        (row.table.as_str(), row.key.as_str()),
        ("sales_by_hour", "2026-11-24T09:00:00+00:00")
    );
    assert!(row.live.contains("total_amount 0.55, order_count 10"), "{}", row.live);
    assert!(row.counted.contains("total_amount 10.47, order_count 10"), "{}", row.counted);
    assert!(found.first_event.is_some());

    // A line tells its event; the rest of the order does not matter.
    let (one, line) = (new_id(), new_id());
    shop.publish("orders", &[order(&new_id(), &new_id(), 100), order(&one, &line, 200)]).await;
    let told = shop.newest().await["orders"];
    shop.publish("orders", &[order(&new_id(), &new_id(), 300)]).await;
    shop.caught_up(dir.path()).await;
    rewrite(&shop, "orders", told, "{data,lines,0,unitPrice,amount}", "\"7.00\"").await;
    consumer.start_rebuild(true).await.unwrap();
    let found = consumer.rebuilt().await;
    // The line, the hour, and its SKU's day and month.
    assert_eq!((found.state(), found.difference_count), (State::Done, 4), "{found:?}");
    let row = &found.differences[0];
    assert_eq!((row.table.as_str(), row.key.as_str()), ("order_facts", &*format!("{one} {line}")));
    assert!(row.live.contains("unit_price 2.00") && row.counted.contains("unit_price 7.00"));
    let first = found.first_event.unwrap();
    assert_eq!((first.source.as_str(), first.sequence), ("orders", told));
    assert_eq!((first.event_type.as_str(), first.subject.as_str()), ("order.placed", one.as_str()));
    assert_eq!(consumer.manifest().await.unwrap().version, found.compared_version);

    // The logs are right: a rebuild says the same, and puts it right.
    consumer.start_rebuild(false).await.unwrap();
    let found = consumer.rebuilt().await;
    assert_eq!((found.state(), found.difference_count), (State::Done, 4));
    assert!(found.version > found.compared_version);
    let sold = folder::lines(dir.path(), "sales_by_hour");
    assert_eq!(sold[0], "2026-11-24T09:00:00.000000Z|10.47|10");
    consumer.start_rebuild(true).await.unwrap();
    assert_eq!(consumer.rebuilt().await.difference_count, 0);
    nothing_is_beside(dir.path());
    consumer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_was_passed_over_is_named() {
    let shop = Shop::start().await;
    let dir = tempfile::tempdir().unwrap();
    let consumer = shop.consume(dir.path()).await;
    let hour = "2026-11-24T09:30:00Z";
    // What the log has of an event at first, the service cannot count; it is put right there later.
    let mut wrong = 0;
    for number in 1..=9_i64 {
        let mut one = placed(&new_id(), number, hour);
        if number == 5 {
            let data = OrderPlaced { order_id: new_id(), ..Default::default() };
            one = event("order.told_later", &new_id(), &data);
        }
        shop.publish("orders", &[one]).await;
        if number == 5 {
            wrong = shop.newest().await["orders"];
        }
    }
    shop.caught_up(dir.path()).await;
    rewrite(&shop, "orders", wrong, "{type}", "\"order.placed\"").await;
    let data = format!(
        r#"{{"orderId": "{}", "customerId": "{}", "total": {{"amount": "0.05", "currencyCode": "GBP"}}, "placeTime": "{hour}"}}"#,
        new_id(),
        new_id()
    );
    rewrite(&shop, "orders", wrong, "{data}", &data).await;
    consumer.start_rebuild(true).await.unwrap();
    let found = consumer.rebuilt().await;
    assert_eq!((found.state(), found.difference_count), (State::Done, 1), "{found:?}");
    assert_eq!(found.first_event.unwrap().sequence, wrong, "of nine that make up the sum");
    consumer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuild_that_fails_leaves_what_is_live() {
    let shop = Shop::start().await;
    let dir = tempfile::tempdir().unwrap();
    let consumer = Consumer::start(shop.config(dir.path(), &[]), still()).await;
    ended(trade(&shop, 20, 43)).await;
    shop.caught_up(dir.path()).await;
    let (before, tables) = folder::read(dir.path());
    // The log no longer knows the newest event that was counted.
    let newest = shop.newest().await["billing"];
    rewrite(&shop, "billing", newest, "{id}", &format!("\"{}\"", new_id())).await;
    consumer.start_rebuild(false).await.unwrap();
    let failed = consumer.rebuilt().await;
    assert_eq!(failed.state(), State::Failed);
    assert!(failed.error.starts_with("the log of billing does not have event"), "{}", failed.error);
    assert_eq!(folder::read(dir.path()), (before, tables));
    nothing_is_beside(dir.path());
    consumer.is_ready_soon().await;
    consumer.stop().await;
}

/// The real binary, and how to ask it.
pub(crate) struct Asked {
    pub(crate) child: Spawned,
    pub(crate) client: MaterializationsServiceClient<rpc::Client>,
    _port: Port,
}

impl Asked {
    fn spawn(shop: &Shop, folder: &Path) -> Self {
        Self::spawn_with(shop, folder, "20", "100")
    }

    /// With a time after which, and so many rows at which is written.
    pub(crate) fn spawn_with(shop: &Shop, folder: &Path, interval_ms: &str, rows: &str) -> Self {
        let port = Port::any().unwrap();
        let address = format!("127.0.0.1:{}", port.number());
        let mut command = shop.command(folder, interval_ms);
        command.env("BRAMBLE_GRPC_ADDR", &address).env("BRAMBLE_OLAP_FLUSH_ROWS", rows);
        let child = Spawned(command.spawn().unwrap());
        let channel = rpc::ClientConfig::default().client(&format!("http://{address}")).unwrap();
        Self { child, client: MaterializationsServiceClient::new(channel), _port: port }
    }

    async fn start_rebuild(&self) -> bool {
        let request = StartRebuildRequest { verify_only: false };
        self.client.clone().start_rebuild(request).await.is_ok()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuild_that_is_killed_at_any_instant_leaves_a_whole_version() {
    let shop = Shop::start().await;
    let dir = tempfile::tempdir().unwrap();
    let mut lives = Lives::new(44, Duration::from_millis(400));
    ended(trade(&shop, 60, 44)).await;
    let (mut kills, mut swaps, mut last, mut files) = (0, 0, 0, Vec::new());
    while kills < 25 || swaps < 5 {
        let consumer = Asked::spawn(&shop, dir.path());
        eventually("it rebuilds", PATIENCE, async || consumer.start_rebuild().await).await;
        for source in SOURCES {
            Trade::new(source, 100 + kills).go_on(&shop, 2).await;
        }
        lives.pass().await;
        drop(consumer.child);
        kills += 1;
        let Some(found) = Manifest::read(dir.path()).unwrap() else {
            lives.note(false);
            continue;
        };
        assert!(found.version >= last);
        let swapped =
            found.files.iter().any(|file| file.path.contains(".r") && !files.contains(file));
        swaps += u64::from(swapped);
        lives.note(swapped);
        (last, files) = (found.version, found.files);
        let (manifest, tables) = folder::read(dir.path());
        assert_eq!(tables, model::tables(&shop, &manifest).await, "kill {kills}");
    }
    // Whatever the last one has left beside is gone once the next one is at work.
    std::fs::create_dir_all(dir.path().join("rebuild")).unwrap();
    let consumer = shop.consume(dir.path()).await;
    consumer.is_ready_soon().await;
    shop.caught_up(dir.path()).await;
    nothing_is_beside(dir.path());
    consumer.start_rebuild(true).await.unwrap();
    assert_eq!(consumer.rebuilt().await.difference_count, 0);
    consumer.stop().await;
}

/// Makes a folder of the format before: without the tables that came later, and without the source of one of them.
fn make_old(dir: &Path) -> Manifest {
    let path = dir.join("manifest.json");
    let mut json: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    json["olap_consumer"]["format"] = 1.into();
    json["positions"].as_object_mut().unwrap().remove("ledger");
    let later = [
        "trial_balance",
        "stock_by_day",
        "order_facts",
        "sales_by_sku_day",
        "sales_by_sku_month",
        "receivables_by_day",
    ];
    let files: Vec<_> = json["files"].as_array().unwrap().clone();
    let (gone, stay): (Vec<_>, Vec<_>) =
        files.into_iter().partition(|file| later.contains(&file["table"].as_str().unwrap()));
    assert_eq!(gone.len(), later.len());
    for file in gone {
        std::fs::remove_file(dir.join(file["path"].as_str().unwrap())).unwrap();
    }
    json["files"] = stay.into();
    std::fs::write(path, serde_json::to_vec(&json).unwrap()).unwrap();
    Manifest::read(dir).unwrap().unwrap()
}

async fn old_folder(shop: &Shop) -> (tempfile::TempDir, Manifest) {
    let dir = tempfile::tempdir().unwrap();
    let consumer = shop.consume(dir.path()).await;
    ended(trade(shop, 60, 45)).await;
    shop.caught_up(dir.path()).await;
    consumer.stop().await;
    let old = make_old(dir.path());
    (dir, old)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_of_an_older_version_gains_what_is_new_by_itself() {
    let shop = Shop::start().await;
    let (dir, old) = old_folder(&shop).await;
    let trading = trade(&shop, 60, 46);
    let consumer = shop.consume(dir.path()).await;
    let mut versions = Vec::new();
    eventually("it is of this version", PATIENCE, async || {
        // Readers find the old one whole until there is the new one.
        let (manifest, tables) = folder::read(dir.path());
        versions.push((manifest.version, tables.len()));
        manifest.version > old.version
    })
    .await;
    let is_whole =
        |(version, tables): &(u64, usize)| *tables == if *version == old.version { 4 } else { 10 };
    assert!(versions.iter().all(is_whole), "{versions:?}");
    ended(trading).await;
    shop.caught_up(dir.path()).await;
    consumer.is_ready_soon().await;
    nothing_is_beside(dir.path());
    consumer.stop().await;
    let (manifest, tables) = folder::read(dir.path());
    assert_eq!(tables, model::tables(&shop, &manifest).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_folder_is_gone_on_with_however_often_the_process_is_killed() {
    let shop = Shop::start().await;
    let (dir, old) = old_folder(&shop).await;
    ended(trade(&shop, 1000, 47)).await;
    let dice = Dice::new(48);
    let beside: PathBuf = dir.path().join("rebuild/manifest.json");
    let is_old = || Manifest::read(dir.path()).unwrap().unwrap().version == old.version;
    let (mut kills, mut resumed) = (0, 0);
    while kills < 12 && is_old() {
        let child = Asked::spawn(&shop, dir.path());
        // Early, or once something is counted.
        let begun = if kills % 2 == 0 { beside.parent().unwrap() } else { &beside };
        eventually("it is counted anew", PATIENCE, async || begun.exists() || !is_old()).await;
        let micros = dice.roll(100_000);
        tokio::time::sleep(Duration::from_micros(micros)).await;
        drop(child);
        kills += 1;
        let (manifest, tables) = folder::read(dir.path());
        if manifest.version == old.version {
            resumed += u64::from(beside.exists());
            assert_eq!((manifest, tables.len()), (old.clone(), 4), "kill {kills}");
        } else {
            assert_eq!(tables, model::tables(&shop, &manifest).await, "kill {kills}");
        }
    }
    assert!(resumed > 0, "it was never killed half-way: {kills} kills");
    let child = Asked::spawn(&shop, dir.path());
    shop.caught_up(dir.path()).await;
    drop(child);
    let (manifest, tables) = folder::read(dir.path());
    assert_eq!(tables, model::tables(&shop, &manifest).await);
    assert_eq!(tables.len(), 10);
}

/// Between two lives of the process that counts an older folder anew, the sources were restored to an earlier time, and have gone on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_counted_beside_from_other_logs_is_not_gone_on_with() {
    let (before, shop) = (Shop::start().await, Shop::start().await);
    let (dir, _) = old_folder(&shop).await;
    let beside = dir.path().join("rebuild");
    let consumer = before.consume(&beside).await;
    ended(trade(&before, 20, 49)).await;
    before.caught_up(&beside).await;
    consumer.stop().await;

    let consumer = shop.consume(dir.path()).await;
    shop.caught_up(dir.path()).await;
    consumer.stop().await;
    let (manifest, tables) = folder::read(dir.path());
    assert_eq!(tables, model::tables(&shop, &manifest).await);
}
