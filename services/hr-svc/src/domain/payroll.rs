//! Payroll runs: what is due to whom, and how a run moves.
//!
//! A run pays what the month comes to, less what live runs of the month (approved or paid ones) have paid before. It only gives.

use chrono::{DateTime, NaiveDate, Utc};
use ids::{EmployeeId, PayrollRunId, PayslipId};
use serde::{Deserialize, Serialize};
use sqlx::types::Json;
use uuid::Uuid;

use crate::domain::{Earning, Employment, Period, SalaryFrom, gross};

/// What a person's payroll data may say a month, in the order of [`Pay`]'s fields: withheld, withheld, withheld, on top, on top.
const INPUTS: [&str; 5] = [
    "paye_pence",
    "employee_ni_pence",
    "employee_pension_pence",
    "employer_ni_pence",
    "employer_pension_pence",
];
pub(crate) const INPUT_MAX_PENCE: i64 = 2_000_000_000;

/// What is earned, withheld, and owed on top, in pence.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pay {
    pub(crate) gross_pence: i64,
    pub(crate) paye_pence: i64,
    pub(crate) employee_ni_pence: i64,
    pub(crate) employee_pension_pence: i64,
    pub(crate) employer_ni_pence: i64,
    pub(crate) employer_pension_pence: i64,
}

/// The wages of a group for a month.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PayrollRun {
    pub(crate) id: PayrollRunId,
    pub(crate) period: Period,
    pub(crate) payroll_group: String,
    pub(crate) kind: RunKind,
    pub(crate) status: RunStatus,
    /// Whom a supplementary run was asked for, in their order; none: all.
    pub(crate) employee_ids: Vec<Uuid>,
    pub(crate) payslip_count: i32,
    pub(crate) totals: Json<Pay>,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) approved_at: Option<DateTime<Utc>>,
    pub(crate) paid_on: Option<NaiveDate>,
    pub(crate) reversed_on: Option<NaiveDate>,
    /// Of a mirror: the run that it takes back.
    pub(crate) reverses_run_id: Option<PayrollRunId>,
    /// Of a run that was taken back: its mirror.
    pub(crate) reversal_run_id: Option<PayrollRunId>,
    pub(crate) journal_id: Option<Uuid>,
    pub(crate) payment_journal_id: Option<Uuid>,
    pub(crate) reversal_journal_id: Option<Uuid>,
    pub(crate) repayment_journal_id: Option<Uuid>,
    pub(crate) version: i32,
}

/// What one person gets by one run.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Payslip {
    pub(crate) id: PayslipId,
    pub(crate) payroll_run_id: PayrollRunId,
    pub(crate) employee_id: EmployeeId,
    pub(crate) period: Period,
    /// Of the run.
    pub(crate) status: RunStatus,
    /// What the month comes to, less `earlier`.
    pub(crate) pay: Json<Pay>,
    /// How the gross of the whole month comes about.
    pub(crate) earnings: Json<Vec<Earning>>,
    /// What live runs of the month had paid before; none where they paid nothing.
    pub(crate) earlier: Option<Json<Pay>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "varchar", rename_all = "snake_case")]
pub enum RunStatus {
    Draft,
    Approved,
    Paid,
    Discarded,
    Reversed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "varchar", rename_all = "snake_case")]
pub(crate) enum RunKind {
    Regular,
    Supplementary,
    Reversal,
}

/// What can happen to a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Move {
    Recalculate,
    Approve,
    Pay,
    Discard,
    Reverse,
}

/// The whole state machine: what is not here does not happen.
const MOVES: [(RunStatus, Move, RunStatus); 6] = [
    (RunStatus::Draft, Move::Recalculate, RunStatus::Draft),
    (RunStatus::Draft, Move::Approve, RunStatus::Approved),
    (RunStatus::Draft, Move::Discard, RunStatus::Discarded),
    (RunStatus::Approved, Move::Pay, RunStatus::Paid),
    (RunStatus::Approved, Move::Reverse, RunStatus::Reversed),
    (RunStatus::Paid, Move::Reverse, RunStatus::Reversed),
];

