use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
    sync::{Mutex, atomic::AtomicU64, mpsc},
    time::Duration,
};

use chrono::NaiveDate;
use ids::{CustomerId, InvoiceId, OrderId, OrderItemId};
use log::Event;
use manifest::Counted;
use proptest::prelude::*;
use testkit::Dice;
use tokio::task::spawn_blocking;
use uuid::Uuid;

use super::{columns::Reader, retired::KEPT_MAX, shelf::Leaf, summed::Summed, tables::Row, *};
use crate::{
    consumers::{ORDERS, Told},
    domain::{
        Adds, Ageing, Amount, DayAndSku, Fact, HourOfSales, Item, Level, LevelOfDay, LineKey,
        NewLevel, NewLine, OpenInvoice, OrderLine, OwedMore, Posted, SetAside, SkuSales,
        SoldInMonth, SoldOnDay,
    },
};

const LONDON: BusinessDays = BusinessDays(chrono_tz::Europe::London);

fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// Rows as they come back from a file.
fn written_and_read<R: Row>(rows: &[(R::Key, R)]) -> Vec<(R::Key, R)> {
    let file = parquet::write(R::TABLE.schema, &R::to_columns(rows), None).unwrap();
    R::from_columns(Reader(parquet::read(R::TABLE.schema, file).unwrap()), LONDON).unwrap()
}

fn is_kept<R: Row + Debug>(rows: Vec<(R::Key, R)>) -> Result<(), TestCaseError>
where
    R::Key: Debug,
{
    let found = written_and_read(&rows);
    prop_assert_eq!(found, rows);
    Ok(())
}

fn times() -> impl Strategy<Value = DateTime<Utc>> {
    // The years that Postgres and people know.
    let micros = prop_oneof![-62_135_596_800_000_000_i64..253_402_300_800_000_000, Just(0)];
    micros.prop_map(|micros| DateTime::from_timestamp_micros(micros).unwrap())
}

fn days() -> impl Strategy<Value = NaiveDate> {
    (-719_162_i32..2_932_897).prop_map(|days| NaiveDate::from_epoch_days(days).unwrap())
}

fn amounts() -> impl Strategy<Value = Amount> {
    let largest = 999_999_999_999_999_999_i64;
    prop_oneof![0..=largest, Just(0), Just(largest)]
        .prop_map(|hundredths| Amount::from_hundredths(hundredths).unwrap())
}

fn uuids() -> impl Strategy<Value = Uuid> {
    any::<u128>().prop_map(Uuid::from_u128)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn hours_are_kept(rows in prop::collection::vec((times(), (amounts(), any::<i32>())), 1..50)) {
        let row = |(hour, (total, order_count))| (hour, HourOfSales { total, order_count });
        is_kept(rows.into_iter().map(row).collect())?;
    }

    #[test]
    fn items_are_kept(
        rows in prop::collection::vec(
            (".*", (any::<i32>(), any::<i32>(), times()), any::<i32>(), any::<bool>()), 1..50),
    ) {
        let row = |(sku, (on_hand, reserved, at), reorder_point, archived)| {
            (sku, Item { level: Level { on_hand, reserved, at }, reorder_point, archived })
        };
        is_kept(rows.into_iter().map(row).collect())?;
    }

    #[test]
    fn invoices_are_kept(
        rows in prop::collection::vec((uuids(), (uuids(), days(), amounts())), 1..50),
    ) {
        let row = |(id, (customer, due_date, residual))| {
            let customer_id = CustomerId(customer);
            (InvoiceId(id), OpenInvoice { customer_id, due_date, residual })
        };
        is_kept(rows.into_iter().map(row).collect())?;
    }

    #[test]
    fn days_are_kept(
        rows in prop::collection::vec((times(), prop::array::uniform5(0_i64..1_000_000_000)), 1..50),
    ) {
        let row = |(as_of, owed): (_, [i64; 5])| {
            let [current, to_30, to_60, to_90, over_90] =
                owed.map(|owed| Amount::from_hundredths(owed).unwrap());
            (LONDON.day_of(as_of), Ageing { as_of, current, to_30, to_60, to_90, over_90 })
        };
        is_kept(rows.into_iter().map(row).collect())?;
    }

    #[test]
    fn accounts_are_kept(
        rows in prop::collection::vec(((days(), ".*"), (amounts(), amounts())), 1..50),
    ) {
        let row = |(key, (debit, credit))| (key, Posted { debit, credit });
        is_kept(rows.into_iter().map(row).collect())?;
    }

    #[test]
    fn levels_of_days_are_kept(
        rows in prop::collection::vec(((days(), ".*"), (any::<i32>(), any::<i32>(), times())), 1..50),
    ) {
        let row = |(key, (on_hand, reserved, at))| (key, LevelOfDay(Level { on_hand, reserved, at }));
        is_kept(rows.into_iter().map(row).collect())?;
    }

    #[test]
    fn lines_of_orders_are_kept(
        rows in prop::collection::vec(
            ((times(), uuids(), uuids()), (uuids(), ".*", prop::array::uniform4(0..1000_i32)),
             (0..1_000_000_000_i64, prop::option::of(0..100_000_i32), any::<bool>())), 1..50),
    ) {
        let row = |((at, order, line), (customer, sku, moved), (price, tax_rate, cancelled))| {
            let [quantity, shipped_quantity, cancelled_quantity, returned_quantity]: [i32; 4] = moved;
            let line_of_order = OrderLine {
                customer_id: CustomerId(customer), sku, quantity,
                cancelled_quantity: cancelled_quantity.min(quantity),
                shipped_quantity, returned_quantity,
                unit_price: Amount::from_hundredths(price).unwrap(), tax_rate, cancelled,
            };
            ((at, OrderId(order), OrderItemId(line)), line_of_order)
        };
        is_kept(rows.into_iter().map(row).collect())?;
    }

    #[test]
    fn sums_by_sku_are_kept_below_zero_too(
        rows in prop::collection::vec(
            ((days(), ".*"), (prop::array::uniform4(any::<i64>()), -999_999_999_999_999_999_i64..0)), 1..50),
    ) {
        let row = |(key, (numbers, amount))| {
            let [quantity, shipped_quantity, returned_quantity, line_count]: [i64; 4] = numbers;
            let amount = Amount::from_hundredths(amount).unwrap();
            let line_count = i32::try_from(line_count >> 32).unwrap();
            (key, SkuSales { quantity, shipped_quantity, returned_quantity, amount, line_count })
        };
        let rows: Vec<_> = rows.into_iter().map(row).collect();
        is_kept(rows.iter().cloned().map(|(key, row)| (key, SoldOnDay(row))).collect())?;
        is_kept(rows.into_iter().map(|(key, row)| (key, SoldInMonth(row))).collect())?;
    }

    #[test]
    fn debts_are_kept_below_zero_too(
        rows in prop::collection::vec(
            ((days(), uuids(), days()), prop_oneof![-999_999_999_999_999_999_i64..0, 1_i64..5]), 1..50),
    ) {
        let row = |((day, customer, due_date), more)| {
            let more = Amount::from_hundredths(more).unwrap();
            ((day, CustomerId(customer), due_date), OwedMore(more))
        };
        is_kept(rows.into_iter().map(row).collect())?;
    }

    #[test]
    fn events_set_aside_are_kept(
        rows in prop::collection::vec(
            ((".*", any::<i64>()), (uuids(), ".*", ".*", times(), ".*")), 1..50),
    ) {
        let row = |(key, (event_id, event_type, subject, event_time, reason))| {
            (key, SetAside { event_id, event_type, subject, event_time, reason })
        };
        is_kept(rows.into_iter().map(row).collect())?;
    }
}

