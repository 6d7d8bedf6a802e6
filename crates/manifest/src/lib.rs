//! What the folder of the materializations holds: olap-consumer writes it, analytics-svc reads it.
//!
//! `manifest.json` names the live files and how far each source was counted in them. Files never change once they are named: a new
//! version has new names, and the files of the version before stay for a while, so that whoever has just read the manifest can still open them.
//! The last versions stay longer, each with its manifest, such as `manifest.41.json`. What is in folders below is being counted, and nobody
//! else's concern.
//!
//! Where there are many files, `manifest.json` names those that change often, and a list of the others, `more_files`: a JSON array of the same
//! entries, in a file of the folder. It is written once in a while and never changes, so that a version costs the disk little. It is older
//! than the manifest, and what it says of files decides which are read at all, so it has a checksum like them.
//!
//! **Invariant:** the manifest is replaced whole (written beside, synced, renamed, the folder synced): a reader sees the old one or the new
//! one, and after a power cut too.

pub mod tables;

use std::{
    collections::BTreeMap,
    fs::{self, File, Metadata},
    io::{self, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// The manifest's own name in the folder.
pub const FILE_NAME: &str = "manifest.json";

/// One version of the materializations.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Ascending with every flush, from 1.
    pub version: u64,
    pub written_at: DateTime<Utc>,
    /// Whose days business days are, such as `Europe/London`. Empty where the writer is of before it was told.
    #[serde(default)]
    pub time_zone: String,
    /// When the newest event that is counted happened.
    pub event_time: Option<DateTime<Utc>>,
    /// How far each source was counted, by its name, such as `orders`.
    pub positions: BTreeMap<String, Counted>,
    /// All that are live, once [`Manifest::parse`] has read the list, too.
    pub files: Vec<Materialized>,
    /// The list of files that `manifest.json` does not name itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub more_files: Option<FileList>,
}

/// A list of files, in a file of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileList {
    /// Its name in the folder.
    pub path: String,
    /// Of the whole list, in hex.
    pub sha256: String,
}

/// How far a source was counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// The event's place in its source's NATS stream; a hint.
    pub stream_sequence: u64,
    /// Its place in its source's log.
    pub log_id: i64,
    pub event_id: Uuid,
}

/// One live Parquet file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Materialized {
    /// One of [`tables`].
    pub table: String,
    /// Relative to the folder.
    pub path: String,
    pub row_count: u64,
    pub size_bytes: u64,
    /// Of the whole file, in hex.
    pub sha256: String,
    /// The lowest and the highest value of the first column of the table's key, as texts that sort as the values do: times as RFC 3339 in
    /// UTC with six decimals and a Z, days as `2026-11-24`, SKUs and UUIDs as they are. A reader may pass over a file whose range has
    /// nothing that it looks for, but not over one that names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<(String, String)>,
    /// The latest `snapshot_at` in a file of `stock_snapshot` or `stock_by_day`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<DateTime<Utc>>,
}

impl Manifest {
    /// None when nothing was ever written.
    pub fn read(folder: &Path) -> io::Result<Option<Self>> {
        match fs::read(folder.join(FILE_NAME)) {
            Ok(json) => Self::parse(folder, &json).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What `manifest.json`, or that of an earlier version, says, with the list that it names.
    pub fn parse(folder: &Path, json: &[u8]) -> io::Result<Self> {
        let mut manifest: Self = serde_json::from_slice(json)?;
        manifest.files.extend(manifest.read_list(folder)?);
        Ok(manifest)
    }

    /// The files that are named by the list alone.
    pub fn read_list(&self, folder: &Path) -> io::Result<Vec<Materialized>> {
        let Some(list) = &self.more_files else { return Ok(Vec::new()) };
        let (name, bad) = (&list.path, |why| Err(io::Error::new(io::ErrorKind::InvalidData, why)));
        if Path::new(name).file_name() != Some(name.as_ref()) {
            return bad(format!("{name:?} is no name of a file in the folder"));
        }
        let json = fs::read(folder.join(name))?;
        if sha256(&json) != list.sha256 {
            return bad(format!("the bytes of {name} are not those that were written"));
        }
        Ok(serde_json::from_slice(&json)?)
    }

    /// Makes this the live version. The files that it names must be on the disk already. Gives the bytes written.
    pub fn write(&self, folder: &Path) -> io::Result<u64> {
        let json = serde_json::to_vec_pretty(self)?;
        write_whole(folder, FILE_NAME, &json)?;
        Ok(json.len() as u64)
    }

    /// The live files of a table.
    pub fn files_of<'a>(&'a self, table: &'a str) -> impl Iterator<Item = &'a Materialized> {
        self.files.iter().filter(move |file| file.table == table)
    }
}

impl FileList {
    /// What is to be in the file of that name.
    pub fn of(path: &str, json: &[u8]) -> Self {
        Self { path: path.to_owned(), sha256: sha256(json) }
    }
}

/// In hex, as the manifest has it.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// By which a manifest's file is known to be still the one that it was, without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    inode: (u64, u64),
    modified: (i64, i64),
    size_bytes: u64,
}

impl Stamp {
    #[must_use]
    pub fn of(file: &Metadata) -> Self {
        Self {
            inode: (file.dev(), file.ino()),
            modified: (file.mtime(), file.mtime_nsec()),
            size_bytes: file.size(),
        }
    }
}

/// Writes a file of the folder so that it is there whole or not at all, after a power cut too.
pub fn write_whole(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    place(folder, name, bytes)?;
    sync(folder)
}

/// The same, but for sure only after [`sync`]: one serves many files.
pub fn place(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let (target, beside) = (folder.join(name), beside(folder, name));
    let placed = write_synced(&beside, bytes).and_then(|()| fs::rename(&beside, &target));
    if placed.is_err() {
        // On a full disk half a file would only be in the way.
        let _ = fs::remove_file(&beside);
    }
    placed
}

/// Where a file is until it is whole.
#[must_use]
pub fn beside(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.tmp"))
}

/// Makes names in the folder survive a power cut.
pub fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(version: u64) -> Manifest {
        let counted = Counted { stream_sequence: 7, log_id: 9, event_id: Uuid::from_u128(1) };
        Manifest {
            version,
            written_at: DateTime::UNIX_EPOCH,
            time_zone: "Europe/London".to_owned(),
            event_time: None,
            positions: BTreeMap::from([("orders".to_owned(), counted)]),
            files: vec![Materialized {
                table: "sales_by_hour".to_owned(),
                path: "sales_by_hour/1.parquet".to_owned(),
                row_count: 1,
                size_bytes: 2,
                sha256: "00".to_owned(),
                range: Some(("2026-11-24T09:00:00.000000Z".to_owned(), "b".to_owned())),
                newest: None,
            }],
            more_files: None,
        }
    }

