//! How rows become columns and back, in the order of [`manifest::tables`].

use ::parquet::data_type::ByteArray;
use anyhow::{Context, bail, ensure};
use chrono::{DateTime, NaiveDate, Utc};
use ids::{CustomerId, InvoiceId, OrderId, OrderItemId};
use manifest::tables::{self, Table};
use uuid::Uuid;

use super::parquet::{Column, Columns};
use crate::domain::{
    Ageing, Amount, Books, BusinessDays, HourOfSales, Level, LevelOfDay, LineKey, OpenInvoice,
    OrderLine, Posted, SetAside,
};

/// The schema is checked before columns are taken by it.
const MISSING: &str = "the columns are not those of the schema";

const WIDE_BYTES: usize = 9;

/// A row of a table that is kept in files.
pub(crate) trait Row: Clone + PartialEq + Send + 'static {
    type Key: Ord + Clone + Send + 'static;
    const TABLE: Table;

    /// The source that it is counted from; that of its key, where that names one.
    fn source(key: &Self::Key) -> &str;

    /// For people.
    fn key_text(key: &Self::Key) -> String;

    /// The row as it is in memory, if it is.
    fn in_books(books: &Books, key: &Self::Key) -> Option<Self>;

    /// By how much a sum has changed, where a row is one.
    fn step(_from: Option<&Self>, _to: Option<&Self>) -> Option<[i64; 2]> {
        None
    }

    fn to_columns(rows: &[(Self::Key, Self)]) -> Columns;

    fn from_columns(
        columns: Reader,
        calendar: BusinessDays,
    ) -> anyhow::Result<Vec<(Self::Key, Self)>>;
}

/// A row of a table that is not in memory.
pub(crate) trait Rests: Row {
    /// Rows of old days change seldom.
    fn day(key: &Self::Key) -> NaiveDate;

    /// What rows are looked for by; all alike where they never are.
    fn subject(key: &Self::Key) -> Uuid;
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

    fn in_books(books: &Books, key: &Self::Key) -> Option<Self> {
        books.sales.hours.get(key).copied()
    }

