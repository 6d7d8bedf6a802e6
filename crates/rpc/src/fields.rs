use std::{collections::HashMap, str::FromStr};

use chrono::{DateTime, Datelike, NaiveDate, SubsecRound, Utc};
use money::Money;
use prost_types::{FieldMask, Struct, Timestamp};
use proto::common::v1 as pb;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};
use uuid::Uuid;

use crate::{ERROR_DOMAIN, currency, from_date, struct_to_json, wire::is_json};

const METADATA_MAX_BYTES: usize = 16 * 1024;
const EMAIL_MAX: usize = 255;
/// All details of a refusal travel in one header, which clients bound: so many bad fields are named, in so many characters each.
const NAMED_MAX: usize = 50;
const WHY_MAX: usize = 100;

/// What a document can be dated with: anything else is a mistake, such as a client's zero time, and other services may not read it.
fn is_of_business(time: &impl Datelike) -> bool {
    (1900..3000).contains(&time.year())
}

/// Reads a request's fields and collects every bad one, so that the caller hears of all of them at once.
///
/// Each reader gives a value even of a bad field, so that reading goes on; [`Fields::done`] refuses the request before any is used.
#[derive(Debug, Default)]
pub struct Fields(Vec<FieldViolation>);

impl Fields {
    /// Notes that a field is bad.
    pub fn bad(&mut self, field: impl Into<String>, why: impl Into<String>) {
        let why: String = why.into().chars().take(WHY_MAX).collect();
        self.0.push(FieldViolation::new(field, why));
    }

    /// A key that must be there.
    pub fn id<T: FromStr>(&mut self, field: &str, text: &str) -> Option<T> {
        let id = text.parse().ok();
        if id.is_none() {
            self.bad(field, if text.is_empty() { "is required" } else { "is not a UUID" });
        }
        id
    }

    /// A key that may be empty.
    pub fn optional_id<T: FromStr>(&mut self, field: &str, text: &str) -> Option<T> {
        if text.is_empty() { None } else { self.id(field, text) }
    }

    /// The `request_id` of a mutation, which may be empty.
    pub fn request_id(&mut self, text: &str) -> Option<Uuid> {
        self.optional_id("request_id", text)
    }

    /// The `update_mask` of an update: which of the fields that can be changed are to be, at least one.
    pub fn update_mask(&mut self, mask: Option<FieldMask>, changeable: &[&str]) -> Vec<String> {
        let paths = mask.unwrap_or_default().paths;
        if paths.is_empty() {
            self.bad("update_mask", "is required");
        }
        for path in paths.iter().filter(|path| !changeable.contains(&path.as_str())) {
            self.bad("update_mask", format!("{path:?} is none of {}", changeable.join(", ")));
        }
        paths
    }