fn open(folder: &Path, versions_kept: u64) -> (Box<Store>, Box<SharedBooks>) {
    match Store::open(folder, LONDON, versions_kept).unwrap() {
        Opened::Ready(store, books) => (store, books),
        Opened::Old(_) | Opened::Held => panic!("the folder cannot be opened"),
    }
}

/// Counts one more order of the hour.
fn sell(books: &SharedBooks, log_id: i64) {
    let at = time("2026-11-24T09:00:00Z");
    let mut books = books.lock().unwrap();
    let total = Amount::from_hundredths(100).unwrap();
    let order = OrderId(Uuid::from_u128(log_id.unsigned_abs().into()));
    let customer_id = CustomerId(Uuid::nil());
    let placed = Fact::OrderPlaced { order, customer_id, placed_at: at, total, lines: vec![] };
    books.apply(placed, at).unwrap();
    let counted = Counted { stream_sequence: 0, log_id, event_id: Uuid::nil() };
    books.move_to("orders", counted, at);
}

fn stock(sku: i64, on_hand: i32) -> NewLevel {
    NewLevel { sku: format!("{sku:05}"), on_hand, reserved: 0, reorder_point: 0 }
}

/// How many files `manifest.json` itself names, and its list.
fn named_by_manifest(folder: &Path) -> (usize, Option<String>) {
    let json = fs::read(folder.join(FILE_NAME)).unwrap();
    let own: Manifest = serde_json::from_slice(&json).unwrap();
    (own.files.len(), own.more_files.map(|list| list.path))
}

fn parquet_files(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name.ends_with(PARQUET)).collect();
    names.sort();
    names
}

#[test]
fn files_that_no_manifest_names_stay_for_a_while_and_then_go() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, books) = open(folder.path(), 0);
    let now = time("2026-11-24T09:00:00Z");
    for log_id in 1..=3 {
        sell(&books, log_id);
        store.flush(&books, now).unwrap();
    }
    let file = |version: u64| format!("sales_by_hour.{version}.0.parquet");
    assert_eq!(parquet_files(folder.path()), [file(1), file(2), file(3)]);
    drop(store);

    // After a restart, too.
    fs::write(folder.path().join(file(9)), "left behind").unwrap();
    let (mut store, books) = open(folder.path(), 0);
    sell(&books, 4);
    store.flush(&books, now).unwrap();
    assert_eq!(parquet_files(folder.path()), [1, 2, 3, 4, 9].map(file));
    store.retired.kept_for = Duration::ZERO;
    // Also when there is nothing to write.
    store.flush(&books, now).unwrap();
    assert_eq!(parquet_files(folder.path()), [file(4)]);
}

#[test]
fn many_flushes_in_a_short_time_do_not_fill_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, books) = open(folder.path(), 0);
    for number in 0..2 * KEPT_MAX {
        store.retired.add(0, format!("sales_by_hour.{number}.0.parquet"));
    }
    sell(&books, 1);
    store.flush(&books, time("2026-11-24T09:00:00Z")).unwrap();
    let live = store.manifest().unwrap().files.len();
    assert_eq!(store.retired.len(), KEPT_MAX + live);
}

