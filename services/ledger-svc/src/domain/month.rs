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
