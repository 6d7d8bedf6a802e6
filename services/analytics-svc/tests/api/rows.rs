//! Rows of the tables in the very columns of their contract.

use std::{fs::File, sync::Arc};

use chrono::{DateTime, NaiveDate};
use manifest::{Materialized, tables::Table};
use money::Money;
use parquet::{
    data_type::{
        BoolType, ByteArray, ByteArrayType, FixedLenByteArray, FixedLenByteArrayType, Int32Type,
        Int64Type,
    },
    file::{properties::WriterProperties, writer::SerializedFileWriter},
    schema::parser::parse_message_type,
};
use uuid::Uuid;

use crate::olap::Olap;

pub(crate) enum Column {
    Text(Vec<&'static str>),
    Int(Vec<i32>),
    Rates(Vec<Option<i32>>),
    Long(Vec<i64>),
    Fixed(Vec<Vec<u8>>),
    Flag(Vec<bool>),
}

pub(crate) fn days(days: &[&str]) -> Column {
    let day = |day: &&str| day.parse::<NaiveDate>().unwrap().to_epoch_days();
    Column::Int(days.iter().map(day).collect())
}

pub(crate) fn times(times: &[&str]) -> Column {
    let micros = |time: &&str| time.parse::<DateTime<chrono::Utc>>().unwrap().timestamp_micros();
    Column::Long(times.iter().map(micros).collect())
}

fn hundredths(amount: &&str) -> i128 {
    Money::parse(amount).unwrap().hundredths()
}

pub(crate) fn amounts(amounts: &[&str]) -> Column {
    Column::Long(amounts.iter().map(|amount| hundredths(amount).try_into().unwrap()).collect())
}

/// Sums of amounts: nine bytes.
pub(crate) fn sums(amounts: &[&str]) -> Column {
    let nine = |amount: &&str| hundredths(amount).to_be_bytes()[7..].to_vec();
    Column::Fixed(amounts.iter().map(nine).collect())
}

pub(crate) fn ids(ids: &[u128]) -> Column {
    Column::Fixed(ids.iter().map(|id| Uuid::from_u128(*id).as_bytes().to_vec()).collect())
}

impl Olap {
    /// Writes one more file of a table.
    pub(crate) fn rows(&self, table: Table, columns: Vec<Column>) -> Materialized {
        let (path, whole) = self.next_file(table.name);
        let schema = Arc::new(parse_message_type(table.schema).unwrap());
        let properties = Arc::new(WriterProperties::default());
        let file = File::create(whole).unwrap();
        let mut writer = SerializedFileWriter::new(file, schema, properties).unwrap();
        let mut group = writer.next_row_group().unwrap();
        let mut count = 0;
        for column in columns {
            let mut to = group.next_column().unwrap().unwrap();
            count = match column {
                Column::Text(values) => {
                    let values: Vec<_> = values.into_iter().map(ByteArray::from).collect();
                    to.typed::<ByteArrayType>().write_batch(&values, None, None)
                }
                Column::Int(values) => to.typed::<Int32Type>().write_batch(&values, None, None),
                Column::Rates(values) => {
                    let there: Vec<_> =
                        values.iter().map(|rate| i16::from(rate.is_some())).collect();
                    let values: Vec<_> = values.into_iter().flatten().collect();
                    to.typed::<Int32Type>().write_batch(&values, Some(&there), None).unwrap();
                    Ok(there.len())
                }
                Column::Long(values) => to.typed::<Int64Type>().write_batch(&values, None, None),
                Column::Fixed(values) => {
                    let values: Vec<_> = values.into_iter().map(FixedLenByteArray::from).collect();
                    to.typed::<FixedLenByteArrayType>().write_batch(&values, None, None)
                }
                Column::Flag(values) => to.typed::<BoolType>().write_batch(&values, None, None),
            }
            .unwrap();
            to.close().unwrap();
        }
        assert!(group.next_column().unwrap().is_none(), "a column is missing");
        group.close().unwrap();
        writer.close().unwrap();
        self.named(table.name, &path, count)
    }
}
