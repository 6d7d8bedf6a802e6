//! Tables as Parquet: flat columns of a few types, as the schema's text names them; readable as they are by anything that reads Parquet.

use std::{collections::VecDeque, sync::Arc};

use ::parquet::{
    basic::{Compression, ZstdLevel},
    column::reader::{ColumnReader, ColumnReaderImpl},
    data_type::{
        BoolType, ByteArray, ByteArrayType, DataType, FixedLenByteArray, FixedLenByteArrayType,
        Int32Type, Int64Type,
    },
    errors::ParquetError,
    file::{
        metadata::KeyValue,
        properties::{EnabledStatistics, WriterProperties},
        reader::{FileReader, RowGroupReader, SerializedFileReader},
        writer::SerializedFileWriter,
    },
    schema::{parser::parse_message_type, types::Type},
};
use anyhow::{Context, bail, ensure};
use bytes::Bytes;

/// Where it is in a file's metadata.
const NOTE: &str = "olap_consumer";
const DICTIONARY_MAX_BYTES: usize = 128 << 10;

/// One column's values.
#[derive(Debug)]
pub(crate) enum Column {
    Int32(Vec<i32>),
    Int64(Vec<i64>),
    Bool(Vec<bool>),
    Text(Vec<ByteArray>),
    /// UUIDs, and decimals of more digits than 64 bits hold.
    Fixed(Vec<FixedLenByteArray>),
    OptionalInt32(Vec<Option<i32>>),
}

/// Columns in the order of their schema.
pub(crate) type Columns = VecDeque<Column>;

/// One file of one row group, with a note in it that only this service reads.
pub(crate) fn write(
    schema: &str,
    columns: &Columns,
    note: Option<String>,
) -> anyhow::Result<Vec<u8>> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        // Most texts repeat, and most keys do not.
        .set_dictionary_page_size_limit(DICTIONARY_MAX_BYTES)
        // A file is a page or two.
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_key_value_metadata(note.map(|note| vec![KeyValue::new(NOTE.to_owned(), note)]))
        .build();
    let schema = Arc::new(parse_message_type(schema)?);
    let mut file = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties))?;
    let mut group = file.next_row_group()?;
    for values in columns {
        let mut column = group.next_column()?.context("the schema has fewer columns")?;
        match values {
            Column::Int32(values) => column.typed::<Int32Type>().write_batch(values, None, None)?,
            Column::Int64(values) => column.typed::<Int64Type>().write_batch(values, None, None)?,
            Column::Text(values) => {
                column.typed::<ByteArrayType>().write_batch(values, None, None)?
            }
            Column::Bool(values) => column.typed::<BoolType>().write_batch(values, None, None)?,
            Column::Fixed(values) => {
                column.typed::<FixedLenByteArrayType>().write_batch(values, None, None)?
            }
            Column::OptionalInt32(values) => {
                let levels: Vec<i16> = values.iter().map(|value| value.is_some().into()).collect();
                let there: Vec<i32> = values.iter().copied().flatten().collect();
                column.typed::<Int32Type>().write_batch(&there, Some(&levels), None)?
            }
        };
        column.close()?;
    }
    group.close()?;
    Ok(file.into_inner()?)
}

/// How many rows a file of exactly this schema has, and its note. The rows are not decoded.
pub(crate) fn read_note(schema: &str, file: Vec<u8>) -> anyhow::Result<(i64, Option<String>)> {
    let file = open(schema, file)?;
    let metadata = file.metadata().file_metadata();
    let mut notes = metadata.key_value_metadata().into_iter().flatten();
    let note = notes.find(|note| note.key == NOTE).and_then(|note| note.value.clone());
    Ok((metadata.num_rows(), note))
}

/// The columns of a file that has exactly this schema.
pub(crate) fn read(schema: &str, file: Vec<u8>) -> anyhow::Result<Columns> {
    let file = open(schema, file)?;
    let mut columns = Columns::new();
    for group in 0..file.num_row_groups() {
        ensure!(columns.is_empty(), "the file has more than one row group");
        let group = file.get_row_group(group)?;
        for column in 0..group.num_columns() {
            columns.push_back(read_column(group.as_ref(), column)?);
        }
    }
    Ok(columns)
}

fn open(schema: &str, file: Vec<u8>) -> anyhow::Result<SerializedFileReader<Bytes>> {
    let file = SerializedFileReader::new(Bytes::from(file))?;
    let expected: Type = parse_message_type(schema)?;
    let found = file.metadata().file_metadata().schema();
    ensure!(*found == expected, "the file has other columns: {found:?}");
    Ok(file)
}

fn read_column(group: &dyn RowGroupReader, column: usize) -> anyhow::Result<Column> {
    let rows = usize::try_from(group.metadata().num_rows())?;
    let is_optional = group.metadata().column(column).column_descr().max_def_level() > 0;
    Ok(match group.get_column_reader(column)? {
        ColumnReader::Int32ColumnReader(reader) if is_optional => {
            Column::OptionalInt32(read_optional(reader, rows)?)
        }
        ColumnReader::Int32ColumnReader(reader) => Column::Int32(read_values(reader, rows)?),
        ColumnReader::Int64ColumnReader(reader) => Column::Int64(read_values(reader, rows)?),
        ColumnReader::ByteArrayColumnReader(reader) => Column::Text(read_values(reader, rows)?),
        ColumnReader::FixedLenByteArrayColumnReader(reader) => {
            Column::Fixed(read_values(reader, rows)?)
        }
        ColumnReader::BoolColumnReader(reader) => Column::Bool(read_values(reader, rows)?),
        ColumnReader::Int96ColumnReader(_)
        | ColumnReader::FloatColumnReader(_)
        | ColumnReader::DoubleColumnReader(_) => {
            bail!("column {column} has a type that no table has")
        }
    })
}

fn read_values<T: DataType>(
    mut reader: ColumnReaderImpl<T>,
    rows: usize,
) -> Result<Vec<T::T>, ParquetError> {
    let mut values = Vec::with_capacity(rows);
    reader.read_records(rows, None, None, &mut values)?;
    Ok(values)
}

fn read_optional(
    mut reader: ColumnReaderImpl<Int32Type>,
    rows: usize,
) -> Result<Vec<Option<i32>>, ParquetError> {
    let (mut levels, mut values) = (Vec::with_capacity(rows), Vec::new());
    reader.read_records(rows, Some(&mut levels), None, &mut values)?;
    let mut values = values.into_iter();
    Ok(levels.into_iter().map(|level| if level > 0 { values.next() } else { None }).collect())
}
