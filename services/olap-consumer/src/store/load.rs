//! Reads back what was written, and trusts nothing of it: checksums, schemas, order, and what the rows say of themselves.

use std::{collections::BTreeMap, fs, io, path::Path, sync::Arc};

use anyhow::{Context, ensure};
use manifest::{FILE_NAME, Manifest, Materialized};
use serde::{Deserialize, de::DeserializeOwned};

use super::{
    AllFiles, FORMAT, Saved,
    columns::Reader,
    files::Files,
    parquet,
    shelf::{self, Place},
    summed,
    tables::Row,
};
use crate::domain::{
    Books, BusinessDays, LevelOfDay, OrderLine, OrderLines, OwedMore, Receivables, Sales,
    SalesBySku, Shelved, SoldInMonth, SoldOnDay, Stock, Table, TrialBalance,
};

/// The first format. No folder has an older one.
const OLDEST: u32 = 1;

/// What is in a folder.
pub(super) enum Loaded {
    /// The manifest's file, the live files, and all that is counted in them.
    Ready(Box<(Option<Saved>, AllFiles, Books)>),
    /// Of an older version of this service.
    Old(Manifest),
}

/// What every format's manifest says.
#[derive(Deserialize)]
struct OfSomeFormat {
    #[serde(flatten)]
    manifest: Manifest,
    olap_consumer: Format,
}

#[derive(Deserialize)]
struct Format {
    format: u32,
}

pub(super) fn load(place: &Place) -> anyhow::Result<Loaded> {
    let (folder, calendar) = (&place.folder, place.calendar);
    let Some(found) = read_json::<OfSomeFormat>(folder)? else {
        let nothing = (None, AllFiles::default(), Books::new(calendar));
        return Ok(Loaded::Ready(Box::new(nothing)));
    };
    let format = found.olap_consumer.format;
    ensure!(format <= FORMAT, "it is of format {format}, this version knows {FORMAT}");
    if (OLDEST..FORMAT).contains(&format) {
        return Ok(Loaded::Old(found.manifest));
    }
    let saved = read_saved(folder)?.context("the manifest is gone")?;
    let (zone, resume) = (calendar.0.name(), &saved.olap_consumer);
    ensure!(resume.format == FORMAT, "it is of format {format}, which never was");
    ensure!(
        saved.manifest.time_zone == zone,
        "its days are those of {}, but BRAMBLE_TIME_ZONE is {zone}",
        saved.manifest.time_zone
    );
    let (hours, in_hours) = load_table(folder, &saved.manifest, calendar)?;
    let (items, in_items) = load_table(folder, &saved.manifest, calendar)?;
    let (invoices, in_invoices) = load_table(folder, &saved.manifest, calendar)?;
    let (days, in_days) = load_table(folder, &saved.manifest, calendar)?;
    let (accounts, in_accounts) = load_table(folder, &saved.manifest, calendar)?;
    let (set_aside, in_set_aside) = load_table(folder, &saved.manifest, calendar)?;
    let of = |table: manifest::tables::Table| saved.manifest.files_of(table.name);
    let stock_days = shelf::open::<LevelOfDay>(place, of(LevelOfDay::TABLE))?;
    let lines = shelf::open::<OrderLine>(place, of(OrderLine::TABLE))?;
    let (sku_days, of_days) = summed::open::<SoldOnDay>(place, &saved.manifest)?;
    let (sku_months, of_months) = summed::open::<SoldInMonth>(place, &saved.manifest)?;
    let (debts, of_debts) = summed::open::<OwedMore>(place, &saved.manifest)?;
    let open_day = shelf::last(&stock_days).map(|(day, _)| *day);
    let (stock_days, lines) = (Arc::new(stock_days), Arc::new(lines));
    let files = AllFiles {
        hours,
        items,
        invoices,
        days,
        accounts,
        set_aside,
        stock_days,
        lines,
        sku_days,
        sku_months,
        debts,
    };
    ensure!(
        files.all().len() == saved.manifest.files.len(),
        "the manifest names tables that this version does not know"
    );
    let until = resume.receivables_until;
    let books = Books {
        calendar,
        sales: Sales { hours: in_hours },
        orders: OrderLines::new(SalesBySku::new(calendar, of_days, of_months)),
        stock: Stock { items: in_items, days: Shelved::default(), open_day },
        receivables: Receivables::new(calendar, in_invoices, in_days, of_debts, until),
        trial_balance: TrialBalance { accounts: in_accounts },
        set_aside: in_set_aside,
        positions: saved.manifest.positions.clone(),
        event_time: saved.manifest.event_time,
    };
    Ok(Loaded::Ready(Box::new((Some(saved), files, books))))
}

type InTable<R> = (Files<<R as Row>::Key>, Table<<R as Row>::Key, R>);

fn load_table<R: Row>(
    folder: &Path,
    manifest: &Manifest,
    calendar: BusinessDays,
) -> anyhow::Result<InTable<R>> {
    let mut files = Files::new();
    let mut in_files = BTreeMap::new();
    for file in manifest.files_of(R::TABLE.name) {
        let rows = load_file::<R>(folder, file, calendar).with_context(|| file.path.clone())?;
        let (Some((first, _)), Some((last, _))) = (rows.first(), rows.last()) else { continue };
        let apart = in_files.range(first..=last).next().is_none();
        ensure!(apart, "{} has keys of another file", file.path);
        files.insert(first.clone(), file.clone());
        in_files.extend(rows);
    }
    Ok((files, Table::new(in_files)))
}

pub(super) fn load_file<R: Row>(
    folder: &Path,
    file: &Materialized,
    calendar: BusinessDays,
) -> anyhow::Result<Vec<(R::Key, R)>> {
    let bytes = sound(folder, file)?;
    let rows = R::from_columns(Reader(parquet::read(R::TABLE.schema, bytes)?), calendar)?;
    ensure!(rows.len() as u64 == file.row_count, "it has {} rows", rows.len());
    ensure!(rows.is_sorted_by(|(a, _), (b, _)| a < b), "its keys do not ascend");
    Ok(rows)
}

/// What a file says of its rows, which are not decoded.
pub(super) fn load_note<R: Row>(
    folder: &Path,
    file: &Materialized,
) -> anyhow::Result<Option<String>> {
    let (rows, note) = parquet::read_note(R::TABLE.schema, sound(folder, file)?)?;
    ensure!(u64::try_from(rows) == Ok(file.row_count), "it has {rows} rows");
    Ok(note)
}

/// The bytes of a file that are as they were written.
fn sound(folder: &Path, file: &Materialized) -> anyhow::Result<Vec<u8>> {
    let bytes = fs::read(folder.join(&file.path))?;
    ensure!(manifest::sha256(&bytes) == file.sha256, "its checksum is not the manifest's");
    Ok(bytes)
}

pub(super) fn read_saved(folder: &Path) -> anyhow::Result<Option<Saved>> {
    let mut saved: Option<Saved> = read_json(folder)?;
    if let Some(Saved { manifest, .. }) = &mut saved {
        let list = manifest.read_list(folder).context("the list of more files")?;
        manifest.files.extend(list);
    }
    Ok(saved)
}

fn read_json<T: DeserializeOwned>(folder: &Path) -> anyhow::Result<Option<T>> {
    match fs::read(folder.join(FILE_NAME)) {
        Ok(json) => Ok(Some(serde_json::from_slice(&json).context(FILE_NAME)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).context(FILE_NAME),
    }
}
