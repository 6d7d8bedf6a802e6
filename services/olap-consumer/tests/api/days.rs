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
    shop::{Consumer, PATIENCE, Shop},
    trade::{issued_data, new_id, placed},
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
