use std::{collections::BTreeMap, io, path::Path};

use manifest::{FileList, Materialized};

use super::{PARQUET, parquet, placing::Placing, tables::Row};

/// Writes the new files of one version. They are on the disk for sure once [`Writer::done`].
#[derive(Debug)]
pub(super) struct Writer<'a> {
    placing: Placing<'a>,
    version: u64,
    /// How many files each table has got.
    counts: BTreeMap<&'static str, usize>,
    pub(super) bytes: u64,
}

impl<'a> Writer<'a> {
    pub(super) fn new(folder: &'a Path, version: u64) -> Self {
        Self { placing: Placing::new(folder), version, counts: BTreeMap::new(), bytes: 0 }
    }

    pub(super) fn write<R: Row>(&mut self, rows: &[(R::Key, R)]) -> anyhow::Result<Materialized> {
        self.write_noted(rows, None)
    }

    /// Rows in the order of their keys, and what the file says of them beside.
    pub(super) fn write_noted<R: Row>(
        &mut self,
        rows: &[(R::Key, R)],
        note: Option<String>,
    ) -> anyhow::Result<Materialized> {
        let bytes = parquet::write(R::TABLE.schema, &R::to_columns(rows), note)?;
        let index = self.counts.entry(R::TABLE.name).or_default();
        let path = format!("{}.{}.{index}{PARQUET}", R::TABLE.name, self.version);
        *index += 1;
        self.placing.write(&path, &bytes)?;
        let size_bytes = bytes.len() as u64;
        self.bytes += size_bytes;
        Ok(Materialized {
            table: R::TABLE.name.to_owned(),
            path,
            row_count: rows.len() as u64,
            size_bytes,
            sha256: manifest::sha256(&bytes),
            range: range::<R>(rows),
            newest: rows.iter().filter_map(|(_, row)| row.newest()).max(),
        })
    }

    /// A list of files.
    pub(super) fn write_list(
        &mut self,
        name: &str,
        files: &[&Materialized],
    ) -> anyhow::Result<FileList> {
        let json = serde_json::to_vec(files)?;
        self.placing.write(name, &json)?;
        self.bytes += json.len() as u64;
        Ok(FileList::of(name, &json))
    }

    pub(super) fn done(&mut self) -> io::Result<()> {
        self.placing.done()
    }

    /// Leaves nothing of them.
    pub(super) fn undo(&self) {
        self.placing.undo();
    }
}

fn range<R: Row>(rows: &[(R::Key, R)]) -> Option<(String, String)> {
    let ((first, _), (last, _)) = (rows.first()?, rows.last()?);
    Some((R::rank(first)?, R::rank(last)?))
}
