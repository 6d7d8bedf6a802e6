use rpc::Refusal;
use tonic::{Code, Status};

/// Everything that ledger-svc can refuse, in the words of the trade.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    #[error("account {0} is not in the chart")]
    AccountNotFound(String),
    #[error("the database cannot be used now")]
    Database(#[source] sqlx::Error),
    #[error("internal")]
    Internal(#[source] sqlx::Error),
}

impl Refusal for LedgerError {
    fn code(&self) -> Code {
        match self {
            Self::AccountNotFound(_) => Code::NotFound,
            Self::Database(_) => Code::Unavailable,
            Self::Internal(_) => Code::Internal,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::AccountNotFound(_) => "ACCOUNT_NOT_FOUND",
            Self::Database(_) => "DATABASE_UNAVAILABLE",
            Self::Internal(_) => "INTERNAL",
        }
    }

    fn metadata(&self) -> Vec<(String, String)> {
        match self {
            Self::AccountNotFound(code) => vec![("account".to_owned(), code.clone())],
            Self::Database(_) | Self::Internal(_) => Vec::new(),
        }
    }
}

impl From<sqlx::Error> for LedgerError {
    fn from(error: sqlx::Error) -> Self {
        if pg::is_away(&error) { Self::Database(error) } else { Self::Internal(error) }
    }
}

impl From<LedgerError> for Status {
    fn from(error: LedgerError) -> Self {
        rpc::status(&error)
    }
}