#[test]
fn what_was_not_written_is_written_the_next_time() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, books) = open(folder.path(), 0);
    let now = time("2026-11-24T09:00:00Z");
    sell(&books, 1);
    // Takes the place of a temporary file.
    let block = folder.path().join("sales_by_hour.1.0.parquet.tmp");
    fs::create_dir(&block).unwrap();
    for _ in 0..3 {
        assert!(matches!(store.flush(&books, now), Err(NotFlushed::Failed(_))));
        assert_eq!(parquet_files(folder.path()), [""; 0]);
    }
    fs::remove_dir(&block).unwrap();
    store.flush(&books, now).unwrap();
    drop(store);
    let (store, books) = open(folder.path(), 0);
    assert_eq!(store.manifest().unwrap().version, 1);
    let row = *books.lock().unwrap().sales.hours.get(&now).unwrap();
    assert_eq!((row.total.hundredths(), row.order_count), (100, 1));
}

#[test]
fn readers_find_what_they_need_in_the_manifest() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, books) = open(folder.path(), 0);
    sell(&books, 7);
    store.flush(&books, time("2026-11-24T09:00:01Z")).unwrap();
    let manifest = Manifest::read(folder.path()).unwrap().unwrap();
    assert_eq!(Some(&manifest), store.manifest());
    assert_eq!((manifest.version, manifest.positions["orders"].log_id), (1, 7));
    assert_eq!(manifest.written_at, time("2026-11-24T09:00:01Z"));
    assert_eq!(manifest.event_time, Some(time("2026-11-24T09:00:00Z")));
    assert_eq!(manifest.time_zone, "Europe/London");
}

#[test]
fn the_last_versions_stay_whole_with_their_manifests() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, books) = open(folder.path(), 2);
    store.retired.kept_for = Duration::ZERO;
    for log_id in 1..=6 {
        sell(&books, log_id);
        store.flush(&books, time("2026-11-24T09:00:00Z")).unwrap();
    }
    // A flush deletes before it is the last one: one more shows what is left.
    store.flush(&books, time("2026-11-24T09:00:00Z")).unwrap();
    let file = |version: u64| format!("sales_by_hour.{version}.0.parquet");
    assert_eq!(parquet_files(folder.path()), [4, 5, 6].map(file));
    for version in [4, 5] {
        let kept = fs::read(folder.path().join(format!("manifest.{version}.json"))).unwrap();
        let kept: Manifest = serde_json::from_slice(&kept).unwrap();
        assert_eq!((kept.version, kept.files_of("sales_by_hour").count()), (version, 1));
        assert!(kept.files.iter().all(|file| folder.path().join(&file.path).exists()));
    }
    let manifests = fs::read_dir(folder.path()).unwrap();
    let manifests = manifests.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(manifests.filter(|name| name.starts_with("manifest")).count(), 3);

    // Those of a life before are kept for a while, too, and go then.
    drop(store);
    let (mut store, books) = open(folder.path(), 2);
    store.retired.kept_for = Duration::ZERO;
    for log_id in 7..=9 {
        sell(&books, log_id);
        store.flush(&books, time("2026-11-24T09:00:00Z")).unwrap();
    }
    assert_eq!(parquet_files(folder.path()), [7, 8, 9].map(file));
}

fn line_key(minute: i64, order: u128) -> LineKey {
    let at = time("2026-01-01T00:00:00Z") + chrono::TimeDelta::minutes(minute);
    (at, OrderId(Uuid::from_u128(order)), OrderItemId(Uuid::from_u128(1)))
}

fn line_of_order(shipped_quantity: i32) -> OrderLine {
    OrderLine {
        customer_id: CustomerId(Uuid::nil()),
        sku: "one".to_owned(),
        quantity: 1000,
        cancelled_quantity: 0,
        shipped_quantity,
        returned_quantity: 0,
        unit_price: Amount::from_hundredths(100).unwrap(),
        tax_rate: Some(2000),
        cancelled: false,
    }
}

/// A shelf beside the rows that it must hold.
struct Kept {
    folder: tempfile::TempDir,
    place: Place,
    shelf: Arc<Shelf<LineKey>>,
    rows: BTreeMap<LineKey, OrderLine>,
    version: u64,
    written: u64,
}

impl Kept {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = Place { folder: folder.path().to_owned(), calendar: LONDON };
        let (shelf, rows) = (Arc::default(), BTreeMap::new());
        Self { folder, place, shelf, rows, version: 0, written: 0 }
    }

    /// Gives how many rows were written.
    fn merge(&mut self, changes: BTreeMap<LineKey, OrderLine>) -> u64 {
        self.version += 1;
        self.rows.extend(changes.clone());
        let mut writer = Writer::new(self.folder.path(), self.version);
        let next = shelf::merge(&self.place, &self.shelf, changes, &mut writer).unwrap();
        writer.done().unwrap();
        let before: BTreeSet<_> = self.shelf.values().map(|leaf| leaf.file.path.clone()).collect();
        let new = next.values().filter(|leaf| !before.contains(&leaf.file.path));
        let written = new.map(|leaf| leaf.file.row_count).sum();
        self.shelf = next;
        self.written += written;
        written
    }

    fn check(&self) {
        let files: Vec<&Materialized> = self.shelf.values().map(|leaf| &leaf.file).collect();
        let read =
            |file: &&Materialized| load::load_file::<OrderLine>(self.folder.path(), file, LONDON);
        let rows: Vec<_> = files.iter().flat_map(|file| read(file).unwrap()).collect();
        assert!(rows.iter().map(|(key, row)| (key, row)).eq(&self.rows));
        let reopened = shelf::open::<OrderLine>(&self.place, files.into_iter()).unwrap();
        assert_eq!(reopened, *self.shelf);
    }

    fn sizes(&self) -> Vec<u64> {
        self.shelf.values().map(|leaf: &Leaf<LineKey>| leaf.file.row_count).collect()
    }
}

