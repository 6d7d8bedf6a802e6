//! What is in the folder, read with nothing but the manifest and a Parquet library: as any reader would.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    fs::{self, File},
    path::Path,
};

use chrono::{DateTime, NaiveDate, SecondsFormat};
use manifest::{Manifest, Materialized};
use parquet::{
    file::reader::{FileReader, SerializedFileReader},
    record::Field,
};
use uuid::Uuid;

/// The lines of each table, sorted: values in the order of the columns, with a bar between.
pub(crate) type Tables = BTreeMap<String, Vec<String>>;

pub(crate) fn read(folder: &Path) -> (Manifest, Tables) {
    // The files of a version go when it is no longer the live one.
    loop {
        let manifest = Manifest::read(folder).unwrap().unwrap();
        let lines: Option<Vec<_>> =
            manifest.files.iter().map(|file| Some((file, read_file(folder, file)?))).collect();
        if let Some(lines) = lines {
            let mut tables = Tables::new();
            for (file, lines) in lines {
                assert_eq!(lines.len() as u64, file.row_count, "{}", file.path);
                check_range(file, &lines);
                tables.entry(file.table.clone()).or_default().extend(lines);
            }
            for (table, lines) in &mut tables {
                if let Some(keys) = additive_keys(table) {
                    *lines = summed(lines, keys);
                }
                lines.sort();
            }
            // What comes to nothing is as good as not there.
            tables.retain(|_, lines| !lines.is_empty());
            return (manifest, tables);
        }
        assert_ne!(Manifest::read(folder).unwrap().unwrap().version, manifest.version);
    }
}

pub(crate) fn lines(folder: &Path, table: &str) -> Vec<String> {
    let is_there = Manifest::read(folder).unwrap().is_some();
    if is_there { read(folder).1.remove(table).unwrap_or_default() } else { Vec::new() }
}

/// What the manifest says of a file's keys and times is what is in it.
fn check_range(file: &Materialized, lines: &[String]) {
    let first_of_key = match file.table.as_str() {
        "trial_balance" => 1,
        "stock_by_day" | "ar_ageing" => 4,
        "order_facts" => 11,
        _ => 0,
    };
    let value = |line: &String| {
        let text = line.split('|').nth(first_of_key).unwrap();
        match file.table.as_str() {
            "ar_ageing" => crate::model::day_of(text.parse().unwrap()).to_string(),
            _ => text.to_owned(),
        }
    };
    let values: Vec<String> = lines.iter().map(value).collect();
    let range = values.iter().min().cloned().zip(values.iter().max().cloned());
    assert_eq!(file.range, range, "{}", file.path);
    let newest = match file.table.as_str() {
        "stock_snapshot" | "stock_by_day" => {
            lines.iter().map(|line| line.split('|').nth(3).unwrap().parse().unwrap()).max()
        }
        _ => None,
    };
    assert_eq!(file.newest, newest, "{}", file.path);
}

/// How many columns the key of an additive table has.
fn additive_keys(table: &str) -> Option<usize> {
    match table {
        "sales_by_sku_day" | "sales_by_sku_month" => Some(2),
        "receivables_by_day" => Some(3),
        _ => None,
    }
}

/// Rows of one key as one; none where that is nothing.
fn summed(lines: &[String], keys: usize) -> Vec<String> {
    let mut sums: BTreeMap<Vec<&str>, Vec<(bool, i64)>> = BTreeMap::new();
    for line in lines {
        let mut values: Vec<&str> = line.split('|').collect();
        let numbers = values.split_off(keys).into_iter();
        let numbers =
            numbers.map(|text| (text.contains('.'), text.replace('.', "").parse().unwrap()));
        match sums.entry(values) {
            Entry::Vacant(new) => _ = new.insert(numbers.collect()),
            Entry::Occupied(mut sum) => {
                sum.get_mut().iter_mut().zip(numbers).for_each(|(sum, by)| sum.1 += by.1);
            }
        }
    }
    sums.retain(|_, sum| sum.iter().any(|(_, number)| *number != 0));
    let line = |(key, sum): (Vec<&str>, Vec<(bool, i64)>)| {
        let text =
            |(is_amount, number)| if is_amount { amount(number) } else { format!("{number}") };
        let sum = sum.into_iter().map(text).collect::<Vec<_>>();
        format!("{}|{}", key.join("|"), sum.join("|"))
    };
    sums.into_iter().map(line).collect()
}

/// None when it is not there.
fn read_file(folder: &Path, file: &Materialized) -> Option<Vec<String>> {
    let path = folder.join(&file.path);
    assert_eq!(fs::metadata(&path).ok()?.len(), file.size_bytes);
    let reader = SerializedFileReader::new(File::open(path).ok()?).unwrap();
    let rows = reader.get_row_iter(None).unwrap().map(|row| {
        let values = row.unwrap().into_columns().into_iter().map(|(_, value)| text(value));
        values.collect::<Vec<_>>().join("|")
    });
    Some(rows.collect())
}

fn text(field: Field) -> String {
    match field {
        Field::Int(value) => value.to_string(),
        Field::Long(value) => value.to_string(),
        Field::Str(value) => value,
        Field::Bytes(value) => Uuid::from_slice(value.data()).unwrap().to_string(),
        Field::Date(days) => NaiveDate::from_epoch_days(days).unwrap().to_string(),
        Field::TimestampMicros(micros) => DateTime::from_timestamp_micros(micros)
            .unwrap()
            .to_rfc3339_opts(SecondsFormat::Micros, true),
        Field::Bool(value) => value.to_string(),
        Field::Null => "-".to_owned(),
        Field::Decimal(value) => {
            let start = if value.data()[0] > 127 { -1 } else { 0 };
            let number =
                value.data().iter().fold(start, |sum: i64, byte| sum * 256 + i64::from(*byte));
            match (value.precision(), value.scale()) {
                (18 | 20, 2) => amount(number),
                (5, 4) => format!("{}.{:04}", number / 10_000, number % 10_000),
                other => panic!("no table has a decimal{other:?}"),
            }
        }
        other => panic!("no table has a column like {other:?}"),
    }
}

pub(crate) fn amount(hundredths: i64) -> String {
    let (sign, hundredths) = (if hundredths < 0 { "-" } else { "" }, hundredths.abs());
    format!("{sign}{}.{:02}", hundredths / 100, hundredths % 100)
}
