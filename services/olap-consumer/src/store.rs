//! The folder of the materializations: Parquet files, and `manifest.json`, which names those that live and how far they count.
//!
//! A flush writes what has changed into new files, and then replaces the manifest whole: position and rows become true in the same
//! instant, also when the power goes. Each new file is written beside its name, synced and renamed; then the folder is synced; only then
//! comes the manifest. What no manifest names any more is deleted a while later ([`retired`]).
//! Beside what readers need ([`Manifest`]), the manifest's file holds what this service needs to go on.
//!
//! Most tables are in memory, in [`Books`](crate::domain::Books), and spread over [`files`]; those that grow with trade are on a [`shelf`],
//! from which a flush reads what it must change, or only to add to it ([`summed`]). What becomes of each in a flush is in [`flush`].
//!
//! **Invariant:** this process is the only one that writes here: it holds a lock on the folder.
//!
//! **Invariant:** nothing is written that was not read or written by this process before: a file that is not as the manifest says, or a
//! manifest that is not the one that was written last, ends the work. Deleting the folder is therefore safe at any time: it is counted
//! anew from the logs.
//!
//! A folder of an older format is left as it is until the rows of the new one are counted, beside it ([`adopt`]).
//!
//! Cost: three syncs, and one for each file in whose range something has changed, all at once ([`placing`]). Files that rest are named by a
//! list beside the manifest ([`listed`]), so that naming them costs nothing.

mod parquet;
mod columns;
mod tables;
mod resting;
mod by_sku;
mod debts;
mod files;
mod placing;
mod writer;
mod listed;
mod shelf;
mod summed;
mod flush;
mod retired;
mod load;
mod adopt;
mod compare;
#[cfg(test)]
mod tests;
#[cfg(all(test, feature = "benchmarks"))]
mod costs;

pub(crate) use adopt::adopt;
pub(crate) use compare::{Difference, Differences, Look, Snapshot, Trace, compare};
pub(crate) use shelf::{LastDecoded, Place, Shelf, find};

use std::{
    fs::{self, File, TryLockError},
    io,
    os::unix::fs::MetadataExt,
    path::Path,
    sync::Arc,
};

use anyhow::Context;
use chrono::{DateTime, Utc};
use manifest::{FILE_NAME, Manifest, Materialized, Stamp};
use serde::{Deserialize, Serialize};

use self::{
    flush::{AllFiles, Flush},
    listed::Listed,
    load::{Loaded, load},
    retired::{Retired, keep_manifest},
    writer::Writer,
};
use crate::{OlapError, consumers::SharedBooks, domain::BusinessDays};

/// What rows and manifest mean and which tables there are; raised when folding the same events comes to others, so that older folders are
/// counted anew.
const FORMAT: u32 = 6;
const PARQUET: &str = ".parquet";

/// The manifest's file: what readers need, and what only this service does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Saved {
    #[serde(flatten)]
    manifest: Manifest,
    olap_consumer: Resume,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Resume {
    format: u32,
    /// The time of the newest event that is counted in `ar_ageing`.
    receivables_until: Option<DateTime<Utc>>,
}

/// The folder, held by this process.
#[derive(Debug)]
pub(crate) struct Store {
    place: Place,
    saved: Option<Saved>,
    /// The manifest's file, as it was left.
    stamp: Option<Stamp>,
    files: AllFiles,
    listed: Listed,
    retired: Retired,
    /// Files of a version that somebody reads are not deleted meanwhile.
    is_read: bool,
    written_bytes: u64,
    /// The folder itself.
    lock: File,
}

/// What a folder holds.
pub(crate) enum Opened {
    Ready(Box<Store>, Box<SharedBooks>),
    /// Rows of an older version of this service, which are to be counted anew. The folder is held meanwhile.
    Old(Held),
    /// By another process.
    Held,
}

