//! Two counts of the same logs, value for value.

use std::{
    cmp::Ordering,
    iter::Peekable,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use ::parquet::{
    file::reader::{FileReader, SerializedFileReader},
    record::Field,
};
use manifest::{Materialized, tables};
use uuid::Uuid;

use super::{
    AllFiles, Place,
    load::load_file,
    parquet as columns,
    summed::{self, AddsUp, Summed},
    tables::Row,
};
use crate::domain::{
    Ageing, Books, HourOfSales, Item, LevelOfDay, OpenInvoice, OrderLine, OwedMore, Posted,
    SetAside, SoldInMonth, SoldOnDay,
};

/// Differences that are told; the rest is only counted.
const TOLD_MAX: usize = 20;

/// The files of one version.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    pub(super) place: Place,
    pub(super) files: AllFiles,
}

/// What two counts of the same events do not agree on.
#[derive(Debug, Default)]
pub(crate) struct Differences {
    pub(crate) count: u64,
    /// The first ones.
    pub(crate) told: Vec<Difference>,
    /// Looks for the event of the first one.
    pub(crate) trace: Option<Trace>,
}

/// A row that is another, or there in one of them only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Difference {
    pub(crate) table: &'static str,
    pub(crate) key: String,
    /// Empty where it has none.
    pub(crate) live: String,
    pub(crate) counted: String,
}

/// Looks at one row while its source is counted.
pub(crate) struct Trace {
    pub(crate) source: String,
    /// Before the first event.
    pub(crate) watch: Box<dyn Fn(&mut Books) + Send>,
    pub(crate) look: Box<dyn FnMut(&Books) -> Look + Send>,
}

/// What one event has done to a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    Untouched,
    /// It is the one of the live files now.
    Same,
    /// It has become another one.
    Other,
    /// The same, by just as much as the live files lack: of a sum, this event alone may be what is missing.
    Explains,
}

impl std::fmt::Debug for Trace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trace").field("source", &self.source).finish_non_exhaustive()
    }
}

impl Snapshot {
    /// Rows of all files.
    pub(crate) fn row_count(&self) -> u64 {
        self.files.all().iter().map(|file| file.row_count).sum()
    }
}

/// Where one of the two is read, and how many rows were read of both.
#[derive(Debug, Clone, Copy)]
struct Side<'a> {
    place: &'a Place,
    read: &'a AtomicU64,
}

/// Reads both, a file of each at a time. Blocks.
pub(crate) fn compare(
    live: &Snapshot,
    counted: &Snapshot,
    read: &AtomicU64,
) -> anyhow::Result<Differences> {
    let mut found = Differences::default();
    let (a, b) = (&live.files, &counted.files);
    let places = (Side { place: &live.place, read }, Side { place: &counted.place, read });
    table::<OrderLine>(
        places,
        (a.lines.values().map(file), b.lines.values().map(file)),
        &mut found,
    )?;
    table::<HourOfSales>(places, (a.hours.values(), b.hours.values()), &mut found)?;
    table::<Item>(places, (a.items.values(), b.items.values()), &mut found)?;
    let days = (a.stock_days.values().map(file), b.stock_days.values().map(file));
    table::<LevelOfDay>(places, days, &mut found)?;
    table::<OpenInvoice>(places, (a.invoices.values(), b.invoices.values()), &mut found)?;
    table::<Ageing>(places, (a.days.values(), b.days.values()), &mut found)?;
    table::<Posted>(places, (a.accounts.values(), b.accounts.values()), &mut found)?;
    table::<SetAside>(places, (a.set_aside.values(), b.set_aside.values()), &mut found)?;
    sums::<SoldOnDay>(places, (&a.sku_days, &b.sku_days), &mut found)?;
    sums::<SoldInMonth>(places, (&a.sku_months, &b.sku_months), &mut found)?;
    sums::<OwedMore>(places, (&a.debts, &b.debts), &mut found)?;
    Ok(found)
}

fn file<K>(leaf: &super::shelf::Leaf<K>) -> &Materialized {
    &leaf.file
}

fn table<'a, R: Row>(
    (live_side, counted_side): (Side<'_>, Side<'_>),
    (live, counted): (
        impl Iterator<Item = &'a Materialized>,
        impl Iterator<Item = &'a Materialized>,
    ),
    found: &mut Differences,
) -> anyhow::Result<()> {
    each_key::<R>(rows(live_side, live), rows(counted_side, counted), found)
}

/// Of an additive table: what its rows come to by key, in whichever files they are.
fn sums<R: AddsUp>(
    (live_side, counted_side): (Side<'_>, Side<'_>),
    (live, counted): (&Summed<R::Key>, &Summed<R::Key>),
    found: &mut Differences,
) -> anyhow::Result<()> {
    each_key::<R>(summed(live_side, live)?, summed(counted_side, counted)?, found)
}

