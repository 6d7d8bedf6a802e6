//! The folder of the materializations: Parquet files, and `manifest.json`, which names those that live and how far they count.
//!
//! A flush writes what has changed into new files, and then replaces the manifest whole: position and rows become true in the same
//! instant, also when the power goes. Each new file is written beside its name, synced and renamed; then the folder is synced; only then
//! comes the manifest. What no manifest names any more is deleted a while later, so that whoever has just read the manifest can open it.
//! Beside what readers need ([`Manifest`]), the manifest's file holds what this service needs to go on.
//!
//! **Invariant:** this process is the only one that writes here: it holds a lock on the folder.
//!
//! **Invariant:** nothing is written that was not read or written by this process before: a file that is not as the manifest says, or a
//! manifest that is not the one that was written last, ends the work. Deleting the folder is therefore safe at any time: it is counted
//! anew from the logs.
//!
//! Cost: three syncs, and one for each file in whose range something has changed.

mod parquet;
mod tables;
mod files;
mod load;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fs::{self, File, TryLockError},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::Context;
use chrono::{DateTime, NaiveDate, Utc};
use ids::InvoiceId;
use manifest::{Counted, FILE_NAME, Manifest, Materialized};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use self::{
    files::{Files, Plan, plan},
    load::{load, read_saved},
    tables::Row,
};
use crate::{
    consumers::SharedBooks,
    domain::{Ageing, Books, BusinessDays, HourOfSales, Level, OpenInvoice, SetAside},
};

/// What the rows mean; raised when folding the same events comes to other rows, so that older folders are counted anew.
const FORMAT: u32 = 1;
/// How long a file stays that no manifest names any more.
const KEPT_FOR: Duration = Duration::from_secs(30);
/// And how many of them.
const KEPT_MAX: usize = 1000;
const PARQUET: &str = ".parquet";
const TABLES: [&str; 5] =
    [HourOfSales::TABLE, Level::TABLE, OpenInvoice::TABLE, Ageing::TABLE, SetAside::TABLE];

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
    /// Whose days the rows of `ar_ageing` are.
    time_zone: String,
    /// The time of the newest event that is counted there.
    receivables_until: Option<DateTime<Utc>>,
}

/// The folder, held by this process.
#[derive(Debug)]
pub(crate) struct Store {
    folder: PathBuf,
    calendar: BusinessDays,
    saved: Option<Saved>,
    files: AllFiles,
    /// Files that no manifest names any more, oldest first.
    retired: VecDeque<(Instant, String)>,
    kept_for: Duration,
    written_bytes: u64,
    /// The folder itself.
    lock: File,
}

#[derive(Debug, Default)]
struct AllFiles {
    hours: Files<DateTime<Utc>>,
    levels: Files<String>,
    invoices: Files<InvoiceId>,
    days: Files<NaiveDate>,
    set_aside: Files<(String, i64)>,
}

/// What one flush writes, copied from the books at one instant.
struct Flush {
    version: u64,
    written_at: DateTime<Utc>,
    event_time: Option<DateTime<Utc>>,
    positions: BTreeMap<String, Counted>,
    receivables_until: Option<DateTime<Utc>>,
    hours: Plan<DateTime<Utc>, HourOfSales>,
    levels: Plan<String, Level>,
    invoices: Plan<InvoiceId, OpenInvoice>,
    days: Plan<NaiveDate, Ageing>,
    set_aside: Plan<(String, i64), SetAside>,
}

