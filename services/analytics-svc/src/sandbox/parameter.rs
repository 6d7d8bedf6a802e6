//! What stands for the `?` of a statement: values that travel beside its text, as Arrow, and are never made part of it.
//!
//! They are read in the query's own process: Arrow panics at some bytes that are not what they say they are, and a panic ends a process.

use arrow::{
    array::{Array, ArrayRef, AsArray, RecordBatch},
    compute::{CastOptions, cast_with_options},
    datatypes::{
        DataType, Date32Type, Decimal128Type, Float64Type, Int64Type, TimeUnit,
        TimestampMicrosecondType, UInt64Type,
    },
};
use arrow_flight::{FlightData, utils::flight_data_to_batches};
use chrono::{DateTime, SecondsFormat, Utc};
use duckdb::types::{Decimal, TimeUnit as DuckUnit, Value};
use prost::Message;
use uuid::Uuid;

const VALUES_MAX: usize = 1000;

/// A value, and the name under which a statement may ask for it; `?` and `$1` go by the place.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Parameter {
    name: String,
    value: Value,
}

/// The one row of values in encoded `FlightData`; none where nothing is bound.
pub(super) fn read(pieces: &[Vec<u8>]) -> Result<Vec<Parameter>, String> {
    if pieces.is_empty() {
        return Ok(Vec::new());
    }
    let unreadable = |error: String| format!("the values cannot be read: {error}");
    let pieces = pieces.iter().map(|piece| FlightData::decode(piece.as_slice()));
    let pieces: Vec<FlightData> =
        pieces.collect::<Result<_, _>>().map_err(|error| unreadable(error.to_string()))?;
    let batches = flight_data_to_batches(&pieces).map_err(|error| unreadable(error.to_string()))?;
    let mut rows = batches.iter().filter(|batch| batch.num_rows() > 0);
    match (rows.next(), rows.next()) {
        (None, _) => Ok(Vec::new()),
        (Some(row), None) if row.num_rows() == 1 => row_of(row),
        _ => Err("a query takes one row of values at a time: ask once for each".to_owned()),
    }
}

fn row_of(row: &RecordBatch) -> Result<Vec<Parameter>, String> {
    if row.num_columns() > VALUES_MAX {
        return Err(format!("a query takes up to {VALUES_MAX} values"));
    }
    let schema = row.schema();
    let cells = schema.fields().iter().zip(row.columns()).enumerate();
    let parameters = cells.map(|(at, (field, column))| {
        let value = value(column).map_err(|why| format!("value {}: {why}", at + 1))?;
        Ok(Parameter { name: field.name().clone(), value })
    });
    parameters.collect()
}

/// Of a column of one row.
fn value(column: &ArrayRef) -> Result<Value, String> {
    let made = |kind: DataType| {
        let options = CastOptions { safe: false, ..CastOptions::default() };
        cast_with_options(column, &kind, &options).map_err(|error| error.to_string())
    };
    let kind = column.data_type();
    if *kind == DataType::Null || column.is_null(0) {
        return Ok(Value::Null);
    }
    Ok(match kind {
        DataType::Boolean => Value::Boolean(column.as_boolean().value(0)),
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => {
            Value::BigInt(made(DataType::Int64)?.as_primitive::<Int64Type>().value(0))
        }
        DataType::UInt8 | DataType::UInt16 | DataType::UInt32 | DataType::UInt64 => {
            Value::UBigInt(made(DataType::UInt64)?.as_primitive::<UInt64Type>().value(0))
        }
        DataType::Float16 | DataType::Float32 | DataType::Float64 => {
            Value::Double(made(DataType::Float64)?.as_primitive::<Float64Type>().value(0))
        }
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            Value::Text(made(DataType::Utf8)?.as_string::<i32>().value(0).to_owned())
        }
        DataType::Decimal32(width, scale)
        | DataType::Decimal64(width, scale)
        | DataType::Decimal128(width, scale)
        | DataType::Decimal256(width, scale) => {
            let digits = made(DataType::Decimal128(*width, *scale))?;
            let digits = digits.as_primitive::<Decimal128Type>().value(0);
            let scale = u8::try_from(*scale).map_err(|error| error.to_string())?;
            let exact = Decimal::new(*width, scale, digits);
            Value::Decimal(exact.map_err(|error| error.to_string())?)
        }
        DataType::Date32 | DataType::Date64 => {
            Value::Date32(made(DataType::Date32)?.as_primitive::<Date32Type>().value(0))
        }
        DataType::Timestamp(_, zone) => {
            let micros = made(DataType::Timestamp(TimeUnit::Microsecond, zone.clone()))?;
            let micros = micros.as_primitive::<TimestampMicrosecondType>().value(0);
            match zone {
                None => Value::Timestamp(DuckUnit::Microsecond, micros),
                Some(_) => Value::Text(instant(micros)?),
            }
        }
        // An id.
        DataType::FixedSizeBinary(16) => {
            let id = Uuid::from_slice(column.as_fixed_size_binary().value(0));
            Value::Text(id.map_err(|error| error.to_string())?.to_string())
        }
        other => return Err(format!("{other} cannot be bound")),
    })
}

