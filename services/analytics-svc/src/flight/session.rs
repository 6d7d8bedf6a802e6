//! What a driver calls a session: nothing is kept of it here. There is one catalog with one schema, and a driver may choose them, as it likes
//! to do when it connects; whatever else it wants to set is refused by name. The library has not these messages.

use std::collections::HashMap;

use prost::{Message, bytes::Bytes};
use tonic::Status;

use super::catalog::{CATALOG, SCHEMA};

const CLOSED: i32 = 1;
const INVALID_NAME: i32 = 1;
const INVALID_VALUE: i32 = 2;

#[derive(Clone, PartialEq, Message)]
struct SetRequest {
    #[prost(map = "string, message", tag = "1")]
    options: HashMap<String, OptionValue>,
}

#[derive(Clone, PartialEq, Message)]
struct OptionValue {
    #[prost(string, optional, tag = "1")]
    text: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
struct SetResult {
    #[prost(map = "string, message", tag = "1")]
    errors: HashMap<String, SetError>,
}

#[derive(Clone, PartialEq, Message)]
struct SetError {
    #[prost(int32, tag = "1")]
    value: i32,
}

#[derive(Clone, PartialEq, Message)]
struct CloseResult {
    #[prost(int32, tag = "1")]
    status: i32,
}

pub(super) fn set(request: &[u8]) -> Result<Bytes, Status> {
    let request = SetRequest::decode(request)
        .map_err(|error| Status::invalid_argument(format!("these are no options: {error}")))?;
    let wrong = request.options.into_iter().filter_map(|(name, value)| {
        let text = value.text.as_deref().unwrap_or_default();
        let value = match name.as_str() {
            "catalog" => (!matches!(text, "" | CATALOG)).then_some(INVALID_VALUE)?,
            "schema" => (!matches!(text, "" | SCHEMA)).then_some(INVALID_VALUE)?,
            _ => INVALID_NAME,
        };
        Some((name, SetError { value }))
    });
    Ok(SetResult { errors: wrong.collect() }.encode_to_vec().into())
}

pub(super) fn close() -> Bytes {
    CloseResult { status: CLOSED }.encode_to_vec().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(options: &[(&str, &str)]) -> HashMap<String, SetError> {
        let option = |(name, text): &(&str, &str)| {
            ((*name).to_owned(), OptionValue { text: Some((*text).to_owned()) })
        };
        let request = SetRequest { options: options.iter().map(option).collect() };
        SetResult::decode(set(&request.encode_to_vec()).unwrap()).unwrap().errors
    }

    #[test]
    fn a_driver_chooses_what_there_is_and_nothing_else() {
        assert!(errors(&[("catalog", "memory"), ("schema", "main")]).is_empty());
        let wrong = errors(&[("catalog", "temp"), ("threads", "8"), ("schema", "main")]);
        assert_eq!(wrong.len(), 2);
        assert_eq!((wrong["catalog"].value, wrong["threads"].value), (INVALID_VALUE, INVALID_NAME));
        assert!(set(b"\xff\xff").is_err());
    }
}
