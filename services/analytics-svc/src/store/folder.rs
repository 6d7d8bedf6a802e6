//! The folder of the materializations: which version is live, and whether a file is the one that the manifest vouches for.
//!
//! Whether there is a new manifest is seen by one `stat`. A file is read whole and hashed when it is first asked for: DuckDB took a quarter
//! of the files in which one to three bits had been turned for good, and gave wrong figures. What was found sound in one version need not be read
//! again in the next.

use std::{
    collections::HashSet,
    fs::{self, File},
    io::{self, Read},
    ops::RangeBounds,
    path::{Component, Path},
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context, ensure};
use chrono_tz::Tz;
use manifest::{Manifest, Materialized, Stamp};
use sha2::{Digest, Sha256};

use super::pruning;
use crate::AnalyticsError;

const MANIFEST_MAX_BYTES: u64 = 4 << 20;

pub(crate) struct Folder {
    path: String,
    time_zone: Tz,
    seen: Mutex<Option<Seen>>,
}

/// The manifest that was read last.
struct Seen {
    stamp: Stamp,
    /// Kept open, so that no later manifest gets the same inode and is taken for this one.
    _file: File,
    version: Arc<Version>,
}

/// One version of the materializations.
pub(crate) struct Version {
    pub(crate) manifest: Manifest,
    folder: String,
    /// Hash and path of files whose bytes are as they should be.
    sound: Mutex<HashSet<(String, String)>>,
}

impl Folder {
    /// The folder need not be there yet. Its business days must be those of the time zone.
    pub(crate) fn new(path: &Path, time_zone: Tz) -> anyhow::Result<Self> {
        let path = std::path::absolute(path)?;
        let path = path.to_str().context("the path is not UTF-8")?.trim_end_matches('/');
        let pattern = |c: char| c.is_control() || matches!(c, '*' | '?' | '[' | ']');
        ensure!(!path.contains(pattern), "{path}: DuckDB would take it for a pattern");
        Ok(Self { path: path.to_owned(), time_zone, seen: Mutex::default() })
    }

    /// Absolute, without a slash at its end.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// None when nothing was ever written.
    pub(crate) fn live(&self) -> Result<Option<Arc<Version>>, AnalyticsError> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match self.look(seen.as_ref()) {
            Ok(Some(newer)) => Ok(Some(Arc::clone(&seen.insert(newer).version))),
            Ok(None) => Ok(seen.as_ref().map(|seen| Arc::clone(&seen.version))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                *seen = None;
                Ok(None)
            }
            Err(error) => Err(AnalyticsError::ManifestUnusable(error)),
        }
    }

    /// None when the manifest is still the one that was seen.
    fn look(&self, seen: Option<&Seen>) -> io::Result<Option<Seen>> {
        let path = Path::new(&self.path).join(manifest::FILE_NAME);
        let stamp = Stamp::of(&fs::metadata(&path)?);
        if seen.is_some_and(|seen| seen.stamp == stamp) {
            return Ok(None);
        }
        let file = File::open(&path)?;
        // It may be a newer one already.
        let stamp = Stamp::of(&file.metadata()?);
        let mut json = Vec::new();
        (&file).take(MANIFEST_MAX_BYTES).read_to_end(&mut json)?;
        // That the list of files it names is not there does not mean that nothing is.
        let manifest = Manifest::parse(Path::new(&self.path), &json).map_err(io::Error::other)?;
        let (zone, ours) = (manifest.time_zone.as_str(), self.time_zone.name());
        if !zone.is_empty() && zone != ours {
            let why = format!("its business days are those of {zone}, not of {ours}");
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        for file in &manifest.files {
            if !is_plain(&file.path) {
                let why = format!("{:?} is no plain path below the folder", file.path);
                return Err(io::Error::new(io::ErrorKind::InvalidData, why));
            }
        }
        let sound = seen.map(|seen| seen.version.still_sound(&manifest)).unwrap_or_default();
        let version = Version { manifest, folder: self.path.clone(), sound: Mutex::new(sound) };
        Ok(Some(Seen { stamp, _file: file, version: Arc::new(version) }))
    }
}

impl Version {
    /// All files of a table for DuckDB; see [`sound`](Self::sound).
    pub(crate) fn files(&self, table: &str) -> Result<Option<String>, AnalyticsError> {
        self.sound(self.manifest.files_of(table))
    }

    /// Those that may hold a key of the range.
    pub(super) fn files_within(
        &self,
        table: &str,
        keys: impl RangeBounds<String>,
    ) -> Result<Option<String>, AnalyticsError> {
        self.sound(self.manifest.files_of(table).filter(|file| pruning::may_hold(file, &keys)))
    }

    /// Files for DuckDB, a path a line, each found sound; none when there is no file.
    pub(super) fn sound<'a>(
        &self,
        files: impl IntoIterator<Item = &'a Materialized>,
    ) -> Result<Option<String>, AnalyticsError> {
        let mut paths = Vec::new();
        for file in files {
            let path = format!("{}/{}", self.folder, file.path);
            self.check(file, Path::new(&path)).map_err(|cause| AnalyticsError::FileUnusable {
                table: file.table.clone(),
                path: file.path.clone(),
                cause,
            })?;
            paths.push(path);
        }
        Ok((!paths.is_empty()).then(|| paths.join("\n")))
    }

    fn check(&self, file: &Materialized, path: &Path) -> io::Result<()> {
        let key = (file.sha256.clone(), file.path.clone());
        let sound = || self.sound.lock().unwrap_or_else(PoisonError::into_inner);
        if sound().contains(&key) {
            return Ok(());
        }
        let (mut opened, mut sha256) = (File::open(path)?, Sha256::new());
        let mut buffer = vec![0; 64 << 10];
        loop {
            match opened.read(&mut buffer)? {
                0 => break,
                length => sha256.update(buffer.get(..length).unwrap_or_default()),
            }
        }
        let hex: String = sha256.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        if !hex.eq_ignore_ascii_case(&file.sha256) {
            let why = "its bytes are not those that were written";
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        sound().insert(key);
        Ok(())
    }

    /// What need not be read again in the next version.
    fn still_sound(&self, next: &Manifest) -> HashSet<(String, String)> {
        let sound = self.sound.lock().unwrap_or_else(PoisonError::into_inner);
        let named = next.files.iter().map(|file| (file.sha256.clone(), file.path.clone()));
        named.filter(|file| sound.contains(file)).collect()
    }
}

/// Nothing that leads out of the folder, and nothing that DuckDB takes for a pattern.
fn is_plain(path: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/');
    !path.is_empty()
        && path.chars().all(plain)
        && Path::new(path).components().all(|part| matches!(part, Component::Normal(_)))
}
