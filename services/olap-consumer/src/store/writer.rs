use std::{collections::BTreeMap, fs, io, path::Path};

use manifest::Materialized;

use super::{PARQUET, parquet, sha256, tables::Row};

/// Writes the new files of one version. They are on the disk for sure once [`Writer::done`].
#[derive(Debug)]
pub(super) struct Writer<'a> {
    folder: &'a Path,
    version: u64,
    /// How many files each table has got.
    counts: BTreeMap<&'static str, usize>,
    written: Vec<String>,
    pub(super) bytes: u64,
}

impl<'a> Writer<'a> {
    pub(super) fn new(folder: &'a Path, version: u64) -> Self {
        Self { folder, version, counts: BTreeMap::new(), written: Vec::new(), bytes: 0 }
    }

    pub(super) fn write<R: Row>(&mut self, rows: &[(R::Key, R)]) -> anyhow::Result<Materialized> {
        let bytes = parquet::write(R::TABLE.schema, &R::to_columns(rows))?;
        let index = self.counts.entry(R::TABLE.name).or_default();
        let path = format!("{}.{}.{index}{PARQUET}", R::TABLE.name, self.version);
        *index += 1;
        manifest::place(self.folder, &path, &bytes)?;
        self.written.push(path.clone());
        let size_bytes = bytes.len() as u64;
        self.bytes += size_bytes;
        Ok(Materialized {
            table: R::TABLE.name.to_owned(),
            path,
            row_count: rows.len() as u64,
            size_bytes,
            sha256: sha256(&bytes),
            ..Materialized::default()
        })
    }

    pub(super) fn done(&self) -> io::Result<()> {
        if self.written.is_empty() { Ok(()) } else { manifest::sync(self.folder) }
    }

    /// Files that no manifest will name would only fill the disk.
    pub(super) fn undo(&self) {
        for name in &self.written {
            let _ = fs::remove_file(self.folder.join(name));
        }
    }
}
