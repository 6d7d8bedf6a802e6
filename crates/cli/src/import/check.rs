use std::str::FromStr;

use chrono::{DateTime, Utc};
use money::Money;
use prost_types::Timestamp;
use proto::common::v1 as pb;
use rpc::Fields;
use tonic_types::StatusExt;

use super::source::Row;

/// Of a value, as a reason shows it.
const SHOWN_MAX: usize = 40;

/// Reads the columns of one row by the services' own rules, and collects what is wrong with each.
pub(crate) struct Check<'a> {
    row: &'a Row,
    fields: Fields,
}

impl<'a> Check<'a> {
    pub(crate) fn new(row: &'a Row) -> Self {
        Self { row, fields: Fields::default() }
    }

    pub(crate) fn text(&mut self, column: &str, min: usize, max: usize) -> String {
        self.fields.text(column, self.row.get(column).to_owned(), min, max)
    }

    pub(crate) fn email(&mut self, column: &str) -> String {
        self.fields.email(column, self.row.get(column).to_owned())
    }

    pub(crate) fn sku(&mut self, column: &str) -> String {
        self.fields.sku(column, self.row.get(column).to_owned())
    }

    pub(crate) fn whole(&mut self, column: &str, min: i32, max: i32) -> i32 {
        let text = self.row.get(column);
        match i64::from_str(text) {
            Ok(value) => {
                let value = self.fields.within(column, value, min.into(), max.into());
                i32::try_from(value).unwrap_or(min)
            }
            Err(_) => {
                let why = if text.is_empty() { "is required" } else { "is not a whole number" };
                self.fields.bad(column, why);
                min
            }
        }
    }

    pub(crate) fn optional_whole(&mut self, column: &str, min: i32, max: i32) -> Option<i32> {
        (!self.row.get(column).is_empty()).then(|| self.whole(column, min, max))
    }

    /// A price of one, in the deployment's currency.
    pub(crate) fn price(&mut self, column: &str) -> pb::Money {
        let amount = match Money::parse(self.row.get(column)) {
            _ if self.row.get(column).is_empty() => Err("is required".to_owned()),
            Ok(price) if price.is_negative() => Err("must not be negative".to_owned()),
            Ok(price) if price.hundredths() > 999_999_999_999 => {
                Err("is out of range: at most 9999999999.99".to_owned())
            }
            Ok(price) => Ok(price),
            Err(error) => Err(format!("is {error}")),
        };
        let amount = amount.unwrap_or_else(|why| {
            self.fields.bad(column, why);
            Money::ZERO
        });
        // Written as the services write it: `0.5` and `0.50` make the same request.
        pb::Money { amount: amount.to_string(), currency_code: String::new() }
    }

    pub(crate) fn time(&mut self, column: &str) -> Option<Timestamp> {
        let text = self.row.get(column);
        let time = DateTime::parse_from_rfc3339(text).ok();
        if time.is_none() {
            let why = if text.is_empty() {
                "is required"
            } else {
                "is not a time such as 2017-01-09T08:30:00Z"
            };
            self.fields.bad(column, why);
        }
        let time = rpc::to_time(time?.with_timezone(&Utc));
        self.fields.optional_time(column, Some(time)).map(rpc::to_time)
    }

    pub(crate) fn bad(&mut self, column: &str, why: impl Into<String>) {
        self.fields.bad(column, why);
    }

    /// What is wrong with the row; empty when nothing is.
    pub(crate) fn done(self) -> Vec<String> {
        if let Some(fault) = &self.row.fault {
            return vec![fault.clone()];
        }
        let Err(status) = self.fields.done() else { return Vec::new() };
        let bad = status.get_details_bad_request();
        let bad = bad.map(|bad| bad.field_violations).unwrap_or_default();
        bad.iter().map(|bad| why(self.row, &bad.field, &bad.description)).collect()
    }
}

/// A column with its value and what is wrong with it.
pub(crate) fn why(row: &Row, column: &str, description: &str) -> String {
    let value = row.get(column);
    let shown: String = value.chars().take(SHOWN_MAX).collect();
    let cut = if shown.len() < value.len() { "…" } else { "" };
    // The services name the SKU themselves.
    let description = description.strip_prefix(value).map_or(description, str::trim_start);
    if value.is_empty() {
        format!("{column} {description}")
    } else {
        format!("{column} \"{shown}{cut}\" {description}")
    }
}

/// What stands in the column `reason` of a refused row.
pub(crate) fn reason(row: &Row, whys: &[String]) -> String {
    format!("line {}: {}", row.line, whys.join("; "))
}
