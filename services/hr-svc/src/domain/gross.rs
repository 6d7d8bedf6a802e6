//! What the days of a month earn: whole pence, and none is lost between the parts.
//!
//! Both steps cut a whole by cumulative sums, so that its parts add up to it however it is cut: a year's salary into twelve months, and a
//! month's pay into days.

use chrono::{Datelike, Months, NaiveDate};
use serde::{Deserialize, Serialize};

use crate::domain::Employment;

/// A calendar month, as its first day.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, sqlx::Type,
)]
#[serde(transparent)]
#[sqlx(transparent)]
pub struct Period(NaiveDate);

/// What is earned from a day on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SalaryFrom {
    pub(crate) effective_date: NaiveDate,
    /// Of a year.
    pub(crate) salary_pence: i32,
}

/// Days of a month that are paid by one salary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Earning {
    pub(crate) first_day: NaiveDate,
    pub(crate) last_day: NaiveDate,
    /// Of a year.
    pub(crate) salary_pence: i32,
    pub(crate) gross_pence: i64,
}

impl Period {
    /// The month that a day is in.
    pub(crate) fn of(day: NaiveDate) -> Self {
        Self(day.with_day(1).unwrap_or(day))
    }

    pub(crate) fn first_day(self) -> NaiveDate {
        self.0
    }

    pub(crate) fn last_day(self) -> NaiveDate {
        self.next().0.pred_opt().unwrap_or(self.0)
    }

    pub(crate) fn next(self) -> Self {
        Self(self.0.checked_add_months(Months::new(1)).unwrap_or(self.0))
    }

    /// What a salary earns in the whole month.
    fn share_of(self, salary_pence: i32) -> i64 {
        let month = i64::from(self.0.month());
        part(salary_pence.into(), month - 1, month, 12)
    }

    /// What a salary earns from a day to another one of the month.
    fn earned(self, first_day: NaiveDate, last_day: NaiveDate, salary_pence: i32) -> Earning {
        let (first, last) = (i64::from(first_day.day()), i64::from(last_day.day()));
        let days = i64::from(self.last_day().day());
        let gross_pence = part(self.share_of(salary_pence), first - 1, last, days);
        Earning { first_day, last_day, salary_pence, gross_pence }
    }
}

/// The share of a whole between two marks of `marks`.
fn part(whole: i64, from: i64, to: i64, marks: i64) -> i64 {
    whole * to / marks - whole * from / marks
}

/// What a month earns: the days that are worked, cut where the salary changes. Both lists are in the order of their days; days before the
/// first salary earn nothing.
pub(crate) fn earnings(
    period: Period,
    employments: &[Employment],
    salaries: &[SalaryFrom],
) -> Vec<Earning> {
    let mut earnings = Vec::new();
    for employment in employments {
        let last = employment.last_day.unwrap_or(NaiveDate::MAX).min(period.last_day());
        let mut from = employment.first_day.max(period.first_day());
        while from <= last {
            let salary = salaries.iter().rfind(|salary| salary.effective_date <= from);
            let next = salaries.iter().find(|salary| salary.effective_date > from);
            let to = next.and_then(|next| next.effective_date.pred_opt());
            let to = to.map_or(last, |to| to.min(last));
            let salary_pence = salary.map_or(0, |salary| salary.salary_pence);
            earnings.push(period.earned(from, to, salary_pence));
            let Some(after) = to.succ_opt() else { break };
            from = after;
        }
    }
    earnings
}

/// As `2026-11`.
impl std::fmt::Display for Period {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0.format("%Y-%m"))
    }
}