#[test]
fn a_shelf_holds_each_row_once_whatever_comes_in_whatever_order() {
    let (mut kept, dice) = (Kept::new(), Dice::new(31));
    for round in 0..40 {
        let rows = match round % 4 {
            0 => (0..dice.roll(1000_i64)).map(|row| (round * 100 + row / 30, row)).collect(),
            1 => (0..dice.roll(50_i64)).map(|_| (dice.roll(15_000_i64), dice.roll(100))).collect(),
            2 => (0..dice.roll(6000_i64)).map(|row| (20_000 + row, round)).collect(),
            _ => vec![(0, round), (dice.roll(40_000), round)],
        };
        let row = |(minute, order): (i64, i64)| {
            (line_key(minute, order.unsigned_abs().into()), line_of_order(dice.roll(1000)))
        };
        kept.merge(rows.into_iter().map(row).collect());
        if round % 5 == 0 {
            kept.check();
        }
    }
    kept.check();
    assert!(kept.sizes().len() > 1);
    assert!(kept.sizes().iter().all(|rows| *rows <= 1 << 15));
}

#[test]
fn rows_that_come_as_time_goes_by_are_written_a_few_times_each_and_end_in_few_files() {
    let mut kept = Kept::new();
    // Four weeks of 500 lines a day, 50 a flush.
    for flush in 0..280_i64 {
        let rows = (flush * 50..flush * 50 + 50)
            .map(|row| (line_key(row * 3, row.unsigned_abs().into()), line_of_order(0)));
        kept.merge(rows.collect());
    }
    kept.check();
    let rows = kept.rows.len() as u64;
    assert!(kept.written < 15 * rows, "{} rows were written for {rows}", kept.written);
    assert!(kept.sizes().len() < 40, "{:?}", kept.sizes());
    // A line of an old day costs its file, no more.
    let before = kept.sizes()[0];
    let changed = kept.merge(BTreeMap::from([(line_key(0, 0), line_of_order(1))]));
    assert!(changed < before + 5000, "{changed}");
    kept.check();
}

#[test]
fn an_order_is_found_wherever_its_lines_are() {
    let (mut kept, dice) = (Kept::new(), Dice::new(32));
    let mut placed = Vec::new();
    for flush in 0..20_i64 {
        let mut changes = BTreeMap::new();
        for _ in 0..60 {
            // Some were drafts for long: their ids are older than their neighbours'.
            let id =
                u128::from((flush * 1000 + dice.roll(1000_i64) - dice.roll(900)).unsigned_abs());
            let (at, order, _) = line_key(flush * 400 + dice.roll(400), id);
            if placed.iter().any(|(known, _)| *known == order.0) {
                continue;
            }
            let lines = 1 + dice.roll(40_u128);
            for line in 0..lines {
                let key = (at, order, OrderItemId(Uuid::from_u128(line)));
                changes.insert(key, line_of_order(0));
            }
            placed.push((order.0, lines));
        }
        kept.merge(changes);
    }
    assert!(kept.sizes().len() > 2);
    for (order, lines) in placed.iter().step_by(29) {
        let unknown = Uuid::from_u128(u128::MAX - 1);
        let found = find::<OrderLine>(
            &kept.place,
            &kept.shelf,
            &Mutex::default(),
            &BTreeSet::from([*order, unknown]),
        );
        let found = found.unwrap();
        assert_eq!(found.len() as u128, *lines);
        assert!(found.iter().all(|((_, id, _), _)| id.0 == *order));
    }
    let all: BTreeSet<Uuid> = placed.iter().map(|(order, _)| *order).collect();
    let found = find::<OrderLine>(&kept.place, &kept.shelf, &Mutex::default(), &all).unwrap();
    assert_eq!(found.len(), kept.rows.len());
}

