//! The files of an additive table ([`Sums`]): sorted ones on a [`shelf`], and a small one with what was added of late.
//!
//! Readers sum rows by key, so it does not matter in which of them a row is. A flush writes the small file anew while it has few rows;
//! then they are added into the sorted ones, whose rows go where nothing is left of them.
//!
//! Cost: a flush in which a row changed writes up to [`PENDING_MAX`] rows, half as many on average; once in that many changes the sorted
//! files are rewritten in whose range something has changed.

use std::{collections::BTreeMap, sync::Arc};

use anyhow::{Context, ensure};
use manifest::{Manifest, Materialized};

use super::{
    load::load_file,
    resting::Rests,
    shelf::{self, Place, Shelf},
    tables::Row,
    writer::Writer,
};
use crate::domain::{Adds, Books, Sums};

/// Rows of the small file.
pub(super) const PENDING_MAX: usize = 512;

/// A row that adds up.
pub(crate) trait AddsUp: Rests + Adds {
    fn sums(books: &mut Books) -> &mut Sums<Self::Key, Self>;
}

/// The live files.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Summed<K> {
    pub(super) sorted: Arc<Shelf<K>>,
    pub(super) pending: Option<Materialized>,
}

impl<K> Summed<K> {
    pub(super) fn all(&self) -> impl Iterator<Item = &Materialized> {
        self.sorted.values().map(|leaf| &leaf.file).chain(&self.pending)
    }
}

impl<K> Default for Summed<K> {
    fn default() -> Self {
        Self { sorted: Arc::default(), pending: None }
    }
}

type InFiles<R> = (Summed<<R as Row>::Key>, Sums<<R as Row>::Key, R>);

/// What a manifest names of the table; rows of the small file are in memory, too.
pub(super) fn open<R: AddsUp>(place: &Place, manifest: &Manifest) -> anyhow::Result<InFiles<R>> {
    let (sorted, others) = shelf::open_noted::<R>(place, manifest.files_of(R::TABLE.name))?;
    ensure!(others.len() <= 1, "{} has more than one small file", R::TABLE.name);
    let pending = others.into_iter().next();
    let rows = pending.map(|file| rows::<R>(place, file)).transpose()?.unwrap_or_default();
    let files = Summed { sorted: Arc::new(sorted), pending: pending.cloned() };
    Ok((files, Sums::new(rows)))
}

/// The files once `pending` is all that is not in the sorted ones; unchanged if there is none.
pub(super) fn write<R: AddsUp>(
    place: &Place,
    before: &Summed<R::Key>,
    pending: Option<BTreeMap<R::Key, R>>,
    writer: &mut Writer<'_>,
) -> anyhow::Result<Summed<R::Key>> {
    let Some(rows) = pending else { return Ok(before.clone()) };
    if rows.len() > PENDING_MAX {
        let sorted = shelf::merge(place, &before.sorted, rows, writer)?;
        return Ok(Summed { sorted, pending: None });
    }
    let rows = Vec::from_iter(rows);
    let pending = (!rows.is_empty()).then(|| writer.write(&rows)).transpose()?;
    Ok(Summed { sorted: Arc::clone(&before.sorted), pending })
}

/// The rows of the small file.
pub(super) fn rows<R: AddsUp>(
    place: &Place,
    file: &Materialized,
) -> anyhow::Result<BTreeMap<R::Key, R>> {
    let rows = load_file::<R>(&place.folder, file, place.calendar);
    Ok(rows.with_context(|| file.path.clone())?.into_iter().collect())
}

/// By how much a sum has changed.
pub(super) fn step<R: Adds>(from: Option<&R>, to: Option<&R>) -> Option<Vec<i64>> {
    let parts = |row: Option<&R>| row.copied().unwrap_or_default().parts();
    let parts = parts(to).into_iter().zip(parts(from));
    parts.map(|(to, from)| to.checked_sub(from)).collect()
}
