//! Rows of the two tables of sales by SKU, which have the same columns but for the name of the first.

use anyhow::ensure;
use chrono::NaiveDate;
use manifest::tables::{self, Table};

use super::{
    columns::{Reader, amounts, dates, rank_of_day, texts},
    parquet::{Column, Columns},
    resting::Rests,
    summed::{AddsUp, step},
    tables::Row,
};
use crate::domain::{Adds, Books, BusinessDays, DayAndSku, SkuSales, SoldInMonth, SoldOnDay, Sums};

macro_rules! by_sku {
    ($row:ident, $table:ident, $sums:ident) => {
        impl Row for $row {
            type Key = DayAndSku;
            const TABLE: Table = tables::$table;

            fn source(_: &Self::Key) -> &str {
                "orders"
            }

            fn key_text((day, sku): &Self::Key) -> String {
                format!("{day} {sku}")
            }

            fn rank((day, _): &Self::Key) -> Option<String> {
                rank_of_day(*day)
            }

            fn watch(books: &mut Books, key: &Self::Key) {
                Self::sums(books).watch(key.clone());
            }

            fn in_books(books: &Books, key: &Self::Key) -> Option<Self> {
                books.orders.by_sku.$sums.watched(key)
            }

            fn step(from: Option<&Self>, to: Option<&Self>) -> Option<Vec<i64>> {
                step(from, to)
            }

            fn to_columns(rows: &[(Self::Key, Self)]) -> Columns {
                to_columns(rows, |row| row.0)
            }

            fn from_columns(
                columns: Reader,
                _: BusinessDays,
            ) -> anyhow::Result<Vec<(Self::Key, Self)>> {
                let rows = from_columns(columns)?.into_iter();
                Ok(rows.map(|(key, row)| (key, Self(row))).collect())
            }
        }

        impl Rests for $row {
            fn day((day, _): &Self::Key) -> NaiveDate {
                *day
            }

            fn changed(self, by: Self) -> Option<Self> {
                Some(self.plus(by)).filter(|sum| *sum != Self::default())
            }

            type Plain = Self::Key;

            fn to_plain(key: &Self::Key) -> Self::Plain {
                key.clone()
            }

            fn from_plain(plain: Self::Plain) -> Self::Key {
                plain
            }
        }

        impl AddsUp for $row {
            fn sums(books: &mut Books) -> &mut Sums<Self::Key, Self> {
                &mut books.orders.by_sku.$sums
            }
        }
    };
}

by_sku!(SoldOnDay, SALES_BY_SKU_DAY, days);
by_sku!(SoldInMonth, SALES_BY_SKU_MONTH, months);

fn to_columns<R>(rows: &[(DayAndSku, R)], of: fn(&R) -> SkuSales) -> Columns {
    let sums = || rows.iter().map(|(_, row)| of(row));
    [
        dates(rows.iter().map(|((day, _), _)| *day)),
        texts(rows.iter().map(|((_, sku), _)| sku.as_str())),
        Column::Int64(sums().map(|row| row.quantity).collect()),
        Column::Int64(sums().map(|row| row.shipped_quantity).collect()),
        Column::Int64(sums().map(|row| row.returned_quantity).collect()),
        amounts(sums().map(|row| row.amount)),
        Column::Int32(sums().map(|row| row.line_count).collect()),
    ]
    .into()
}

fn from_columns(mut columns: Reader) -> anyhow::Result<Vec<(DayAndSku, SkuSales)>> {
    let keys = columns.dates()?.into_iter().zip(columns.texts()?);
    let numbers = columns.int64()?.into_iter().zip(columns.int64()?).zip(columns.int64()?);
    let rows = keys.zip(numbers).zip(columns.amounts()?.into_iter().zip(columns.int32()?));
    let rows = rows.map(|((key, numbers), (amount, line_count))| {
        let ((quantity, shipped_quantity), returned_quantity) = numbers;
        let row = SkuSales { quantity, shipped_quantity, returned_quantity, amount, line_count };
        ensure!(row != SkuSales::default(), "a row of {} is nothing", key.1);
        Ok((key, row))
    });
    rows.collect()
}