#[test]
fn a_file_that_tells_other_keys_than_it_has_is_found_when_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place { folder: folder.path().to_owned(), calendar: LONDON };
    let rows: Vec<_> = (1..=3).map(|minute| (line_key(minute, 1), line_of_order(0))).collect();
    let order = Uuid::from_u128(1);
    let key = |minute: i64| {
        let (at, order, line) = line_key(minute, 1);
        (at, order.0, line.0)
    };
    for (version, first, last, is_true) in [(1, 1, 3, true), (2, 0, 3, false), (3, 1, 2, false)] {
        let note = serde_json::json!({
            "first": key(first), "last": key(last), "subjects": [order, order],
        });
        let mut writer = Writer::new(folder.path(), version);
        let file = writer.write_noted::<OrderLine>(&rows, Some(note.to_string())).unwrap();
        writer.done().unwrap();
        let shelf = Arc::new(shelf::open::<OrderLine>(&place, [&file].into_iter()).unwrap());
        let found = find::<OrderLine>(&place, &shelf, &Mutex::default(), &BTreeSet::from([order]));
        assert_eq!(found.is_ok(), is_true, "{note}");
        let change = BTreeMap::from([(line_key(2, 1), line_of_order(1))]);
        let merged = shelf::merge(&place, &shelf, change, &mut writer);
        assert_eq!(merged.is_ok(), is_true, "{note}");
    }
    // One that tells none, or something else.
    let mut writer = Writer::new(folder.path(), 4);
    let file = writer.write::<OrderLine>(&rows).unwrap();
    writer.done().unwrap();
    assert!(shelf::open::<OrderLine>(&place, [&file].into_iter()).is_err());
    let file = writer.write_noted::<OrderLine>(&rows, Some("{}".to_owned())).unwrap();
    writer.done().unwrap();
    assert!(shelf::open::<OrderLine>(&place, [&file].into_iter()).is_err());
}

/// Places an order of two lines, and gives its second line.
fn place(books: &SharedBooks, log_id: i64) -> (OrderId, OrderItemId) {
    let at = time("2026-11-24T09:00:00Z") + chrono::TimeDelta::minutes(log_id);
    let order = OrderId(Uuid::from_u128(log_id.unsigned_abs().into()));
    let line = |line_id| NewLine {
        line_id: OrderItemId(Uuid::from_u128(line_id)),
        sku: "one".to_owned(),
        quantity: 3,
        unit_price: Amount::from_hundredths(100).unwrap(),
        tax_rate: None,
    };
    let total = Amount::from_hundredths(600).unwrap();
    let (customer_id, lines) = (CustomerId(Uuid::nil()), vec![line(1), line(2)]);
    let mut books = books.lock().unwrap();
    let placed = Fact::OrderPlaced { order, customer_id, placed_at: at, total, lines };
    books.apply(placed, at).unwrap();
    let counted = Counted { stream_sequence: 0, log_id, event_id: Uuid::nil() };
    books.move_to("orders", counted, at);
    (order, OrderItemId(Uuid::from_u128(2)))
}

#[test]
fn lines_are_found_though_their_file_is_replaced_and_deleted_while_they_are_looked_for() {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.max_blocking_threads(1).build().unwrap();
    runtime.block_on(lines_are_found_though_their_file_goes());
}

async fn lines_are_found_though_their_file_goes() {
    let folder = tempfile::tempdir().unwrap();
    let now = time("2026-11-24T12:00:00Z");
    let (mut store, books) = open(folder.path(), 0);
    store.keep_nothing();
    let (order, line) = place(&books, 1);
    store.flush(&books, now).unwrap();
    let before = Arc::clone(&store.files.lines);
    place(&books, 2);
    store.flush(&books, now).unwrap();
    let after = Arc::clone(&store.files.lines);
    let gone = before.values().next().unwrap().file.path.clone();
    assert!(!folder.path().join(gone).exists());

    let shipped = |sequence: i64| {
        let json = serde_json::json!({
            "id": Uuid::from_u128(7), "type": "order.shipped", "subject": order.to_string(), "time": "2026-11-24T09:30:00Z",
            "version": 2, "sequence": sequence.to_string(), "previous": "2",
            "data": { "orderId": order.0, "lines": [{ "lineId": line.0, "quantity": 2 }] },
        });
        vec![Told::read(ORDERS, Event::parse(json.to_string().as_bytes(), 0).unwrap())]
    };
    // Nothing takes the place of what is gone: then it is an error.
    books.written(Arc::clone(&before), |_| ()).unwrap();
    books.count(ORDERS, shipped(3)).await.unwrap_err();
    // The lines are looked for once there is a thread for it: after the shelf was replaced, which the first had taken already.
    let (replaced, busy) = mpsc::channel();
    let thread = spawn_blocking(move || busy.recv().unwrap());
    let replacing = async {
        books.written(after, |_| ()).unwrap();
        replaced.send(()).unwrap();
    };
    let (counted, ()) = tokio::join!(books.count(ORDERS, shipped(3)), replacing);
    thread.await.unwrap();
    counted.unwrap();
    let books = books.lock().unwrap();
    assert!(books.set_aside.rows().is_empty());
    let lines: Vec<_> = books.orders.lines.rows().values().collect();
    assert_eq!(lines.iter().map(|line| line.shipped_quantity).sum::<i32>(), 2, "{lines:?}");
}

