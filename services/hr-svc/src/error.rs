use ids::EmployeeId;
use log::RequestError;
use rpc::Refusal;
use tonic::{Code, Status};
use uuid::Uuid;

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
            Self::EmployeeNotFound(_) => Code::NotFound,
            Self::EmailTaken { .. } | Self::RequestIdUsed(_) => Code::AlreadyExists,
            Self::StaleEtag(_) => Code::Aborted,
            Self::Database(_) => Code::Unavailable,
            Self::Internal(_) => Code::Internal,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::EmployeeNotFound(_) => "EMPLOYEE_NOT_FOUND",
            Self::EmailTaken { .. } => "EMAIL_TAKEN",
            Self::StaleEtag(_) => "ETAG_STALE",
            Self::RequestIdUsed(_) => "REQUEST_ID_USED",
            Self::Database(_) => "DATABASE_UNAVAILABLE",
            Self::Internal(_) => "INTERNAL",
        }
    }

    fn metadata(&self) -> Vec<(String, String)> {
        match self {
            Self::EmailTaken { employee_id: Some(id) }
            | Self::EmployeeNotFound(id)
            | Self::StaleEtag(id) => vec![("employee_id".to_owned(), id.to_string())],
            Self::RequestIdUsed(id) => vec![("request_id".to_owned(), id.to_string())],
            Self::EmailTaken { employee_id: None } | Self::Database(_) | Self::Internal(_) => {
                Vec::new()
            }
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
