//! A million lines of orders: how long they take, and how much memory. Not a part of every run:
//! `cargo test -p olap-consumer --features benchmarks --test api -- --nocapture million`.
#![expect(clippy::print_stderr, reason = "figures are what it is for")]

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use manifest::Manifest;
use proto::{
    events::v1::{OrderShipped, ShippedLine},
    olap::v1::{self as pb, StartRebuildRequest},
};

use crate::{
    rebuild::Asked,
    shop::{SOURCES, Shop},
    trade::{event, new_id, order},
};

/// Unless `BRAMBLE_BENCH_LINES` says another number.
const LINES: i64 = 1_000_000;
const LINES_OF_ORDER: i64 = 10;
/// What a container on a Pi may use of it (`k3s/base/olap-consumer.yaml`).
const MEMORY_MAX_KIB: u64 = 192 * 1024;

/// A year of orders: invoiced at once, shipped a day later, paid after thirty; every fiftieth is returned in part.
const YEAR: &str = "
with drawn as materialized (select pg_current_xact_id()),
orders as (
    select n, at, (lpad(to_hex(extract(epoch from at)::bigint * 1000), 12, '0') || '7' || substr(md5(n::text), 14))::uuid as id
    from (select n, timestamptz '2025-01-01 08:00Z' + n * interval '365 days' / $1 as at from generate_series(0, $1 - 1) n) placed
),
lines as (
    select n, line, md5(n || '/' || line)::uuid as id, 'sku-' || (n * 7 + line * 131) % 3000 as sku, 1 + (n + line) % 4 as quantity
    from generate_series(0, $1 - 1) n, generate_series(1, $2) line
),";

/// What each source logs of it: `(at, step, subject, type, data)`.
const LOGGED: [(&str, &str); 4] = [
    (
        "orders",
        "
    select at, 1 as step, o.id, 'order.placed' as type, jsonb_build_object(
        'orderId', o.id, 'customerId', md5((n % 5000)::text)::uuid, 'total', pounds(37.5 * $2),
        'placeTime', moment(at), 'lines', jsonb_agg(jsonb_build_object(
            'lineId', l.id, 'sku', sku, 'quantity', quantity, 'unitPrice', pounds(5), 'taxRate', '0.2'))
    ) as data from orders o join lines l using (n) group by n, at, o.id
    union all
    select at + interval '1 day', 2, o.id, 'order.shipped', jsonb_build_object(
        'orderId', o.id, 'shipmentId', md5(n || 's')::uuid, 'complete', true,
        'lines', jsonb_agg(jsonb_build_object('lineId', l.id, 'quantity', 1))
    ) from orders o join lines l using (n) group by n, at, o.id
    union all
    select at + interval '20 days', 3, o.id, 'order.returned', jsonb_build_object(
        'orderId', o.id, 'lines', jsonb_build_array(jsonb_build_object('lineId', l.id, 'quantity', 1))
    ) from orders o join lines l using (n) where n % 50 = 0 and line = 1",
    ),
    (
        "inventory",
        "
    select at + step * interval '1 day' as at, step, o.id, (array['stock.reserved', 'stock.shipped'])[step + 1] as type,
        jsonb_build_object('orderId', o.id, 'levels', jsonb_agg(jsonb_build_object(
            'sku', sku, 'quantity', quantity, 'onHand', 1000 - n % 900, 'reserved', n % 7, 'reorderPoint', 10))) as data
    from orders o join lines l using (n), generate_series(0, 1) step group by n, at, o.id, step",
    ),
    (
        "billing",
        "
    select at, 1 as step, id, 'invoice.issued' as type, jsonb_build_object(
        'invoiceId', id, 'number', 'INV-' || n, 'orderId', id, 'customerId', md5((n % 5000)::text)::uuid, 'amount', pounds(45 * $2),
        'tax', pounds(7.5 * $2), 'issueTime', moment(at), 'issueDate', at::date, 'dueDate', at::date + 30
    ) as data from orders
    union all
    select at + interval '30 days', 2, id, 'payment.received', jsonb_build_object(
        'paymentId', md5(n || 'p')::uuid, 'customerId', md5((n % 5000)::text)::uuid, 'amount', pounds(45 * $2), 'receiveDate', at::date + 30,
        'allocations', jsonb_build_array(jsonb_build_object(
            'invoiceId', id, 'amount', pounds(45 * $2), 'residual', pounds(0), 'dueDate', at::date + 30))
    ) from orders
    union all
    select at + interval '30 days', 3, id, 'invoice.paid', jsonb_build_object('invoiceId', id, 'orderId', id) from orders",
    ),
    (
        "ledger",
        "
    select at + days * interval '1 day' as at, days as step, id, 'journal.posted' as type, jsonb_build_object(
        'journalId', md5(n || 'j' || days)::uuid, 'sourceEventId', md5(n || 'e')::uuid, 'refType', 'invoice', 'refId', id,
        'effectiveDate', (at + days * interval '1 day')::date, 'amount', pounds(45 * $2), 'lines', jsonb_build_array(
            jsonb_build_object('account', debit, 'debit', pounds(45 * $2)), jsonb_build_object('account', credit, 'credit', pounds(45 * $2)))
    ) as data
    from orders, (values (0, '1100', '4000'), (1, '5000', '1001'), (30, '1200', '1100')) posted (days, debit, credit)",
    ),
];

