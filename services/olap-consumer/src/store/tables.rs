//! The tables' columns, and how rows become columns and back. The schemas are the contract with everybody who reads the files.

use ::parquet::data_type::ByteArray;
use anyhow::{Context, bail, ensure};
use chrono::{DateTime, NaiveDate, Utc};
use ids::{CustomerId, InvoiceId};
use uuid::Uuid;

use super::parquet::{Column, Columns};
use crate::domain::{Ageing, Amount, BusinessDays, HourOfSales, Level, OpenInvoice, SetAside};

/// The schema is checked before columns are taken by it.
const MISSING: &str = "the columns are not those of the schema";

/// A row of a table that is kept in files.
pub(crate) trait Row: Clone + PartialEq {
    type Key: Ord + Clone;
    const TABLE: &'static str;
    const SCHEMA: &'static str;

    fn to_columns(rows: &[(Self::Key, Self)]) -> Columns;

    fn from_columns(
        columns: Reader,
        calendar: BusinessDays,
    ) -> anyhow::Result<Vec<(Self::Key, Self)>>;
}

impl Row for HourOfSales {
    type Key = DateTime<Utc>;
    const TABLE: &'static str = "sales_by_hour";
    const SCHEMA: &'static str = "message sales_by_hour {
        required int64 hour (TIMESTAMP(MICROS,true));
        required int64 total_amount (DECIMAL(18,2));
        required int32 order_count;
    }";

    fn to_columns(rows: &[(Self::Key, Self)]) -> Columns {
        [
            times(rows.iter().map(|(hour, _)| *hour)),
            amounts(rows.iter().map(|(_, row)| row.total)),
            Column::Int32(rows.iter().map(|(_, row)| row.order_count).collect()),
        ]
        .into()
    }

    fn from_columns(
        mut columns: Reader,
        _: BusinessDays,
    ) -> anyhow::Result<Vec<(Self::Key, Self)>> {
        let (hours, totals) = (columns.times()?, columns.amounts()?);
        let rows = totals.into_iter().zip(columns.int32()?);
        let rows = rows.map(|(total, order_count)| Self { total, order_count });
        Ok(hours.into_iter().zip(rows).collect())
    }
}

impl Row for Level {
    type Key = String;
    const TABLE: &'static str = "stock_snapshot";
    const SCHEMA: &'static str = "message stock_snapshot {
        required binary sku (STRING);
        required int32 qty_on_hand;
        required int32 reserved_qty;
        required int64 snapshot_at (TIMESTAMP(MICROS,true));
    }";

    fn to_columns(rows: &[(Self::Key, Self)]) -> Columns {
        [
            texts(rows.iter().map(|(sku, _)| sku.as_str())),
            Column::Int32(rows.iter().map(|(_, row)| row.on_hand).collect()),
            Column::Int32(rows.iter().map(|(_, row)| row.reserved).collect()),
            times(rows.iter().map(|(_, row)| row.at)),
        ]
        .into()
    }

    fn from_columns(
        mut columns: Reader,
        _: BusinessDays,
    ) -> anyhow::Result<Vec<(Self::Key, Self)>> {
        let (skus, on_hand) = (columns.texts()?, columns.int32()?);
        let rows = on_hand.into_iter().zip(columns.int32()?).zip(columns.times()?);
        let rows = rows.map(|((on_hand, reserved), at)| Self { on_hand, reserved, at });
        Ok(skus.into_iter().zip(rows).collect())
    }
}

impl Row for OpenInvoice {
    type Key = InvoiceId;
    const TABLE: &'static str = "open_invoices";
    const SCHEMA: &'static str = "message open_invoices {
        required fixed_len_byte_array(16) invoice_id (UUID);
        required fixed_len_byte_array(16) customer_id (UUID);
        required int32 due_date (DATE);
        required int64 residual (DECIMAL(18,2));
    }";

    fn to_columns(rows: &[(Self::Key, Self)]) -> Columns {
        [
            uuids(rows.iter().map(|(id, _)| id.0)),
            uuids(rows.iter().map(|(_, row)| row.customer_id.0)),
            dates(rows.iter().map(|(_, row)| row.due_date)),
            amounts(rows.iter().map(|(_, row)| row.residual)),
        ]
        .into()
    }

    fn from_columns(
        mut columns: Reader,
        _: BusinessDays,
    ) -> anyhow::Result<Vec<(Self::Key, Self)>> {
        let ids = columns.uuids()?.into_iter().map(InvoiceId);
        let rows = columns.uuids()?.into_iter().zip(columns.dates()?).zip(columns.amounts()?);
        let rows = rows.map(|((customer_id, due_date), residual)| Self {
            customer_id: CustomerId(customer_id),
            due_date,
            residual,
        });
        Ok(ids.zip(rows).collect())
    }
}