/// Files that are not written yet, by name.
type NewFiles = Vec<(String, Vec<u8>)>;

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotFlushed {
    #[error("the folder is not the one that was written")]
    Replaced,
    #[error("{0:#}")]
    Failed(#[from] anyhow::Error),
}

impl Store {
    /// Takes the folder, made when it is not there, and reads what was counted. None while another process holds it.
    pub(crate) fn open(
        folder: &Path,
        calendar: BusinessDays,
    ) -> anyhow::Result<Option<(Self, Books)>> {
        fs::create_dir_all(folder)?;
        let lock = File::open(folder)?;
        match lock.try_lock() {
            Ok(()) => (),
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        let (saved, files, books) = load(folder, calendar).context(
            "what is there cannot be trusted; to count it anew from the logs, delete the folder",
        )?;
        let mut store = Self {
            folder: folder.to_owned(),
            calendar,
            saved,
            files,
            retired: VecDeque::new(),
            kept_for: KEPT_FOR,
            written_bytes: 0,
            lock,
        };
        store.retire_strays()?;
        Ok(Some((store, books)))
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
        self.delete_retired();
        Ok(flushed?)
    }

    pub(crate) fn manifest(&self) -> Option<&Manifest> {
        self.saved.as_ref().map(|saved| &saved.manifest)
    }

    /// What was written since this was last asked.
    pub(crate) fn take_written_bytes(&mut self) -> u64 {
        std::mem::take(&mut self.written_bytes)
    }

    /// Whether the folder and its manifest are still those of this process.
    fn is_as_left(&self) -> anyhow::Result<bool> {
        let found = match fs::metadata(&self.folder) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        let held = self.lock.metadata()?;
        let same = (found.dev(), found.ino()) == (held.dev(), held.ino());
        Ok(same && read_saved(&self.folder)? == self.saved)
    }

    fn flush_changes(&mut self, books: &SharedBooks, now: DateTime<Utc>) -> anyhow::Result<()> {
        let Some(flush) = self.begin(books, now)? else { return Ok(()) };
        let written = self.write(&flush);
        if written.is_err() {
            books.lock()?.put_back(flush);
        }
        written
    }

    /// Copies what has changed; none when nothing has. The first time it is due in any case: who reads must not wait for the first sale.
    fn begin(&self, books: &SharedBooks, now: DateTime<Utc>) -> anyhow::Result<Option<Flush>> {
        let mut books = books.lock()?;
        let books = &mut *books;
        books.receivables.age(self.calendar.day_of(now));
        let flush = Flush {
            version: self.manifest().map_or(0, |manifest| manifest.version) + 1,
            written_at: now,
            event_time: books.event_time,
            positions: books.positions.clone(),
            receivables_until: books.receivables.until,
            hours: plan(&self.files.hours, &mut books.sales.hours),
            levels: plan(&self.files.levels, &mut books.stock.levels),
            invoices: plan(&self.files.invoices, &mut books.receivables.invoices),
            days: plan(&self.files.days, &mut books.receivables.days),
            set_aside: plan(&self.files.set_aside, &mut books.set_aside),
        };
        // The very first manifest says that nothing is counted yet.
        let moved = self.manifest().is_none_or(|before| before.positions != flush.positions);
        Ok((moved || flush.changes_a_table()).then_some(flush))
    }

    fn write(&mut self, flush: &Flush) -> anyhow::Result<()> {
        let (files, new) = flush.encode()?;
        let manifest = Manifest {
            version: flush.version,
            written_at: flush.written_at,
            event_time: flush.event_time,
            positions: flush.positions.clone(),
            files: files.all(),
        };
        let olap_consumer = Resume {
            format: FORMAT,
            time_zone: self.calendar.0.name().to_owned(),
            receivables_until: flush.receivables_until,
        };
        let saved = Saved { manifest, olap_consumer };
        let json = serde_json::to_vec(&saved)?;

        if let Err(error) = self.place(&new) {
            // They would only fill the disk.
            for (name, _) in &new {
                let _ = fs::remove_file(self.folder.join(name));
            }
            return Err(error).context("a file cannot be written");
        }
        // Once this has failed nobody knows which manifest is there: the files of both stay, and the next flush looks.
        manifest::write_whole(&self.folder, FILE_NAME, &json)
            .context("the manifest cannot be written")?;
        self.written_bytes += json.len() as u64;
        self.retire(&saved);
        (self.saved, self.files) = (Some(saved), files);
        Ok(())
    }

    fn place(&mut self, new: &NewFiles) -> io::Result<()> {
        for (name, bytes) in new {
            manifest::place(&self.folder, name, bytes)?;
            self.written_bytes += bytes.len() as u64;
        }
        manifest::sync(&self.folder)
    }

    /// Keeps what the next manifest does not name for a while.
    fn retire(&mut self, next: &Saved) {
        let Some(before) = &self.saved else { return };
        let live = names(next);
        let old = before.manifest.files.iter().filter(|file| !live.contains(file.path.as_str()));
        self.retired.extend(old.map(|file| (Instant::now(), file.path.clone())));
    }

    /// The same with what a process that was killed, or a version before it, has left behind.
    fn retire_strays(&mut self) -> io::Result<()> {
        for entry in fs::read_dir(&self.folder)? {
            let name = entry?.file_name();
            let Some(name) = name.to_str() else { continue };
            let live = self.saved.as_ref().is_some_and(|saved| names(saved).contains(name));
            let ours =
                TABLES.iter().any(|table| name.starts_with(table)) || name.starts_with(FILE_NAME);
            if ours && name.ends_with(".tmp") {
                fs::remove_file(self.folder.join(name))?;
            } else if ours && name.ends_with(PARQUET) && !live {
                self.retired.push_back((Instant::now(), name.to_owned()));
            }
        }
        Ok(())
    }

    fn delete_retired(&mut self) {
        while let Some((since, _)) = self.retired.front()
            && (since.elapsed() >= self.kept_for || self.retired.len() > KEPT_MAX)
            && let Some((_, name)) = self.retired.pop_front()
        {
            // A name that was used in vain before may be a live file's now.
            if self.saved.as_ref().is_some_and(|saved| names(saved).contains(name.as_str())) {
                continue;
            }
            if let Err(error) = fs::remove_file(self.folder.join(&name)) {
                tracing::debug!(name, "an old file cannot be deleted: {error}");
            }
        }
    }
}

impl Flush {
    fn changes_a_table(&self) -> bool {
        let unchanged = self.hours.changes.is_empty()
            && self.levels.changes.is_empty()
            && self.invoices.changes.is_empty()
            && self.days.changes.is_empty()
            && self.set_aside.changes.is_empty();
        !unchanged
    }

    fn encode(&self) -> anyhow::Result<(AllFiles, NewFiles)> {
        let mut new = NewFiles::new();
        let files = AllFiles {
            hours: encode(&self.hours, self.version, &mut new)?,
            levels: encode(&self.levels, self.version, &mut new)?,
            invoices: encode(&self.invoices, self.version, &mut new)?,
            days: encode(&self.days, self.version, &mut new)?,
            set_aside: encode(&self.set_aside, self.version, &mut new)?,
        };
        Ok((files, new))
    }
}

impl Books {
    /// After a flush that came to nothing.
    fn put_back(&mut self, flush: Flush) {
        self.sales.hours.put_back(flush.hours.changes);
        self.stock.levels.put_back(flush.levels.changes);
        self.receivables.invoices.put_back(flush.invoices.changes);
        self.receivables.days.put_back(flush.days.changes);
        self.set_aside.put_back(flush.set_aside.changes);
    }
}

impl AllFiles {
    fn all(&self) -> Vec<Materialized> {
        let files = self.hours.values().chain(self.levels.values()).chain(self.invoices.values());
        files.chain(self.days.values()).chain(self.set_aside.values()).cloned().collect()
    }
}

/// The files of a table after a flush; those that are new are added to `new`.
fn encode<R: Row>(
    plan: &Plan<R::Key, R>,
    version: u64,
    new: &mut NewFiles,
) -> anyhow::Result<Files<R::Key>> {
    let mut files = plan.kept.clone();
    for (index, rows) in plan.new.iter().enumerate() {
        let Some((first, _)) = rows.first() else { continue };
        let bytes = parquet::write(R::SCHEMA, &R::to_columns(rows))?;
        let path = format!("{}.{version}.{index}{PARQUET}", R::TABLE);
        let file = Materialized {
            table: R::TABLE.to_owned(),
            path: path.clone(),
            row_count: rows.len() as u64,
            size_bytes: bytes.len() as u64,
            sha256: sha256(&bytes),
        };
        files.insert(first.clone(), file);
        new.push((path, bytes));
    }
    Ok(files)
}

fn names(saved: &Saved) -> BTreeSet<&str> {
    saved.manifest.files.iter().map(|file| file.path.as_str()).collect()
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
