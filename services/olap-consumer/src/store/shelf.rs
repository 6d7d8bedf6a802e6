//! The files of a table that is not in memory, by ranges of its keys.
//!
//! A flush rewrites the files in whose range a row has changed; rows behind a file's last go into a file of their own beside it. So that
//! these do not become many, neighbours are joined, a run of [`FAN`] or more a flush: a row is rewritten once a doubling and doubling of
//! its file, not once a flush. Recent days, of which lines are shipped and cancelled, are kept in small files, older ones in large ones.
//!
//! Cost: what is read and written in a flush is bounded by the files that it touches and one run, each [`COLD_MAX`] rows at most (some
//! 1.5 MB); in memory is one of them at a time.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context, ensure};
use chrono::{Days, NaiveDate};
use manifest::Materialized;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    load::{load_file, load_note},
    resting::Rests,
    tables::Row,
    writer::Writer,
};
use crate::domain::BusinessDays;

/// Rows of a file of recent days.
const HOT_MAX: usize = 4096;
/// Of one of older days.
const COLD_MAX: usize = 1 << 15;
const RECENT: Days = Days::new(7);

/// How large the files of a table are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    /// Rows of a file of recent days, at most.
    pub(super) hot: usize,
    /// Of one of older days.
    pub(super) cold: usize,
    /// Days before the newest that are recent, too.
    pub(super) recent: Days,
}

impl Sizes {
    pub(super) const USUAL: Self = Self { hot: HOT_MAX, cold: COLD_MAX, recent: RECENT };
}

/// What comes behind a file of so few rows is put into it.
const JOIN_MAX: usize = 1024;
/// As many neighbours are joined, or more.
const FAN: usize = 4;

/// A live file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Leaf<K> {
    pub(crate) file: Materialized,
    last: K,
    /// The lowest and the highest subject of its rows.
    subjects: (Uuid, Uuid),
}

/// The live files by their first key.
pub(crate) type Shelf<K> = BTreeMap<K, Leaf<K>>;

/// Where files are read.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) folder: PathBuf,
    pub(crate) calendar: BusinessDays,
}

impl<K> Leaf<K> {
    fn row_count(&self) -> usize {
        usize::try_from(self.file.row_count).unwrap_or(usize::MAX)
    }
}

/// What a file says of its rows, so that it need not be decoded to be found again.
#[derive(Serialize, Deserialize)]
struct Note<K> {
    first: K,
    last: K,
    subjects: (Uuid, Uuid),
}

/// The files of a table as a manifest names them, each found sound.
pub(super) fn open<'a, R: Rests>(
    place: &Place,
    files: impl Iterator<Item = &'a Materialized>,
) -> anyhow::Result<Shelf<R::Key>> {
    let (shelf, others) = open_noted::<R>(place, files)?;
    let other = others.first().map(|file| file.path.as_str());
    ensure!(other.is_none(), "{} does not tell its keys", other.unwrap_or_default());
    Ok(shelf)
}

/// The same; beside them those that do not tell their keys.
pub(super) fn open_noted<'a, R: Rests>(
    place: &Place,
    files: impl Iterator<Item = &'a Materialized>,
) -> anyhow::Result<(Shelf<R::Key>, Vec<&'a Materialized>)> {
    let (mut shelf, mut others): (Shelf<R::Key>, _) = (BTreeMap::new(), Vec::new());
    for file in files {
        let note = load_note::<R>(&place.folder, file).with_context(|| file.path.clone())?;
        let Some(note) = note else {
            others.push(file);
            continue;
        };
        let Note { first, last, subjects } = serde_json::from_str::<Note<R::Plain>>(&note)
            .with_context(|| format!("{} tells other keys", file.path))?;
        let (first, last) = (R::from_plain(first), R::from_plain(last));
        let leaf = Leaf { file: file.clone(), last, subjects };
        let before = shelf.range(..=&first).next_back();
        let behind = shelf.range(&first..).next();
        let apart = before.is_none_or(|(_, before)| before.last < first)
            && behind.is_none_or(|(next, _)| leaf.last < *next);
        ensure!(apart, "{} has keys of another file", file.path);
        shelf.insert(first, leaf);
    }
    Ok((shelf, others))
}

type Rows<R> = Vec<(<R as Row>::Key, R)>;