const HELPERS: &str = r#"
create function public.pounds(amount numeric) returns jsonb immutable language sql
    return jsonb_build_object('amount', amount::numeric(14, 2)::text, 'currencyCode', 'GBP');
create function public.moment(at timestamptz) returns text immutable language sql
    return to_char(at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"');
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
    sqlx::raw_sql(HELPERS).execute(&shop.admin).await.unwrap();
    for (source, logged) in LOGGED {
        let statement = format!(
            "{YEAR} events as ({logged})
             insert into {source}.events_log (event_type, source, payload)
             select type, '{source}', jsonb_build_object(
                 'specversion', '1.0', 'id', gen_random_uuid(), 'source', '/bramble/{source}', 'type', type, 'subject', id,
                 'time', moment(at), 'datacontenttype', 'application/json', 'version', step, 'actor', 'test',
                 'requestid', md5(id || type)::uuid, 'data', data)
             from drawn, (select * from events order by at, step) ordered"
        );
        let statement = sqlx::query(sqlx::AssertSqlSafe(statement));
        statement.bind(orders).bind(LINES_OF_ORDER).execute(&shop.admin).await.unwrap();
    }
    let events = shop.newest().await.values().sum();
    eprintln!("{events} events of {lines} lines logged in {:.0?}", began.elapsed());
    events
}

/// `cargo test -p olap-consumer --features benchmarks --test api -- --nocapture costs`
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_order_by_itself_costs_the_disk_of_a_small_shop() {
    const LINES_OF_YEAR: i64 = 100_000;
    const ORDERS: i64 = 50;
    let shop = Shop::start().await;
    log_year(&shop, LINES_OF_YEAR).await;
    let dir = tempfile::tempdir().unwrap();
    let consumer = Asked::spawn_with(&shop, dir.path(), "20", "20000");
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
    let lines = std::env::var("BRAMBLE_BENCH_LINES").map_or(LINES, |lines| lines.parse().unwrap());
    let events = log_year(&shop, lines).await;

    let dir = tempfile::tempdir().unwrap();
    let consumer = Asked::spawn_with(&shop, dir.path(), "2000", "20000");
    let pid = consumer.child.0.id();
    let began = Instant::now();
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
        let (began, mut lags) = (Instant::now(), Vec::new());
        let ended = tokio::select! {
            ended = consumer.rebuilt(verify_only) => ended,
            () = keep_selling(&shop, dir.path(), &mut lags) => unreachable!(),
        };
        let (peak, now) = memory_kib(pid);
        let seconds = began.elapsed().as_secs();
        assert_eq!((ended.difference_count, ended.error.as_str()), (0, ""));
        eprintln!(
            "verify only {verify_only}: {seconds} s, {} events/s, {} lines/s; memory {peak} KiB at its most, {now} KiB now",
            events.unsigned_abs() / seconds.max(1),
            lines.unsigned_abs() / seconds.max(1),
        );
        lags.sort();
        let of = |share: usize| lags.get(lags.len() * share / 100);
        eprintln!(
            "{} orders meanwhile, written after {:.0?} (p50), {:.0?} (p99)",
            lags.len(),
            of(50),
            of(99)
        );
        assert!(peak < MEMORY_MAX_KIB, "{peak} KiB");
    }
}

/// One order after another: how long it takes from its commit until the live files hold it.
async fn keep_selling(shop: &Shop, dir: &Path, lags: &mut Vec<Duration>) {
    loop {
        shop.publish("orders", &[order(&new_id(), &new_id(), 100)]).await;
        let began = Instant::now();
        shop.caught_up(dir).await;
        lags.push(began.elapsed());
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