/// `as_of` lies within the business day of the row.
impl Row for Ageing {
    type Key = NaiveDate;
    const TABLE: &'static str = "ar_ageing";
    const SCHEMA: &'static str = "message ar_ageing {
        required int64 bucket_30 (DECIMAL(18,2));
        required int64 bucket_60 (DECIMAL(18,2));
        required int64 bucket_90 (DECIMAL(18,2));
        required int64 total_ar (DECIMAL(18,2));
        required int64 as_of (TIMESTAMP(MICROS,true));
        required int64 current (DECIMAL(18,2));
        required int64 bucket_over_90 (DECIMAL(18,2));
    }";

    fn to_columns(rows: &[(Self::Key, Self)]) -> Columns {
        [
            amounts(rows.iter().map(|(_, row)| row.to_30)),
            amounts(rows.iter().map(|(_, row)| row.to_60)),
            amounts(rows.iter().map(|(_, row)| row.to_90)),
            amounts(rows.iter().map(|(_, row)| row.total())),
            times(rows.iter().map(|(_, row)| row.as_of)),
            amounts(rows.iter().map(|(_, row)| row.current)),
            amounts(rows.iter().map(|(_, row)| row.over_90)),
        ]
        .into()
    }

    fn from_columns(
        mut columns: Reader,
        calendar: BusinessDays,
    ) -> anyhow::Result<Vec<(Self::Key, Self)>> {
        let (to_30, to_60, to_90) = (columns.amounts()?, columns.amounts()?, columns.amounts()?);
        let totals = columns.amounts()?;
        let times = columns.times()?.into_iter();
        let ends = columns.amounts()?.into_iter().zip(columns.amounts()?);
        let late = to_30.into_iter().zip(to_60).zip(to_90);
        let rows = times.zip(ends).zip(late).zip(totals).map(|(row, total)| {
            let ((as_of, (current, over_90)), ((to_30, to_60), to_90)) = row;
            let row = Self { as_of, current, to_30, to_60, to_90, over_90 };
            ensure!(row.total() == total, "the buckets of {as_of} do not sum to their total");
            Ok((calendar.day_of(as_of), row))
        });
        rows.collect()
    }
}

impl Row for SetAside {
    type Key = (String, i64);
    const TABLE: &'static str = "set_aside_events";
    const SCHEMA: &'static str = "message set_aside_events {
        required binary source (STRING);
        required int64 sequence;
        required fixed_len_byte_array(16) event_id (UUID);
        required binary event_type (STRING);
        required binary subject (STRING);
        required int64 event_time (TIMESTAMP(MICROS,true));
        required binary reason (STRING);
    }";

    fn to_columns(rows: &[(Self::Key, Self)]) -> Columns {
        [
            texts(rows.iter().map(|((source, _), _)| source.as_str())),
            Column::Int64(rows.iter().map(|((_, sequence), _)| *sequence).collect()),
            uuids(rows.iter().map(|(_, row)| row.event_id)),
            texts(rows.iter().map(|(_, row)| row.event_type.as_str())),
            texts(rows.iter().map(|(_, row)| row.subject.as_str())),
            times(rows.iter().map(|(_, row)| row.event_time)),
            texts(rows.iter().map(|(_, row)| row.reason.as_str())),
        ]
        .into()
    }

    fn from_columns(
        mut columns: Reader,
        _: BusinessDays,
    ) -> anyhow::Result<Vec<(Self::Key, Self)>> {
        let keys = columns.texts()?.into_iter().zip(columns.int64()?);
        let rows = columns.uuids()?.into_iter().zip(columns.texts()?).zip(columns.texts()?);
        let rows = rows.zip(columns.times()?.into_iter().zip(columns.texts()?));
        let rows = rows.map(|(((event_id, event_type), subject), (event_time, reason))| Self {
            event_id,
            event_type,
            subject,
            event_time,
            reason,
        });
        Ok(keys.zip(rows).collect())
    }
}

fn times(of: impl Iterator<Item = DateTime<Utc>>) -> Column {
    Column::Int64(of.map(|time| time.timestamp_micros()).collect())
}

fn dates(of: impl Iterator<Item = NaiveDate>) -> Column {
    Column::Int32(of.map(|date| date.to_epoch_days()).collect())
}

fn amounts(of: impl Iterator<Item = Amount>) -> Column {
    Column::Int64(of.map(Amount::hundredths).collect())
}

fn texts<'a>(of: impl Iterator<Item = &'a str>) -> Column {
    Column::Text(of.map(ByteArray::from).collect())
}

fn uuids(of: impl Iterator<Item = Uuid>) -> Column {
    Column::Uuid(of.map(|id| id.as_bytes().to_vec().into()).collect())
}

/// Takes columns in the order of their schema.
#[derive(Debug)]
pub(crate) struct Reader(pub(crate) Columns);

impl Reader {
    fn int32(&mut self) -> anyhow::Result<Vec<i32>> {
        let Some(Column::Int32(values)) = self.0.pop_front() else { bail!(MISSING) };
        Ok(values)
    }

    fn int64(&mut self) -> anyhow::Result<Vec<i64>> {
        let Some(Column::Int64(values)) = self.0.pop_front() else { bail!(MISSING) };
        Ok(values)
    }

    fn texts(&mut self) -> anyhow::Result<Vec<String>> {
        let Some(Column::Text(values)) = self.0.pop_front() else { bail!(MISSING) };
        values.iter().map(|text| Ok(text.as_utf8()?.to_owned())).collect()
    }

    fn uuids(&mut self) -> anyhow::Result<Vec<Uuid>> {
        let Some(Column::Uuid(values)) = self.0.pop_front() else { bail!(MISSING) };
        values.iter().map(|id| Ok(Uuid::from_slice(id.data())?)).collect()
    }

    fn times(&mut self) -> anyhow::Result<Vec<DateTime<Utc>>> {
        let times = self.int64()?.into_iter().map(DateTime::from_timestamp_micros);
        times.map(|time| time.context("a time is out of range")).collect()
    }

    fn dates(&mut self) -> anyhow::Result<Vec<NaiveDate>> {
        let dates = self.int32()?.into_iter().map(NaiveDate::from_epoch_days);
        dates.map(|date| date.context("a date is out of range")).collect()
    }

    fn amounts(&mut self) -> anyhow::Result<Vec<Amount>> {
        let amounts = self.int64()?.into_iter().map(Amount::from_hundredths);
        amounts.map(|amount| amount.context("an amount is out of range")).collect()
    }
}
