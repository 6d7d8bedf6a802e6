//! What no manifest names any more, kept for a while: so that whoever has just read a manifest can open its files, and so that the last
//! versions can be looked at whole. The manifest of version 41 stays as `manifest.41.json`, a second name of the same bytes.

use std::{
    collections::{BTreeSet, VecDeque},
    fs, io,
    path::Path,
    time::{Duration, Instant},
};

use manifest::{FILE_NAME, Manifest, tables};

use super::PARQUET;

/// How long a file stays in any case: analytics-svc opens the last ones of a long query as late as its time limit allows, which is 60 s
/// unless it is set.
const KEPT_FOR: Duration = Duration::from_secs(90);
/// How many do, beside as many as are live: those of a folder that was replaced whole stay as long as any.
pub(super) const KEPT_MAX: usize = 5000;

#[derive(Debug)]
pub(super) struct Retired {
    /// Oldest first: since when, and the last version that named it.
    files: VecDeque<(Instant, u64, String)>,
    pub(super) kept_for: Duration,
    pub(super) versions_kept: u64,
}

impl Retired {
    /// Of what is in the folder: what a process that was killed, or a version before it, has left behind.
    pub(super) fn find(
        folder: &Path,
        live: Option<&Manifest>,
        versions_kept: u64,
    ) -> io::Result<Self> {
        let mut retired = Self { files: VecDeque::new(), kept_for: KEPT_FOR, versions_kept };
        let version = live.map_or(0, |live| live.version.saturating_sub(1));
        let named = live.map(names).unwrap_or_default();
        for entry in fs::read_dir(folder)? {
            let name = entry?.file_name();
            let Some(name) = name.to_str() else { continue };
            let of_a_table = tables::ALL.iter().any(|table| name.starts_with(table.name));
            let old_manifest = name != FILE_NAME && name.starts_with("manifest.");
            let list = name.starts_with("files.");
            if !of_a_table && !old_manifest && !list {
                continue;
            }
            let is_file = old_manifest || list || name.ends_with(PARQUET);
            if name.ends_with(".tmp") {
                fs::remove_file(folder.join(name))?;
            } else if is_file && !named.contains(name) {
                retired.add(version, name.to_owned());
            }
        }
        Ok(retired)
    }

    pub(super) fn add(&mut self, version: u64, name: String) {
        self.files.push_back((Instant::now(), version, name));
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.files.len()
    }

    /// What `next` no longer names of the version before it.
    pub(super) fn replace(&mut self, before: &Manifest, next: &Manifest) {
        let live = names(next);
        let gone = names(before).into_iter().filter(|name| !live.contains(name));
        gone.for_each(|name| self.add(before.version, name.to_owned()));
        if self.versions_kept > 0 {
            self.add(before.version, old_name(before.version));
        }
    }

    pub(super) fn delete_old(&mut self, folder: &Path, live: Option<&Manifest>) {
        let (version, named) = live.map(|live| (live.version, names(live))).unwrap_or_default();
        let most = KEPT_MAX + named.len();
        while let Some((since, until, _)) = self.files.front()
            && let old = version.saturating_sub(*until) > self.versions_kept
            && (since.elapsed() >= self.kept_for && old || self.files.len() > most)
            && let Some((.., name)) = self.files.pop_front()
        {
            // A name that was used in vain before may be a live file's now.
            if named.contains(name.as_str()) {
                continue;
            }
            if let Err(error) = fs::remove_file(folder.join(&name)) {
                tracing::debug!(name, "an old file cannot be deleted: {error}");
            }
        }
    }
}

/// Gives the manifest that is to be replaced a second name.
pub(super) fn keep_manifest(folder: &Path, version: u64) {
    let name = folder.join(old_name(version));
    // Of a life before this one.
    let _ = fs::remove_file(&name);
    // A disk that knows no second names keeps no old manifests.
    if let Err(error) = fs::hard_link(folder.join(FILE_NAME), name) {
        tracing::debug!(version, "the manifest cannot be kept: {error}");
    }
}

fn old_name(version: u64) -> String {
    format!("manifest.{version}.json")
}

fn names(manifest: &Manifest) -> BTreeSet<&str> {
    let files = manifest.files.iter().map(|file| file.path.as_str());
    files.chain(manifest.more_files.as_ref().map(|list| list.path.as_str())).collect()
}

#[cfg(test)]
mod tests {
    use manifest::Materialized;

    use super::*;

    #[test]
    fn files_of_a_version_that_was_replaced_whole_stay_however_many_they_were() {
        let folder = tempfile::tempdir().unwrap();
        let version = |version: u64| {
            let path = |index| format!("order_facts.{version}.{index}.parquet");
            let file = |index| Materialized { path: path(index), ..Materialized::default() };
            Manifest {
                version,
                files: (0..2 * KEPT_MAX).map(file).collect(),
                ..Manifest::default()
            }
        };
        let (before, live) = (version(1), version(2));
        for file in before.files.iter().chain(&live.files) {
            fs::write(folder.path().join(&file.path), "").unwrap();
        }
        // As after a rebuild was swapped in, and as in one life.
        let found = Retired::find(folder.path(), Some(&live), 0).unwrap();
        let mut replaced = Retired { files: VecDeque::new(), kept_for: KEPT_FOR, versions_kept: 0 };
        replaced.replace(&before, &live);
        for mut retired in [found, replaced] {
            retired.delete_old(folder.path(), Some(&live));
            assert_eq!(retired.files.len(), before.files.len());
        }
        let there = fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(there, before.files.len() + live.files.len());
    }
}
