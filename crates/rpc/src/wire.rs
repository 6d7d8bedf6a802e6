//! What goes over the wire: our types as the protos', and the one currency of the deployment.

use std::{sync::OnceLock, time::SystemTime};

use anyhow::ensure;
use chrono::{DateTime, NaiveDate, Utc};
use money::Money;
use prost_types::{Struct, Timestamp, Value, value::Kind};
use proto::common::v1 as pb;

static CURRENCY: OnceLock<String> = OnceLock::new();

/// ISO 4217 code of the deployment's one currency.
#[must_use]
pub fn currency() -> &'static str {
    CURRENCY.get().map_or("GBP", String::as_str)
}

/// Sets the currency of the process: once, before anything is served.
pub fn set_currency(code: &str) -> anyhow::Result<()> {
    ensure!(
        code.len() == 3 && code.bytes().all(|b| b.is_ascii_uppercase()),
        "BRAMBLE_CURRENCY must be three capital letters, such as GBP, not {code:?}"
    );
    ensure!(
        CURRENCY.get_or_init(|| code.to_owned()) == code,
        "the process has the currency {} already",
        currency()
    );
    Ok(())
}

#[must_use]
pub fn to_money(amount: Money) -> pb::Money {
    pb::Money { amount: amount.to_string(), currency_code: currency().to_owned() }
}

#[must_use]
pub fn to_time(time: DateTime<Utc>) -> Timestamp {
    SystemTime::from(time).into()
}

/// As `2026-11-24`.
#[must_use]
pub fn to_date(date: NaiveDate) -> String {
    date.format("%Y-%m-%d").to_string()
}

/// A protobuf struct as JSON. Whole numbers stay whole.
#[must_use]
pub fn struct_to_json(from: Struct) -> serde_json::Value {
    from.fields.into_iter().map(|(key, value)| (key, to_json(value))).collect()
}

fn to_json(value: Value) -> serde_json::Value {
    match value.kind {
        None | Some(Kind::NullValue(_)) => serde_json::Value::Null,
        Some(Kind::BoolValue(value)) => value.into(),
        Some(Kind::NumberValue(value)) => number(value),
        Some(Kind::StringValue(value)) => value.into(),
        Some(Kind::ListValue(list)) => list.values.into_iter().map(to_json).collect(),
        Some(Kind::StructValue(value)) => struct_to_json(value),
    }
}

fn number(value: f64) -> serde_json::Value {
    // Up to 2^53 each whole number is its own double.
    let whole = format!("{value}").parse::<i64>().ok().filter(|whole| whole.abs() <= 1 << 53);
    whole.map_or_else(|| value.into(), Into::into)
}

/// JSON as a protobuf struct; anything but an object is an empty one.
#[must_use]
pub fn json_to_struct(from: serde_json::Value) -> Struct {
    match from {
        serde_json::Value::Object(fields) => Struct {
            fields: fields.into_iter().map(|(key, value)| (key, from_json(value))).collect(),
        },
        _ => Struct::default(),
    }
}

fn from_json(value: serde_json::Value) -> Value {
    use serde_json::Value as Json;
    let kind = match value {
        Json::Null => Kind::NullValue(0),
        Json::Bool(value) => Kind::BoolValue(value),
        Json::Number(value) => Kind::NumberValue(value.as_f64().unwrap_or(f64::NAN)),
        Json::String(value) => Kind::StringValue(value),
        Json::Array(values) => Kind::ListValue(prost_types::ListValue {
            values: values.into_iter().map(from_json).collect(),
        }),
        Json::Object(_) => Kind::StructValue(json_to_struct(value)),
    };
    Value { kind: Some(kind) }
}
