use std::{error::Error, io};

use chrono::NaiveDate;
use rpc::Refusal;
use tokio::task::JoinError;
use tonic::{Code, Status};

use crate::domain::Behind;

/// Everything that analytics-svc can refuse, in the words of the trade.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AnalyticsError {
    #[error("nothing has been materialized yet")]
    NotMaterializedYet,
    #[error("this is known once what was counted by an older version is counted anew")]
    CountedAnew,
    #[error("not counted yet: {}", list(.0))]
    NotFreshEnough(Vec<Behind>),
    #[error("there is no ageing for {}", no_ageing(*.day, *.days))]
    AgeingNotFound {
        day: Option<NaiveDate>,
        /// The first and the last that there are.
        days: Option<(NaiveDate, NaiveDate)>,
    },
    #[error("the manifest of the materializations cannot be used: {0}")]
    ManifestUnusable(io::Error),
    #[error("file {path} of {table} cannot be used: {cause}")]
    FileUnusable { table: String, path: String, cause: io::Error },
    #[error("too many queries are waiting")]
    TooManyQueries,
    #[error("the query took too long")]
    OutOfTime,
    #[error("{0}")]
    SqlRefused(String),
    #[error("{0}")]
    SqlUnsupported(&'static str),
    #[error("{0}")]
    SqlFailed(String),
    #[error("the query needs more memory than one may have, which BRAMBLE_SQL_MEMORY_MIB says")]
    SqlOutOfMemory,
    #[error("the query took longer than one may, which BRAMBLE_SQL_SECONDS_MAX says")]
    SqlOutOfTime,
    #[error("the answer has more {0} than one may have, which {1} says: ask for it in parts")]
    SqlAnswerTooLarge(&'static str, &'static str),
    #[error("a query's process failed: {0}")]
    SqlWorker(String),
    #[error("the query needs more memory than is left of what BRAMBLE_DUCKDB_MEMORY_MIB says")]
    OutOfMemory,
    #[error("a file could not be read, as happens when it was replaced meanwhile: ask again")]
    FileUnreadable(#[source] Box<dyn Error + Send + Sync>),
    #[error("DuckDB failed")]
    DuckDb(#[source] duckdb::Error),
    #[error("a sum has more digits than can be told: ask for less of it")]
    SumTooLarge,
    #[error("{0} is no time")]
    NotATime(i64),
    #[error("{0} is no id")]
    NotAnId(String),
    #[error("{0} is there twice")]
    ThereTwice(String),
    #[error("a query failed")]
    Panicked(#[from] JoinError),
}

impl Refusal for AnalyticsError {
    fn code(&self) -> Code {
        match self {
            Self::NotMaterializedYet
            | Self::CountedAnew
            | Self::ManifestUnusable(_)
            | Self::FileUnusable { .. }
            | Self::FileUnreadable(_) => Code::Unavailable,
            Self::NotFreshEnough(_) | Self::OutOfTime | Self::SqlOutOfTime => {
                Code::DeadlineExceeded
            }
            Self::AgeingNotFound { .. } => Code::NotFound,
            Self::TooManyQueries
            | Self::OutOfMemory
            | Self::SqlOutOfMemory
            | Self::SqlAnswerTooLarge(..) => Code::ResourceExhausted,
            Self::SqlRefused(_) | Self::SqlFailed(_) => Code::InvalidArgument,
            Self::SqlUnsupported(_) => Code::Unimplemented,
            Self::SumTooLarge => Code::OutOfRange,
            Self::SqlWorker(_)
            | Self::DuckDb(_)
            | Self::NotATime(_)
            | Self::NotAnId(_)
            | Self::ThereTwice(_)
            | Self::Panicked(_) => Code::Internal,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::NotMaterializedYet => "NOT_MATERIALIZED_YET",
            Self::CountedAnew => "COUNTED_ANEW",
            Self::NotFreshEnough(_) => "NOT_FRESH_ENOUGH",
            Self::AgeingNotFound { .. } => "AGEING_NOT_FOUND",
            Self::ManifestUnusable(_) => "MANIFEST_UNUSABLE",
            Self::FileUnusable { .. } | Self::FileUnreadable(_) => "FILE_UNUSABLE",
            Self::TooManyQueries => "TOO_MANY_QUERIES",
            Self::OutOfTime => "DEADLINE_EXCEEDED",
            Self::OutOfMemory => "OUT_OF_MEMORY",
            Self::SqlRefused(_) => "SQL_REFUSED",
            Self::SqlUnsupported(_) => "SQL_UNSUPPORTED",
            Self::SqlFailed(_) => "SQL_FAILED",
            Self::SqlOutOfMemory => "SQL_OUT_OF_MEMORY",
            Self::SqlOutOfTime => "SQL_OUT_OF_TIME",
            Self::SqlAnswerTooLarge(..) => "SQL_ANSWER_TOO_LARGE",
            Self::SumTooLarge => "SUM_TOO_LARGE",
            Self::SqlWorker(_)
            | Self::DuckDb(_)
            | Self::NotATime(_)
            | Self::NotAnId(_)
            | Self::ThereTwice(_)
            | Self::Panicked(_) => "INTERNAL",
        }
    }

    fn metadata(&self) -> Vec<(String, String)> {
        let fact = |name: &str, fact: &str| (name.to_owned(), fact.to_owned());
        match self {
            Self::NotFreshEnough(behind) => {
                behind.iter().map(|of| (of.source.clone(), of.seen.to_string())).collect()
            }
            Self::AgeingNotFound { day, days } => {
                let (first, last) = days.unzip();
                [("as_of_date", *day), ("first_date", first), ("last_date", last)]
                    .into_iter()
                    .filter_map(|(name, day)| Some(fact(name, &rpc::to_date(day?))))
                    .collect()
            }
            Self::FileUnusable { table, path, .. } => {
                vec![fact("table", table), fact("path", path)]
            }
            Self::NotMaterializedYet
            | Self::CountedAnew
            | Self::ManifestUnusable(_)
            | Self::TooManyQueries
            | Self::OutOfTime
            | Self::SqlRefused(_)
            | Self::SqlUnsupported(_)
            | Self::SqlFailed(_)
            | Self::SqlOutOfMemory
            | Self::SqlOutOfTime
            | Self::SqlAnswerTooLarge(..)
            | Self::SqlWorker(_)
            | Self::OutOfMemory
            | Self::FileUnreadable(_)
            | Self::DuckDb(_)
            | Self::SumTooLarge
            | Self::NotATime(_)
            | Self::NotAnId(_)
            | Self::ThereTwice(_)
            | Self::Panicked(_) => Vec::new(),
        }
    }
}

/// How DuckDB's words begin when it cannot read a file. In place of one that is missing it looks for a folder, which a query in SQL may not.
const FILE_UNREADABLE: [&str; 2] = ["IO Error: ", "Permission Error: Cannot access file "];

/// What is behind a failure of DuckDB's, which only its words tell.
#[derive(Debug, Clone, Copy)]
pub(crate) enum DuckDbCause {
    OutOfMemory,
    /// Only files of the materializations are ever read.
    FileUnreadable,
    Other,
}

impl DuckDbCause {
    pub(crate) fn of(message: &str) -> Self {
        if ["Out of Memory", "bad_alloc", "bad allocation"].iter().any(|it| message.contains(it)) {
            return Self::OutOfMemory;
        }
        if FILE_UNREADABLE.iter().any(|words| message.starts_with(words)) {
            return Self::FileUnreadable;
        }
        Self::Other
    }
}

impl From<duckdb::Error> for AnalyticsError {
    fn from(error: duckdb::Error) -> Self {
        match DuckDbCause::of(&error.to_string()) {
            DuckDbCause::OutOfMemory => {
                tracing::warn!("a query was refused for want of memory: {error}");
                Self::OutOfMemory
            }
            DuckDbCause::FileUnreadable => Self::FileUnreadable(error.into()),
            DuckDbCause::Other => Self::DuckDb(error),
        }
    }
}

fn no_ageing(day: Option<NaiveDate>, days: Option<(NaiveDate, NaiveDate)>) -> String {
    let asked = day.map_or_else(|| "any day".to_owned(), rpc::to_date);
    let Some((first, last)) = days else { return asked };
    let [first, last] = [first, last].map(rpc::to_date);
    format!("{asked}: the first is of {first}, the last of {last}")
}

fn list(behind: &[Behind]) -> String {
    let each = behind.iter().map(|of| format!("{} is at {} of {}", of.source, of.seen, of.wanted));
    each.collect::<Vec<_>>().join(", ")
}

impl From<AnalyticsError> for Status {
    fn from(error: AnalyticsError) -> Self {
        rpc::status(&error)
    }
}