/// What a move comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    To(RunStatus),
    /// It was made before.
    Made,
    NotPossible {
        from: RunStatus,
        to: RunStatus,
    },
}

/// All that a month's pay of one person depends on.
#[derive(Debug, Clone)]
pub(crate) struct Worker {
    pub(crate) id: EmployeeId,
    pub(crate) payroll_meta: Option<serde_json::Value>,
    pub(crate) employments: Vec<Employment>,
    pub(crate) salaries: Vec<SalaryFrom>,
    /// By live runs of the month; none where there is no payslip.
    pub(crate) earlier: Option<Pay>,
}

/// Why a run cannot be calculated; with those to blame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotPayable {
    #[error("nobody is due anything")]
    NothingToPay,
    #[error("the payroll data of some employees are no whole pence")]
    MetaInvalid(Vec<EmployeeId>),
    #[error("the net pay of some employees would be negative")]
    NetNegative(Vec<EmployeeId>),
    #[error("the run would take back what was paid to some employees, or withheld from them")]
    CorrectionNegative(Vec<EmployeeId>),
}

impl Pay {
    pub(crate) fn net_pence(&self) -> i64 {
        self.gross_pence - self.paye_pence - self.employee_ni_pence - self.employee_pension_pence
    }

    /// What payroll data say a month, without the gross; the keys under which there is something else.
    pub(crate) fn of_inputs(meta: Option<&serde_json::Value>) -> Result<Self, Vec<&'static str>> {
        let mut bad = Vec::new();
        let [
            paye_pence,
            employee_ni_pence,
            employee_pension_pence,
            employer_ni_pence,
            employer_pension_pence,
        ] = INPUTS.map(|key| {
            let Some(value) = meta.and_then(|meta| meta.get(key)) else { return 0 };
            let pence = value.as_i64().filter(|pence| (0..=INPUT_MAX_PENCE).contains(pence));
            pence.unwrap_or_else(|| {
                bad.push(key);
                0
            })
        });
        let inputs = Self {
            gross_pence: 0,
            paye_pence,
            employee_ni_pence,
            employee_pension_pence,
            employer_ni_pence,
            employer_pension_pence,
        };
        if bad.is_empty() { Ok(inputs) } else { Err(bad) }
    }

    fn zip(self, other: Self, of: impl Fn(i64, i64) -> i64) -> Self {
        Self {
            gross_pence: of(self.gross_pence, other.gross_pence),
            paye_pence: of(self.paye_pence, other.paye_pence),
            employee_ni_pence: of(self.employee_ni_pence, other.employee_ni_pence),
            employee_pension_pence: of(self.employee_pension_pence, other.employee_pension_pence),
            employer_ni_pence: of(self.employer_ni_pence, other.employer_ni_pence),
            employer_pension_pence: of(self.employer_pension_pence, other.employer_pension_pence),
        }
    }

    fn less(self, other: Self) -> Self {
        self.zip(other, |one, other| one - other)
    }

    fn takes(&self) -> bool {
        let Self { gross_pence, paye_pence, employee_ni_pence, .. } = *self;
        let Self { employee_pension_pence, employer_ni_pence, employer_pension_pence, .. } = *self;
        let least = gross_pence.min(paye_pence).min(employee_ni_pence).min(employee_pension_pence);
        least.min(employer_ni_pence).min(employer_pension_pence) < 0
    }
}

/// The sums of payslips.
fn totals(payslips: &[Payslip]) -> Pay {
    let sum = |sum: Pay, payslip: &Payslip| sum.zip(*payslip.pay, |sum, pence| sum + pence);
    payslips.iter().fold(Pay::default(), sum)
}

