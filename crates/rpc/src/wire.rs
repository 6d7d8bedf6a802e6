//! What goes over the wire: our types as the protos', and the one currency of the deployment.

use std::{sync::OnceLock, time::SystemTime};

use anyhow::{Context, ensure};
use chrono::{DateTime, Datelike, NaiveDate, Utc};
use money::Money;
use prost_types::{Struct, Timestamp, Value, value::Kind};
use proto::common::v1 as pb;
use rust_decimal::Decimal;

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

/// A sum of amounts, which may be larger than one can be.
#[must_use]
pub fn to_sum(sum: Decimal) -> pb::Money {
    pb::Money { amount: format!("{sum:.2}"), currency_code: currency().to_owned() }
}

/// An amount of 0 or more, as an event has it: it must be there, in the deployment's currency, which an empty code means.
pub fn from_money(money: Option<&pb::Money>) -> anyhow::Result<Money> {
    let money = money.context("an amount is missing")?;
    let code = money.currency_code.as_str();
    ensure!(code.is_empty() || code == currency(), "{code} is not the currency here");
    let amount = Money::parse(&money.amount)?;
    ensure!(!amount.is_negative(), "{amount} is negative");
    Ok(amount)
}

#[must_use]
pub fn to_time(time: DateTime<Utc>) -> Timestamp {
    SystemTime::from(time).into()
}

/// A day such as `2026-11-24`, of a year of four digits.
pub fn from_date(text: &str) -> anyhow::Result<NaiveDate> {
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().filter(is_common_year);
    date.with_context(|| format!("{text:?} is not a day such as 2026-11-24"))
}

/// Of four digits: what Postgres and every client can read.
fn is_common_year(time: &impl Datelike) -> bool {
    (1..10_000).contains(&time.year())
}

/// As `2026-11-24`.
#[must_use]
pub fn to_date(date: NaiveDate) -> String {
    date.format("%Y-%m-%d").to_string()
}

/// Whether Postgres can keep it as JSON and give the same back: it knows no NUL in texts, JSON no NaN and nothing infinite.
pub(crate) fn is_json(of: &Struct) -> bool {
    of.fields.iter().all(|(key, value)| !key.contains('\0') && is_json_value(value))
}

fn is_json_value(value: &Value) -> bool {
    match &value.kind {
        None | Some(Kind::NullValue(_) | Kind::BoolValue(_)) => true,
        Some(Kind::NumberValue(value)) => value.is_finite(),
        Some(Kind::StringValue(value)) => !value.contains('\0'),
        Some(Kind::ListValue(list)) => list.values.iter().all(is_json_value),
        Some(Kind::StructValue(value)) => is_json(value),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn amount(amount: &str, currency_code: &str) -> pb::Money {
        pb::Money { amount: amount.to_owned(), currency_code: currency_code.to_owned() }
    }

    #[test]
    fn an_amount_is_read_in_the_deployments_currency_whether_or_not_it_says_so() {
        for code in ["", "GBP"] {
            let read = from_money(Some(&amount("12.34", code))).unwrap();
            assert_eq!(to_money(read), amount("12.34", "GBP"));
        }
        let refused =
            [amount("1", "EUR"), amount("-0.01", "GBP"), amount("1.001", "GBP"), amount("", "")];
        for bad in refused {
            assert!(from_money(Some(&bad)).is_err(), "{bad:?}");
        }
        assert!(from_money(None).is_err());
    }

    #[test]
    fn a_sum_is_as_large_as_it_is_and_has_two_decimal_places() {
        let largest = Money::MAX.decimal() * Decimal::from(1_000_000);
        for (sum, shown) in [
            (largest, "999999999999990000.00"),
            (-largest, "-999999999999990000.00"),
            (Decimal::MAX / Decimal::from(100), "792281625142643375935439503.35"),
            (Decimal::ZERO, "0.00"),
            (Decimal::new(5, 1), "0.50"),
        ] {
            assert_eq!(to_sum(sum), amount(shown, "GBP"));
        }
    }

    #[test]
    fn days_are_of_years_with_four_digits() {
        for day in ["0001-01-01", "2024-02-29", "9999-12-31"] {
            assert_eq!(to_date(from_date(day).unwrap()), day);
        }
        for bad in ["", "2026-02-29", "0000-12-31", "+10000-01-01", "-0001-01-01", "26-3"] {
            assert!(from_date(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_json_or_postgres_cannot_keep_is_no_json() {
        let of = |key: &str, kind| {
            let fields = [(key.to_owned(), Value { kind: Some(kind) })];
            Struct { fields: fields.into() }
        };
        let list = |kind| {
            let values = vec![Value { kind: None }, Value { kind: Some(kind) }];
            Kind::ListValue(prost_types::ListValue { values })
        };
        let text = |text: &str| Kind::StringValue(text.to_owned());
        assert!(is_json(&of("a", list(Kind::StructValue(of("b", text("c")))))));
        assert!(is_json(&of("a", list(Kind::NumberValue(f64::MAX)))));
        let bad = [
            of("a\0", Kind::BoolValue(true)),
            of("a", text("\0")),
            of("a", list(text("b\0"))),
            of("a", list(Kind::StructValue(of("b", list(Kind::NumberValue(f64::NAN)))))),
            of("a", Kind::NumberValue(f64::INFINITY)),
        ];
        for bad in bad {
            assert!(!is_json(&bad), "{bad:?}");
        }
    }
}
