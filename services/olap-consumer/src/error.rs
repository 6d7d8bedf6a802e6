use rpc::Refusal;
use tonic::{Code, Status};

/// Everything that olap-consumer can refuse.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OlapError {
    #[error("the materializations cannot be written now")]
    NotWritten,
    #[error("the materializations are not open yet")]
    NotOpen,
    #[error("a rebuild is under way")]
    Rebuilding,
    #[error("no rebuild was begun")]
    NoRebuild,
    #[error("too many calls wait for the next write")]
    Busy,
    #[error("the service is stopping")]
    Stopping,
}

impl Refusal for OlapError {
    fn code(&self) -> Code {
        match self {
            Self::NotWritten | Self::NotOpen | Self::Stopping => Code::Unavailable,
            Self::Rebuilding => Code::FailedPrecondition,
            Self::NoRebuild => Code::NotFound,
            Self::Busy => Code::ResourceExhausted,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::NotWritten => "NOT_WRITTEN",
            Self::NotOpen => "NOT_OPEN",
            Self::Rebuilding => "REBUILD_UNDER_WAY",
            Self::NoRebuild => "REBUILD_NOT_FOUND",
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
