//! How rows become columns and back, in the order of [`manifest::tables`].

use anyhow::ensure;
use chrono::{DateTime, NaiveDate, Utc};
use ids::{CustomerId, InvoiceId};
use manifest::tables::{self, Table};

use super::{
    columns::{
        Reader, amounts, dates, rank_of_day, rank_of_time, texts, times, uuids, wide_amounts,
    },
    parquet::{Column, Columns},
};
use crate::domain::{
    Ageing, Books, BusinessDays, HourOfSales, Item, Level, OpenInvoice, Posted, SetAside,
};

/// A row of a table that is kept in files.
pub(crate) trait Row: Clone + PartialEq + Send + 'static {
    type Key: Ord + Clone + Send + 'static;
    const TABLE: Table;

    /// The source that it is counted from; that of its key, where that names one.
    fn source(key: &Self::Key) -> &str;

    /// For people.
    fn key_text(key: &Self::Key) -> String;

    /// The first column of the key, as [`range`](manifest::Materialized::range) has it.
    fn rank(key: &Self::Key) -> Option<String>;

    /// When the row changed, where it tells.
    fn newest(&self) -> Option<DateTime<Utc>> {
        None
    }

    /// Has [`Row::in_books`] know what becomes of the row, where rows are not in memory.
    fn watch(_books: &mut Books, _key: &Self::Key) {}

    /// The row as it is in memory, if it is.
    fn in_books(books: &Books, key: &Self::Key) -> Option<Self>;

    /// By how much a sum has changed, where a row is one.
    fn step(_from: Option<&Self>, _to: Option<&Self>) -> Option<Vec<i64>> {
        None
    }

    fn to_columns(rows: &[(Self::Key, Self)]) -> Columns;

    fn from_columns(
        columns: Reader,
        calendar: BusinessDays,
    ) -> anyhow::Result<Vec<(Self::Key, Self)>>;
}

impl Row for HourOfSales {
    type Key = DateTime<Utc>;
    const TABLE: Table = tables::SALES_BY_HOUR;

    fn source(_: &Self::Key) -> &str {
        "orders"
    }

    fn key_text(hour: &Self::Key) -> String {
        hour.to_rfc3339()
    }

    fn rank(hour: &Self::Key) -> Option<String> {
        rank_of_time(*hour)
    }

    fn in_books(books: &Books, key: &Self::Key) -> Option<Self> {
        books.sales.hours.get(key).copied()
    }

    fn step(from: Option<&Self>, to: Option<&Self>) -> Option<Vec<i64>> {
        let of = |row: Option<&Self>| row.copied().unwrap_or_default();
        let sums = |row: Self| (row.total.hundredths(), i64::from(row.order_count));
        let ((before, count_before), (after, count)) = (sums(of(from)), sums(of(to)));
        Some(vec![after.checked_sub(before)?, count - count_before])
    }

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

impl Row for Item {
    type Key = String;
    const TABLE: Table = tables::STOCK_SNAPSHOT;

    fn source(_: &Self::Key) -> &str {
        "inventory"
    }

    fn key_text(sku: &Self::Key) -> String {
        sku.clone()
    }

    fn rank(sku: &Self::Key) -> Option<String> {
        Some(sku.clone())
    }

    fn newest(&self) -> Option<DateTime<Utc>> {
        Some(self.level.at)
    }

    fn in_books(books: &Books, key: &Self::Key) -> Option<Self> {
        books.stock.items.get(key).copied()
    }

    fn to_columns(rows: &[(Self::Key, Self)]) -> Columns {
        [
            texts(rows.iter().map(|(sku, _)| sku.as_str())),
            Column::Int32(rows.iter().map(|(_, row)| row.level.on_hand).collect()),
            Column::Int32(rows.iter().map(|(_, row)| row.level.reserved).collect()),
            times(rows.iter().map(|(_, row)| row.level.at)),
            Column::Int32(rows.iter().map(|(_, row)| row.reorder_point).collect()),
            Column::Bool(rows.iter().map(|(_, row)| row.archived).collect()),
        ]
        .into()
    }

