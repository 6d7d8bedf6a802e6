//! What one event by itself costs the disk of a shop of ten million lines a year, table by table. Not a part of every run:
//! `cargo test -p olap-consumer --features benchmarks --lib -- --nocapture costs`.
//!
//! The last days of the year are counted for real; of the files of all days before, only the entries in the manifest would be more.
#![expect(clippy::print_stderr, reason = "figures are what it is for")]
#![expect(clippy::unwrap_used, reason = "a test fails by it, helpers of tests too")]

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Days, TimeDelta};
use ids::{CustomerId, InvoiceId, OrderId, OrderItemId};
use manifest::Counted;
use testkit::Dice;
use uuid::Uuid;

use super::*;
use crate::domain::{Amount, Fact, NewLevel, NewLine, OpenInvoice, OrderLine};

const ZONE: BusinessDays = BusinessDays(chrono_tz::Europe::London);
const DAYS: u64 = 34;
/// Of the last of them, the lines are counted, too.
const DAYS_OF_LINES: u64 = 4;
const ORDERS_A_DAY: i64 = 2740;
const LINES: i64 = 10;
const SKUS: i64 = 28_000;
const ALONE: i64 = 30;
/// As `BRAMBLE_OLAP_FLUSH_ROWS`.
const ROWS: usize = 20_000;

struct ShopOfYear {
    store: Box<Store>,
    books: Box<SharedBooks>,
    dice: Dice,
    log_id: i64,
}

impl ShopOfYear {
    fn apply(&mut self, source: &str, fact: Fact, at: DateTime<Utc>) {
        self.log_id += 1;
        let mut books = self.books.lock().unwrap();
        books.apply(fact, at).unwrap();
        let counted = Counted { stream_sequence: 0, log_id: self.log_id, event_id: Uuid::nil() };
        books.move_to(source, counted, at);
    }

    fn flush(&mut self, now: DateTime<Utc>) {
        self.store.flush(&self.books, now).unwrap();
    }

    fn id(number: i64, at: DateTime<Utc>) -> Uuid {
        let millis = u128::from(at.timestamp_millis().unsigned_abs());
        Uuid::from_u128((millis << 80) | u128::from(number.unsigned_abs()))
    }

    /// Most sales are of few SKUs.
    fn sku(&self) -> String {
        let any = self.dice.roll(SKUS);
        format!("{:05}", if self.dice.roll(2) == 0 { any } else { any % 2000 * 14 })
    }

    fn levels(&self) -> Fact {
        let level = |_| NewLevel {
            sku: self.sku(),
            on_hand: self.dice.roll(1000),
            reserved: self.dice.roll(100),
            reorder_point: 10,
        };
        Fact::StockChanged((0..LINES).map(level).collect())
    }

    fn place(&mut self, number: i64, at: DateTime<Utc>) {
        let line = |line| NewLine {
            line_id: OrderItemId(Self::id(number * 100 + line, at)),
            sku: self.sku(),
            quantity: 1 + self.dice.roll(12),
            unit_price: Amount::from_hundredths(self.dice.roll(2000)).unwrap(),
            tax_rate: Some(2000),
        };
        let fact = Fact::OrderPlaced {
            order: OrderId(Self::id(number, at)),
            customer_id: CustomerId(Self::id(number % 5000, DateTime::UNIX_EPOCH)),
            placed_at: at,
            total: Amount::from_hundredths(5000).unwrap(),
            lines: (0..LINES).map(line).collect(),
        };
        self.apply("orders", fact, at);
        let levels = self.levels();
        self.apply("inventory", levels, at);
    }

    fn ship(&mut self, number: i64, placed_at: DateTime<Utc>, at: DateTime<Utc>) {
        let order = OrderId(Self::id(number, placed_at));
        if self.books.lock().unwrap().orders.lacks(order) {
            let wanted = BTreeSet::from([order.0]);
            let lines = find::<OrderLine>(
                &self.store.place,
                &self.store.files.lines,
                &std::sync::Mutex::default(),
                &wanted,
            );
            self.books.lock().unwrap().orders.fetched(lines.unwrap());
        }
        let lines = (0..LINES)
            .map(|line| (OrderItemId(Self::id(number * 100 + line, placed_at)), 1))
            .collect();
        self.apply("orders", Fact::OrderShipped { order, lines }, at);
        let levels = self.levels();
        self.apply("inventory", levels, at);
    }

    fn invoice(&mut self, number: i64, at: DateTime<Utc>) {
        let invoice = OpenInvoice {
            customer_id: CustomerId(Self::id(number % 5000, DateTime::UNIX_EPOCH)),
            due_date: at.date_naive() + Days::new(30),
            residual: Amount::from_hundredths(5000).unwrap(),
        };
        let fact = Fact::InvoiceIssued(InvoiceId(Self::id(number, at)), invoice);
        self.apply("billing", fact, at);
    }

