use std::{collections::HashMap, time::Duration};

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// The `domain` of every `google.rpc.ErrorInfo` that this fleet sends.
pub const ERROR_DOMAIN: &str = "bramble";

/// How long a caller should wait where only time helps.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// What a service's error enum tells the outside world about one variant.
pub trait Refusal: std::error::Error + 'static {
    fn code(&self) -> Code;
    /// Stable, in `SCREAMING_SNAKE_CASE`: clients switch on it, so it is never renamed.
    fn reason(&self) -> &'static str;
    /// Facts for programs, such as the id that exists already.
    fn metadata(&self) -> Vec<(String, String)> {
        Vec::new()
    }
    /// Each field that is to blame, with what is wrong with it.
    fn fields(&self) -> Vec<(String, String)> {
        Vec::new()
    }
}

/// Turns a refusal into a status. Internal causes are logged here, once, and never sent.
pub fn status(error: &impl Refusal) -> Status {
    let code = error.code();
    let message = match code {
        Code::Internal | Code::Unknown => {
            tracing::error!(error = error as &dyn std::error::Error, "request failed");
            "internal error".to_owned()
        }
        Code::Unavailable => {
            tracing::warn!(error = error as &dyn std::error::Error, "request not served");
            error.to_string()
        }
        _ => error.to_string(),
    };
    let metadata: HashMap<String, String> = error.metadata().into_iter().collect();
    let mut details = ErrorDetails::with_error_info(error.reason(), ERROR_DOMAIN, metadata);
    for (field, description) in error.fields() {
        details.add_bad_request_violation(field, description);
    }
    if matches!(code, Code::Unavailable | Code::ResourceExhausted | Code::DeadlineExceeded) {
        details.set_retry_info(Some(RETRY_AFTER));
    }
    Status::with_error_details(code, message, details)
}

/// A refusal of the chassis itself, where time helps.
pub(crate) fn retry(code: Code, reason: &str, message: &str) -> Status {
    let mut details = ErrorDetails::with_error_info(reason, ERROR_DOMAIN, HashMap::new());
    details.set_retry_info(Some(RETRY_AFTER));
    Status::with_error_details(code, message, details)
}