    fn from_columns(
        mut columns: Reader,
        _: BusinessDays,
    ) -> anyhow::Result<Vec<(Self::Key, Self)>> {
        let (skus, on_hand) = (columns.texts()?, columns.int32()?);
        let levels = on_hand.into_iter().zip(columns.int32()?).zip(columns.times()?);
        let levels = levels.map(|((on_hand, reserved), at)| Level { on_hand, reserved, at });
        let rows = levels.zip(columns.int32()?.into_iter().zip(columns.bools()?));
        let rows =
            rows.map(|(level, (reorder_point, archived))| Self { level, reorder_point, archived });
        Ok(skus.into_iter().zip(rows).collect())
    }
}

impl Row for OpenInvoice {
    type Key = InvoiceId;
    const TABLE: Table = tables::OPEN_INVOICES;

    fn source(_: &Self::Key) -> &str {
        "billing"
    }

    fn key_text(id: &Self::Key) -> String {
        id.to_string()
    }

    fn rank(id: &Self::Key) -> Option<String> {
        Some(id.to_string())
    }

    fn in_books(books: &Books, key: &Self::Key) -> Option<Self> {
        books.receivables.invoices.get(key).copied()
    }

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
    const TABLE: Table = tables::AR_AGEING;

    fn source(_: &Self::Key) -> &str {
        "billing"
    }

    fn key_text(day: &Self::Key) -> String {
        day.to_string()
    }

    fn rank(day: &Self::Key) -> Option<String> {
        rank_of_day(*day)
    }

    fn in_books(books: &Books, key: &Self::Key) -> Option<Self> {
        books.receivables.days.get(key).copied()
    }

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
    const TABLE: Table = tables::SET_ASIDE_EVENTS;

    fn source((source, _): &Self::Key) -> &str {
        source
    }

    fn key_text((source, sequence): &Self::Key) -> String {
        format!("{source} {sequence}")
    }

    fn rank((source, _): &Self::Key) -> Option<String> {
        Some(source.clone())
    }

    fn in_books(books: &Books, key: &Self::Key) -> Option<Self> {
        books.set_aside.get(key).cloned()
    }

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

impl Row for Posted {
    type Key = (NaiveDate, String);
    const TABLE: Table = tables::TRIAL_BALANCE;

    fn source(_: &Self::Key) -> &str {
        "ledger"
    }

    fn key_text((day, account): &Self::Key) -> String {
        format!("{day} {account}")
    }

    fn rank((day, _): &Self::Key) -> Option<String> {
        rank_of_day(*day)
    }

    fn in_books(books: &Books, key: &Self::Key) -> Option<Self> {
        books.trial_balance.accounts.get(key).copied()
    }

    fn step(from: Option<&Self>, to: Option<&Self>) -> Option<Vec<i64>> {
        let of = |row: Option<&Self>| row.copied().unwrap_or_default();
        let sums = |row: Self| (row.debit.hundredths(), row.credit.hundredths());
        let ((debit, credit), (debit_after, credit_after)) = (sums(of(from)), sums(of(to)));
        Some(vec![debit_after.checked_sub(debit)?, credit_after.checked_sub(credit)?])
    }

    fn to_columns(rows: &[(Self::Key, Self)]) -> Columns {
        [
            texts(rows.iter().map(|((_, account), _)| account.as_str())),
            dates(rows.iter().map(|((day, _), _)| *day)),
            wide_amounts(rows.iter().map(|(_, row)| row.debit)),
            wide_amounts(rows.iter().map(|(_, row)| row.credit)),
        ]
        .into()
    }

    fn from_columns(
        mut columns: Reader,
        _: BusinessDays,
    ) -> anyhow::Result<Vec<(Self::Key, Self)>> {
        let (accounts, days) = (columns.texts()?, columns.dates()?);
        let rows = columns.wide_amounts()?.into_iter().zip(columns.wide_amounts()?);
        let rows = rows.map(|(debit, credit)| Self { debit, credit });
        Ok(days.into_iter().zip(accounts).zip(rows).collect())
    }
}