/// A folder that nobody else may write.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) manifest: Manifest,
    _lock: File,
}

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotFlushed {
    #[error("the folder is not the one that was written")]
    Replaced,
    #[error("{0:#}")]
    Failed(#[from] anyhow::Error),
}

impl Store {
    /// Takes the folder, made when it is not there, and reads what was counted.
    pub(crate) fn open(
        folder: &Path,
        calendar: BusinessDays,
        versions_kept: u64,
    ) -> anyhow::Result<Opened> {
        fs::create_dir_all(folder)?;
        let lock = File::open(folder)?;
        match lock.try_lock() {
            Ok(()) => (),
            Err(TryLockError::WouldBlock) => return Ok(Opened::Held),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        let place = Place { folder: folder.to_owned(), calendar };
        // What takes its place from here on is seen.
        let stamp = stamp(folder)?;
        let loaded = load(&place).context(
            "what is there cannot be trusted; to count it anew from the logs, delete the folder",
        )?;
        let (saved, files, books) = match loaded {
            Loaded::Old(manifest) => return Ok(Opened::Old(Held { manifest, _lock: lock })),
            Loaded::Ready(loaded) => *loaded,
        };
        let manifest = saved.as_ref().map(|saved| &saved.manifest);
        let listed = Listed::read(folder, manifest)?;
        let retired = Retired::find(folder, manifest, versions_kept)?;
        let books = SharedBooks::new(books, place.clone(), Arc::clone(&files.lines));
        let (is_read, written_bytes) = (false, 0);
        let store =
            Self { place, saved, stamp, files, listed, retired, is_read, written_bytes, lock };
        Ok(Opened::Ready(Box::new(store), Box::new(books)))
    }

    /// Writes what has changed, if anything has. Blocks; the books only while changes are copied.
    pub(crate) fn flush(
        &mut self,
        books: &SharedBooks,
        now: DateTime<Utc>,
    ) -> Result<(), NotFlushed> {
        if !self.is_as_left()? {
            return Err(NotFlushed::Replaced);
        }
        let flushed = self.flush_changes(books, now);
        if !self.is_read {
            let live = self.saved.as_ref().map(|saved| &saved.manifest);
            self.retired.delete_old(&self.place.folder, live);
        }
        Ok(flushed?)
    }

    pub(crate) fn manifest(&self) -> Option<&Manifest> {
        self.saved.as_ref().map(|saved| &saved.manifest)
    }

    /// The live version. No file is deleted until [`Store::read_done`].
    pub(crate) fn read(&mut self) -> Result<(Snapshot, Manifest), OlapError> {
        let manifest = self.manifest().cloned().ok_or(OlapError::NotOpen)?;
        self.is_read = true;
        Ok((self.snapshot(), manifest))
    }

    pub(crate) fn read_done(&mut self) {
        self.is_read = false;
    }

    /// Good for as long as nothing is written.
    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot { place: self.place.clone(), files: self.files.clone() }
    }

    /// Nobody else reads this folder.
    pub(crate) fn keep_nothing(&mut self) {
        self.retired.kept_for = std::time::Duration::ZERO;
    }

    /// What was written since this was last asked.
    pub(crate) fn take_written_bytes(&mut self) -> u64 {
        std::mem::take(&mut self.written_bytes)
    }

    /// Whether the folder and its manifest are still those of this process.
    fn is_as_left(&self) -> anyhow::Result<bool> {
        let found = match fs::metadata(&self.place.folder) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        let held = self.lock.metadata()?;
        let same = (found.dev(), found.ino()) == (held.dev(), held.ino());
        Ok(same && stamp(&self.place.folder)? == self.stamp)
    }

    fn flush_changes(&mut self, books: &SharedBooks, now: DateTime<Utc>) -> anyhow::Result<()> {
        let Some(mut flush) = self.begin(books, now)? else { return Ok(()) };
        match self.write(&mut flush) {
            Ok(()) => {
                books.written(Arc::clone(&self.files.lines), |books| self.files.written(books))
            }
            Err(error) => {
                books.lock()?.put_back(flush);
                Err(error)
            }
        }
    }

    /// Copies what has changed; none when nothing has. The first time it is due in any case: who reads must not wait for the first sale.
    fn begin(&self, books: &SharedBooks, now: DateTime<Utc>) -> anyhow::Result<Option<Flush>> {
        let mut books = books.lock()?;
        let books = &mut *books;
        books.receivables.age(self.place.calendar.day_of(now));
        let version = self.manifest().map_or(0, |manifest| manifest.version) + 1;
        let flush = Flush::begin(version, now, &self.files, books);
        // The very first manifest says that nothing is counted yet.
        let moved = self.manifest().is_none_or(|before| before.positions != flush.positions);
        Ok((moved || flush.changes_a_table()).then_some(flush))
    }

    fn write(&mut self, flush: &mut Flush) -> anyhow::Result<()> {
        let mut writer = Writer::new(&self.place.folder, flush.version);
        let placed = self.place_files(flush, &mut writer);
        let placed = placed.and_then(|placed| Ok(writer.done().map(|()| placed)?));
        let placed = placed.inspect_err(|_| writer.undo()).context("a file cannot be written")?;
        let (files, all, listed) = placed;
        self.written_bytes += writer.bytes;
        let manifest = Manifest {
            version: flush.version,
            written_at: flush.written_at,
            time_zone: self.place.calendar.0.name().to_owned(),
            event_time: flush.event_time,
            positions: flush.positions.clone(),
            files: all.iter().filter(|file| !listed.names(file)).cloned().collect(),
            more_files: listed.list.clone(),
        };
        let olap_consumer = Resume { format: FORMAT, receivables_until: flush.receivables_until };
        let mut saved = Saved { manifest, olap_consumer };
        let json = serde_json::to_vec(&saved)?;
        saved.manifest.files = all;
        if let Some(before) = self.manifest().filter(|_| self.retired.versions_kept > 0) {
            keep_manifest(&self.place.folder, before.version);
        }
        // Once this has failed nobody knows which manifest is there: the files of both stay, and the next flush looks.
        manifest::write_whole(&self.place.folder, FILE_NAME, &json)
            .context("the manifest cannot be written")?;
        self.written_bytes += json.len() as u64;
        if let Some(before) = &self.saved {
            self.retired.replace(&before.manifest, &saved.manifest);
        }
        self.stamp = stamp(&self.place.folder)?;
        (self.saved, self.files, self.listed) = (Some(saved), files, listed);
        Ok(())
    }

    /// Writes the new files, and a new list of those that rest where it is due. Gives all that there are then.
    fn place_files(
        &self,
        flush: &mut Flush,
        writer: &mut Writer<'_>,
    ) -> anyhow::Result<(AllFiles, Vec<Materialized>, Listed)> {
        let files = flush.place(&self.place, &self.files, writer)?;
        let all = files.all();
        let write = |name: &str, files: &[&Materialized]| writer.write_list(name, files);
        let listed = self.listed.next(flush.version, &all, write)?;
        Ok((files, all, listed))
    }
}

/// None when there is no manifest.
fn stamp(folder: &Path) -> io::Result<Option<Stamp>> {
    match fs::metadata(folder.join(FILE_NAME)) {
        Ok(found) => Ok(Some(Stamp::of(&found))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
