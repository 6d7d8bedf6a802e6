//! A table in a file: CSV or Parquet, beside its name until it is whole.

use std::{
    fs::{self, File},
    io::BufWriter,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context;
use arrow::{
    array::{Array, ArrayRef, AsArray, RecordBatch},
    datatypes::{DataType, SchemaRef, TimeUnit, TimestampMicrosecondType},
    util::display::{ArrayFormatter, FormatOptions},
};
use clap::ValueEnum;
use parquet::{
    arrow::ArrowWriter,
    basic::{Compression, ZstdLevel},
    file::properties::WriterProperties,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    Csv,
    Parquet,
}

impl Format {
    /// By the ending of a file's name.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let ending = path.extension()?.to_str()?.to_ascii_lowercase();
        Self::value_variants().iter().copied().find(|format| {
            format.to_possible_value().is_some_and(|value| value.get_name() == ending)
        })
    }
}

pub(super) struct Table {
    writer: Writer,
    count: usize,
    beside: PathBuf,
    path: PathBuf,
    finished: bool,
}

enum Writer {
    Csv(Box<csv::Writer<BufWriter<File>>>),
    Parquet(Box<ArrowWriter<File>>),
}

impl Drop for Table {
    fn drop(&mut self) {
        if !self.finished {
            // Half a table is of no use.
            let _ = fs::remove_file(&self.beside);
        }
    }
}

impl Table {
    pub(super) fn create(path: &Path, format: Format, schema: &SchemaRef) -> anyhow::Result<Self> {
        let mut beside = path.as_os_str().to_owned();
        beside.push(".new");
        let beside = PathBuf::from(beside);
        let file =
            File::create(&beside).with_context(|| format!("cannot write {}", beside.display()))?;
        let writer = match format {
            Format::Csv => {
                let mut writer = csv::Writer::from_writer(BufWriter::new(file));
                writer.write_record(schema.fields().iter().map(|field| field.name()))?;
                Writer::Csv(Box::new(writer))
            }
            Format::Parquet => {
                let zstd = Compression::ZSTD(ZstdLevel::default());
                let properties = WriterProperties::builder().set_compression(zstd).build();
                let writer = ArrowWriter::try_new(file, Arc::clone(schema), Some(properties))?;
                Writer::Parquet(Box::new(writer))
            }
        };
        Ok(Self { writer, count: 0, beside, path: path.to_owned(), finished: false })
    }

    pub(super) fn write(&mut self, rows: &RecordBatch) -> anyhow::Result<()> {
        self.count += rows.num_rows();
        match &mut self.writer {
            Writer::Parquet(writer) => writer.write(rows)?,
            Writer::Csv(writer) => {
                let columns: Vec<ArrayRef> = rows.columns().iter().map(in_utc).collect();
                let options = FormatOptions::default();
                let cells = columns.iter().map(|column| ArrayFormatter::try_new(column, &options));
                let cells = cells.collect::<Result<Vec<_>, _>>()?;
                for row in 0..rows.num_rows() {
                    for cell in &cells {
                        writer.write_field(cell.value(row).try_to_string()?)?;
                    }
                    writer.write_record(None::<&[u8]>)?;
                }
            }
        }
        Ok(())
    }

    /// Gives how many rows it has.
    pub(super) fn finish(mut self) -> anyhow::Result<usize> {
        match &mut self.writer {
            Writer::Csv(writer) => {
                writer.flush()?;
                writer.get_ref().get_ref().sync_all()?;
            }
            Writer::Parquet(writer) => {
                writer.finish()?;
                writer.inner().sync_all()?;
            }
        }
        fs::rename(&self.beside, &self.path)
            .with_context(|| format!("cannot write {}", self.path.display()))?;
        self.finished = true;
        Ok(self.count)
    }
}

/// In a CSV file a time is written as `2026-11-24T09:30:00Z`, wherever the business is.
fn in_utc(column: &ArrayRef) -> ArrayRef {
    match column.data_type() {
        DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => {
            let times = column.as_primitive::<TimestampMicrosecondType>().clone();
            Arc::new(times.with_timezone("+00:00"))
        }
        _ => Arc::clone(column),
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Decimal128Array, StringArray, TimestampMicrosecondArray};
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    use super::*;

    fn rows() -> RecordBatch {
        let times = TimestampMicrosecondArray::from(vec![Some(1_783_000_800_000_000), None]);
        let amounts = Decimal128Array::from(vec![1_234_500, -5]);
        RecordBatch::try_from_iter([
            ("at", Arc::new(times.with_timezone("Europe/London")) as ArrayRef),
            ("amount", Arc::new(amounts.with_precision_and_scale(18, 2).unwrap())),
            ("name", Arc::new(StringArray::from(vec!["a, \"b\"", "=c"]))),
        ])
        .unwrap()
    }

    fn export(folder: &Path, format: Format) -> PathBuf {
        let path = folder.join(format!("{format:?}"));
        let mut table = Table::create(&path, format, &rows().schema()).unwrap();
        table.write(&rows()).unwrap();
        table.write(&rows()).unwrap();
        assert!(!path.exists(), "not before it is whole");
        assert_eq!(table.finish().unwrap(), 4);
        path
    }

    #[test]
    fn times_and_amounts_are_written_in_full() {
        let folder = tempfile::tempdir().unwrap();
        let csv = fs::read_to_string(export(folder.path(), Format::Csv)).unwrap();
        let both = "2026-07-02T14:00:00Z,12345.00,\"a, \"\"b\"\"\"\n,-0.05,=c\n";
        assert_eq!(csv, format!("at,amount,name\n{both}{both}"));

        let file = File::open(export(folder.path(), Format::Parquet)).unwrap();
        let read = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
        let read = read.collect::<Result<Vec<_>, _>>().unwrap();
        assert_eq!(read[0].slice(2, 2), rows());
    }

    #[test]
    fn what_is_given_up_leaves_the_file_that_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        fs::write(&path, "before").unwrap();
        let mut table = Table::create(&path, Format::Csv, &rows().schema()).unwrap();
        table.write(&rows()).unwrap();
        drop(table);
        assert_eq!(fs::read_to_string(&path).unwrap(), "before");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_format_is_known_by_the_files_name() {
        let of = |name: &str| Format::of(Path::new(name));
        assert_eq!(of("a/x.csv"), Some(Format::Csv));
        assert_eq!(of("x.PARQUET"), Some(Format::Parquet));
        assert_eq!(of("x.json"), None);
        assert_eq!(of("csv"), None);
    }
}