    /// Text of `min` to `max` characters, without control characters but for line breaks and tabs.
    pub fn text(&mut self, field: &str, text: String, min: usize, max: usize) -> String {
        let length = text.chars().count();
        if length == 0 && min > 0 {
            self.bad(field, "is required");
        } else if !(min..=max).contains(&length) {
            self.bad(field, format!("has {length} characters: {min} to {max} are possible"));
        } else if min > 0 && text.trim().is_empty() {
            self.bad(field, "is blank");
        } else if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
            self.bad(field, "has control characters");
        }
        text
    }

    /// An e-mail address: one `@` with something on both sides, no blanks.
    pub fn email(&mut self, field: &str, text: String) -> String {
        let text = self.text(field, text, 1, EMAIL_MAX);
        let sound = text.split_once('@').is_some_and(|(user, host)| {
            !user.is_empty() && !host.is_empty() && !host.contains('@')
        });
        if !text.is_empty() && (!sound || text.contains(char::is_whitespace)) {
            self.bad(field, "is not an e-mail address");
        }
        text
    }

    /// A stock keeping unit: 1 to 64 letters, digits, and `. _ - /`.
    pub fn sku(&mut self, field: &str, text: String) -> String {
        let text = self.text(field, text, 1, 64);
        if text.chars().any(|c| !c.is_ascii_alphanumeric() && !matches!(c, '.' | '_' | '-' | '/')) {
            self.bad(field, "may hold letters, digits, and . _ - / only");
        }
        text
    }

    /// A whole number within bounds.
    pub fn within<T: PartialOrd + Copy + std::fmt::Display>(
        &mut self,
        field: &str,
        value: T,
        min: T,
        max: T,
    ) -> T {
        if value < min || value > max {
            self.bad(field, format!("is {value}: {min} to {max} are possible"));
        }
        value
    }

    /// An amount of 0 or more in the deployment's currency. It must be there.
    pub fn money(&mut self, field: &str, money: Option<&pb::Money>) -> Money {
        let Some(money) = money else {
            self.bad(field, "is required");
            return Money::ZERO;
        };
        if !money.currency_code.is_empty() && money.currency_code != currency() {
            self.bad(format!("{field}.currency_code"), format!("only {} is possible", currency()));
        }
        match Money::parse(&money.amount) {
            Ok(amount) if amount.is_negative() => {
                self.bad(format!("{field}.amount"), "must not be negative");
                Money::ZERO
            }
            Ok(amount) => amount,
            Err(error) => {
                self.bad(format!("{field}.amount"), error.to_string());
                Money::ZERO
            }
        }
    }

    /// A point in time, to the microsecond, that may be absent.
    pub fn optional_time(&mut self, field: &str, time: Option<Timestamp>) -> Option<DateTime<Utc>> {
        let time = time?;
        let read = u32::try_from(time.nanos)
            .ok()
            .and_then(|nanos| DateTime::from_timestamp(time.seconds, nanos))
            .filter(is_of_business);
        if read.is_none() {
            self.bad(field, "is not a time of the years 1900 to 2999");
        }
        read.map(|read| read.trunc_subsecs(6))
    }

    /// A day such as `2026-11-24` that may be empty.
    pub fn optional_date(&mut self, field: &str, text: &str) -> Option<NaiveDate> {
        if text.is_empty() {
            return None;
        }
        let date = from_date(text).ok().filter(is_of_business);
        if date.is_none() {
            self.bad(field, "is not a day such as 2026-11-24, of the years 1900 to 2999");
        }
        date
    }

    /// Free data of at most 16 KiB as JSON.
    pub fn metadata(&mut self, field: &str, metadata: Option<Struct>) -> Option<serde_json::Value> {
        let metadata = metadata?;
        if !is_json(&metadata) {
            self.bad(field, "has a NUL, or a number that JSON does not have");
        }
        let json = struct_to_json(metadata);
        if json.to_string().len() > METADATA_MAX_BYTES {
            self.bad(field, format!("is larger than {METADATA_MAX_BYTES} bytes as JSON"));
        }
        Some(json)
    }

    /// How many `field` has: within bounds, or it is bad.
    pub fn count(&mut self, field: &str, count: usize, min: usize, max: usize) {
        if !(min..=max).contains(&count) {
            self.bad(field, format!("has {count} entries: {min} to {max} are possible"));
        }
    }

    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.0.is_empty()
    }

    /// Refuses the request if any field was bad.
    pub fn done(self) -> Result<(), Status> {
        if self.is_clean() { Ok(()) } else { Err(self.refuse()) }
    }

    #[must_use]
    pub fn refuse(mut self) -> Status {
        let listed: Vec<String> =
            self.0.iter().take(5).map(|bad| format!("{} {}", bad.field, bad.description)).collect();
        let more = self.0.len().saturating_sub(listed.len());
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let message = format!("the request has bad fields: {}{more}", listed.join("; "));
        self.0.truncate(NAMED_MAX);
        let mut details = ErrorDetails::with_bad_request(self.0);
        details.set_error_info("INVALID_REQUEST", ERROR_DOMAIN, HashMap::new());
        Status::with_error_details(Code::InvalidArgument, message, details)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_update_says_which_fields_it_changes() {
        let read = |paths: &[&str]| {
            let mut fields = Fields::default();
            let paths = paths.iter().map(|path| (*path).to_owned()).collect();
            let paths = fields.update_mask(Some(FieldMask { paths }), &["name", "phone"]);
            (paths, fields.is_clean())
        };
        assert_eq!(read(&["phone"]), (vec!["phone".to_owned()], true));
        assert!(read(&["name", "phone", "name"]).1);
        for bad in [&[][..], &["*"], &[""], &["Name"], &["name", "name.first"]] {
            assert!(!read(bad).1, "{bad:?}");
        }
        let mut none = Fields::default();
        none.update_mask(None, &["name"]);
        assert!(!none.is_clean());
    }

    #[test]
    fn documents_are_dated_with_years_that_every_service_reads() {
        // The zero time of some clients, which falls into the year before in London.
        let zero = Timestamp { seconds: -62_135_596_800, nanos: 0 };
        let now = Timestamp { seconds: 1_795_651_200, nanos: 999 };
        let mut fields = Fields::default();
        assert_eq!(
            fields.optional_time("a", Some(now)).unwrap().to_string(),
            "2026-11-26 00:00:00 UTC"
        );
        assert_eq!(fields.optional_date("b", "1900-01-01").unwrap().to_string(), "1900-01-01");
        assert!(fields.is_clean());
        assert_eq!(fields.optional_time("c", Some(zero)), None);
        for (field, day) in [("d", "1899-12-31"), ("e", "3000-01-01"), ("f", "26-11-2026")] {
            assert_eq!(fields.optional_date(field, day), None);
        }
        let bad: Vec<_> = fields.0.iter().map(|bad| bad.field.as_str()).collect();
        assert_eq!(bad, ["c", "d", "e", "f"]);
    }
}