    /// What some events cost, each written before the next comes.
    fn alone(&mut self, what: &str, mut one: impl FnMut(&mut Self, i64) -> DateTime<Utc>) {
        let mut by_table: BTreeMap<String, u64> = BTreeMap::new();
        self.store.take_written_bytes();
        for number in 0..ALONE {
            let at = one(self, number);
            let before = self.store.manifest().unwrap().clone();
            self.flush(at);
            let known: BTreeSet<&str> =
                before.files.iter().map(|file| file.path.as_str()).collect();
            let after = self.store.manifest().unwrap();
            for file in after.files.iter().filter(|file| !known.contains(file.path.as_str())) {
                *by_table.entry(file.table.clone()).or_default() += file.size_bytes;
            }
        }
        let all = self.store.take_written_bytes();
        let rest = all - by_table.values().sum::<u64>();
        let a_time = |bytes: u64| bytes / ALONE.unsigned_abs();
        eprintln!("{what}: {} bytes, {} of them in manifests", a_time(all), a_time(rest));
        for (table, bytes) in by_table {
            eprintln!("    {table}: {}", a_time(bytes));
        }
    }
}

#[test]
fn costs_of_an_event_by_itself_at_a_year_of_ten_million_lines() {
    let folder = tempfile::tempdir().unwrap();
    let Opened::Ready(store, books) = Store::open(folder.path(), ZONE, 0).unwrap() else {
        panic!("the folder is held")
    };
    let mut shop = ShopOfYear { store, books, dice: Dice::new(51), log_id: 0 };
    shop.store.keep_nothing();
    // The days are counted in few versions, each of which stands for many.
    shop.store.listed.rests_after = 40;
    let start: DateTime<Utc> = "2026-01-01T08:00:00Z".parse().unwrap();
    for sku in 0..SKUS {
        let (sku, on_hand, reserved) = (format!("{sku:05}"), 500, 0);
        let level = NewLevel { sku, on_hand, reserved, reorder_point: 10 };
        shop.apply("inventory", Fact::StockChanged(vec![level]), start);
    }
    // When an order of a day was placed: over ten hours.
    let at = |number: i64| {
        let (day, nth) = (number / ORDERS_A_DAY, number % ORDERS_A_DAY);
        start + TimeDelta::days(day) + TimeDelta::microseconds(nth * 36_000_000_000 / ORDERS_A_DAY)
    };
    let orders = ORDERS_A_DAY * i64::try_from(DAYS).unwrap();
    let first_of_lines = ORDERS_A_DAY * i64::try_from(DAYS - DAYS_OF_LINES).unwrap();
    for number in 0..orders {
        let now = at(number);
        shop.invoice(number, now);
        if number >= 30 * ORDERS_A_DAY {
            let paid = number - 30 * ORDERS_A_DAY;
            let fact = Fact::InvoiceClosed(InvoiceId(ShopOfYear::id(paid, at(paid))));
            shop.apply("billing", fact, now);
        }
        if number >= first_of_lines {
            shop.place(number, now);
        }
        if shop.books.lock().unwrap().unwritten() >= ROWS || number % 5000 == 0 {
            shop.flush(now);
        }
    }
    let now = at(orders - 1);
    shop.flush(now);
    let next = |number: i64| now + TimeDelta::seconds(number);
    shop.alone("an order placed", |shop, number| {
        shop.place(orders + number, next(number));
        next(number)
    });
    shop.alone("an order shipped", |shop, number| {
        let placed = orders - ORDERS_A_DAY + number;
        shop.ship(placed, at(placed), next(100 + number));
        next(100 + number)
    });
    shop.alone("an invoice issued", |shop, number| {
        shop.invoice(orders + number, next(200 + number));
        next(200 + number)
    });
    shop.alone("an invoice paid", |shop, number| {
        let paid = InvoiceId(ShopOfYear::id(
            orders - 30 * ORDERS_A_DAY + number,
            at(orders - 30 * ORDERS_A_DAY + number),
        ));
        shop.apply("billing", Fact::InvoiceClosed(paid), next(300 + number));
        next(300 + number)
    });
    let manifest = shop.store.manifest().unwrap();
    let mut sizes: BTreeMap<&str, (u64, u64, u64)> = BTreeMap::new();
    for file in &manifest.files {
        let size = sizes.entry(&file.table).or_default();
        *size = (size.0 + 1, size.1 + file.row_count, size.2 + file.size_bytes);
    }
    for (table, (files, rows, bytes)) in sizes {
        eprintln!("{table}: {files} files, {rows} rows, {bytes} bytes");
    }
    let bytes = fs::metadata(folder.path().join(FILE_NAME)).unwrap().len();
    eprintln!("manifest: {} files in {bytes} bytes", manifest.files.len());
}
