//! Values of rows as columns, and back. What is read is not trusted: each value must be one that a row can have.

use ::parquet::data_type::ByteArray;
use anyhow::{Context, bail};
use bytes::Bytes;
use chrono::{DateTime, Datelike, NaiveDate, SecondsFormat, Utc};
use uuid::Uuid;

use super::parquet::{Column, Columns};
use crate::domain::Amount;

/// The schema is checked before columns are taken by it.
const MISSING: &str = "the columns are not those of the schema";
/// Of a `DECIMAL(20,2)`.
const WIDE_BYTES: usize = 9;

pub(super) fn times(of: impl Iterator<Item = DateTime<Utc>>) -> Column {
    Column::Int64(of.map(|time| time.timestamp_micros()).collect())
}

pub(super) fn dates(of: impl Iterator<Item = NaiveDate>) -> Column {
    Column::Int32(of.map(|date| date.to_epoch_days()).collect())
}

pub(super) fn amounts(of: impl Iterator<Item = Amount>) -> Column {
    Column::Int64(of.map(Amount::hundredths).collect())
}

pub(super) fn texts<'a>(of: impl Iterator<Item = &'a str>) -> Column {
    Column::Text(in_one_buffer(of.map(str::as_bytes)))
}

pub(super) fn uuids(of: impl Iterator<Item = Uuid>) -> Column {
    Column::Fixed(in_one_buffer(of.map(Uuid::into_bytes)))
}

/// As a `DECIMAL(20,2)` is kept: big-endian, in as few bytes as it needs.
pub(super) fn wide_amounts(of: impl Iterator<Item = Amount>) -> Column {
    let bytes = of.map(|amount| i128::from(amount.hundredths()).to_be_bytes());
    let low = |bytes: [u8; 16]| bytes.into_iter().skip(16 - WIDE_BYTES).collect::<Vec<_>>();
    Column::Fixed(in_one_buffer(bytes.map(low)))
}

/// Values of some bytes each, which share one piece of memory.
fn in_one_buffer<T: From<ByteArray>>(values: impl Iterator<Item = impl AsRef<[u8]>>) -> Vec<T> {
    let (mut buffer, mut ends) = (Vec::new(), vec![0]);
    for value in values {
        buffer.extend_from_slice(value.as_ref());
        ends.push(buffer.len());
    }
    let buffer = Bytes::from(buffer);
    let ranges = ends.iter().zip(ends.iter().skip(1));
    ranges.map(|(from, to)| ByteArray::from(buffer.slice(*from..*to)).into()).collect()
}

/// As a text that sorts as times do. There is none for a year of more than four digits.
pub(super) fn rank_of_time(time: DateTime<Utc>) -> Option<String> {
    rank_of_day(time.date_naive())?;
    Some(time.to_rfc3339_opts(SecondsFormat::Micros, true))
}

pub(super) fn rank_of_day(day: NaiveDate) -> Option<String> {
    (0..=9999).contains(&day.year()).then(|| day.to_string())
}

/// Takes columns in the order of their schema.
#[derive(Debug)]
pub(crate) struct Reader(pub(super) Columns);

impl Reader {
    pub(super) fn int32(&mut self) -> anyhow::Result<Vec<i32>> {
        let Some(Column::Int32(values)) = self.0.pop_front() else { bail!(MISSING) };
        Ok(values)
    }

    pub(super) fn int64(&mut self) -> anyhow::Result<Vec<i64>> {
        let Some(Column::Int64(values)) = self.0.pop_front() else { bail!(MISSING) };
        Ok(values)
    }

    pub(super) fn texts(&mut self) -> anyhow::Result<Vec<String>> {
        let Some(Column::Text(values)) = self.0.pop_front() else { bail!(MISSING) };
        values.iter().map(|text| Ok(text.as_utf8()?.to_owned())).collect()
    }

    pub(super) fn uuids(&mut self) -> anyhow::Result<Vec<Uuid>> {
        let Some(Column::Fixed(values)) = self.0.pop_front() else { bail!(MISSING) };
        values.iter().map(|id| Ok(Uuid::from_slice(id.data())?)).collect()
    }

    pub(super) fn bools(&mut self) -> anyhow::Result<Vec<bool>> {
        let Some(Column::Bool(values)) = self.0.pop_front() else { bail!(MISSING) };
        Ok(values)
    }

    pub(super) fn optional_int32(&mut self) -> anyhow::Result<Vec<Option<i32>>> {
        let Some(Column::OptionalInt32(values)) = self.0.pop_front() else { bail!(MISSING) };
        Ok(values)
    }

    pub(super) fn wide_amounts(&mut self) -> anyhow::Result<Vec<Amount>> {
        let Some(Column::Fixed(values)) = self.0.pop_front() else { bail!(MISSING) };
        let amount = |bytes: &[u8]| {
            let (high, low) = bytes.split_first_chunk::<1>()?;
            let low = i64::from_be_bytes(low.try_into().ok()?);
            let fits = i8::from_be_bytes(*high) == if low < 0 { -1 } else { 0 };
            Amount::from_hundredths(low).filter(|_| fits)
        };
        let amounts = values.iter().map(|bytes| amount(bytes.data()));
        amounts.map(|amount| amount.context("an amount is out of range")).collect()
    }

    pub(super) fn times(&mut self) -> anyhow::Result<Vec<DateTime<Utc>>> {
        let times = self.int64()?.into_iter().map(DateTime::from_timestamp_micros);
        times.map(|time| time.context("a time is out of range")).collect()
    }

    pub(super) fn dates(&mut self) -> anyhow::Result<Vec<NaiveDate>> {
        let dates = self.int32()?.into_iter().map(NaiveDate::from_epoch_days);
        dates.map(|date| date.context("a date is out of range")).collect()
    }

    pub(super) fn amounts(&mut self) -> anyhow::Result<Vec<Amount>> {
        let amounts = self.int64()?.into_iter().map(Amount::from_hundredths);
        amounts.map(|amount| amount.context("an amount is out of range")).collect()
    }
}