#[test]
fn what_is_counted_beside_takes_the_place_of_what_is_live_or_leaves_it_as_it_is() {
    let root = tempfile::tempdir().unwrap();
    let (live, beside) = (root.path().join("live"), root.path().join("live/rebuild"));
    let now = time("2026-11-24T12:00:00Z");
    let (mut store, books) = open(&live, 3);
    (1..=3).for_each(|log_id| _ = place(&books, log_id));
    store.flush(&books, now).unwrap();
    let before = store.manifest().unwrap().clone();
    drop(store);
    let (mut store, books) = open(&beside, 0);
    (1..=5).for_each(|log_id| _ = place(&books, log_id));
    store.flush(&books, now).unwrap();
    let counted = store.manifest().unwrap().clone();
    drop(store);

    // Fails at each file, at the manifest: nothing has changed, and the next try is as good as the first.
    let name = |index: usize, table: &str| format!("{table}.2.r{index}.parquet");
    let files = counted.files.iter().enumerate().map(|(index, file)| name(index, &file.table));
    let steps: Vec<String> = files.chain(["manifest.json.tmp".to_owned()]).collect();
    assert!(steps.len() >= 3, "{steps:?}");
    for step in steps {
        let block = live.join(&step);
        fs::remove_file(&block).ok();
        fs::create_dir(&block).unwrap();
        assert!(adopt(&live, &before, &beside).is_err(), "{step}");
        fs::remove_dir(&block).unwrap();
        let (store, books) = open(&live, 3);
        assert_eq!(store.manifest(), Some(&before), "{step}");
        assert_eq!(books.lock().unwrap().position("orders").log_id, 3);
        let (store, _) = open(&beside, 0);
        assert_eq!(store.manifest(), Some(&counted), "{step}");
    }
    assert_eq!(adopt(&live, &before, &beside).unwrap(), 2);
    fs::remove_dir_all(&beside).unwrap();
    let (store, books) = open(&live, 3);
    assert_eq!(store.manifest().unwrap().version, 2);
    assert_eq!(books.lock().unwrap().position("orders").log_id, 5);
    let kept: Manifest =
        serde_json::from_slice(&fs::read(live.join("manifest.1.json")).unwrap()).unwrap();
    assert_eq!(kept, before);

    // Less than is live takes no place.
    let live_now = store.manifest().unwrap().clone();
    drop(store);
    let (mut store, books) = open(&beside, 0);
    place(&books, 1);
    store.flush(&books, now).unwrap();
    let less = adopt(&live, &live_now, &beside).unwrap_err();
    assert_eq!(less.to_string(), "of orders less is counted than before");
}

#[test]
fn many_files_that_were_counted_beside_are_listed_from_then_on() {
    let root = tempfile::tempdir().unwrap();
    let (live, beside) = (root.path().join("live"), root.path().join("live/rebuild"));
    let now = time("2026-11-24T12:00:00Z");
    let (mut store, books) = open(&live, 3);
    store.flush(&books, now).unwrap();
    let before = store.manifest().unwrap().clone();
    drop(store);
    let (mut store, books) = open(&beside, 0);
    let all = (0..40_000).map(|sku| stock(sku, 1)).collect();
    books.lock().unwrap().apply(Fact::StockChanged(all), now).unwrap();
    store.flush(&books, now).unwrap();
    drop(store);

    let block = live.join("files.2.json.tmp");
    fs::create_dir(&block).unwrap();
    assert!(adopt(&live, &before, &beside).is_err());
    fs::remove_dir(&block).unwrap();
    assert_eq!(open(&live, 3).0.manifest(), Some(&before));
    assert_eq!(adopt(&live, &before, &beside).unwrap(), 2);
    let (mut store, books) = open(&live, 3);
    let list = |version| Some(format!("files.{version}.json"));
    assert_eq!(named_by_manifest(&live), (0, list(2)));
    let count = store.manifest().unwrap().files.len();
    assert!(count > 80, "{count}");
    // What is sold goes to files of its own; a level that changes takes its file off the list.
    sell(&books, 1);
    store.flush(&books, now).unwrap();
    assert_eq!(named_by_manifest(&live).1, list(2));
    let changed = Fact::StockChanged(vec![stock(7, 2)]);
    books.lock().unwrap().apply(changed, now).unwrap();
    store.flush(&books, now).unwrap();
    assert_eq!(named_by_manifest(&live).1, list(4));
    let found = Manifest::read(&live).unwrap().unwrap();
    assert!(sorted(&found) == sorted(store.manifest().unwrap()));
}

#[test]
fn counts_that_differ_are_told_row_by_row() {
    let root = tempfile::tempdir().unwrap();
    let now = time("2026-11-24T12:00:00Z");
    let count = |name: &str, shipped: i32, orders: i64| {
        let (mut store, books) = open(&root.path().join(name), 0);
        for log_id in 1..=orders {
            let (order, line) = place(&books, log_id);
            if log_id == 2 {
                let fact = Fact::OrderShipped { order, lines: vec![(line, shipped)] };
                books.lock().unwrap().apply(fact, now).unwrap();
            }
        }
        store.flush(&books, now).unwrap();
        store.snapshot()
    };
    let (one, same) = (count("one", 1, 3), count("same", 1, 3));
    let read = AtomicU64::new(0);
    let none = compare(&one, &same, &read).unwrap();
    assert!(none.count == 0 && none.told.is_empty() && none.trace.is_none());
    assert_eq!(read.into_inner(), one.row_count() + same.row_count());
    let other = compare(&one, &count("other", 2, 4), &AtomicU64::new(0)).unwrap();
    let told: Vec<_> =
        other.told.iter().map(|found| (found.table, found.live.is_empty())).collect();
    // The line that was shipped, two lines more, and the hour; and what the lines come to.
    let expected = [
        ("order_facts", false),
        ("order_facts", true),
        ("order_facts", true),
        ("sales_by_hour", false),
        ("sales_by_sku_day", false),
        ("sales_by_sku_month", false),
    ];
    assert_eq!((told.as_slice(), other.count), (&expected[..], 6));
    let line = &other.told[0];
    assert_eq!(
        line.key,
        "00000000-0000-0000-0000-000000000002 00000000-0000-0000-0000-000000000002"
    );
    assert!(
        line.live.contains("shipped_quantity 1") && line.counted.contains("shipped_quantity 2")
    );
    assert!(line.live.contains("order_id 00000000-0000-0000-0000-000000000002, "), "{}", line.live);
    assert!(line.live.contains("unit_price 1.00") && line.live.contains("amount 3.00"));
    assert_eq!(other.trace.unwrap().source, "orders");
}

