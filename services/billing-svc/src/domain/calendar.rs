use chrono::{DateTime, Days, NaiveDate, Utc};
use chrono_tz::Tz;

/// The days of the business: where it is, and how long its customers have to pay unless they have terms of their own.
#[derive(Debug, Clone, Copy)]
pub struct Calendar {
    zone: Tz,
    terms_days: u16,
}

impl Calendar {
    #[must_use]
    pub fn new(zone: Tz, terms_days: u16) -> Self {
        Self { zone, terms_days }
    }

    /// The business day of a point in time.
    #[must_use]
    pub fn day_of(&self, time: DateTime<Utc>) -> NaiveDate {
        time.with_timezone(&self.zone).date_naive()
    }

    /// The days that a customer has, whose own terms these are, if any.
    #[must_use]
    pub fn terms_days(&self, own: Option<u16>) -> u16 {
        own.unwrap_or(self.terms_days)
    }

    /// The last day to pay what is issued on a day.
    #[must_use]
    pub fn due_date(&self, issue_date: NaiveDate, own_terms: Option<u16>) -> NaiveDate {
        let terms = Days::new(self.terms_days(own_terms).into());
        issue_date.checked_add_days(terms).unwrap_or(issue_date)
    }
}
