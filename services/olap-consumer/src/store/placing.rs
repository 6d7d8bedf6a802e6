//! Files that are to be there together: each is written beside its name; all are synced at once, and then named.
//!
//! Many syncs at once take a disk hardly longer than one: its journal is written once for all of them.

use std::{
    fs::{self, File},
    io::{self, Write},
    panic,
    path::Path,
    thread,
};

/// Files that are synced at once, and open until then.
const TOGETHER: usize = 32;

/// New files of a folder. They are there for sure, after a power cut too, once [`Placing::done`].
#[derive(Debug)]
pub(super) struct Placing<'a> {
    folder: &'a Path,
    names: Vec<String>,
    /// Those that are not synced yet.
    open: Vec<File>,
}

impl<'a> Placing<'a> {
    pub(super) fn new(folder: &'a Path) -> Self {
        Self { folder, names: Vec::new(), open: Vec::new() }
    }

    /// Under a name that no file has.
    pub(super) fn write(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.names.push(name.to_owned());
        let mut file = File::create(manifest::beside(self.folder, name))?;
        file.write_all(bytes)?;
        self.open.push(file);
        if self.open.len() < TOGETHER { Ok(()) } else { self.sync() }
    }

    pub(super) fn done(&mut self) -> io::Result<()> {
        self.sync()?;
        for name in &self.names {
            fs::rename(manifest::beside(self.folder, name), self.folder.join(name))?;
        }
        if !self.names.is_empty() {
            manifest::sync(self.folder)?;
        }
        self.names.clear();
        Ok(())
    }

    /// Files that are not done, and that no manifest will name, would only fill the disk.
    pub(super) fn undo(&self) {
        for name in &self.names {
            let _ = fs::remove_file(manifest::beside(self.folder, name));
            let _ = fs::remove_file(self.folder.join(name));
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        let open = std::mem::take(&mut self.open);
        thread::scope(|scope| {
            let sync =
                |file| thread::Builder::new().spawn_scoped(scope, move || File::sync_all(file));
            let syncs = open.iter().map(sync).collect::<io::Result<Vec<_>>>()?;
            let synced = |sync: thread::ScopedJoinHandle<'_, _>| match sync.join() {
                Ok(synced) => synced,
                Err(lost) => panic::resume_unwind(lost),
            };
            syncs.into_iter().try_for_each(synced)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn files_have_their_names_once_all_are_written() {
        let folder = tempfile::tempdir().unwrap();
        let mut placing = Placing::new(folder.path());
        let wanted: Vec<String> = (100..100 + 2 * TOGETHER + 1).map(|n| n.to_string()).collect();
        for name in &wanted {
            placing.write(name, name.as_bytes()).unwrap();
        }
        assert!(names(folder.path()).iter().all(|name| name.ends_with(".tmp")));
        placing.done().unwrap();
        assert_eq!(names(folder.path()), wanted);
        assert_eq!(fs::read(folder.path().join("101")).unwrap(), b"101");
    }

    #[test]
    fn what_is_undone_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut placing = Placing::new(folder.path());
        placing.write("1", b"one").unwrap();
        // In the way of the second.
        fs::create_dir(folder.path().join("2.tmp")).unwrap();
        assert!(placing.write("2", b"two").is_err());
        placing.undo();
        assert_eq!(names(folder.path()), ["2.tmp"]);
    }
}