/// An additive table beside the sums that it must have.
struct KeptSums {
    folder: tempfile::TempDir,
    place: Place,
    sums: crate::domain::Sums<DayAndSku, SoldOnDay>,
    files: Summed<DayAndSku>,
    expected: BTreeMap<DayAndSku, i64>,
    version: u64,
}

fn sold(quantity: i64) -> SoldOnDay {
    SoldOnDay(SkuSales { quantity, ..SkuSales::default() })
}

impl KeptSums {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = Place { folder: folder.path().to_owned(), calendar: LONDON };
        let (sums, files, expected) = Default::default();
        Self { folder, place, sums, files, expected, version: 0 }
    }

    fn add(&mut self, day: u32, sku: usize, quantity: i64) {
        let key = (NaiveDate::from_ymd_opt(2026, 1, 1 + day).unwrap(), format!("sku-{sku:04}"));
        self.sums.add(key.clone(), sold(quantity));
        *self.expected.entry(key).or_default() += quantity;
    }

    fn flush(&mut self) {
        self.version += 1;
        let mut writer = Writer::new(self.folder.path(), self.version);
        let pending = self.sums.begin_write();
        self.files = summed::write(&self.place, &self.files, pending, &mut writer).unwrap();
        writer.done().unwrap();
        self.sums.written(self.files.pending.is_none());
    }

    /// Reads all files as anybody would, and opens them as after a restart.
    fn check(&mut self) {
        let mut found: BTreeMap<DayAndSku, SoldOnDay> = BTreeMap::new();
        for file in self.files.all() {
            let rows = load::load_file::<SoldOnDay>(self.folder.path(), file, LONDON).unwrap();
            for (key, row) in rows {
                assert_ne!(row, SoldOnDay::default());
                let sum = found.entry(key).or_default();
                *sum = sum.plus(row);
            }
        }
        found.retain(|_, sum| *sum != SoldOnDay::default());
        self.expected.retain(|_, sum| *sum != 0);
        assert!(
            found
                .iter()
                .map(|(key, row)| (key, row.0.quantity))
                .eq(self.expected.iter().map(|(key, quantity)| (key, *quantity)))
        );
        let files = self.files.all().cloned().collect();
        let manifest = Manifest { version: 1, files, ..Manifest::default() };
        let (files, sums) = summed::open::<SoldOnDay>(&self.place, &manifest).unwrap();
        assert_eq!((&files, sums.pending()), (&self.files, self.sums.pending()));
        self.sums = sums;
    }
}

#[test]
fn what_adds_up_is_the_same_whatever_is_written_when() {
    let (mut kept, dice) = (KeptSums::new(), Dice::new(33));
    let (mut small, mut sorted) = (0, 0);
    for round in 0..60 {
        let many = if round % 4 == 0 { 3000 } else { 60 };
        for _ in 0..dice.roll(many) {
            let (day, sku) = (dice.roll(20_u32), dice.roll(300));
            kept.add(day, sku, dice.roll(7_i64) - 3);
        }
        if round % 10 == 9 {
            // All of it is taken back.
            for ((day, sku), quantity) in kept.expected.clone() {
                kept.sums.add((day, sku), sold(-quantity));
            }
            kept.expected.clear();
        }
        kept.flush();
        kept.check();
        small += usize::from(kept.files.pending.is_some());
        sorted += usize::from(kept.files.pending.is_none() && !kept.files.sorted.is_empty());
    }
    assert!(small > 20 && sorted > 5, "{small} small files, {sorted} times sorted ones alone");
}

#[test]
fn of_what_comes_to_nothing_no_file_is_left() {
    let mut kept = KeptSums::new();
    (0..2 * summed::PENDING_MAX).for_each(|sku| kept.add(1, sku, 5));
    kept.flush();
    assert!(kept.files.pending.is_none() && !kept.files.sorted.is_empty());
    (0..2 * summed::PENDING_MAX).for_each(|sku| kept.add(1, sku, -5));
    kept.flush();
    assert_eq!(kept.files, Summed::default());
    kept.add(1, 1, 5);
    kept.flush();
    kept.add(1, 1, -5);
    kept.flush();
    assert_eq!(kept.files, Summed::default());
    kept.check();
}

