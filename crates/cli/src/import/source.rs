//! CSV files as streams of rows, plain or compressed.
//!
//! A row that is no good by itself (fields missing, not UTF-8) is a row with a fault, so that its neighbours go on; a file that cannot
//! be read further is an error. Memory: one row, which is bounded.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use anyhow::{Context, bail, ensure};
use csv::{ByteRecord, Terminator};
use flate2::bufread::MultiGzDecoder;

/// A quote that is never closed would make one row of the rest of the file.
const ROW_MAX_BYTES: u64 = 1 << 20;
const BUFFER_BYTES: usize = 64 * 1024;

/// The columns of a file as its first line names them.
#[derive(Debug)]
pub(crate) struct Header {
    pub(crate) names: Vec<String>,
}

/// One row, with the line of the file that it starts in.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) line: u64,
    pub(crate) record: ByteRecord,
    pub(crate) header: Arc<Header>,
    /// Why the row is no good, whatever its fields hold.
    pub(crate) fault: Option<String>,
}

impl Row {
    /// The text of a column; empty where there is none.
    pub(crate) fn get(&self, column: &str) -> &str {
        let place = self.header.names.iter().position(|name| name == column);
        let field = place.and_then(|place| self.record.get(place)).unwrap_or_default();
        std::str::from_utf8(field).unwrap_or_default()
    }
}

/// A file that is being read.
pub(crate) struct Source {
    path: PathBuf,
    reader: csv::Reader<Limited<Box<dyn Read + Send>>>,
    header: Arc<Header>,
    /// What a row may still read.
    left: Arc<AtomicU64>,
    consumed: Arc<AtomicU64>,
    size: u64,
    ended: bool,
}

impl Source {
    /// Opens a file and checks that it has the columns.
    pub(crate) fn open(path: &Path, columns: &[&str]) -> anyhow::Result<Self> {
        let shown = path.display();
        let file = File::open(path).with_context(|| format!("cannot open {shown}"))?;
        let size = file.metadata()?.len();
        let consumed = Arc::new(AtomicU64::new(0));
        let counted = Counted { inner: file, consumed: Arc::clone(&consumed) };
        let mut buffered = BufReader::with_capacity(BUFFER_BYTES, counted);
        let start = buffered.fill_buf().with_context(|| format!("cannot read {shown}"))?;
        let inner: Box<dyn Read + Send> = if start.starts_with(&[0x1f, 0x8b]) {
            Box::new(MultiGzDecoder::new(buffered))
        } else {
            Box::new(buffered)
        };
        let left = Arc::new(AtomicU64::new(ROW_MAX_BYTES));
        let mut reader = csv::ReaderBuilder::new()
            .flexible(true)
            // Lines are miscounted if it looks for \r\n itself.
            .terminator(Terminator::Any(b'\n'))
            .buffer_capacity(BUFFER_BYTES)
            .from_reader(Limited { inner, left: Arc::clone(&left) });
        let names = reader.byte_headers().with_context(|| format!("cannot read {shown}"))?;
        let names = without_cr(names.clone());
        let header = Arc::new(read_header(&names, columns).with_context(|| shown.to_string())?);
        Ok(Self { path: path.to_owned(), reader, header, left, consumed, size, ended: false })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn header(&self) -> &Arc<Header> {
        &self.header
    }

    /// Bytes of the file as it lies on the disk: how many have been read, which others may watch, and how many there are.
    pub(crate) fn extent(&self) -> (Arc<AtomicU64>, u64) {
        (Arc::clone(&self.consumed), self.size)
    }

    fn read(&mut self) -> anyhow::Result<Option<Row>> {
        loop {
            let row = self.read_any()?;
            // The csv crate knows blank lines by \n alone.
            let is_blank = |row: &Row| row.record.len() == 1 && row.record[0].is_empty();
            if !row.as_ref().is_some_and(is_blank) {
                return Ok(row);
            }
        }
    }

    fn read_any(&mut self) -> anyhow::Result<Option<Row>> {
        self.left.store(ROW_MAX_BYTES, Relaxed);
        let mut record = ByteRecord::new();
        let before = self.reader.position().line();
        let found = self.reader.read_byte_record(&mut record);
        let found = found.with_context(|| {
            format!("{} cannot be read beyond line {before}", self.path.display())
        })?;
        if !found {
            return Ok(None);
        }
        let line = record.position().map_or(before, csv::Position::line);
        let record = without_cr(record);
        let fault = fault(&record, &self.header);
        Ok(Some(Row { line, record, header: Arc::clone(&self.header), fault }))
    }
}

impl Iterator for Source {
    type Item = anyhow::Result<Row>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let row = self.read().transpose();
        // After an error there is no way to find the next row.
        self.ended = !matches!(row, Some(Ok(_)));
        row
    }
}

fn read_header(record: &ByteRecord, columns: &[&str]) -> anyhow::Result<Header> {
    let mut names: Vec<String> = Vec::with_capacity(record.len());
    for name in record {
        let name = std::str::from_utf8(name).context("the first line is not UTF-8 text")?;
        ensure!(!names.iter().any(|other| other == name), "the column {name:?} is there twice");
        names.push(name.to_owned());
    }
    let has = |column: &&&str| names.iter().any(|name| name == *column);
    let missing: Vec<&str> =
        columns.iter().filter(|column| !has(column)).map(|column| &**column).collect();
    if !missing.is_empty() {
        let (missing, names) = (missing.join(", "), names.join(", "));
        bail!("the first line must name the columns; missing: {missing}; found: {names}");
    }
    Ok(Header { names })
}

/// The record without the \r that may end its line.
fn without_cr(record: ByteRecord) -> ByteRecord {
    let last = record.len().saturating_sub(1);
    match record.get(last).and_then(|field| field.strip_suffix(b"\r")) {
        Some(stripped) => record.iter().take(last).chain([stripped]).collect(),
        None => record,
    }
}

fn fault(record: &ByteRecord, header: &Header) -> Option<String> {
    if record.len() != header.names.len() {
        return Some(format!("has {} fields: {} are needed", record.len(), header.names.len()));
    }
    let bad = record.iter().position(|field| std::str::from_utf8(field).is_err())?;
    header.names.get(bad).map(|name| format!("{name} is not UTF-8 text"))
}

/// Counts what has been read.
struct Counted<R> {
    inner: R,
    consumed: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.consumed.fetch_add(u64::try_from(count).unwrap_or(u64::MAX), Relaxed);
        Ok(count)
    }
}

/// Ends when one row reads too much.
struct Limited<R> {
    inner: R,
    left: Arc<AtomicU64>,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.left.load(Relaxed);
        if left == 0 {
            let why = "a row is longer than 1 MiB: is a quote not closed?";
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        let count = self.inner.read(buffer)?;
        self.left.store(left.saturating_sub(u64::try_from(count).unwrap_or(u64::MAX)), Relaxed);
        Ok(count)
    }
}