fn each_key<R: Row>(
    live: impl Iterator<Item = Read<R>>,
    counted: impl Iterator<Item = Read<R>>,
    found: &mut Differences,
) -> anyhow::Result<()> {
    let (mut live, mut counted) = (live.peekable(), counted.peekable());
    loop {
        let order = match (key_of(&mut live)?, key_of(&mut counted)?) {
            (None, None) => return Ok(()),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(live), Some(counted)) => live.cmp(&counted),
        };
        let live = if order.is_le() { live.next().transpose()? } else { None };
        let counted = if order.is_ge() { counted.next().transpose()? } else { None };
        if live != counted {
            found.add(live, counted)?;
        }
    }
}

type Read<R> = anyhow::Result<(<R as Row>::Key, R)>;

fn rows<'a, R: Row>(
    side: Side<'_>,
    files: impl Iterator<Item = &'a Materialized>,
) -> impl Iterator<Item = Read<R>> {
    let Side { place, read } = side;
    files.flat_map(|file| match load_file::<R>(&place.folder, file, place.calendar) {
        Ok(rows) => {
            read.fetch_add(file.row_count, Relaxed);
            rows.into_iter().map(Ok).collect()
        }
        Err(error) => vec![Err(error.context(file.path.clone()))],
    })
}

/// Rows of the sorted files, each with what is pending of its key.
fn summed<'a, R: AddsUp>(
    side: Side<'a>,
    files: &'a Summed<R::Key>,
) -> anyhow::Result<impl Iterator<Item = Read<R>> + 'a> {
    let pending = files.pending.as_ref().map(|file| summed::rows::<R>(side.place, file));
    let mut pending = pending.transpose()?.unwrap_or_default();
    side.read.fetch_add(files.pending.as_ref().map_or(0, |file| file.row_count), Relaxed);
    let mut sorted = rows::<R>(side, files.sorted.values().map(file)).peekable();
    Ok(std::iter::from_fn(move || {
        loop {
            let next = sorted.next_if(|row| {
                let first = pending.first_key_value();
                row.as_ref().map_or(true, |(key, _)| first.is_none_or(|(first, _)| key <= first))
            });
            let Some(Ok((key, row))) = next else {
                return next.or_else(|| pending.pop_first().map(Ok));
            };
            let sum = match pending.remove(&key) {
                Some(by) => row.changed(by),
                None => Some(row),
            };
            if let Some(sum) = sum {
                return Some(Ok((key, sum)));
            }
        }
    }))
}

fn key_of<R: Row>(
    rows: &mut Peekable<impl Iterator<Item = Read<R>>>,
) -> anyhow::Result<Option<R::Key>> {
    match rows.peek() {
        Some(Ok((key, _))) => Ok(Some(key.clone())),
        Some(Err(_)) => rows.next().transpose().map(|row| row.map(|(key, _)| key)),
        None => Ok(None),
    }
}

impl Differences {
    fn add<R: Row>(
        &mut self,
        live: Option<(R::Key, R)>,
        counted: Option<(R::Key, R)>,
    ) -> anyhow::Result<()> {
        self.count += 1;
        let Some((key, _)) = live.as_ref().or(counted.as_ref()) else { return Ok(()) };
        let key = key.clone();
        if self.told.len() < TOLD_MAX {
            self.told.push(Difference {
                table: R::TABLE.name,
                key: R::key_text(&key),
                live: text(live.as_ref())?,
                counted: text(counted.as_ref())?,
            });
        }
        if self.trace.is_none() {
            let row = |of: Option<(R::Key, R)>| of.map(|(_, row)| row);
            self.trace = Some(trace(key, row(live), row(counted).as_ref()));
        }
        Ok(())
    }
}

pub(super) fn trace<R: Row>(key: R::Key, live: Option<R>, counted: Option<&R>) -> Trace {
    let source = R::source(&key).to_owned();
    let mut before = None;
    let (watched, lacks) = (key.clone(), R::step(live.as_ref(), counted));
    let look = move |books: &Books| {
        let now = R::in_books(books, &key);
        // A row that rests on the disk has not gone, though it is not in memory.
        let rests = [tables::ORDER_FACTS, tables::STOCK_BY_DAY].contains(&R::TABLE);
        if now == before || rests && now.is_none() {
            return Look::Untouched;
        }
        let explains = lacks.is_some() && R::step(before.as_ref(), now.as_ref()) == lacks;
        let look = match now == live {
            true => Look::Same,
            false if explains => Look::Explains,
            false => Look::Other,
        };
        before = now;
        look
    };
    Trace { source, watch: Box::new(move |books| R::watch(books, &watched)), look: Box::new(look) }
}

/// A row as `column value`, a comma between.
fn text<R: Row>(row: Option<&(R::Key, R)>) -> anyhow::Result<String> {
    let Some(row) = row else { return Ok(String::new()) };
    let file = columns::write(R::TABLE.schema, &R::to_columns(std::slice::from_ref(row)), None)?;
    let reader = SerializedFileReader::new(bytes::Bytes::from(file))?;
    let mut values = Vec::new();
    for row in reader.get_row_iter(None)? {
        for (name, value) in row?.get_column_iter() {
            let value = match value {
                Field::Bytes(id) => Uuid::from_slice(id.data())
                    .map_or_else(|_| value.to_string(), |id| id.to_string()),
                other => other.to_string(),
            };
            values.push(format!("{name} {value}"));
        }
    }
    Ok(values.join(", "))
}
