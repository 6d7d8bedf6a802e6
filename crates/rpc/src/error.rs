use std::{collections::HashMap, error::Error, time::Duration};

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// The `domain` of every `google.rpc.ErrorInfo` that this fleet sends.
pub const ERROR_DOMAIN: &str = "bramble";

/// How long a caller should wait where only time helps.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// What a service's error enum tells the outside world about one variant.
pub trait Refusal: Error + 'static {
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
            tracing::error!(%error, causes = causes(error), "request failed");
            "internal error".to_owned()
        }
        Code::Unavailable => {
            tracing::warn!(%error, causes = causes(error), "request not served");
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

/// What lies behind an error, outermost first: lines in JSON would not have it by themselves.
fn causes(error: &(dyn Error + 'static)) -> String {
    let causes = anyhow::Chain::new(error).skip(1);
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// A refusal of the chassis itself, where time helps.
pub(crate) fn retry(code: Code, reason: &str, message: &str) -> Status {
    let mut details = ErrorDetails::with_error_info(reason, ERROR_DOMAIN, HashMap::new());
    details.set_retry_info(Some(RETRY_AFTER));
    Status::with_error_details(code, message, details)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_causes_are_told_in_their_order() {
        let innermost = std::io::Error::other("the disk is full");
        let error = anyhow::Error::from(innermost).context("no page").context("no row");
        assert_eq!(causes(error.as_ref()), "no page: the disk is full");
        assert_eq!(causes(&std::fmt::Error), "");
    }
}
