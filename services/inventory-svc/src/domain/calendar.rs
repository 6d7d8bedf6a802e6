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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_ends_where_the_business_is() {
        let london = Calendar::new(chrono_tz::Europe::London);
        let day = |time: &str| london.day_of(time.parse().unwrap()).to_string();
        assert_eq!(day("2026-07-01T22:59:59Z"), "2026-07-01");
        assert_eq!(day("2026-07-01T23:00:00Z"), "2026-07-02", "in summer an hour before UTC's");
        assert_eq!(day("2026-12-01T23:59:59Z"), "2026-12-01");
        // The nights in which clocks are changed.
        assert_eq!(day("2026-03-29T22:59:59Z"), "2026-03-29");
        assert_eq!(day("2026-03-29T23:00:00Z"), "2026-03-30");
        assert_eq!(day("2026-10-25T23:59:59Z"), "2026-10-25");
    }
}
