//! Prepared statements and the values that are bound to them.
//!
//! Nothing of them is kept: a handle is the statement itself, and who binds values is given a new handle that has them, too. So a handle is as
//! little trusted as a statement. (Drivers of before that part of the protocol go on with the old one, and are told that values are missing.)

use arrow::{
    array::{Array, ArrayRef, AsArray, RecordBatch},
    compute::{CastOptions, cast_with_options},
    datatypes::{
        DataType, Date32Type, Decimal128Type, Float64Type, Int64Type, TimeUnit,
        TimestampMicrosecondType, UInt64Type,
    },
};
use arrow_flight::{
    FlightData, decode::FlightRecordBatchStream, error::FlightError,
    sql::server::PeekableFlightDataStream,
};
use chrono::{DateTime, SecondsFormat, Utc};
use futures::{StreamExt, TryStreamExt};
use prost::bytes::Bytes;
use serde::{Deserialize, Serialize};
use tonic::Status;
use uuid::Uuid;

use crate::{
    AnalyticsError,
    sandbox::{Parameter, SQL_MAX_BYTES, Value},
};

const VALUES_MAX: usize = 1000;
const VALUES_MAX_BYTES: usize = 256 << 10;
/// Of values as they come, with all that Arrow needs around them.
const WIRE_MAX_BYTES: usize = 2 << 20;
const HANDLE_MAX_BYTES: usize = 6 * (SQL_MAX_BYTES + VALUES_MAX_BYTES);

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Prepared {
    pub(super) sql: String,
    pub(super) parameters: Vec<Parameter>,
}

impl Prepared {
    pub(super) fn new(sql: String) -> Self {
        Self { sql, parameters: Vec::new() }
    }

    pub(super) fn of(handle: &[u8]) -> Result<Self, AnalyticsError> {
        let read = (handle.len() <= HANDLE_MAX_BYTES)
            .then(|| serde_json::from_slice::<Self>(handle).ok())
            .flatten();
        let prepared = read.ok_or_else(|| refused("this is no handle of a prepared statement"))?;
        prepared.bounded()
    }

    pub(super) fn handle(&self) -> Result<Bytes, AnalyticsError> {
        let json = serde_json::to_vec(self);
        json.map(Bytes::from).map_err(|error| AnalyticsError::SqlWorker(error.to_string()))
    }

    /// With these values, in the place of those that it had.
    pub(super) fn with(self, parameters: Vec<Parameter>) -> Result<Self, AnalyticsError> {
        Self { parameters, ..self }.bounded()
    }

    fn bounded(self) -> Result<Self, AnalyticsError> {
        let size = |given: &Parameter| match &given.value {
            Value::Text(text) => given.name.len() + text.len(),
            _ => given.name.len(),
        };
        if self.parameters.len() > VALUES_MAX {
            return Err(refused(&format!("a query takes up to {VALUES_MAX} values")));
        }
        if self.parameters.iter().map(size).sum::<usize>() > VALUES_MAX_BYTES {
            let most = VALUES_MAX_BYTES >> 10;
            return Err(refused(&format!("a query's values may be {most} KiB together")));
        }
        Ok(self)
    }
}

/// The one row of values that is sent to be bound.
pub(super) async fn read(stream: PeekableFlightDataStream) -> Result<Vec<Parameter>, Status> {
    let mut left = WIRE_MAX_BYTES;
    let pieces = stream.map(move |piece| {
        let piece: FlightData = piece.map_err(|status| FlightError::Tonic(Box::new(status)))?;
        let size = piece.data_header.len() + piece.data_body.len();
        left = left.checked_sub(size).ok_or_else(|| {
            FlightError::Tonic(Box::new(refused("the values are too large").into()))
        })?;
        Ok(piece)
    });
    let mut rows = FlightRecordBatchStream::new_from_flight_data(pieces);
    let mut parameters = None;
    while let Some(row) = rows.try_next().await.map_err(unreadable)? {
        match row.num_rows() {
            0 => (),
            1 if parameters.is_none() => parameters = Some(row_of(&row)?),
            _ => {
                let why = "a query takes one row of values at a time: ask once for each";
                return Err(refused(why).into());
            }
        }
    }
    Ok(parameters.unwrap_or_default())
}

fn unreadable(error: FlightError) -> Status {
    match error {
        FlightError::Tonic(status) => *status,
        other => refused(&format!("the values cannot be read: {other}")).into(),
    }
}

fn refused(why: &str) -> AnalyticsError {
    AnalyticsError::SqlRefused(why.to_owned())
}

fn row_of(row: &RecordBatch) -> Result<Vec<Parameter>, AnalyticsError> {
    let schema = row.schema();
    let cells = schema.fields().iter().zip(row.columns()).enumerate();
    let parameters = cells.map(|(at, (field, column))| {
        let value = value(column).map_err(|why| refused(&format!("value {}: {why}", at + 1)))?;
        Ok(Parameter { name: field.name().clone(), value })
    });
    parameters.collect()
}

/// Of a column of one row.
fn value(column: &ArrayRef) -> Result<Value, String> {
    let as_kind = |kind: DataType| {
        let options = CastOptions { safe: false, ..CastOptions::default() };
        cast_with_options(column, &kind, &options).map_err(|error| error.to_string())
    };
    let kind = column.data_type();
    if *kind == DataType::Null || column.is_null(0) {
        return Ok(Value::Null);
    }
    Ok(match kind {
        DataType::Boolean => Value::Flag(column.as_boolean().value(0)),
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => {
            Value::Int(as_kind(DataType::Int64)?.as_primitive::<Int64Type>().value(0))
        }
        DataType::UInt8 | DataType::UInt16 | DataType::UInt32 | DataType::UInt64 => {
            Value::Unsigned(as_kind(DataType::UInt64)?.as_primitive::<UInt64Type>().value(0))
        }
        DataType::Float16 | DataType::Float32 | DataType::Float64 => {
            let number = as_kind(DataType::Float64)?.as_primitive::<Float64Type>().value(0);
            Value::Float(number.to_bits())
        }
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            Value::Text(as_kind(DataType::Utf8)?.as_string::<i32>().value(0).to_owned())
        }
        DataType::Decimal32(width, scale)
        | DataType::Decimal64(width, scale)
        | DataType::Decimal128(width, scale)
        | DataType::Decimal256(width, scale) => {
            let exact = as_kind(DataType::Decimal128(*width, *scale))?;
            let scale = u8::try_from(*scale).map_err(|_| format!("{kind} cannot be bound"))?;
            Value::Decimal(*width, scale, exact.as_primitive::<Decimal128Type>().value(0))
        }
        DataType::Date32 | DataType::Date64 => {
            Value::Day(as_kind(DataType::Date32)?.as_primitive::<Date32Type>().value(0))
        }
        DataType::Timestamp(_, zone) => {
            let micros = as_kind(DataType::Timestamp(TimeUnit::Microsecond, zone.clone()))?;
            let micros = micros.as_primitive::<TimestampMicrosecondType>().value(0);
            match zone {
                None => Value::ClockTime(micros),
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

fn instant(micros: i64) -> Result<String, String> {
    let time: Option<DateTime<Utc>> = DateTime::from_timestamp_micros(micros);
    let time = time.ok_or_else(|| format!("{micros} is no time"))?;
    Ok(time.to_rfc3339_opts(SecondsFormat::Micros, true))
}
