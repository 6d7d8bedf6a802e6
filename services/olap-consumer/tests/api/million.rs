//! A million lines of orders: how long they take, and how much memory. Not a part of every run:
//! `cargo test -p olap-consumer --features benchmarks --test api -- --nocapture million`.
#![expect(clippy::print_stderr, reason = "figures are what it is for")]

use std::{
    fs,
    time::{Duration, Instant},
};

use manifest::Manifest;
use proto::{
    events::v1::{OrderShipped, ShippedLine},
    olap::v1::{self as pb, StartRebuildRequest},
};

use crate::{
    rebuild::{Asked, order},
    shop::{SOURCES, Shop},
    trade::{event, new_id},
};

const LINES: i64 = 1_000_000;
const LINES_OF_ORDER: i64 = 3;
/// What a container on a Pi may use of it (`k3s/base/olap-consumer.yaml`).
const MEMORY_MAX_KIB: u64 = 192 * 1024;

/// A year of orders with their shipments a day later, which most shops have; every tenth is cancelled in part, every fiftieth returned.
const TRADE: &str = r#"
with drawn as materialized (select pg_current_xact_id()),
placed as (
    select n, gen_random_uuid() as noise, timestamptz '2025-01-01 08:00Z' + n * interval '365 days' / $1 as at
    from generate_series(0, $1 - 1) n
),
orders as (
    select n, at, (lpad(to_hex(extract(epoch from at)::bigint * 1000), 12, '0') || '7' || substr(replace(noise::text, '-', ''), 14))::uuid as id
    from placed
),
events as (
    select at, 1 as step, id, 'order.placed' as type, jsonb_build_object(
        'orderId', id, 'customerId', md5((n % 5000)::text)::uuid, 'placeTime', to_char(at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'total', jsonb_build_object('amount', '37.50', 'currencyCode', 'GBP'),
        'lines', (select jsonb_agg(jsonb_build_object(
            'lineId', md5(n || '/' || line)::uuid, 'sku', 'sku-' || (n * 7 + line * 131) % 3000, 'quantity', 1 + (n + line) % 4,
            'unitPrice', jsonb_build_object('amount', '5.00', 'currencyCode', 'GBP'), 'taxRate', '0.2')) from generate_series(1, $2) line)
    ) as data from orders
    union all
    select at + interval '1 day', 2, id, 'order.shipped', jsonb_build_object(
        'orderId', id, 'lines', (select jsonb_agg(jsonb_build_object('lineId', md5(n || '/' || line)::uuid, 'quantity', 1))
            from generate_series(1, $2) line)
    ) from orders
    union all
    select at + interval '20 days', 3, id, 'order.returned', jsonb_build_object(
        'orderId', id, 'lines', jsonb_build_array(jsonb_build_object('lineId', md5(n || '/1')::uuid, 'quantity', 1))
    ) from orders where n % 50 = 0
)
insert into orders.events_log (event_type, source, payload)
select type, 'orders', jsonb_build_object(
    'specversion', '1.0', 'id', gen_random_uuid(), 'source', '/bramble/orders', 'type', type, 'subject', id,
    'time', to_char(at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'version', step, 'actor', 'test', 'data', data)
from drawn, (select * from events order by at, step) ordered
"#;

/// The most that the process ever had in memory, and what it has now.
fn memory_kib(pid: u32) -> (u64, u64) {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let of = |name: &str| -> u64 {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    (of("VmHWM:"), of("VmRSS:"))
}

/// Gives the number of events.
async fn log_year(shop: &Shop, lines: i64) -> i64 {
    let began = Instant::now();
    let orders = lines / LINES_OF_ORDER;
    let logged = sqlx::query(TRADE).bind(orders).bind(LINES_OF_ORDER).execute(&shop.admin).await;
    eprintln!("{} events logged in {:.0?}", logged.unwrap().rows_affected(), began.elapsed());
    shop.newest().await.values().sum()
}

/// `cargo test -p olap-consumer --features benchmarks --test api -- --nocapture costs`
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_order_by_itself_costs_the_disk_of_a_small_shop() {
    const LINES_OF_YEAR: i64 = 100_000;
    const ORDERS: i64 = 50;
    let shop = Shop::start().await;
    log_year(&shop, LINES_OF_YEAR).await;
    let dir = tempfile::tempdir().unwrap();
    let consumer = Asked::spawn_with(&shop, dir.path(), "20000");
    shop.caught_up(dir.path()).await;
    let before = consumer.written_bytes().await;
    let ids: Vec<(String, String)> = (0..ORDERS).map(|_| (new_id(), new_id())).collect();
    for (id, line_id) in &ids {
        // Each is written before the next comes: the worst that the interval does.
        shop.publish("orders", &[order(id, line_id, 100)]).await;
        shop.caught_up(dir.path()).await;
    }
    let placed = consumer.written_bytes().await;
    for (id, line_id) in &ids {
        let line = ShippedLine { line_id: line_id.clone(), quantity: 1, ..Default::default() };
        let data = OrderShipped { order_id: id.clone(), lines: vec![line], ..Default::default() };
        shop.publish("orders", &[event("order.shipped", id, &data)]).await;
        shop.caught_up(dir.path()).await;
    }
    let shipped = consumer.written_bytes().await;
    eprintln!(
        "{} bytes an order placed alone, {} an order shipped alone",
        (placed - before) / ORDERS,
        (shipped - placed) / ORDERS
    );
    assert!(shipped - before < ORDERS * 2 * (200 << 10));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_million_lines_are_counted_and_rebuilt_in_bounded_memory() {
    let shop = Shop::start().await;
    let events = log_year(&shop, LINES).await;

    let dir = tempfile::tempdir().unwrap();
    let consumer = Asked::spawn_with(&shop, dir.path(), "20000");
    let pid = consumer.child.0.id();
    let began = Instant::now();
    let lines = LINES / LINES_OF_ORDER * LINES_OF_ORDER;
    let live = loop {
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        let Some(found) = Manifest::read(dir.path()).unwrap() else { continue };
        let counted: i64 =
            SOURCES.iter().filter_map(|of| Some(found.positions.get(*of)?.log_id)).sum();
        assert!(began.elapsed().as_secs() < 1800, "{counted} of {events}");
        if counted >= events {
            break found;
        }
    };
    let (peak, now) = memory_kib(pid);
    let seconds = began.elapsed().as_secs();
    let rows: u64 = live.files_of("order_facts").map(|file| file.row_count).sum();
    assert_eq!(rows, lines.unsigned_abs());
    let bytes: u64 = live.files.iter().map(|file| file.size_bytes).sum();
    let manifest_bytes = fs::metadata(dir.path().join("manifest.json")).unwrap().len();
    let written = consumer.written_bytes().await;
    eprintln!(
        "counted as it came in {seconds} s: {} events/s; {} files of {bytes} bytes, {manifest_bytes} in the manifest, {written} bytes \
         written; memory {peak} KiB at its most, {now} KiB now",
        events.unsigned_abs() / seconds.max(1),
        live.files.len(),
    );
    for verify_only in [true, false] {
        let began = Instant::now();
        let ended = consumer.rebuilt(verify_only).await;
        let (peak, now) = memory_kib(pid);
        let seconds = began.elapsed().as_secs();
        assert_eq!((ended.difference_count, ended.error.as_str()), (0, ""));
        eprintln!(
            "verify only {verify_only}: {seconds} s, {} events/s, {} lines/s; memory {peak} KiB at its most, {now} KiB now",
            events.unsigned_abs() / seconds.max(1),
            lines.unsigned_abs() / seconds.max(1),
        );
        assert!(peak < MEMORY_MAX_KIB, "{peak} KiB");
    }
}

impl Asked {
    /// Waits for as long as it takes.
    async fn rebuilt(&self, verify_only: bool) -> pb::Rebuild {
        let mut client = self.client.clone();
        client.start_rebuild(StartRebuildRequest { verify_only }).await.unwrap();
        loop {
            tokio::time::sleep(Duration::from_millis(200)).await;
            let newest = client.get_rebuild(pb::GetRebuildRequest {}).await.unwrap().into_inner();
            let newest = newest.rebuild.unwrap();
            if newest.end_time.is_some() {
                return newest;
            }
        }
    }

    async fn written_bytes(&self) -> i64 {
        let manifest = self.client.clone().get_manifest(pb::GetManifestRequest {}).await.unwrap();
        manifest.into_inner().written_bytes
    }
}