#[test]
fn the_event_that_a_sum_lacks_is_found_though_what_was_added_is_written_meanwhile() {
    let (folder, now) = (tempfile::tempdir().unwrap(), time("2026-11-24T12:00:00Z"));
    let (mut store, books) = open(folder.path(), 0);
    let key = (NaiveDate::from_ymd_opt(2026, 11, 24).unwrap(), "one".to_owned());
    // Each order has two lines of three pieces at 1.00; one of four orders is lacking.
    let lines = |orders: i64| SkuSales {
        quantity: orders * 6,
        amount: Amount::from_hundredths(orders * 600).unwrap(),
        line_count: i32::try_from(orders * 2).unwrap(),
        ..SkuSales::default()
    };
    let (live, counted) = (SoldOnDay(lines(3)), SoldOnDay(lines(4)));
    let mut trace = compare::trace(key.clone(), Some(live), Some(&counted));
    assert_eq!(trace.source, "orders");
    (trace.watch)(&mut books.lock().unwrap());
    for log_id in 1..=4 {
        let (order, line) = place(&books, log_id);
        assert_eq!(
            (trace.look)(&books.lock().unwrap()),
            match log_id {
                3 => Look::Same,
                _ => Look::Explains,
            }
        );
        assert_eq!((trace.look)(&books.lock().unwrap()), Look::Untouched);
        store.flush(&books, now).unwrap();
        books.lock().unwrap().orders.by_sku.days.written(true);
        assert_eq!((trace.look)(&books.lock().unwrap()), Look::Untouched, "writing is no event");
        if log_id == 4 {
            // In memory no longer; the sum is known all the same.
            let fetched = store.files.lines.clone();
            let found = find::<OrderLine>(
                &store.place,
                &fetched,
                &Mutex::default(),
                &BTreeSet::from([order.0]),
            );
            let mut books = books.lock().unwrap();
            books.orders.fetched(found.unwrap());
            books.apply(Fact::OrderShipped { order, lines: vec![(line, 1)] }, now).unwrap();
            assert_eq!((trace.look)(&books), Look::Other);
        }
    }
}

/// The files of a version.
fn sorted(manifest: &Manifest) -> Vec<&Materialized> {
    let mut files: Vec<_> = manifest.files.iter().collect();
    files.sort_by_key(|file| &file.path);
    files
}

#[test]
fn files_that_rest_are_listed_beside_the_manifest_and_versions_are_whole_with_their_lists() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, books) = open(folder.path(), 2);
    (store.retired.kept_for, store.listed.rests_after) = (Duration::ZERO, 2);
    let now = time("2026-11-24T09:00:00Z");
    let set = |levels: Vec<NewLevel>| {
        books.lock().unwrap().apply(Fact::StockChanged(levels), now).unwrap();
    };
    set((0..40_000).map(|sku| stock(sku, 1)).collect());
    let named = || named_by_manifest(folder.path());
    let lists = || {
        let entries = fs::read_dir(folder.path()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with("files.")).collect::<BTreeSet<_>>()
    };
    for log_id in 1..=2 {
        sell(&books, log_id);
        store.flush(&books, now).unwrap();
    }
    let count = store.manifest().unwrap().files.len();
    assert_eq!((named(), count > 80), ((count, None), true));

    // A list that cannot be written is none.
    let block = folder.path().join("files.3.json.tmp");
    fs::create_dir(&block).unwrap();
    sell(&books, 3);
    assert!(matches!(store.flush(&books, now), Err(NotFlushed::Failed(_))));
    assert_eq!((named().1, lists().len()), (None, 1));
    fs::remove_dir(&block).unwrap();
    store.flush(&books, now).unwrap();
    assert_eq!(named(), (1, Some("files.3.json".to_owned())), "only what was sold still changes");
    let found = Manifest::read(folder.path()).unwrap().unwrap();
    assert!(sorted(&found) == sorted(store.manifest().unwrap()));
    let written = store.take_written_bytes();
    sell(&books, 4);
    store.flush(&books, now).unwrap();
    let small = store.take_written_bytes();
    assert!(small < 3000 && small < written / 10, "{small} bytes, {written} with the list");

    // One of them changes: there is another list, and each version that is kept has its own.
    set(vec![stock(7, 2)]);
    store.flush(&books, now).unwrap();
    assert_eq!(named().1, Some("files.5.json".to_owned()));
    for version in [3, 4] {
        let kept = fs::read(folder.path().join(format!("manifest.{version}.json"))).unwrap();
        let kept = Manifest::parse(folder.path(), &kept).unwrap();
        assert_eq!((kept.version, kept.files.len()), (version, count));
        assert!(kept.files.iter().all(|file| folder.path().join(&file.path).exists()));
    }

    // After a restart it goes on; what nobody needs goes.
    let live = store.manifest().unwrap().clone();
    drop(store);
    let (mut store, books) = open(folder.path(), 2);
    (store.retired.kept_for, store.listed.rests_after) = (Duration::ZERO, 2);
    assert!(sorted(store.manifest().unwrap()) == sorted(&live));
    for log_id in 5..=8 {
        sell(&books, log_id);
        store.flush(&books, now).unwrap();
    }
    store.flush(&books, now).unwrap();
    assert_eq!(lists(), BTreeSet::from(["files.5.json".to_owned()]));
    assert_eq!(store.manifest().unwrap().files.len(), live.files.len());

    // A list that is gone, cut short or another is found.
    drop(store);
    let list = folder.path().join("files.5.json");
    let json = fs::read(&list).unwrap();
    let other = String::from_utf8(json.clone()).unwrap().replacen("00", "01", 1);
    for damage in [Some(&json[..json.len() / 2]), Some(other.as_bytes()), None] {
        match damage {
            Some(bad) => fs::write(&list, bad).unwrap(),
            None => fs::remove_file(&list).unwrap(),
        }
        assert!(Store::open(folder.path(), LONDON, 2).is_err());
    }
}
