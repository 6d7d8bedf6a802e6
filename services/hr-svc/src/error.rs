use chrono::NaiveDate;
use ids::{EmployeeId, PayrollRunId, PayslipId};
use log::RequestError;
use rpc::Refusal;
use tonic::{Code, Status};
use uuid::Uuid;

use crate::domain::{NotEmployable, NotPayable, Period, RunStatus};

/// All details of a refusal travel in one header, which clients bound: so many of those to blame are named.
const NAMED_MAX: usize = 20;

/// Everything that hr-svc can refuse, in the words of the trade.
#[derive(Debug, thiserror::Error)]
pub enum HrError {
    #[error("employee {0} does not exist")]
    EmployeeNotFound(EmployeeId),
    /// None when the other one has given it up meanwhile.
    #[error("the e-mail address is that of another employee")]
    EmailTaken { employee_id: Option<EmployeeId> },
    #[error("employee {0} has changed since it was read")]
    StaleEtag(EmployeeId),
    #[error("employee {employee_id} {why}")]
    NotEmployable { employee_id: EmployeeId, why: NotEmployable },
    #[error("payroll run {0} does not exist")]
    RunNotFound(PayrollRunId),
    #[error("payslip {0} does not exist")]
    PayslipNotFound(PayslipId),
    #[error("payroll run {0} has changed since it was read")]
    StaleRunEtag(PayrollRunId),
    #[error("{0}")]
    NotPayable(NotPayable),
    #[error("a run is for {max} employees at most")]
    RunTooLarge { max: usize },
    #[error("employee {employee_id} is not in the payroll group {group}")]
    NotInGroup { employee_id: EmployeeId, group: String },
    #[error("the month has not come: {last} is the last one that can be run")]
    PeriodAhead { last: Period },
    #[error("the regular run of the group and month is not approved yet")]
    RegularRunMissing,
    #[error("there is a supplementary draft for other employees: payroll run {0}")]
    DraftExists(PayrollRunId),
    #[error("what payroll run {0} was calculated from has changed: calculate it anew")]
    RunStale(PayrollRunId),
    #[error("payroll run {id} is {from}: it cannot become {to}")]
    MoveNotPossible { id: PayrollRunId, from: RunStatus, to: RunStatus },
    #[error("payroll run {id} was paid on {paid_on}")]
    PaidOnAnotherDay { id: PayrollRunId, paid_on: NaiveDate },
    #[error("wages of a month are paid from {first} to {last}, which is today")]
    PayDateOut { first: NaiveDate, last: NaiveDate },
    #[error("request_id {0} was used for another request")]
    RequestIdUsed(Uuid),
    #[error("the database cannot be used now")]
    Database(#[source] sqlx::Error),
    #[error("internal")]
    Internal(#[source] sqlx::Error),
}

impl Refusal for HrError {
    fn code(&self) -> Code {
        match self {
            Self::EmployeeNotFound(_) | Self::RunNotFound(_) | Self::PayslipNotFound(_) => {
                Code::NotFound
            }
            Self::EmailTaken { .. }
            | Self::DraftExists(_)
            | Self::PaidOnAnotherDay { .. }
            | Self::RequestIdUsed(_) => Code::AlreadyExists,
            Self::StaleEtag(_) | Self::StaleRunEtag(_) => Code::Aborted,
            Self::NotEmployable { .. }
            | Self::NotPayable(_)
            | Self::RunTooLarge { .. }
            | Self::NotInGroup { .. }
            | Self::RegularRunMissing
            | Self::RunStale(_)
            | Self::MoveNotPossible { .. } => Code::FailedPrecondition,
            Self::PeriodAhead { .. } | Self::PayDateOut { .. } => Code::InvalidArgument,
            Self::Database(_) => Code::Unavailable,
            Self::Internal(_) => Code::Internal,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::EmployeeNotFound(_) => "EMPLOYEE_NOT_FOUND",
            Self::EmailTaken { .. } => "EMAIL_TAKEN",
            Self::StaleEtag(_) | Self::StaleRunEtag(_) => "ETAG_STALE",
            Self::NotEmployable { why, .. } => match why {
                NotEmployable::LastDayTooEarly { .. } => "LAST_DAY_TOO_EARLY",
                NotEmployable::FirstDayTooLate { .. } => "FIRST_DAY_TOO_LATE",
                NotEmployable::StillEmployed { .. } => "STILL_EMPLOYED",
                NotEmployable::EmploymentsOverlap { .. } => "EMPLOYMENTS_OVERLAP",
                NotEmployable::TooManyEmployments => "TOO_MANY_EMPLOYMENTS",
            },
            Self::RunNotFound(_) => "PAYROLL_RUN_NOT_FOUND",
            Self::PayslipNotFound(_) => "PAYSLIP_NOT_FOUND",
            Self::NotPayable(why) => match why {
                NotPayable::NothingToPay => "NOTHING_TO_PAY",
                NotPayable::MetaInvalid(_) => "PAYROLL_META_INVALID",
                NotPayable::NetNegative(_) => "NET_NEGATIVE",
                NotPayable::CorrectionNegative(_) => "CORRECTION_NEGATIVE",
            },
            Self::RunTooLarge { .. } => "RUN_TOO_LARGE",
            Self::NotInGroup { .. } => "NOT_IN_GROUP",
            Self::RegularRunMissing => "REGULAR_RUN_MISSING",
            Self::DraftExists(_) => "DRAFT_EXISTS",
            Self::RunStale(_) => "RUN_STALE",
            Self::MoveNotPossible { .. } => "MOVE_NOT_POSSIBLE",
            Self::PaidOnAnotherDay { .. } => "PAID_ON_ANOTHER_DAY",
            Self::PeriodAhead { .. } | Self::PayDateOut { .. } => "INVALID_REQUEST",
            Self::RequestIdUsed(_) => "REQUEST_ID_USED",
            Self::Database(_) => "DATABASE_UNAVAILABLE",
            Self::Internal(_) => "INTERNAL",
        }
    }

    fn metadata(&self) -> Vec<(String, String)> {
        let fact = |key: &str, value: &dyn std::fmt::Display| (key.to_owned(), value.to_string());
        match self {
            Self::EmailTaken { employee_id: Some(id) }
            | Self::EmployeeNotFound(id)
            | Self::StaleEtag(id)
            | Self::NotEmployable { employee_id: id, .. }
            | Self::NotInGroup { employee_id: id, .. } => vec![fact("employee_id", id)],
            Self::RunNotFound(id)
            | Self::StaleRunEtag(id)
            | Self::DraftExists(id)
            | Self::RunStale(id) => vec![fact("payroll_run_id", id)],
            Self::MoveNotPossible { id, from, to } => {
                vec![fact("payroll_run_id", id), fact("from", from), fact("to", to)]
            }
            Self::PaidOnAnotherDay { id, paid_on } => {
                vec![fact("payroll_run_id", id), fact("pay_date", paid_on)]
            }
            Self::PayslipNotFound(id) => vec![fact("payslip_id", id)],
            Self::NotPayable(
                NotPayable::MetaInvalid(ids)
                | NotPayable::NetNegative(ids)
                | NotPayable::CorrectionNegative(ids),
            ) => {
                let named: Vec<String> =
                    ids.iter().take(NAMED_MAX).map(ToString::to_string).collect();
                vec![fact("employee_ids", &named.join(","))]
            }
            Self::RequestIdUsed(id) => vec![fact("request_id", id)],
            Self::EmailTaken { employee_id: None }
            | Self::NotPayable(NotPayable::NothingToPay)
            | Self::RunTooLarge { .. }
            | Self::PeriodAhead { .. }
            | Self::PayDateOut { .. }
            | Self::RegularRunMissing
            | Self::Database(_)
            | Self::Internal(_) => Vec::new(),
        }
    }

    fn fields(&self) -> Vec<(String, String)> {
        match self {
            Self::PeriodAhead { .. } => vec![("period".to_owned(), self.to_string())],
            Self::PayDateOut { .. } => vec![("pay_date".to_owned(), self.to_string())],
            Self::EmployeeNotFound(_)
            | Self::EmailTaken { .. }
            | Self::StaleEtag(_)
            | Self::NotEmployable { .. }
            | Self::RunNotFound(_)
            | Self::PayslipNotFound(_)
            | Self::StaleRunEtag(_)
            | Self::NotPayable(_)
            | Self::RunTooLarge { .. }
            | Self::NotInGroup { .. }
            | Self::RegularRunMissing
            | Self::DraftExists(_)
            | Self::RunStale(_)
            | Self::MoveNotPossible { .. }
            | Self::PaidOnAnotherDay { .. }
            | Self::RequestIdUsed(_)
            | Self::Database(_)
            | Self::Internal(_) => Vec::new(),
        }
    }
}

impl From<sqlx::Error> for HrError {
    fn from(error: sqlx::Error) -> Self {
        if pg::is_away(&error) { Self::Database(error) } else { Self::Internal(error) }
    }
}

impl From<RequestError> for HrError {
    fn from(error: RequestError) -> Self {
        match error {
            RequestError::Used(id) => Self::RequestIdUsed(id),
            RequestError::Database(error) => error.into(),
        }
    }
}

impl From<HrError> for Status {
    fn from(error: HrError) -> Self {
        rpc::status(&error)
    }
}
