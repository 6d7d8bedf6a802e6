//! How orders come, and what is measured of them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context;
use serde::Serialize;
use tokio::{
    sync::Semaphore,
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep},
};

use crate::{disk::Disk, shop::Shop};

/// Between the orders of a small shop: that long in the mean, and out of step with anything.
const CALM_MS: u64 = 2000;
/// As `bramble import` has in flight.
const CALLERS: usize = 64;
/// Before the highest rate is measured.
const WARM_UP: Duration = Duration::from_secs(3);
/// Orders that are answered late wait for each other.
const IN_FLIGHT_MAX: usize = 256;
/// Orders that are looked for, of all that come.
const LOOKS_PER_SECOND: u64 = 20;

/// What came of a phase.
#[derive(Debug, Serialize)]
pub(crate) struct Measured {
    orders: u64,
    /// Of orders that were looked for.
    looks: usize,
    elapsed_ms: u128,
    p50_ms: u128,
    p99_ms: u128,
    max_ms: u128,
    /// Events that were not in the files yet when the last order had been answered.
    lag_events: i64,
    /// Versions that were written.
    versions: i64,
    file_bytes_per_order: i64,
    page_bytes_per_order: i64,
}

/// One order after the other; each is looked for.
pub(crate) async fn calm(shop: &Arc<Shop>, time: Duration) -> anyhow::Result<Measured> {
    let (before, began) = (shop.disk().await?, Instant::now());
    let (mut orders, mut taken) = (0, Vec::new());
    while began.elapsed() < time {
        // Steps of the golden ratio are spread evenly, however few they are.
        sleep(Duration::from_millis(CALM_MS / 2 + orders * 1236 % CALM_MS)).await;
        taken.push(shop.look(shop.order().await?).await?);
        orders += 1;
    }
    measure(shop, orders, taken, began, before).await
}

/// Orders a second that the fleet answers when there is always another one.
pub(crate) async fn highest(shop: &Arc<Shop>, time: Duration) -> anyhow::Result<u64> {
    let (answered, enough) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let (shop, answered, enough) =
            (Arc::clone(shop), Arc::clone(&answered), Arc::clone(&enough));
        callers.spawn(async move {
            while !enough.load(Ordering::Relaxed) {
                shop.order().await?;
                answered.fetch_add(1, Ordering::Relaxed);
            }
            anyhow::Ok(())
        });
    }
    sleep(WARM_UP).await;
    let (before, began) = (answered.load(Ordering::Relaxed), Instant::now());
    sleep(time).await;
    let count = answered.load(Ordering::Relaxed) - before;
    let rate = u128::from(count) * 1000 / began.elapsed().as_millis().max(1);
    enough.store(true, Ordering::Relaxed);
    while let Some(done) = callers.join_next().await {
        done??;
    }
    shop.settle().await?;
    u64::try_from(rate).context("no rate")
}

/// Orders at half of a rate, whether or not those before are answered. Some are looked for, beside the others.
pub(crate) async fn half(
    shop: &Arc<Shop>,
    time: Duration,
    highest: u64,
) -> anyhow::Result<Measured> {
    let rate = (highest / 2).max(1);
    let look_at_each = rate.div_ceil(LOOKS_PER_SECOND);
    let in_flight = Arc::new(Semaphore::new(IN_FLIGHT_MAX));
    let (before, began) = (shop.disk().await?, Instant::now());
    let mut ticks = interval(Duration::from_secs(1) / u32::try_from(rate)?);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let (mut orders, mut taken, mut tasks) = (0_u64, Vec::new(), JoinSet::new());
    while began.elapsed() < time {
        ticks.tick().await;
        let permit = Arc::clone(&in_flight).acquire_owned().await?;
        let (shop, is_looked_for) = (Arc::clone(shop), orders % look_at_each == 0);
        orders += 1;
        tasks.spawn(async move {
            let answered = shop.order().await?;
            drop(permit);
            Ok(if is_looked_for { Some(shop.look(answered).await?) } else { None })
        });
        while let Some(done) = tasks.try_join_next() {
            let looked: anyhow::Result<_> = done?;
            taken.extend(looked?);
        }
    }
    while let Some(done) = tasks.join_next().await {
        taken.extend(done??);
    }
    measure(shop, orders, taken, began, before).await
}

async fn measure(
    shop: &Shop,
    orders: u64,
    mut taken: Vec<Duration>,
    began: Instant,
    before: Disk,
) -> anyhow::Result<Measured> {
    let (elapsed, lag_events) = (began.elapsed(), shop.lag().await?);
    shop.settle().await?;
    let disk = shop.disk().await?.since(before);
    taken.sort();
    let each = i64::try_from(orders)?.max(1);
    Ok(Measured {
        orders,
        looks: taken.len(),
        elapsed_ms: elapsed.as_millis(),
        p50_ms: percentile(&taken, 50),
        p99_ms: percentile(&taken, 99),
        max_ms: percentile(&taken, 100),
        lag_events,
        versions: disk.versions,
        file_bytes_per_order: disk.files / each,
        page_bytes_per_order: disk.pages / each,
    })
}

/// Of sorted values: so many in a hundred are not above it.
fn percentile(sorted: &[Duration], percent: usize) -> u128 {
    let place = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(place).map_or(0, Duration::as_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_one_of_the_values() {
        let values: Vec<Duration> = (1..=200).map(Duration::from_millis).collect();
        let of = |percent| percentile(&values, percent);
        assert_eq!([of(50), of(99), of(100)], [100, 198, 200]);
        assert_eq!([percentile(&values[..1], 50), percentile(&values[..1], 99)], [1, 1]);
        assert_eq!(percentile(&[], 99), 0);
    }
}
