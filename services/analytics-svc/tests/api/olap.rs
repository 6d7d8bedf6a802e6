//! olap-consumer's part: writes tables as Parquet, and manifests that name them.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

use arrow::{
    array::{
        ArrayRef, Decimal128Array, Int32Array, RecordBatch, StringArray, TimestampMicrosecondArray,
    },
    error::ArrowError,
};
use chrono::{DateTime, Utc};
use manifest::{Counted, FileList, Manifest, Materialized};
use money::Money;
use parquet::{
    arrow::ArrowWriter,
    basic::{Compression, ZstdLevel},
    file::properties::WriterProperties,
};
use sha2::{Digest, Sha256};

pub(crate) struct Olap {
    pub(crate) folder: PathBuf,
    /// Names are never used twice.
    files: AtomicU64,
    versions: AtomicU64,
}

pub(crate) fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

pub(crate) fn now() -> DateTime<Utc> {
    SystemTime::now().into()
}

fn times(times: impl IntoIterator<Item = DateTime<Utc>>) -> ArrayRef {
    let micros = times.into_iter().map(|time| time.timestamp_micros());
    Arc::new(TimestampMicrosecondArray::from_iter_values(micros).with_timezone("UTC"))
}

fn amounts<'a>(amounts: impl IntoIterator<Item = &'a str>) -> ArrayRef {
    let hundredths = amounts.into_iter().map(|amount| Money::parse(amount).unwrap().hundredths());
    let array = Decimal128Array::from_iter_values(hundredths);
    Arc::new(array.with_precision_and_scale(18, 2).unwrap())
}

fn numbers(numbers: impl IntoIterator<Item = i32>) -> ArrayRef {
    Arc::new(Int32Array::from_iter_values(numbers))
}

pub(crate) fn sales(rows: &[(&str, &str, i32)]) -> RecordBatch {
    batch([
        ("hour", times(rows.iter().map(|row| time(row.0)))),
        ("total_amount", amounts(rows.iter().map(|row| row.1))),
        ("order_count", numbers(rows.iter().map(|row| row.2))),
    ])
}

/// Hours from 2026-01-01 on, each with so much sold in so many orders.
pub(crate) fn hours_of_sales(count: i64, amount: &str, orders: i32) -> RecordBatch {
    let first = time("2026-01-01T00:00:00Z");
    let hours = (0..count).map(|hour| first + chrono::TimeDelta::hours(hour));
    let rows = usize::try_from(count).unwrap();
    batch([
        ("hour", times(hours)),
        ("total_amount", amounts(vec![amount; rows])),
        ("order_count", numbers(vec![orders; rows])),
    ])
}

pub(crate) fn stock(taken: &str, rows: &[(&str, i32, i32)]) -> RecordBatch {
    batch([
        ("sku", Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.0))) as ArrayRef),
        ("qty_on_hand", numbers(rows.iter().map(|row| row.1))),
        ("reserved_qty", numbers(rows.iter().map(|row| row.2))),
        ("snapshot_at", times(rows.iter().map(|_| time(taken)))),
    ])
}

/// A row each: an instant of the day, then current, 30, 60, 90, over 90, and the total.
pub(crate) fn ageing(rows: &[(&str, [&str; 6])]) -> RecordBatch {
    let amount = |at: usize| amounts(rows.iter().map(|row| row.1[at]));
    batch([
        ("bucket_30", amount(1)),
        ("bucket_60", amount(2)),
        ("bucket_90", amount(3)),
        ("total_ar", amount(5)),
        ("as_of", times(rows.iter().map(|row| time(row.0)))),
        ("current", amount(0)),
        ("bucket_over_90", amount(4)),
    ])
}

fn batch<const N: usize>(columns: [(&str, ArrayRef); N]) -> RecordBatch {
    let batch: Result<RecordBatch, ArrowError> = RecordBatch::try_from_iter(columns);
    batch.unwrap()
}

impl Olap {
    pub(crate) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), files: AtomicU64::new(1), versions: AtomicU64::new(1) }
    }

    /// A file's name in the folder, and all of its path.
    pub(crate) fn next_file(&self, table: &str) -> (String, PathBuf) {
        let path = format!("{table}/{:08}.parquet", self.files.fetch_add(1, Ordering::Relaxed));
        let whole = self.folder.join(&path);
        fs::create_dir_all(whole.parent().unwrap()).unwrap();
        (path, whole)
    }

    /// Writes one more file of a table.
    pub(crate) fn file(&self, table: &str, rows: &RecordBatch) -> Materialized {
        let (path, whole) = self.next_file(table);
        let file = File::create(&whole).unwrap();
        let zstd = Compression::ZSTD(ZstdLevel::default());
        let properties = WriterProperties::builder().set_compression(zstd).build();
        let mut writer = ArrowWriter::try_new(file, rows.schema(), Some(properties)).unwrap();
        writer.write(rows).unwrap();
        writer.close().unwrap();
        self.named(table, &path, rows.num_rows())
    }

    /// Spreads a table over files of 2000 rows.
    pub(crate) fn files(&self, table: &str, rows: &RecordBatch) -> Vec<Materialized> {
        let starts = (0..rows.num_rows()).step_by(2000);
        let parts = starts.map(|start| rows.slice(start, (rows.num_rows() - start).min(2000)));
        parts.map(|part| self.file(table, &part)).collect()
    }

    /// What a manifest says of a file that is there.
    pub(crate) fn named(&self, table: &str, path: &str, rows: usize) -> Materialized {
        let bytes = fs::read(self.folder.join(path)).unwrap();
        let sha256 = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        Materialized {
            table: table.to_owned(),
            path: path.to_owned(),
            row_count: rows as u64,
            size_bytes: bytes.len() as u64,
            sha256,
            ..Materialized::default()
        }
    }

    /// Writes a list of files that a manifest does not name itself.
    pub(crate) fn list(&self, name: &str, files: &[Materialized]) -> FileList {
        let json = serde_json::to_vec(files).unwrap();
        fs::write(self.folder.join(name), &json).unwrap();
        FileList::of(name, &json)
    }

    /// What the next manifest says, with so much of `orders` counted.
    pub(crate) fn manifest(&self, orders: i64, files: Vec<Materialized>) -> Manifest {
        let counted = Counted { log_id: orders, ..Counted::default() };
        Manifest {
            version: self.versions.fetch_add(1, Ordering::Relaxed),
            written_at: now(),
            time_zone: String::new(),
            event_time: Some(time("2026-11-24T09:30:00.123456Z")),
            positions: BTreeMap::from([("orders".to_owned(), counted)]),
            files,
            more_files: None,
        }
    }

    /// Makes these files the live ones.
    pub(crate) fn publish(&self, orders: i64, files: Vec<Materialized>) {
        self.manifest(orders, files).write(&self.folder).unwrap();
    }

    /// The same for one table in one file.
    pub(crate) fn publish_table(&self, orders: i64, table: &str, rows: &RecordBatch) {
        self.publish(orders, vec![self.file(table, rows)]);
    }
}
