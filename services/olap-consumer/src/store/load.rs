//! Reads back what was written, and trusts nothing of it: checksums, schemas, order, and what the rows say of themselves.

use std::{collections::BTreeMap, fs, io, path::Path};

use anyhow::{Context, ensure};
use manifest::{FILE_NAME, Manifest, Materialized};

use super::{
    AllFiles, FORMAT, Saved,
    files::Files,
    parquet, sha256,
    tables::{Reader, Row},
};
use crate::domain::{Books, BusinessDays, Receivables, Sales, Stock, Table};

/// The manifest's file, the live files, and all that is counted in them.
pub(super) fn load(
    folder: &Path,
    calendar: BusinessDays,
) -> anyhow::Result<(Option<Saved>, AllFiles, Books)> {
    let Some(saved) = read_saved(folder)? else {
        return Ok((None, AllFiles::default(), Books::new(calendar)));
    };
    let (zone, resume) = (calendar.0.name(), &saved.olap_consumer);
    ensure!(
        resume.format == FORMAT,
        "it is of format {}, this version knows {FORMAT}",
        resume.format
    );
    ensure!(
        resume.time_zone == zone,
        "its days are those of {}, but BRAMBLE_TIME_ZONE is {zone}",
        resume.time_zone
    );
    let (hours, in_hours) = load_table(folder, &saved.manifest, calendar)?;
    let (levels, in_levels) = load_table(folder, &saved.manifest, calendar)?;
    let (invoices, in_invoices) = load_table(folder, &saved.manifest, calendar)?;
    let (days, in_days) = load_table(folder, &saved.manifest, calendar)?;
    let (set_aside, in_set_aside) = load_table(folder, &saved.manifest, calendar)?;
    let files = AllFiles { hours, levels, invoices, days, set_aside };
    ensure!(
        files.all().len() == saved.manifest.files.len(),
        "the manifest names tables that this version does not know"
    );
    let until = resume.receivables_until;
    let books = Books {
        sales: Sales { hours: in_hours },
        stock: Stock { levels: in_levels },
        receivables: Receivables::new(calendar, in_invoices, in_days, until),
        set_aside: in_set_aside,
        positions: saved.manifest.positions.clone(),
        event_time: saved.manifest.event_time,
    };
    Ok((Some(saved), files, books))
}

type Loaded<R> = (Files<<R as Row>::Key>, Table<<R as Row>::Key, R>);

fn load_table<R: Row>(
    folder: &Path,
    manifest: &Manifest,
    calendar: BusinessDays,
) -> anyhow::Result<Loaded<R>> {
    let mut files = Files::new();
    let mut in_files = BTreeMap::new();
    for file in manifest.files_of(R::TABLE) {
        let rows = load_file::<R>(folder, file, calendar).with_context(|| file.path.clone())?;
        let (Some((first, _)), Some((last, _))) = (rows.first(), rows.last()) else { continue };
        let apart = in_files.range(first..=last).next().is_none();
        ensure!(apart, "{} has keys of another file", file.path);
        files.insert(first.clone(), file.clone());
        in_files.extend(rows);
    }
    Ok((files, Table::new(in_files)))
}

fn load_file<R: Row>(
    folder: &Path,
    file: &Materialized,
    calendar: BusinessDays,
) -> anyhow::Result<Vec<(R::Key, R)>> {
    let bytes = fs::read(folder.join(&file.path))?;
    ensure!(sha256(&bytes) == file.sha256, "its checksum is not the manifest's");
    let rows = R::from_columns(Reader(parquet::read(R::SCHEMA, bytes)?), calendar)?;
    ensure!(rows.len() as u64 == file.row_count, "it has {} rows", rows.len());
    ensure!(rows.is_sorted_by(|(a, _), (b, _)| a < b), "its keys do not ascend");
    Ok(rows)
}

pub(super) fn read_saved(folder: &Path) -> anyhow::Result<Option<Saved>> {
    match fs::read(folder.join(FILE_NAME)) {
        Ok(json) => Ok(Some(serde_json::from_slice(&json).context(FILE_NAME)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).context(FILE_NAME),
    }
}