/// With its offset, so that the business's time zone has no say in it.
fn instant(micros: i64) -> Result<String, String> {
    let time: Option<DateTime<Utc>> = DateTime::from_timestamp_micros(micros);
    let time = time.ok_or_else(|| format!("{micros} is no time"))?;
    Ok(time.to_rfc3339_opts(SecondsFormat::Micros, true))
}

/// The value for each of a statement's own names, in its order.
pub(super) fn chosen(names: &[String], given: &[Parameter]) -> Result<Vec<Value>, String> {
    if names.len() != given.len() {
        let (takes, are) = (values(names.len()), are(given.len()));
        return Err(format!("the query takes {takes}, and {are} given"));
    }
    let value = |name: &String| {
        let found = match name.parse::<usize>() {
            Ok(place) => place.checked_sub(1).and_then(|place| given.get(place)),
            Err(_) => given.iter().find(|given| given.name == *name),
        };
        let found = found.ok_or_else(|| format!("no value is given for ${name}"))?;
        Ok(found.value.clone())
    };
    names.iter().map(value).collect()
}

fn values(count: usize) -> String {
    match count {
        0 => "no values".to_owned(),
        1 => "one value".to_owned(),
        _ => format!("{count} values"),
    }
}

fn are(count: usize) -> String {
    match count {
        0 => "none is".to_owned(),
        1 => "one is".to_owned(),
        _ => format!("{count} are"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        Date64Array, Decimal128Array, Decimal256Array, FixedSizeBinaryArray, Float32Array,
        Int8Array, LargeStringArray, StringViewArray, TimestampNanosecondArray,
        TimestampSecondArray, UInt64Array,
    };
    use arrow::datatypes::i256;

    use super::*;

    #[test]
    fn values_go_by_their_place_or_their_name() {
        let (one, x) = (Value::BigInt(1), Value::Text("x".to_owned()));
        let two = [("a", one.clone()), ("b", x.clone())]
            .map(|(name, value)| Parameter { name: name.to_owned(), value });
        let names = |names: [&str; 2]| names.map(str::to_owned);
        assert_eq!(chosen(&names(["1", "2"]), &two).unwrap(), [one.clone(), x.clone()]);
        assert_eq!(chosen(&names(["2", "1"]), &two).unwrap(), [x.clone(), one.clone()]);
        assert_eq!(chosen(&names(["b", "a"]), &two).unwrap(), [x, one]);
        for (names, why) in [
            (names(["b", "c"]).as_slice(), "no value is given for $c"),
            (&names(["1", "3"]), "no value is given for $3"),
            (&names(["1", "0"]), "no value is given for $0"),
            (&["1".to_owned()], "the query takes one value, and 2 are given"),
            (&[], "the query takes no values, and 2 are given"),
        ] {
            assert_eq!(chosen(names, &two).unwrap_err(), why);
        }
    }

    #[test]
    fn each_kind_of_arrow_is_the_value_that_it_says() {
        let decimal =
            |width, scale, digits| Value::Decimal(Decimal::new(width, scale, digits).unwrap());
        let text = |text: &str| Value::Text(text.to_owned());
        let id = Uuid::from_u128(7);
        let exact = Decimal128Array::from(vec![-150]).with_precision_and_scale(9, 2).unwrap();
        let wide = Decimal256Array::from(vec![i256::from(150)]);
        let arrays: Vec<(ArrayRef, Value)> = vec![
            (Arc::new(Int8Array::from(vec![-3])), Value::BigInt(-3)),
            (Arc::new(Int8Array::from(vec![None])), Value::Null),
            (Arc::new(UInt64Array::from(vec![u64::MAX])), Value::UBigInt(u64::MAX)),
            (Arc::new(Float32Array::from(vec![0.5])), Value::Double(0.5)),
            (Arc::new(LargeStringArray::from(vec!["'; --"])), text("'; --")),
            (Arc::new(StringViewArray::from(vec!["a\u{0}b"])), text("a\u{0}b")),
            (Arc::new(exact), decimal(9, 2, -150)),
            (Arc::new(wide.with_precision_and_scale(38, 2).unwrap()), decimal(38, 2, 150)),
            (Arc::new(Date64Array::from(vec![86_400_000])), Value::Date32(1)),
            (
                Arc::new(TimestampNanosecondArray::from(vec![1_500_999])),
                Value::Timestamp(DuckUnit::Microsecond, 1500),
            ),
            (
                Arc::new(TimestampSecondArray::from(vec![0]).with_timezone("+02:00")),
                text("1970-01-01T00:00:00.000000Z"),
            ),
            (
                Arc::new(FixedSizeBinaryArray::try_from_iter([id.as_bytes()].into_iter()).unwrap()),
                text(&id.to_string()),
            ),
        ];
        for (array, expected) in arrays {
            assert_eq!(value(&array).unwrap(), expected);
        }
        let far: ArrayRef =
            Arc::new(TimestampSecondArray::from(vec![i64::MAX]).with_timezone("UTC"));
        assert!(value(&far).is_err(), "an overflow is no null");
    }
}
