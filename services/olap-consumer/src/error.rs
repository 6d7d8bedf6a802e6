use rpc::Refusal;
use tonic::{Code, Status};

/// Everything that olap-consumer can refuse.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OlapError {
    #[error("the materializations cannot be written now")]
    NotWritten,
    #[error("the materializations are not open yet")]
    NotOpen,
    #[error("too many calls wait for the next write")]
    Busy,
    #[error("the service is stopping")]
    Stopping,
}

impl Refusal for OlapError {
    fn code(&self) -> Code {
        match self {
            Self::NotWritten | Self::NotOpen | Self::Stopping => Code::Unavailable,
            Self::Busy => Code::ResourceExhausted,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::NotWritten => "NOT_WRITTEN",
            Self::NotOpen => "NOT_OPEN",
            Self::Busy => "TOO_MANY_CALLS",
            Self::Stopping => "STOPPING",
        }
    }
}

impl From<OlapError> for Status {
    fn from(error: OlapError) -> Self {
        rpc::status(&error)
    }
}
