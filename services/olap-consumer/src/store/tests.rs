use std::fmt::Debug;

use chrono::NaiveDate;
use ids::CustomerId;
use manifest::Counted;
use proptest::prelude::*;
use uuid::Uuid;

use super::{tables::Reader, *};
use crate::domain::{Amount, Fact};

const LONDON: BusinessDays = BusinessDays(chrono_tz::Europe::London);

fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// Rows as they come back from a file.
fn written_and_read<R: Row>(rows: &[(R::Key, R)]) -> Vec<(R::Key, R)> {
    let file = parquet::write(R::SCHEMA, &R::to_columns(rows)).unwrap();
    R::from_columns(Reader(parquet::read(R::SCHEMA, file).unwrap()), LONDON).unwrap()
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
    fn levels_are_kept(
        rows in prop::collection::vec((".*", (any::<i32>(), any::<i32>(), times())), 1..50),
    ) {
        let row = |(sku, (on_hand, reserved, at))| (sku, Level { on_hand, reserved, at });
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

/// Counts one more order of the hour.
fn sell(books: &SharedBooks, log_id: i64) {
    let at = time("2026-11-24T09:00:00Z");
    let mut books = books.lock().unwrap();
    let total = Amount::from_hundredths(100).unwrap();
    books.apply(Fact::OrderPlaced { placed_at: at, total }, at).unwrap();
    let counted = Counted { stream_sequence: 0, log_id, event_id: Uuid::nil() };
    books.move_to("orders", counted, at);
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
    let (mut store, books) = Store::open(folder.path(), LONDON).unwrap().unwrap();
    let books = SharedBooks::new(books);
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
    let (mut store, books) = Store::open(folder.path(), LONDON).unwrap().unwrap();
    let books = SharedBooks::new(books);
    sell(&books, 4);
    store.flush(&books, now).unwrap();
    assert_eq!(parquet_files(folder.path()), [1, 2, 3, 4, 9].map(file));
    store.kept_for = Duration::ZERO;
    // Also when there is nothing to write.
    store.flush(&books, now).unwrap();
    assert_eq!(parquet_files(folder.path()), [file(4)]);
}

#[test]
fn many_flushes_in_a_short_time_do_not_fill_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, books) = Store::open(folder.path(), LONDON).unwrap().unwrap();
    let books = SharedBooks::new(books);
    for number in 0..2 * KEPT_MAX {
        store.retired.push_back((Instant::now(), format!("sales_by_hour.{number}.0.parquet")));
    }
    sell(&books, 1);
    store.flush(&books, time("2026-11-24T09:00:00Z")).unwrap();
    assert_eq!(store.retired.len(), KEPT_MAX);
}

#[test]
fn what_was_not_written_is_written_the_next_time() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, books) = Store::open(folder.path(), LONDON).unwrap().unwrap();
    let books = SharedBooks::new(books);
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
    let (store, books) = Store::open(folder.path(), LONDON).unwrap().unwrap();
    assert_eq!(store.manifest().unwrap().version, 1);
    let row = books.sales.hours.get(&now).unwrap();
    assert_eq!((row.total.hundredths(), row.order_count), (100, 1));
}

#[test]
fn readers_find_what_they_need_in_the_manifest() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, books) = Store::open(folder.path(), LONDON).unwrap().unwrap();
    let books = SharedBooks::new(books);
    sell(&books, 7);
    store.flush(&books, time("2026-11-24T09:00:01Z")).unwrap();
    let manifest = Manifest::read(folder.path()).unwrap().unwrap();
    assert_eq!(Some(&manifest), store.manifest());
    assert_eq!((manifest.version, manifest.positions["orders"].log_id), (1, 7));
    assert_eq!(manifest.written_at, time("2026-11-24T09:00:01Z"));
    assert_eq!(manifest.event_time, Some(time("2026-11-24T09:00:00Z")));
}
