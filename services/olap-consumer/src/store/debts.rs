//! By how much what customers owe changed: rows of `receivables_by_day`.

use anyhow::ensure;
use chrono::NaiveDate;
use ids::CustomerId;
use manifest::tables::{self, Table};
use uuid::Uuid;

use super::{
    columns::{Reader, amounts, dates, rank_of_day, uuids},
    parquet::Columns,
    resting::Rests,
    summed::{AddsUp, step},
    tables::Row,
};
use crate::domain::{Adds, Books, BusinessDays, DayAndDebt, OwedMore, Sums};

impl Row for OwedMore {
    type Key = DayAndDebt;
    const TABLE: Table = tables::RECEIVABLES_BY_DAY;

    fn source(_: &Self::Key) -> &str {
        "billing"
    }

    fn key_text((day, customer, due_date): &Self::Key) -> String {
        format!("{day} {customer} {due_date}")
    }

    fn rank((day, ..): &Self::Key) -> Option<String> {
        rank_of_day(*day)
    }

    fn watch(books: &mut Books, key: &Self::Key) {
        Self::sums(books).watch(*key);
    }

    fn in_books(books: &Books, key: &Self::Key) -> Option<Self> {
        books.receivables.changes.watched(key)
    }

    fn step(from: Option<&Self>, to: Option<&Self>) -> Option<Vec<i64>> {
        step(from, to)
    }

    fn to_columns(rows: &[(Self::Key, Self)]) -> Columns {
        [
            dates(rows.iter().map(|((day, ..), _)| *day)),
            uuids(rows.iter().map(|((_, customer, _), _)| customer.0)),
            dates(rows.iter().map(|((.., due_date), _)| *due_date)),
            amounts(rows.iter().map(|(_, row)| row.0)),
        ]
        .into()
    }

    fn from_columns(
        mut columns: Reader,
        _: BusinessDays,
    ) -> anyhow::Result<Vec<(Self::Key, Self)>> {
        let keys = columns.dates()?.into_iter().zip(columns.uuids()?).zip(columns.dates()?);
        let keys = keys.map(|((day, customer), due_date)| (day, CustomerId(customer), due_date));
        let rows = keys.zip(columns.amounts()?).map(|(key, amount)| {
            let row = Self(amount);
            ensure!(row != Self::default(), "a row of {} is nothing", key.1);
            Ok((key, row))
        });
        rows.collect()
    }
}

impl Rests for OwedMore {
    fn day((day, ..): &Self::Key) -> NaiveDate {
        *day
    }

    fn changed(self, by: Self) -> Option<Self> {
        Some(self.plus(by)).filter(|sum| *sum != Self::default())
    }

    type Plain = (NaiveDate, Uuid, NaiveDate);

    fn to_plain((day, customer, due_date): &Self::Key) -> Self::Plain {
        (*day, customer.0, *due_date)
    }

    fn from_plain((day, customer, due_date): Self::Plain) -> Self::Key {
        (day, CustomerId(customer), due_date)
    }
}

impl AddsUp for OwedMore {
    fn sums(books: &mut Books) -> &mut Sums<Self::Key, Self> {
        &mut books.receivables.changes
    }
}
