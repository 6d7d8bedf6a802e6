use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;

/// The days of the business: where it is decides when one ends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Calendar {
    zone: Tz,
}

impl Calendar {
    pub(crate) fn new(zone: Tz) -> Self {
        Self { zone }
    }

    /// The business day of a point in time.
    pub(crate) fn day_of(&self, time: DateTime<Utc>) -> NaiveDate {
        time.with_timezone(&self.zone).date_naive()
    }
}
