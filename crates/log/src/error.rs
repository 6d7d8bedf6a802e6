use rpc::Refusal;
use tonic::{Code, Status};
use uuid::Uuid;

use crate::ApplyError;

/// What the event log refuses.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LogError {
    #[error("dead letter {0} does not exist")]
    DeadLetterNotFound(Uuid),
    #[error("event {sequence} still cannot be applied: {why}")]
    StillRefused { sequence: i64, why: String },
    #[error("event {sequence} cannot be applied now")]
    NotNow {
        sequence: i64,
        #[source]
        cause: ApplyError,
    },
    #[error("the event log cannot be used now")]
    Database(#[source] sqlx::Error),
}

impl LogError {
    pub(crate) fn not_applied(sequence: i64, cause: ApplyError) -> Self {
        match cause {
            ApplyError::Refused(why) => Self::StillRefused { sequence, why },
            cause @ ApplyError::Retry(_) => Self::NotNow { sequence, cause },
        }
    }
}

impl Refusal for LogError {
    fn code(&self) -> Code {
        match self {
            Self::DeadLetterNotFound(_) => Code::NotFound,
            Self::StillRefused { .. } => Code::FailedPrecondition,
            Self::NotNow { .. } | Self::Database(_) => Code::Unavailable,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::DeadLetterNotFound(_) => "DEAD_LETTER_NOT_FOUND",
            Self::StillRefused { .. } => "EVENT_STILL_REFUSED",
            Self::NotNow { .. } => "EVENT_NOT_APPLIED",
            Self::Database(_) => "DATABASE_UNAVAILABLE",
        }
    }

    fn metadata(&self) -> Vec<(String, String)> {
        match self {
            Self::DeadLetterNotFound(id) => vec![("dead_letter_id".to_owned(), id.to_string())],
            Self::StillRefused { sequence, .. } | Self::NotNow { sequence, .. } => {
                vec![("sequence".to_owned(), sequence.to_string())]
            }
            Self::Database(_) => Vec::new(),
        }
    }
}

impl From<LogError> for Status {
    fn from(error: LogError) -> Self {
        rpc::status(&error)
    }
}