/// The large file that was decoded last, by its name: an old subject's neighbours are often looked for next.
pub(crate) type LastDecoded<R> = Mutex<Option<(String, Arc<Rows<R>>)>>;

/// All rows of some subjects.
pub(crate) fn find<R: Rests>(
    place: &Place,
    shelf: &Shelf<R::Key>,
    decoded: &LastDecoded<R>,
    subjects: &BTreeSet<Uuid>,
) -> anyhow::Result<Vec<(R::Key, R)>> {
    let (mut wanted, mut found) = (subjects.clone(), Vec::new());
    // Most are looked for while they are new. A subject's rows are neighbours: they go on in the file before, or they do not.
    for (first, leaf) in shelf.iter().rev() {
        let (low, high) = leaf.subjects;
        if wanted.range(low..=high).next().is_none() {
            continue;
        }
        let rows = decode::<R>(place, first, leaf, decoded)?;
        let goes_on = rows.first().map(|(key, _)| R::subject(key));
        found.extend(rows.iter().filter(|(key, _)| wanted.contains(&R::subject(key))).cloned());
        let whole = |subject: &Uuid| goes_on != Some(*subject);
        let complete = found.iter().map(|(key, _)| R::subject(key)).filter(whole);
        complete.for_each(|subject| _ = wanted.remove(&subject));
    }
    Ok(found)
}

fn decode<R: Rests>(
    place: &Place,
    first: &R::Key,
    leaf: &Leaf<R::Key>,
    decoded: &LastDecoded<R>,
) -> anyhow::Result<Arc<Rows<R>>> {
    if leaf.row_count() <= HOT_MAX {
        return Ok(Arc::new(read::<R>(place, first, leaf)?));
    }
    let mut last = decoded.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((name, rows)) = &*last
        && *name == leaf.file.path
    {
        return Ok(Arc::clone(rows));
    }
    // There are never two of them in memory.
    *last = None;
    let rows = Arc::new(read::<R>(place, first, leaf)?);
    *last = Some((leaf.file.path.clone(), Arc::clone(&rows)));
    Ok(rows)
}

/// The files of the table once these rows have changed; those that are new are written.
pub(super) fn merge<R: Rests>(
    place: &Place,
    shelf: &Arc<Shelf<R::Key>>,
    mut changes: BTreeMap<R::Key, R>,
    writer: &mut Writer,
) -> anyhow::Result<Arc<Shelf<R::Key>>> {
    let newest = changes.last_key_value().map(|(key, _)| R::day(key));
    let Some(newest) = newest else { return Ok(Arc::clone(shelf)) };
    let newest = last(shelf).map_or(newest, |last| newest.max(R::day(last)));
    let recent = newest.checked_sub_days(R::SIZES.recent).unwrap_or(newest);
    // Many at once go into few files, which are split when a row here and there is changed.
    let hot = if changes.len() < HOT_MAX { R::SIZES.hot } else { HOT_MAX };
    let sizes = SizesAt { of: Sizes { hot, ..R::SIZES }, recent };

    let mut next = Shelf::new();
    let mut groups = groups::<R>(shelf, sizes).into_iter().peekable();
    while let Some(group) = groups.next() {
        let rest = groups.peek().and_then(|next| next.first().copied());
        let rest = rest.map(|(first, _)| changes.split_off(first)).unwrap_or_default();
        let inside = std::mem::replace(&mut changes, rest);
        merge_group(place, &group, inside, sizes, writer, &mut next)?;
    }
    // The very first.
    write(&Vec::from_iter(changes), sizes, writer, &mut next)?;
    Ok(Arc::new(next))
}

/// Neighbours with their first keys.
type Group<'a, K> = Vec<(&'a K, &'a Leaf<K>)>;

