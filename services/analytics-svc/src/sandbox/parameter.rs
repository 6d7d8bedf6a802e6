//! What stands for the `?` of a statement: values that travel beside its text and are never made part of it.

use duckdb::types::{Decimal, TimeUnit, Value as DuckValue};
use serde::{Deserialize, Serialize};

/// A value, and the name under which a statement may ask for it; `?` and `$1` go by the place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Parameter {
    pub(crate) name: String,
    pub(crate) value: Value,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Value {
    Null,
    Flag(bool),
    Int(i64),
    Unsigned(u64),
    /// The bits of a number of 64.
    Float(u64),
    /// How many digits there may be, how many of them behind the point, and the digits.
    Decimal(u8, u8, i128),
    /// An instant, too: with its offset, so that the business's time zone has no say in it.
    Text(String),
    /// Days since 1970.
    Day(i32),
    /// Microseconds of a clock that knows no zone.
    ClockTime(i64),
}

impl Value {
    /// None for a decimal that has more digits than it says.
    pub(super) fn bound(&self) -> Option<DuckValue> {
        Some(match self {
            Self::Null => DuckValue::Null,
            Self::Flag(flag) => DuckValue::Boolean(*flag),
            Self::Int(number) => DuckValue::BigInt(*number),
            Self::Unsigned(number) => DuckValue::UBigInt(*number),
            Self::Float(bits) => DuckValue::Double(f64::from_bits(*bits)),
            Self::Decimal(width, scale, digits) => {
                DuckValue::Decimal(Decimal::new(*width, *scale, *digits).ok()?)
            }
            Self::Text(text) => DuckValue::Text(text.clone()),
            Self::Day(days) => DuckValue::Date32(*days),
            Self::ClockTime(micros) => DuckValue::Timestamp(TimeUnit::Microsecond, *micros),
        })
    }
}

/// The value for each of a statement's own names, in its order.
pub(super) fn chosen(names: &[String], given: &[Parameter]) -> Result<Vec<DuckValue>, String> {
    if names.len() != given.len() {
        return Err(format!(
            "the query takes {}, and {} given",
            values(names.len()),
            are(given.len())
        ));
    }
    let value = |name: &String| {
        let found = match name.parse::<usize>() {
            Ok(place) => place.checked_sub(1).and_then(|place| given.get(place)),
            Err(_) => given.iter().find(|given| given.name == *name),
        };
        let found = found.ok_or_else(|| format!("no value is given for ${name}"))?;
        found.value.bound().ok_or_else(|| format!("the value for ${name} has too many digits"))
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
    use super::*;

    fn given(values: &[(&str, Value)]) -> Vec<Parameter> {
        let parameter = |(name, value): &(&str, Value)| Parameter {
            name: (*name).to_owned(),
            value: value.clone(),
        };
        values.iter().map(parameter).collect()
    }

    #[test]
    fn values_go_by_their_place_or_their_name() {
        let two = given(&[("a", Value::Int(1)), ("b", Value::Text("x".to_owned()))]);
        let (one, x) = (DuckValue::BigInt(1), DuckValue::Text("x".to_owned()));
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
    fn what_is_told_in_json_arrives_as_it_was() {
        for value in [
            Value::Null,
            Value::Int(i64::MIN),
            Value::Unsigned(u64::MAX),
            Value::Float(f64::NAN.to_bits()),
            Value::Float(0.1_f64.to_bits()),
            Value::Decimal(38, 2, -99_999_999_999_999_999_999_999_999_999_999_999_999),
            Value::Text("'; drop view x; -- \u{0}\n\"".to_owned()),
        ] {
            let told = serde_json::to_string(&given(&[("1", value.clone())])).unwrap();
            let arrived: Vec<Parameter> = serde_json::from_str(&told).unwrap();
            assert_eq!(arrived, given(&[("1", value)]));
        }
    }

    #[test]
    fn a_decimal_that_is_not_what_it_says_is_refused() {
        let lying = given(&[("1", Value::Decimal(2, 1, 1000))]);
        assert!(chosen(&["1".to_owned()], &lying).unwrap_err().contains("too many digits"));
    }
}
