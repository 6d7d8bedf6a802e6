use chrono::NaiveDate;
use ids::JournalId;
use log::RequestError;
use money::MoneyError;
use rpc::Refusal;
use tonic::{Code, Status};
use uuid::Uuid;

use crate::domain::Month;

/// Everything that ledger-svc can refuse, in the words of the trade.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LedgerError {
    #[error("account {0} is not in the chart")]
    AccountNotFound(String),
    #[error("account {0} is in the chart already")]
    AccountExists(String),
    #[error("the chart has room for {0} accounts")]
    ChartFull(i64),
    #[error("account {0} was changed meanwhile")]
    StaleEtag(String),
    #[error("only events post on account {0}")]
    ControlAccount(String),
    #[error("account {0} is locked")]
    AccountLocked(String),
    #[error("journal {0} does not exist")]
    JournalNotFound(JournalId),
    #[error("entry {0} does not exist")]
    EntryNotFound(Uuid),
    #[error("journal {id} books an event: {of}-svc corrects it")]
    JournalOfEvent { id: JournalId, of: String },
    #[error("journal {0} is a reversal: post what it took back anew")]
    JournalIsReversal(JournalId),
    #[error("journal {id} was reversed by {reversed_by}, on another day or for another reason")]
    AlreadyReversed { id: JournalId, reversed_by: JournalId },
    #[error("is before {0}, the day of the journal")]
    ReversedTooEarly(NaiveDate),
    #[error("{period} is closed: the books are closed through {closed_through}")]
    PeriodClosed { period: Month, closed_through: Month },
    #[error("{0} is not over")]
    PeriodNotOver(Month),
    #[error("months are closed in their order and reopened in the other: {first} comes first")]
    PeriodOutOfOrder { first: Month },
    #[error("is after {0}, a year from today")]
    TooFarAhead(NaiveDate),
    /// A journal to be posted; by its place, if it is one of a batch.
    #[error("{}{error}", place.map(|place| format!("journal {place}: ")).unwrap_or_default())]
    InJournal { place: Option<usize>, error: Box<Self> },
    #[error("request_id {0} was used for another request")]
    RequestIdUsed(Uuid),
    #[error("the database cannot be used now")]
    Database(#[source] sqlx::Error),
    #[error("internal")]
    Internal(#[source] sqlx::Error),
}

impl Refusal for LedgerError {
    fn code(&self) -> Code {
        match self {
            Self::AccountNotFound(_) | Self::JournalNotFound(_) | Self::EntryNotFound(_) => {
                Code::NotFound
            }
            Self::AccountExists(_) | Self::RequestIdUsed(_) => Code::AlreadyExists,
            Self::StaleEtag(_) => Code::Aborted,
            Self::ChartFull(_)
            | Self::ControlAccount(_)
            | Self::AccountLocked(_)
            | Self::JournalOfEvent { .. }
            | Self::JournalIsReversal(_)
            | Self::AlreadyReversed { .. }
            | Self::PeriodClosed { .. }
            | Self::PeriodNotOver(_)
            | Self::PeriodOutOfOrder { .. } => Code::FailedPrecondition,
            Self::ReversedTooEarly(_) | Self::TooFarAhead(_) => Code::InvalidArgument,
            Self::InJournal { error, .. } => error.code(),
            Self::Database(_) => Code::Unavailable,
            Self::Internal(_) => Code::Internal,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::AccountNotFound(_) => "ACCOUNT_NOT_FOUND",
            Self::AccountExists(_) => "ACCOUNT_EXISTS",
            Self::ChartFull(_) => "CHART_FULL",
            Self::StaleEtag(_) => "ETAG_STALE",
            Self::ControlAccount(_) => "CONTROL_ACCOUNT",
            Self::AccountLocked(_) => "ACCOUNT_LOCKED",
            Self::JournalNotFound(_) => "JOURNAL_NOT_FOUND",
            Self::EntryNotFound(_) => "ENTRY_NOT_FOUND",
            Self::JournalOfEvent { .. } => "JOURNAL_OF_EVENT",
            Self::JournalIsReversal(_) => "JOURNAL_IS_REVERSAL",
            Self::AlreadyReversed { .. } => "ALREADY_REVERSED",
            Self::PeriodClosed { .. } => "PERIOD_CLOSED",
            Self::PeriodNotOver(_) => "PERIOD_NOT_OVER",
            Self::PeriodOutOfOrder { .. } => "PERIOD_OUT_OF_ORDER",
            Self::ReversedTooEarly(_) | Self::TooFarAhead(_) => "INVALID_REQUEST",
            Self::InJournal { error, .. } => error.reason(),
            Self::RequestIdUsed(_) => "REQUEST_ID_USED",
            Self::Database(_) => "DATABASE_UNAVAILABLE",
            Self::Internal(_) => "INTERNAL",
        }
    }

    fn metadata(&self) -> Vec<(String, String)> {
        let fact = |name: &str, value: &dyn std::fmt::Display| (name.to_owned(), value.to_string());
        match self {
            Self::AccountNotFound(code)
            | Self::AccountExists(code)
            | Self::StaleEtag(code)
            | Self::ControlAccount(code)
            | Self::AccountLocked(code) => vec![fact("account", code)],
            Self::JournalNotFound(id) | Self::JournalIsReversal(id) => {
                vec![fact("journal_id", id)]
            }
            Self::EntryNotFound(id) => vec![fact("entry_id", id)],
            Self::JournalOfEvent { id, of } => vec![fact("journal_id", id), fact("source", of)],
            Self::AlreadyReversed { id, reversed_by } => {
                vec![fact("journal_id", id), fact("reversed_by_journal_id", reversed_by)]
            }
            Self::PeriodClosed { period, closed_through } => {
                vec![fact("period", period), fact("closed_through", closed_through)]
            }
            Self::PeriodNotOver(period) | Self::PeriodOutOfOrder { first: period } => {
                vec![fact("period", period)]
            }
            Self::InJournal { place, error } => {
                let mut facts = error.metadata();
                facts.extend(place.map(|place| fact("journal", &place)));
                facts
            }
            Self::RequestIdUsed(id) => vec![fact("request_id", id)],
            Self::ChartFull(_)
            | Self::ReversedTooEarly(_)
            | Self::TooFarAhead(_)
            | Self::Database(_)
            | Self::Internal(_) => Vec::new(),
        }
    }

    fn fields(&self) -> Vec<(String, String)> {
        match self {
            Self::ReversedTooEarly(_) | Self::TooFarAhead(_) => {
                vec![("effective_date".to_owned(), self.to_string())]
            }
            Self::InJournal { place, error } => {
                let journal =
                    place.map_or("journal".to_owned(), |place| format!("journals[{place}]"));
                let within = |(field, why)| (format!("{journal}.{field}"), why);
                error.fields().into_iter().map(within).collect()
            }
            Self::AccountNotFound(_)
            | Self::AccountExists(_)
            | Self::ChartFull(_)
            | Self::StaleEtag(_)
            | Self::ControlAccount(_)
            | Self::AccountLocked(_)
            | Self::JournalNotFound(_)
            | Self::EntryNotFound(_)
            | Self::JournalOfEvent { .. }
            | Self::JournalIsReversal(_)
            | Self::AlreadyReversed { .. }
            | Self::PeriodClosed { .. }
            | Self::PeriodNotOver(_)
            | Self::PeriodOutOfOrder { .. }
            | Self::RequestIdUsed(_)
            | Self::Database(_)
            | Self::Internal(_) => Vec::new(),
        }
    }
}

impl From<sqlx::Error> for LedgerError {
    fn from(error: sqlx::Error) -> Self {
        if pg::is_away(&error) { Self::Database(error) } else { Self::Internal(error) }
    }
}

impl From<MoneyError> for LedgerError {
    /// Sums were looked at when the request was read.
    fn from(error: MoneyError) -> Self {
        Self::Internal(sqlx::Error::Encode(Box::new(error)))
    }
}

impl From<RequestError> for LedgerError {
    fn from(error: RequestError) -> Self {
        match error {
            RequestError::Used(id) => Self::RequestIdUsed(id),
            RequestError::Database(error) => error.into(),
        }
    }
}

impl From<LedgerError> for Status {
    fn from(error: LedgerError) -> Self {
        rpc::status(&error)
    }
}
