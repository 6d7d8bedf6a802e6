//! Which live files are named by the manifest's list, and not by the manifest itself.
//!
//! A year of trade has some thousand files, of which a flush changes a few: those that have not changed for long are on a list in a file of
//! its own, which is written anew only when one of them is gone, or when many more have come to rest.

use std::{collections::BTreeSet, io, path::Path};

use manifest::{FileList, Manifest, Materialized};

/// A file rests that was written so many versions ago.
const RESTS_AFTER: u64 = 1000;
/// As many are worth a list of their own, or another one.
const MANY: usize = 64;

/// The live list.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Listed {
    pub(super) list: Option<FileList>,
    /// Paths of the files that it names.
    paths: BTreeSet<String>,
    pub(super) rests_after: u64,
}

impl Listed {
    pub(super) fn read(folder: &Path, manifest: Option<&Manifest>) -> io::Result<Self> {
        let files = manifest.map(|manifest| manifest.read_list(folder)).transpose()?;
        let paths = files.into_iter().flatten().map(|file| file.path).collect();
        let list = manifest.and_then(|manifest| manifest.more_files.clone());
        Ok(Self { list, paths, rests_after: RESTS_AFTER })
    }

    pub(super) fn names(&self, file: &Materialized) -> bool {
        self.paths.contains(&file.path)
    }

    /// The list of a version, whose live files these are. One that is new is written, under a name.
    pub(super) fn next(
        &self,
        version: u64,
        live: &[Materialized],
        write: impl FnOnce(&str, &[&Materialized]) -> anyhow::Result<FileList>,
    ) -> anyhow::Result<Self> {
        let is_old = |file: &Materialized| {
            written_in(file).is_some_and(|of| version.saturating_sub(of) >= self.rests_after)
        };
        let still_live = live.iter().filter(|file| self.names(file)).count();
        let others = live.iter().filter(|file| is_old(file) && !self.names(file)).count();
        if still_live == self.paths.len() && others < MANY {
            return Ok(self.clone());
        }
        let named: Vec<_> = live.iter().filter(|file| is_old(file) || self.names(file)).collect();
        if named.len() < MANY {
            return Ok(Self { list: None, paths: BTreeSet::new(), rests_after: self.rests_after });
        }
        let list = Some(write(&name(version), &named)?);
        let paths = named.into_iter().map(|file| file.path.clone()).collect();
        Ok(Self { list, paths, rests_after: self.rests_after })
    }
}

/// Takes all files of a version from its manifest into a list, if they are many: those that change after all leave it one by one.
pub(super) fn list_all(folder: &Path, manifest: &mut Manifest) -> anyhow::Result<()> {
    manifest.more_files = None;
    if manifest.files.len() >= MANY {
        let (name, json) = (name(manifest.version), serde_json::to_vec(&manifest.files)?);
        manifest::place(folder, &name, &json)?;
        manifest.more_files = Some(FileList::of(&name, &json));
        manifest.files.clear();
    }
    Ok(())
}

fn name(version: u64) -> String {
    format!("files.{version}.json")
}

/// The version in which a file was written, as its name tells.
fn written_in(file: &Materialized) -> Option<u64> {
    file.path.split('.').nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(versions: impl IntoIterator<Item = u64>) -> Vec<Materialized> {
        let path = |version| format!("order_facts.{version}.0.parquet");
        let file = |version| Materialized { path: path(version), ..Materialized::default() };
        versions.into_iter().map(file).collect()
    }

    fn next(listed: &Listed, version: u64, live: &[Materialized]) -> Listed {
        listed.next(version, live, |name, _| Ok(FileList::of(name, b""))).unwrap()
    }

    fn path(listed: &Listed) -> Option<&str> {
        listed.list.as_ref().map(|list| list.path.as_str())
    }

    #[test]
    fn files_that_rest_are_on_a_list_that_changes_seldom() {
        let none = Listed::read(Path::new("nowhere"), None).unwrap();
        let few = files(1..64);
        assert_eq!(next(&none, 5000, &few), none, "too few");
        let many = files(1..=64);
        assert_eq!(next(&none, 1063, &many), none, "the last does not rest yet");
        let list = next(&none, 1064, &many);
        assert_eq!(path(&list), Some("files.1064.json"));
        assert!(many.iter().all(|file| list.names(file)));
        // More come, and come to rest.
        let more = files((1..=127).chain(3000..3100));
        assert_eq!(next(&list, 3100, &more), list);
        let more = files((1..=128).chain(3000..3100));
        let longer = next(&list, 3100, &more);
        assert_eq!((path(&longer), longer.paths.len()), (Some("files.3100.json"), 128));
        // One of them is another file now.
        let changed = files((2..=128).chain(3000..3102));
        let shorter = next(&longer, 3101, &changed);
        assert_eq!((path(&shorter), shorter.paths.len()), (Some("files.3101.json"), 127));
        assert_eq!(next(&shorter, 3102, &files(3000..3102)).list, None);
    }

    #[test]
    fn what_was_listed_as_a_whole_stays_on_the_list_until_it_changes() {
        let folder = tempfile::tempdir().unwrap();
        let live = |files| Manifest { version: 101, files, ..Manifest::default() };
        let mut few = live(files(1..=63));
        list_all(folder.path(), &mut few).unwrap();
        assert_eq!((few.files.len(), few.more_files), (63, None));
        let mut many = live(files(1..=100));
        list_all(folder.path(), &mut many).unwrap();
        assert!(many.files.is_empty());
        let listed = Listed::read(folder.path(), Some(&many)).unwrap();
        assert_eq!((path(&listed), listed.paths.len()), (Some("files.101.json"), 100));
        assert_eq!(next(&listed, 102, &files((1..=100).chain([102]))), listed);
        let shorter = next(&listed, 102, &files((2..=100).chain([102])));
        assert_eq!((path(&shorter), shorter.paths.len()), (Some("files.102.json"), 99));
    }
}
