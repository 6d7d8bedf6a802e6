use std::{fmt, str::FromStr};

use chrono::{DateTime, Datelike, Months, NaiveDate, Utc};
use chrono_tz::Tz;

/// A month of the books, such as `2026-11`.
///
/// Invariant: it holds its first day, in a year of four digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, sqlx::Type)]
#[sqlx(transparent)]
pub(crate) struct Month(NaiveDate);

impl Month {
    pub(crate) fn of(day: NaiveDate) -> Self {
        Self(day.with_day(1).unwrap_or(day))
    }

    pub(crate) fn first_day(self) -> NaiveDate {
        self.0
    }

    pub(crate) fn next(self) -> Self {
        Self(self.0.checked_add_months(Months::new(1)).unwrap_or(self.0))
    }

    pub(crate) fn before(self) -> Self {
        Self(self.0.checked_sub_months(Months::new(1)).unwrap_or(self.0))
    }
}

impl FromStr for Month {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let month = rpc::from_date(&format!("{text}-01")).map(Self)?;
        anyhow::ensure!(month.to_string() == text, "{text:?} is not a month such as 2026-11");
        Ok(month)
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.format("%Y-%m").fmt(f)
    }
}

/// The business day of a point in time.
pub(crate) fn day_of(time: DateTime<Utc>, zone: Tz) -> NaiveDate {
    time.with_timezone(&zone).date_naive()
}

/// The day on which something is booked that belongs to a day of its own: that day or, when its month is closed, the first open one after
/// it.
pub(crate) fn booked_on(own: NaiveDate, closed_through: Option<Month>) -> NaiveDate {
    closed_through.map_or(own, |closed| own.max(closed.next().first_day()))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "varchar", rename_all = "snake_case")]
pub(crate) enum PeriodState {
    Open,
    Closed,
}

/// A month that was closed once.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Period {
    pub(crate) month: Month,
    pub(crate) state: PeriodState,
    /// None when nobody ever closed the month itself.
    pub(crate) changed: Option<(DateTime<Utc>, String)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn month(text: &str) -> Month {
        text.parse().unwrap()
    }

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn months_follow_each_other_across_years() {
        assert_eq!(month("2019-12").next(), month("2020-01"));
        assert_eq!(month("2020-01").before(), month("2019-12"));
        assert_eq!(Month::of(day("2020-02-29")), month("2020-02"));
        assert_eq!(month("2020-02").first_day(), day("2020-02-01"));
        assert!(month("2019-12") < month("2020-01"));
        assert_eq!(month("0987-06").to_string(), "0987-06");
    }

    #[test]
    fn only_what_is_shown_is_read() {
        for text in
            ["2020-1", "2020-13", "2020-00", "2020-01-01", "20-01", "+2020-01", " 2020-01", ""]
        {
            assert!(text.parse::<Month>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn what_belongs_to_a_closed_month_is_booked_on_the_first_open_day() {
        let closed = Some(month("2020-02"));
        for (own, booked) in [
            ("2019-06-30", "2020-03-01"),
            ("2020-02-29", "2020-03-01"),
            ("2020-03-01", "2020-03-01"),
            ("2020-03-02", "2020-03-02"),
        ] {
            assert_eq!(booked_on(day(own), closed), day(booked));
            assert_eq!(booked_on(day(own), None), day(own));
        }
    }

    #[test]
    fn a_day_is_the_businesss_own() {
        let midnight_in_london = "2020-06-30T23:00:00Z".parse().unwrap();
        assert_eq!(day_of(midnight_in_london, chrono_tz::Europe::London), day("2020-07-01"));
        assert_eq!(day_of(midnight_in_london, chrono_tz::America::New_York), day("2020-06-30"));
    }
}
