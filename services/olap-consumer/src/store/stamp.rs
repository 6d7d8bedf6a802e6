use std::{fs, io, os::unix::fs::MetadataExt, path::Path};

use manifest::FILE_NAME;

/// By which the manifest's file is known to be still the one that it was.
#[derive(Debug, PartialEq)]
pub(super) struct Stamp {
    inode: (u64, u64),
    modified: (i64, i64),
    size_bytes: u64,
}

impl Stamp {
    /// None when there is no manifest.
    pub(super) fn of_manifest(folder: &Path) -> io::Result<Option<Self>> {
        match fs::metadata(folder.join(FILE_NAME)) {
            Ok(found) => Ok(Some(Self {
                inode: (found.dev(), found.ino()),
                modified: (found.mtime(), found.mtime_nsec()),
                size_bytes: found.size(),
            })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}
