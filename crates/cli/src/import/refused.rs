//! The rows that were refused, in a file that can be mended and imported again.
//!
//! The file appears whole when the import ends, or not at all; a killed import leaves the one before it as it was.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context;

use super::source::{Header, Row};

const REASON: &str = "reason";

pub(crate) struct Refused {
    path: PathBuf,
    header: Arc<Header>,
    /// Opened by the first refusal.
    writer: Option<csv::Writer<File>>,
}

impl Refused {
    /// `inputs` are never written to: next to `orders.csv` that is being imported comes `orders-refused.csv`.
    pub(crate) fn new(dir: &Path, kind: &str, header: &Arc<Header>, inputs: &[PathBuf]) -> Self {
        let is_input =
            |path: &Path| fs::canonicalize(path).is_ok_and(|path| inputs.contains(&path));
        let mut path = dir.join(format!("{kind}.csv"));
        if is_input(&path) {
            path = dir.join(format!("{kind}-refused.csv"));
        }
        Self { path, header: Arc::clone(header), writer: None }
    }

    pub(crate) fn write(&mut self, row: &Row, reason: &str) -> anyhow::Result<()> {
        let to = self.path.display().to_string();
        if self.writer.is_none() {
            self.writer = Some(self.open().with_context(|| format!("cannot write {to}"))?);
        }
        let Some(writer) = &mut self.writer else { return Ok(()) };
        let kept = self.header.names.iter().enumerate().filter(|(_, name)| *name != REASON);
        let fields = kept.map(|(place, _)| row.record.get(place).unwrap_or_default());
        let record: csv::ByteRecord = fields.chain([reason.as_bytes()]).collect();
        writer.write_byte_record(&record).with_context(|| format!("cannot write {to}"))
    }

    /// Puts the file in its place and gives its path, if anything was refused.
    pub(crate) fn finish(self) -> anyhow::Result<Option<PathBuf>> {
        let Some(mut writer) = self.writer else { return Ok(None) };
        let partial = partial(&self.path);
        let mut place = || -> anyhow::Result<()> {
            writer.flush()?;
            writer.get_ref().sync_all()?;
            fs::rename(&partial, &self.path)?;
            let dir = self.path.parent().filter(|dir| !dir.as_os_str().is_empty());
            Ok(File::open(dir.unwrap_or(Path::new(".")))?.sync_all()?)
        };
        let to = self.path.display().to_string();
        place().with_context(|| format!("cannot write {to}"))?;
        Ok(Some(self.path))
    }

    fn open(&self) -> anyhow::Result<csv::Writer<File>> {
        if let Some(dir) = self.path.parent() {
            fs::create_dir_all(dir)?;
        }
        let mut writer = csv::Writer::from_writer(File::create(partial(&self.path))?);
        let kept = self.header.names.iter().filter(|name| *name != REASON);
        writer.write_record(kept.map(String::as_str).chain([REASON]))?;
        Ok(writer)
    }
}

fn partial(path: &Path) -> PathBuf {
    path.with_extension("csv.partial")
}
