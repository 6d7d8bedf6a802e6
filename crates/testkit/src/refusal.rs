use tonic::{Code, Status};
use tonic_types::StatusExt;

/// What a refusal says.
#[derive(Debug)]
pub struct Refusal {
    pub code: Code,
    pub reason: String,
    pub message: String,
    /// As `key: value`, sorted.
    pub facts: Vec<String>,
    /// Bad fields as `field: why`.
    pub fields: Vec<String>,
}

/// Panics unless the answer is a refusal.
#[track_caller]
pub fn refusal<T: std::fmt::Debug>(answer: Result<T, Status>) -> Refusal {
    let status = answer.unwrap_err();
    let details = status.get_error_details();
    let info = details.error_info();
    let facts = info.iter().flat_map(|info| &info.metadata);
    let mut facts: Vec<String> = facts.map(|(key, value)| format!("{key}: {value}")).collect();
    facts.sort();
    let bad = details.bad_request();
    let bad = bad.iter().flat_map(|bad| &bad.field_violations);
    Refusal {
        code: status.code(),
        reason: info.map(|info| info.reason.clone()).unwrap_or_default(),
        message: status.message().to_owned(),
        facts,
        fields: bad.map(|bad| format!("{}: {}", bad.field, bad.description)).collect(),
    }
}

impl Refusal {
    #[track_caller]
    pub fn is(&self, code: Code, reason: &str) {
        assert_eq!((self.code, self.reason.as_str()), (code, reason), "{self:?}");
    }

    /// The names of the bad fields.
    #[track_caller]
    pub fn names(&self, fields: &[&str]) {
        self.is(Code::InvalidArgument, "INVALID_REQUEST");
        let named: Vec<&str> =
            self.fields.iter().map(|field| field.split(": ").next().unwrap_or(field)).collect();
        assert_eq!(named, fields, "{self:?}");
    }
}
