//! From when to when somebody works here.
//!
//! | newest employment | terminate | rehire | correct the first day |
//! |---|---|---|---|
//! | without a last day | gets one | refused; on its own first day it is answered as it is | it is moved |
//! | with a last day | it is moved | another one begins after it | it is moved, to the day after the last one at the latest |

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use crate::domain::Employee;

/// How often somebody can begin.
const EMPLOYMENTS_MAX: usize = 100;

/// A time for which somebody works here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Employment {
    pub(crate) first_day: NaiveDate,
    /// Still worked. The day before the first one when she never came.
    pub(crate) last_day: Option<NaiveDate>,
}

/// Why somebody does not leave or come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotEmployable {
    #[error("the employment began on {first_day}: its last day is the day before at the earliest")]
    LastDayTooEarly { first_day: NaiveDate },
    #[error("the employment ended on {last_day}: its first day is the day after at the latest")]
    FirstDayTooLate { last_day: NaiveDate },
    #[error("is employed since {first_day}, without a last day")]
    StillEmployed { first_day: NaiveDate },
    #[error("the employment before ends on {last_day}: the next one begins later")]
    EmploymentsOverlap { last_day: NaiveDate },
    #[error("has been employed {EMPLOYMENTS_MAX} times")]
    TooManyEmployments,
}

impl Employee {
    /// With a last day of the newest employment, one version later; none when it has this one already.
    pub(crate) fn terminated(mut self, last_day: NaiveDate) -> Result<Option<Self>, NotEmployable> {
        // There is always one: an employee is made with it.
        let Some(newest) = self.employments.last_mut() else { return Ok(None) };
        if newest.last_day == Some(last_day) {
            return Ok(None);
        }
        let first_day = newest.first_day;
        if first_day.pred_opt().is_some_and(|earliest| last_day < earliest) {
            return Err(NotEmployable::LastDayTooEarly { first_day });
        }
        newest.last_day = Some(last_day);
        self.version += 1;
        Ok(Some(self))
    }

    /// With another employment, one version later; none when the newest one is just this.
    pub(crate) fn rehired(mut self, first_day: NaiveDate) -> Result<Option<Self>, NotEmployable> {
        match self.employments.last().copied() {
            Some(Employment { first_day: began, last_day: None }) if began == first_day => {
                return Ok(None);
            }
            Some(Employment { first_day, last_day: None }) => {
                return Err(NotEmployable::StillEmployed { first_day });
            }
            Some(Employment { last_day: Some(last_day), .. }) if first_day <= last_day => {
                return Err(NotEmployable::EmploymentsOverlap { last_day });
            }
            Some(_) | None => (),
        }
        if self.employments.len() >= EMPLOYMENTS_MAX {
            return Err(NotEmployable::TooManyEmployments);
        }
        self.employments.push(Employment { first_day, last_day: None });
        self.version += 1;
        Ok(Some(self))
    }

    /// With another first day of the newest employment, one version later; none when it has this one already.
    pub(crate) fn first_day_corrected(
        mut self,
        first_day: NaiveDate,
    ) -> Result<Option<Self>, NotEmployable> {
        let before = self.employments.iter().rev().nth(1).copied();
        let Some(newest) = self.employments.last_mut() else { return Ok(None) };
        if newest.first_day == first_day {
            return Ok(None);
        }
        if let Some(last_day) = newest.last_day
            && last_day.succ_opt().is_some_and(|latest| first_day > latest)
        {
            return Err(NotEmployable::FirstDayTooLate { last_day });
        }
        if let Some(last_day) = before.and_then(|before| before.last_day)
            && first_day <= last_day
        {
            return Err(NotEmployable::EmploymentsOverlap { last_day });
        }
        newest.first_day = first_day;
        self.version += 1;
        Ok(Some(self))
    }
}