fn merge_group<R: Rests>(
    place: &Place,
    group: &Group<'_, R::Key>,
    mut inside: BTreeMap<R::Key, R>,
    sizes: SizesAt,
    writer: &mut Writer,
    next: &mut Shelf<R::Key>,
) -> anyhow::Result<()> {
    let Some((_, last)) = group.last() else { return Ok(()) };
    let count: usize = group.iter().map(|(_, leaf)| leaf.row_count()).sum();
    let mut behind = inside.split_off(&last.last);
    if let Some((key, row)) = behind.remove_entry(&last.last) {
        inside.insert(key, row);
    }
    let stays = group.len() == 1 && inside.is_empty();
    if stays && (behind.is_empty() || count + behind.len() > JOIN_MAX) {
        next.extend(group.iter().map(|(first, leaf)| ((*first).clone(), (*leaf).clone())));
        return write(&Vec::from_iter(behind), sizes, writer, next);
    }
    let mut rows = BTreeMap::new();
    for (first, leaf) in group {
        rows.extend(read::<R>(place, first, leaf)?);
    }
    for (key, by) in inside {
        let changed = match rows.remove(&key) {
            Some(row) => R::changed(row, by),
            None => Some(by),
        };
        rows.extend(changed.map(|row| (key, row)));
    }
    rows.append(&mut behind);
    write(&Vec::from_iter(rows), sizes, writer, next)
}

fn write<R: Rests>(
    rows: &[(R::Key, R)],
    sizes: SizesAt,
    writer: &mut Writer,
    next: &mut Shelf<R::Key>,
) -> anyhow::Result<()> {
    let Some((last, _)) = rows.last() else { return Ok(()) };
    let count = rows.len().div_ceil(sizes.rows_max(R::day(last)));
    for rows in rows.chunks(rows.len().div_ceil(count)) {
        let (Some((first, _)), Some((last, _))) = (rows.first(), rows.last()) else { continue };
        let subjects = rows.iter().map(|(key, _)| R::subject(key));
        let subjects = subjects.clone().min().zip(subjects.max()).unwrap_or_default();
        let note = Note { first: R::to_plain(first), last: R::to_plain(last), subjects };
        let file = writer.write_noted(rows, Some(serde_json::to_string(&note)?))?;
        next.insert(first.clone(), Leaf { file, last: last.clone(), subjects });
    }
    Ok(())
}

/// Files each by itself but for one run of neighbours that are to become one.
fn groups<R: Rests>(shelf: &Shelf<R::Key>, sizes: SizesAt) -> Vec<Group<'_, R::Key>> {
    let leaves: Vec<_> = shelf.iter().collect();
    let length_from = |start: usize| {
        let Some((_, first)) = leaves.get(start) else { return 0 };
        let max = sizes.rows_max(R::day(&first.last));
        let mut sum = 0;
        let run = leaves.iter().skip(start).take_while(|(_, leaf)| {
            sum += leaf.row_count();
            let alike = sizes.rows_max(R::day(&leaf.last)) == max;
            alike && leaf.row_count() <= max / 2 && sum <= max
        });
        run.count()
    };
    let runs = (0..leaves.len()).map(|start| (start, length_from(start)));
    let (start, length) = runs.into_iter().find(|(_, length)| *length >= FAN).unwrap_or((0, 1));
    let mut groups = Vec::with_capacity(leaves.len());
    for (place, leaf) in leaves.into_iter().enumerate() {
        match groups.last_mut() {
            Some(group) if (start + 1..start + length).contains(&place) => Vec::push(group, leaf),
            _ => groups.push(vec![leaf]),
        }
    }
    groups
}

/// The same once it is known which days are old.
#[derive(Debug, Clone, Copy)]
struct SizesAt {
    of: Sizes,
    /// The first day that is not.
    recent: NaiveDate,
}

impl SizesAt {
    fn rows_max(self, last: NaiveDate) -> usize {
        if last < self.recent { self.of.cold } else { self.of.hot }
    }
}

fn read<R: Rests>(
    place: &Place,
    first: &R::Key,
    leaf: &Leaf<R::Key>,
) -> anyhow::Result<Vec<(R::Key, R)>> {
    let path = &leaf.file.path;
    let rows = load_file::<R>(&place.folder, &leaf.file, place.calendar);
    let rows = rows.with_context(|| path.clone())?;
    let ends = rows.first().zip(rows.last()).map(|((first, _), (last, _))| (first, last));
    ensure!(ends == Some((first, &leaf.last)), "{path} does not have the keys that it tells");
    Ok(rows)
}

/// The highest key.
pub(super) fn last<K: Ord>(shelf: &Shelf<K>) -> Option<&K> {
    shelf.values().next_back().map(|leaf| &leaf.last)
}