    #[test]
    fn a_list_of_more_files_is_read_with_the_manifest() {
        let folder = tempfile::tempdir().unwrap();
        let mut live = manifest(1);
        let file = |path: &str| Materialized { path: path.to_owned(), ..Materialized::default() };
        let list = serde_json::to_vec(&[file("a"), file("b")]).unwrap();
        write_whole(folder.path(), "files.1.json", &list).unwrap();
        live.more_files = Some(FileList::of("files.1.json", &list));
        live.write(folder.path()).unwrap();
        let read = Manifest::read(folder.path()).unwrap().unwrap();
        let paths: Vec<&str> = read.files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(paths, ["sales_by_hour/1.parquet", "a", "b"]);
        for other in ["files.2.json", "../files.1.json", "/etc/passwd", "", ".."] {
            live.more_files = Some(FileList::of(other, &list));
            live.write(folder.path()).unwrap();
            assert!(Manifest::read(folder.path()).is_err(), "{other}");
        }
    }

    #[test]
    fn a_list_with_one_bit_turned_is_refused_wherever_the_bit_is() {
        let folder = tempfile::tempdir().unwrap();
        let mut live = manifest(1);
        let list = serde_json::to_vec(&live.files).unwrap();
        live.more_files = Some(FileList::of("files.1.json", &list));
        for at in 0..list.len() {
            let mut bad = list.clone();
            bad[at] ^= 1;
            fs::write(folder.path().join("files.1.json"), bad).unwrap();
            assert!(live.read_list(folder.path()).is_err(), "{at}");
        }
        fs::write(folder.path().join("files.1.json"), &list).unwrap();
        assert_eq!(live.read_list(folder.path()).unwrap(), live.files);
    }

    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Manifest::read(folder.path()).unwrap(), None);
        for version in [1, 2] {
            manifest(version).write(folder.path()).unwrap();
            assert_eq!(Manifest::read(folder.path()).unwrap(), Some(manifest(version)));
        }
        let live = manifest(2);
        assert_eq!(live.files_of("sales_by_hour").count(), 1);
        assert_eq!(live.files_of("ar_ageing").count(), 0);
    }

    #[test]
    fn a_file_without_a_range_is_written_and_read_as_before_there_were_any() {
        let before = r#"{"table":"a","path":"b","row_count":1,"size_bytes":2,"sha256":"00"}"#;
        let file: Materialized = serde_json::from_str(before).unwrap();
        assert_eq!((&file.range, file.newest), (&None, None));
        assert_eq!(serde_json::to_string(&file).unwrap(), before);
        let range = Some(("2026-11-24".to_owned(), "2026-11-25".to_owned()));
        let json = serde_json::to_string(&Materialized { range, ..file }).unwrap();
        assert!(json.ends_with(r#""range":["2026-11-24","2026-11-25"]}"#), "{json}");
    }

    #[test]
    fn a_write_that_was_cut_short_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        manifest(1).write(folder.path()).unwrap();
        fs::write(folder.path().join("manifest.json.tmp"), b"{\"versi").unwrap();
        assert_eq!(Manifest::read(folder.path()).unwrap(), Some(manifest(1)));
    }
}