/// The payslips of a run: of all who worked in the month and have none yet, and of those whose month comes to something else than was paid.
pub(crate) fn calculate(
    run_id: PayrollRunId,
    period: Period,
    workers: &[Worker],
) -> Result<Vec<Payslip>, NotPayable> {
    let mut payslips = Vec::new();
    let (mut unreadable, mut negative, mut taken) = (Vec::new(), Vec::new(), Vec::new());
    for worker in workers {
        let earnings = gross::earnings(period, &worker.employments, &worker.salaries);
        let works = !earnings.is_empty();
        let inputs = if works { worker.payroll_meta.as_ref() } else { None };
        let Ok(inputs) = Pay::of_inputs(inputs) else {
            unreadable.push(worker.id);
            continue;
        };
        let gross_pence = earnings.iter().map(|earning| earning.gross_pence).sum();
        let month = Pay { gross_pence, ..inputs };
        let pay = month.less(worker.earlier.unwrap_or_default());
        if pay == Pay::default() && !(works && worker.earlier.is_none()) {
            continue;
        }
        if pay.net_pence() < 0 {
            negative.push(worker.id);
        } else if pay.takes() {
            taken.push(worker.id);
        }
        payslips.push(Payslip {
            id: PayslipId::generate(),
            payroll_run_id: run_id,
            employee_id: worker.id,
            period,
            status: RunStatus::Draft,
            pay: Json(pay),
            earnings: Json(earnings),
            earlier: worker.earlier.filter(|earlier| *earlier != Pay::default()).map(Json),
        });
    }
    match (unreadable.is_empty(), negative.is_empty(), taken.is_empty(), payslips.is_empty()) {
        (false, ..) => Err(NotPayable::MetaInvalid(unreadable)),
        (_, false, ..) => Err(NotPayable::NetNegative(negative)),
        (_, _, false, _) => Err(NotPayable::CorrectionNegative(taken)),
        (.., true) => Err(NotPayable::NothingToPay),
        (true, true, true, false) => Ok(payslips),
    }
}

impl PayrollRun {
    pub(crate) fn step(&self, by: Move) -> Step {
        let to = by.target();
        let possible = MOVES.contains(&(self.status, by, to));
        // A mirror is taken back by nothing; what is recalculated can be so again.
        let made = self.status == to && self.kind != RunKind::Reversal;
        match (possible, made) {
            (true, _) => Step::To(to),
            (false, true) => Step::Made,
            (false, false) => Step::NotPossible { from: self.status, to },
        }
    }

    /// With these payslips instead of those that it had.
    pub(crate) fn with_payslips(mut self, payslips: &[Payslip]) -> Self {
        self.payslip_count = i32::try_from(payslips.len()).unwrap_or(i32::MAX);
        self.totals = Json(totals(payslips));
        self
    }
}

impl Move {
    fn target(self) -> RunStatus {
        match self {
            Self::Recalculate => RunStatus::Draft,
            Self::Approve => RunStatus::Approved,
            Self::Pay => RunStatus::Paid,
            Self::Discard => RunStatus::Discarded,
            Self::Reverse => RunStatus::Reversed,
        }
    }
}

impl Payslip {
    /// Whether another one says the same, whatever its key.
    pub(crate) fn says_what(&self, other: &Self) -> bool {
        self.employee_id == other.employee_id
            && self.pay == other.pay
            && self.earnings == other.earnings
            && self.earlier == other.earlier
    }

    /// The one that takes it back.
    pub(crate) fn mirrored(&self, run_id: PayrollRunId) -> Self {
        let negative = |pay: Pay| Pay::default().less(pay);
        let negative_of =
            |earning: &Earning| Earning { gross_pence: -earning.gross_pence, ..earning.clone() };
        Self {
            id: PayslipId::generate(),
            payroll_run_id: run_id,
            status: RunStatus::Reversed,
            pay: Json(negative(*self.pay)),
            earnings: Json(self.earnings.iter().map(negative_of).collect()),
            earlier: self.earlier.as_ref().map(|earlier| Json(negative(**earlier))),
            ..self.clone()
        }
    }
}

impl std::fmt::Display for RunStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Draft => "draft",
            Self::Approved => "approved",
            Self::Paid => "paid",
            Self::Discarded => "discarded",
            Self::Reversed => "reversed",
        })
    }
}

impl std::fmt::Display for RunKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Regular => "regular",
            Self::Supplementary => "supplementary",
            Self::Reversal => "reversal",
        })
    }
}
