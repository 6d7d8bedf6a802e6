//! Employees and the rules that they obey. Pure: values in, values or refusals out.

mod employment;
mod gross;
mod payroll;
#[cfg(test)]
mod tests;

pub(crate) use employment::{Employment, NotEmployable};
pub(crate) use gross::{Earning, Period, SalaryFrom};
pub(crate) use payroll::{
    INPUT_MAX_PENCE, Move, NotPayable, Pay, PayrollRun, Payslip, RunKind, RunStatus, Step, Worker,
    calculate,
};

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use ids::EmployeeId;
use sqlx::types::Json;

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Employee {
    pub(crate) id: EmployeeId,
    pub(crate) name: String,
    pub(crate) email: String,
    pub(crate) role: String,
    /// Of a year: in force today or, before the first day of the newest employment, on that day.
    pub(crate) salary_pence: i32,
    pub(crate) payroll_meta: Option<serde_json::Value>,
    pub(crate) payroll_group: String,
    /// The first one first.
    pub(crate) employments: Json<Vec<Employment>>,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) version: i32,
}

/// What is to be changed of an employee; what is absent stays.
#[derive(Debug, Default)]
pub(crate) struct EmployeeChange {
    pub(crate) name: Option<String>,
    pub(crate) email: Option<String>,
    pub(crate) role: Option<String>,
    pub(crate) salary_pence: Option<i32>,
    pub(crate) payroll_meta: Option<Option<serde_json::Value>>,
    pub(crate) payroll_group: Option<String>,
}

impl Employee {
    /// The employee after a change, and the names of the fields that differ. The version moves only if one does.
    pub(crate) fn with(mut self, change: EmployeeChange) -> (Self, Vec<String>) {
        let mut changed = Vec::new();
        set(&mut self.name, change.name, "name", &mut changed);
        set(&mut self.email, change.email, "email", &mut changed);
        set(&mut self.role, change.role, "role", &mut changed);
        set(&mut self.salary_pence, change.salary_pence, "salary_pence", &mut changed);
        set(&mut self.payroll_meta, change.payroll_meta, "payroll_meta", &mut changed);
        set(&mut self.payroll_group, change.payroll_group, "payroll_group", &mut changed);
        if !changed.is_empty() {
            self.version += 1;
        }
        (self, changed)
    }

    /// From when on a salary holds unless another day is said: today, or the first day of one who is yet to come.
    pub(crate) fn pay_day(&self, today: NaiveDate) -> NaiveDate {
        self.employments.last().map_or(today, |newest| newest.first_day.max(today))
    }
}

/// The business day of a point in time.
pub(crate) fn day_of(time: DateTime<Utc>, zone: Tz) -> NaiveDate {
    time.with_timezone(&zone).date_naive()
}

fn set<T: PartialEq>(field: &mut T, to: Option<T>, name: &str, changed: &mut Vec<String>) {
    if let Some(to) = to.filter(|to| to != field) {
        *field = to;
        changed.push(name.to_owned());
    }
}
