//! Rows of tables that are not in memory.

use anyhow::ensure;
use chrono::{DateTime, Days, NaiveDate, Utc};
use ids::{CustomerId, OrderId, OrderItemId};
use manifest::tables::{self, Table};
use serde::{Serialize, de::DeserializeOwned};
use uuid::Uuid;

use super::{
    columns::{Reader, amounts, dates, rank_of_day, rank_of_time, texts, times, uuids},
    parquet::{Column, Columns},
    shelf::Sizes,
    tables::Row,
};
use crate::domain::{Books, BusinessDays, Level, LevelOfDay, LineKey, OrderLine};

/// A row of a table that is not in memory.
pub(crate) trait Rests: Row {
    const SIZES: Sizes = Sizes::USUAL;

    /// Rows of old days change seldom.
    fn day(key: &Self::Key) -> NaiveDate;

    /// What rows are looked for by; all alike where they never are.
    fn subject(_key: &Self::Key) -> Uuid {
        Uuid::nil()
    }

    /// The row after a change; none when nothing is left of it.
    fn changed(self, by: Self) -> Option<Self> {
        Some(by)
    }

    /// A key as files tell it.
    type Plain: Serialize + DeserializeOwned;

    fn to_plain(key: &Self::Key) -> Self::Plain;

    fn from_plain(plain: Self::Plain) -> Self::Key;
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

    fn rank((day, _): &Self::Key) -> Option<String> {
        rank_of_day(*day)
    }

    fn newest(&self) -> Option<DateTime<Utc>> {
        Some(self.0.at)
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
    // Of the newest day every sale changes a row here and a row there; those of the days before it never change, and are narrow.
    const SIZES: Sizes = Sizes { hot: 512, cold: 1 << 16, recent: Days::new(0) };

    fn day((day, _): &Self::Key) -> NaiveDate {
        *day
    }

    type Plain = Self::Key;

    fn to_plain(key: &Self::Key) -> Self::Plain {
        key.clone()
    }

    fn from_plain(plain: Self::Plain) -> Self::Key {
        plain
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

    fn rank((placed_at, ..): &Self::Key) -> Option<String> {
        rank_of_time(*placed_at)
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

    type Plain = (DateTime<Utc>, Uuid, Uuid);

    fn to_plain((placed_at, order, line): &Self::Key) -> Self::Plain {
        (*placed_at, order.0, line.0)
    }

    fn from_plain((placed_at, order, line): Self::Plain) -> Self::Key {
        (placed_at, OrderId(order), OrderItemId(line))
    }
}