    fn step(from: Option<&Self>, to: Option<&Self>) -> Option<[i64; 2]> {
        let of = |row: Option<&Self>| row.copied().unwrap_or_default();
        let sums = |row: Self| (row.total.hundredths(), i64::from(row.order_count));
        let ((before, count_before), (after, count)) = (sums(of(from)), sums(of(to)));
        Some([after.checked_sub(before)?, count - count_before])
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

impl Row for Level {
    type Key = String;
    const TABLE: Table = tables::STOCK_SNAPSHOT;

    fn source(_: &Self::Key) -> &str {
        "inventory"
    }

    fn key_text(sku: &Self::Key) -> String {
        sku.clone()
    }

    fn in_books(books: &Books, key: &Self::Key) -> Option<Self> {
        books.stock.levels.get(key).copied()
    }

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
    const TABLE: Table = tables::OPEN_INVOICES;

    fn source(_: &Self::Key) -> &str {
        "billing"
    }

    fn key_text(id: &Self::Key) -> String {
        id.to_string()
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

    fn in_books(books: &Books, key: &Self::Key) -> Option<Self> {
        books.trial_balance.accounts.get(key).copied()
    }

    fn step(from: Option<&Self>, to: Option<&Self>) -> Option<[i64; 2]> {
        let of = |row: Option<&Self>| row.copied().unwrap_or_default();
        let sums = |row: Self| (row.debit.hundredths(), row.credit.hundredths());
        let ((debit, credit), (debit_after, credit_after)) = (sums(of(from)), sums(of(to)));
        Some([debit_after.checked_sub(debit)?, credit_after.checked_sub(credit)?])
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

impl Row for LevelOfDay {
    type Key = (NaiveDate, String);
    const TABLE: Table = tables::STOCK_BY_DAY;

    fn source(_: &Self::Key) -> &str {
        "inventory"
    }

    fn key_text((day, sku): &Self::Key) -> String {
        format!("{day} {sku}")
    }

    fn in_books(books: &Books, key: &Self::Key) -> Option<Self> {
        books.stock.days.get(key).copied()
    }

    fn to_columns(rows: &[(Self::Key, Self)]) -> Columns {
        [
            texts(rows.iter().map(|((_, sku), _)| sku.as_str())),
            Column::Int32(rows.iter().map(|(_, row)| row.0.on_hand).collect()),
            Column::Int32(rows.iter().map(|(_, row)| row.0.reserved).collect()),
            times(rows.iter().map(|(_, row)| row.0.at)),
            dates(rows.iter().map(|((day, _), _)| *day)),
        ]
        .into()
    }

    fn from_columns(
        mut columns: Reader,
        _: BusinessDays,
    ) -> anyhow::Result<Vec<(Self::Key, Self)>> {
        let (skus, on_hand) = (columns.texts()?, columns.int32()?);
        let rows = on_hand.into_iter().zip(columns.int32()?).zip(columns.times()?);
        let rows = rows.map(|((on_hand, reserved), at)| Self(Level { on_hand, reserved, at }));
        Ok(columns.dates()?.into_iter().zip(skus).zip(rows).collect())
    }
}

impl Rests for LevelOfDay {
    fn day((day, _): &Self::Key) -> NaiveDate {
        *day
    }

    fn subject(_: &Self::Key) -> Uuid {
        Uuid::nil()
    }
}

impl Row for OrderLine {
    type Key = LineKey;
    const TABLE: Table = tables::ORDER_FACTS;

    fn source(_: &Self::Key) -> &str {
        "orders"
    }

    fn key_text((_, order, line): &Self::Key) -> String {
        format!("{order} {line}")
    }

    fn in_books(books: &Books, key: &Self::Key) -> Option<Self> {
        books.orders.lines.get(key).cloned()
    }

    fn to_columns(rows: &[(Self::Key, Self)]) -> Columns {
        let numbers =
            |of: fn(&Self) -> i32| Column::Int32(rows.iter().map(|(_, row)| of(row)).collect());
        [
            uuids(rows.iter().map(|((_, order, _), _)| order.0)),
            uuids(rows.iter().map(|((.., line), _)| line.0)),
            uuids(rows.iter().map(|(_, row)| row.customer_id.0)),
            texts(rows.iter().map(|(_, row)| row.sku.as_str())),
            numbers(|row| row.quantity),
            numbers(|row| row.cancelled_quantity),
            numbers(|row| row.shipped_quantity),
            numbers(|row| row.returned_quantity),
            amounts(rows.iter().map(|(_, row)| row.unit_price)),
            Column::OptionalInt32(rows.iter().map(|(_, row)| row.tax_rate).collect()),
            amounts(rows.iter().map(|(_, row)| row.amount())),
            times(rows.iter().map(|((placed_at, ..), _)| *placed_at)),
            Column::Bool(rows.iter().map(|(_, row)| row.cancelled).collect()),
        ]
        .into()
    }

    fn from_columns(
        mut columns: Reader,
        _: BusinessDays,
    ) -> anyhow::Result<Vec<(Self::Key, Self)>> {
        let (orders, lines, customers) = (columns.uuids()?, columns.uuids()?, columns.uuids()?);
        let (skus, quantities) = (columns.texts()?, columns.int32()?);
        let (cancelled_quantities, shipped) = (columns.int32()?, columns.int32()?);
        let (returned, prices) = (columns.int32()?, columns.amounts()?);
        let (rates, amounts) = (columns.optional_int32()?, columns.amounts()?);
        let (times, cancelled) = (columns.times()?, columns.bools()?);

        let keys = times.into_iter().zip(orders).zip(lines);
        let keys = keys.map(|((at, order), line)| (at, OrderId(order), OrderItemId(line)));
        let what = customers.into_iter().zip(skus).zip(prices).zip(rates);
        let moved = quantities.into_iter().zip(cancelled_quantities).zip(shipped).zip(returned);
        let rows = keys.zip(what).zip(moved).zip(cancelled.into_iter().zip(amounts));
        let rows = rows.map(|(((key, what), moved), (cancelled, amount))| {
            let (((customer_id, sku), unit_price), tax_rate) = what;
            let (((quantity, cancelled_quantity), shipped_quantity), returned_quantity) = moved;
            let row = Self {
                customer_id: CustomerId(customer_id),
                sku,
                quantity,
                cancelled_quantity,
                shipped_quantity,
                returned_quantity,
                unit_price,
                tax_rate,
                cancelled,
            };
            ensure!(row.amount() == amount, "the amount of a line of order {} is another", key.1);
            Ok((key, row))
        });
        rows.collect()
    }
}

impl Rests for OrderLine {
    fn day((placed_at, ..): &Self::Key) -> NaiveDate {
        placed_at.date_naive()
    }

    fn subject((_, order, _): &Self::Key) -> Uuid {
        order.0
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
    Column::Fixed(of.map(|id| id.as_bytes().to_vec().into()).collect())
}

/// As a `DECIMAL(20,2)` is kept: big-endian, in as few bytes as it needs.
fn wide_amounts(of: impl Iterator<Item = Amount>) -> Column {
    let bytes = |amount: Amount| {
        let whole = i128::from(amount.hundredths()).to_be_bytes();
        whole.split_at(whole.len() - WIDE_BYTES).1.to_vec().into()
    };
    Column::Fixed(of.map(bytes).collect())
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
        let Some(Column::Fixed(values)) = self.0.pop_front() else { bail!(MISSING) };
        values.iter().map(|id| Ok(Uuid::from_slice(id.data())?)).collect()
    }

    fn bools(&mut self) -> anyhow::Result<Vec<bool>> {
        let Some(Column::Bool(values)) = self.0.pop_front() else { bail!(MISSING) };
        Ok(values)
    }

    fn optional_int32(&mut self) -> anyhow::Result<Vec<Option<i32>>> {
        let Some(Column::OptionalInt32(values)) = self.0.pop_front() else { bail!(MISSING) };
        Ok(values)
    }

    fn wide_amounts(&mut self) -> anyhow::Result<Vec<Amount>> {
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
