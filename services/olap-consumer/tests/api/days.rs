//! Business days that turn over by the calendar, at the hands of a clock that the tests set.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use chrono::{DateTime, TimeDelta, Utc};
use manifest::Manifest;
use olap_consumer::Clock;

use testkit::{Dice, eventually};

use crate::{
    folder, model,
    shop::{Consumer, PATIENCE, Shop, now},
    trade::{cancelled, issued_data, new_id, order_at, placed},
};

#[derive(Clone)]
struct Hands(Arc<AtomicI64>);

impl Hands {
    fn at(time: &str) -> Self {
        let hands = Self(Arc::default());
        hands.set(time);
        hands
    }

    fn set(&self, time: &str) {
        self.turn(time.parse().unwrap());
    }

    fn turn(&self, time: DateTime<Utc>) {
        self.0.store(time.timestamp_micros(), Ordering::Relaxed);
    }

    fn clock(&self) -> Clock {
        let micros = Arc::clone(&self.0);
        Arc::new(move || DateTime::from_timestamp_micros(micros.load(Ordering::Relaxed)).unwrap())
    }
}

async fn issue(shop: &Shop, owed: i64, due: &str, at: &str) {
    let id = new_id();
    let data = serde_json::to_value(issued_data(&id, owed, due)).unwrap();
    shop.publish_at("billing", "invoice.issued", &id, at, data).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_day_turns_over_where_the_business_is_without_an_event_and_over_a_restart() {
    let shop = Shop::start().await;
    let dir = tempfile::tempdir().unwrap();
    let hands = Hands::at("2026-10-24T20:00:00Z");
    let start = || Consumer::start(shop.config(dir.path(), &[]), hands.clock());
    let rows = || folder::lines(dir.path(), "ar_ageing");
    let are = async |expected: &[&str]| {
        eventually(&format!("{expected:?}"), PATIENCE, async || rows() == expected).await;
    };

    let consumer = start().await;
    issue(&shop, 700, "2026-09-25", "2026-10-24T19:30:00Z").await;
    are(&["7.00|0.00|0.00|7.00|2026-10-24T19:30:00.000000Z|0.00|0.00"]).await;
    hands.set("2026-10-24T22:59:59.999999Z");
    shop.caught_up(dir.path()).await;
    assert_eq!(rows().len(), 1);

    // Midnight in London; the clocks go back that night.
    hands.set("2026-10-24T23:00:00Z");
    let first = "7.00|0.00|0.00|7.00|2026-10-24T22:59:59.999999Z|0.00|0.00";
    let second = "7.00|0.00|0.00|7.00|2026-10-24T23:00:00.000000Z|0.00|0.00";
    are(&[first, second]).await;
    // What happens elsewhere moves no day of what is owed.
    let order = placed(&new_id(), 1, "2026-10-25T12:00:00Z");
    shop.publish("orders", &[order]).await;
    shop.caught_up(dir.path()).await;
    consumer.stop().await;

    // 31 days late now; and the day before lasted until an hour later.
    hands.set("2026-10-26T00:00:00Z");
    let consumer = start().await;
    let second = "7.00|0.00|0.00|7.00|2026-10-25T23:59:59.999999Z|0.00|0.00";
    let third = "0.00|7.00|0.00|7.00|2026-10-26T00:00:00.000000Z|0.00|0.00";
    are(&[third, first, second]).await;

    // Logged on the first day, arrived on the third: each day is put right.
    issue(&shop, 100, "2026-10-24", "2026-10-24T22:00:00Z").await;
    let first = "7.00|0.00|0.00|8.00|2026-10-24T22:59:59.999999Z|1.00|0.00";
    let second = "8.00|0.00|0.00|8.00|2026-10-25T23:59:59.999999Z|0.00|0.00";
    let third = "1.00|7.00|0.00|8.00|2026-10-26T00:00:00.000000Z|0.00|0.00";
    are(&[third, first, second]).await;

    // An event of the third day closes those before: one of the first day counts today.
    issue(&shop, 10, "2026-10-26", "2026-10-26T00:00:00.000001Z").await;
    issue(&shop, 1, "2026-10-26", "2026-10-24T22:00:00Z").await;
    let third = "1.00|7.00|0.00|8.11|2026-10-26T00:00:00.000001Z|0.11|0.00";
    are(&[third, first, second]).await;
    // Days that turned without an event are the same to whoever counts them later.
    hands.set("2026-10-29T12:00:00Z");
    eventually("three more", PATIENCE, async || rows().len() == 6).await;
    consumer.start_rebuild(true).await.unwrap();
    let found = consumer.rebuilt().await;
    assert_eq!((found.difference_count, found.error.as_str()), (0, ""));
    let (manifest, tables) = folder::read(dir.path());
    assert_eq!(tables, model::tables(&shop, &manifest).await);
    consumer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn weeks_of_days_are_the_same_whether_counted_as_they_came_or_all_at_once() {
    let shop = Shop::start().await;
    let dir = tempfile::tempdir().unwrap();
    let dice = Dice::new(8);
    let mut time: DateTime<Utc> = "2027-03-20T12:00:00Z".parse().unwrap();
    let hands = Hands::at("2027-03-20T12:00:00Z");
    let mut consumer = Consumer::start(shop.config(dir.path(), &[]), hands.clock()).await;
    for step in 0..40 {
        // Some hours on, now and then an hour back.
        time += TimeDelta::minutes(dice.roll(1000) - 60);
        let due = (time.date_naive() + TimeDelta::days(dice.roll(150) - 120)).to_string();
        issue(&shop, dice.roll(10_000), &due, &time.to_rfc3339()).await;
        // The clock here is up to a day off, either way.
        hands.turn(time + TimeDelta::minutes(dice.roll(2880) - 1440));
        if step % 8 == 7 {
            shop.caught_up(dir.path()).await;
            let (manifest, tables) = folder::read(dir.path());
            assert_eq!(tables, model::tables(&shop, &manifest).await);
            consumer.stop().await;
            consumer = Consumer::start(shop.config(dir.path(), &[]), hands.clock()).await;
        }
    }
    let end = time + TimeDelta::days(2);
    hands.turn(end);
    eventually("the last day has begun", PATIENCE, async || {
        Manifest::read(dir.path()).unwrap().is_some_and(|found| found.written_at == end)
    })
    .await;
    consumer.stop().await;
    let (manifest, tables) = folder::read(dir.path());
    assert!(tables["ar_ageing"].len() > 10, "{:?}", tables["ar_ageing"]);
    assert_eq!(tables, model::tables(&shop, &manifest).await);

    let other = tempfile::tempdir().unwrap();
    let rebuilding = Consumer::start(shop.config(other.path(), &[]), hands.clock()).await;
    shop.caught_up(other.path()).await;
    rebuilding.stop().await;
    assert_eq!(folder::read(other.path()).1, tables);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stock_of_a_day_is_what_it_was_at_its_end_whenever_it_is_counted() {
    let shop = Shop::start().await;
    let dir = tempfile::tempdir().unwrap();
    let hands = Hands::at("2026-10-27T12:00:00Z");
    let consumer = Consumer::start(shop.config(dir.path(), &[]), hands.clock()).await;
    let set = async |on_hand: i64, at: &str| {
        let data =
            serde_json::json!({"levels": [{"sku": "one", "onHand": on_hand, "reserved": 1}]});
        shop.publish_at("inventory", "stock.adjusted", "s", at, data).await;
    };
    // 23:30 in London; half an hour later it is the next day there, not in UTC.
    set(5, "2026-10-24T22:30:00Z").await;
    set(6, "2026-10-24T23:00:00Z").await;
    // Late: logged behind an event of the next day.
    set(7, "2026-10-24T22:45:00Z").await;
    shop.caught_up(dir.path()).await;
    let rows = || folder::lines(dir.path(), "stock_by_day");
    let first = "one|5|1|2026-10-24T22:30:00.000000Z|2026-10-24";
    let second = "one|7|1|2026-10-24T22:45:00.000000Z|2026-10-25";
    assert_eq!(rows(), [first, second]);
    // Nothing moves for days, over a restart; then it does.
    consumer.stop().await;
    hands.set("2026-10-30T12:00:00Z");
    let consumer = Consumer::start(shop.config(dir.path(), &[]), hands.clock()).await;
    set(8, "2026-10-25T12:00:00Z").await;
    set(9, "2026-10-30T12:00:00Z").await;
    shop.caught_up(dir.path()).await;
    let second = "one|8|1|2026-10-25T12:00:00.000000Z|2026-10-25";
    let last = "one|9|1|2026-10-30T12:00:00.000000Z|2026-10-30";
    assert_eq!(rows(), [first, second, last]);
    // A new month, over a restart: what did not move in the last one is on its last day all the same.
    consumer.stop().await;
    hands.set("2026-12-02T12:00:00Z");
    let consumer = Consumer::start(shop.config(dir.path(), &[]), hands.clock()).await;
    let create = async |sku: &str, at: &str| {
        shop.publish_at("inventory", "product.created", sku, at, serde_json::json!({"sku": sku}))
            .await;
    };
    create("two", "2026-11-01T12:00:00Z").await;
    create("six", "2026-12-01T12:00:00Z").await;
    shop.caught_up(dir.path()).await;
    assert_eq!(
        rows(),
        [
            first,
            second,
            last,
            "one|9|1|2026-10-30T12:00:00.000000Z|2026-11-01",
            "six|0|0|2026-12-01T12:00:00.000000Z|2026-12-01",
            "two|0|0|2026-11-01T12:00:00.000000Z|2026-11-01",
        ]
    );
    let (manifest, tables) = folder::read(dir.path());
    assert_eq!(tables, model::tables(&shop, &manifest).await);
    consumer.start_rebuild(true).await.unwrap();
    assert_eq!(consumer.rebuilt().await.difference_count, 0);
    consumer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_day_all_is_counted_anew_when_it_is_time_where_the_business_is() {
    let shop = Shop::start().await;
    let dir = tempfile::tempdir().unwrap();
    // An hour before UTC.
    let hands = Hands::at("2026-07-01T02:29:00Z");
    let config = || shop.config(dir.path(), &["--rebuild-at", "03:30"]);
    let consumer = Consumer::start(config(), hands.clock()).await;
    issue(&shop, 100, "2026-07-24", "2026-07-01T02:00:00Z").await;
    shop.caught_up(dir.path()).await;
    tokio::time::sleep(std::time::Duration::from_millis(2500)).await;
    assert_eq!(consumer.newest_rebuild().await.unwrap_err().code(), tonic::Code::NotFound);
    for (day, id) in [("2026-07-01", 1), ("2026-07-02", 2)] {
        hands.set(&format!("{day}T02:30:00Z"));
        let mut newest = None;
        eventually("it is counted anew", PATIENCE, async || {
            newest = consumer.newest_rebuild().await.ok().filter(|newest| newest.rebuild_id == id);
            newest.as_ref().is_some_and(|newest| newest.end_time.is_some())
        })
        .await;
        let newest = newest.unwrap();
        assert!(!newest.verify_only && newest.version > newest.compared_version, "{newest:?}");
        // Once.
        tokio::time::sleep(std::time::Duration::from_millis(2500)).await;
        assert_eq!(consumer.newest_rebuild().await.unwrap().rebuild_id, id);
    }
    consumer.stop().await;
    // A process that is started later on a day has missed its time.
    let consumer = Consumer::start(config(), hands.clock()).await;
    tokio::time::sleep(std::time::Duration::from_millis(2500)).await;
    assert_eq!(consumer.newest_rebuild().await.unwrap_err().code(), tonic::Code::NotFound);
    consumer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_does_not_hold_the_folder_at_that_time_counts_nothing_anew() {
    let shop = Shop::start().await;
    let dir = tempfile::tempdir().unwrap();
    let hands = Hands::at("2026-07-01T02:29:00Z");
    let holder = Consumer::start(shop.config(dir.path(), &[]), hands.clock()).await;
    issue(&shop, 100, "2026-07-24", "2026-07-01T02:00:00Z").await;
    shop.caught_up(dir.path()).await;
    let config = shop.config(dir.path(), &["--rebuild-at", "03:30"]);
    let standby = Consumer::start(config, hands.clock()).await;
    let has_counted_nothing = async || {
        let newest = standby.newest_rebuild().await;
        newest.is_err_and(|status| status.code() == tonic::Code::NotFound)
    };
    eventually("it is there", PATIENCE, has_counted_nothing).await;
    let beside = dir.path().join("rebuild");
    std::fs::create_dir(&beside).unwrap();
    hands.set("2026-07-01T02:30:00Z");
    tokio::time::sleep(std::time::Duration::from_millis(2500)).await;
    assert!(has_counted_nothing().await);
    assert!(beside.exists(), "it is the holder's");

    holder.stop().await;
    standby.is_ready_soon().await;
    tokio::time::sleep(std::time::Duration::from_millis(2500)).await;
    assert!(has_counted_nothing().await, "the holder has seen to that day");
    hands.set("2026-07-02T02:30:00Z");
    eventually("it is counted anew", PATIENCE, async || {
        standby.newest_rebuild().await.is_ok_and(|newest| newest.version > 0)
    })
    .await;
    standby.stop().await;
}

/// In a zone that is half an hour off the hours of UTC.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hours_of_sales_sum_to_the_days_that_skus_are_sold_on() {
    let shop = Shop::start().await;
    let dir = tempfile::tempdir().unwrap();
    let config = shop.config(dir.path(), &["--time-zone", "Asia/Kolkata"]);
    let consumer = Consumer::start(config, Arc::new(now)).await;
    // Half a second before midnight there and half a second later, and hours before and behind both.
    let times = ["17:29:59.5", "17:30:00", "18:29:59.5", "18:30:00", "19:29:59.5", "19:30:00"];
    let orders = times.map(|time| (new_id(), format!("2026-11-24T{time}Z")));
    for ((id, time), price) in orders.iter().zip([1, 2, 4, 8, 16, 32]) {
        let order = order_at(id, &new_id(), price, time.parse().unwrap());
        shop.publish("orders", &[order]).await;
    }
    let (last, time) = &orders[5];
    shop.publish("orders", &[cancelled(last, 32, time)]).await;
    shop.caught_up(dir.path()).await;
    assert_eq!(
        folder::lines(dir.path(), "sales_by_hour"),
        [
            "2026-11-24T16:30:00.000000Z|0.01|1",
            "2026-11-24T17:30:00.000000Z|0.06|2",
            "2026-11-24T18:30:00.000000Z|0.24|2",
        ]
    );
    assert_eq!(
        folder::lines(dir.path(), "sales_by_sku_day"),
        ["2026-11-24|one|3|0|0|0.07|3", "2026-11-25|one|2|0|0|0.24|2"]
    );
    consumer.stop().await;
}
