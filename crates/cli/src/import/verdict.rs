//! A refusal in the services' words, taken apart by the places of the request that it names.

use std::collections::HashMap;

use tonic::Status;
use tonic_types::StatusExt;

/// What a service says is wrong with a request.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    /// Column and what is wrong with it, by the place in the request's list.
    pub(crate) places: HashMap<usize, Vec<(String, String)>>,
    /// What is wrong by SKU.
    pub(crate) skus: HashMap<String, String>,
    /// Fields that are no entry of the list.
    pub(crate) fields: Vec<(String, String)>,
    /// The refusal as one sentence.
    pub(crate) message: String,
}

impl Verdict {
    /// `list` is the request's repeated field, such as `lines`.
    pub(crate) fn read(status: &Status, list: &str) -> Self {
        let mut verdict = Self { message: status.message().to_owned(), ..Self::default() };
        let bad = status.get_details_bad_request();
        for bad in bad.map(|bad| bad.field_violations).unwrap_or_default() {
            match place(&bad.field, list) {
                Some((place, field)) => {
                    let said = (column(field).to_owned(), bad.description);
                    verdict.places.entry(place).or_default().push(said);
                }
                None => verdict.fields.push((column(&bad.field).to_owned(), bad.description)),
            }
        }
        let info = status.get_details_error_info();
        let (reason, metadata) = info.map(|info| (info.reason, info.metadata)).unwrap_or_default();
        if reason == "STOCK_SHORT" {
            let short = |(sku, facts)| (sku, format!("has too little stock: {facts}"));
            verdict.skus = metadata.into_iter().map(short).collect();
        } else if let Some(sku) = metadata.get("sku") {
            verdict.skus.insert(sku.clone(), format!("is refused: {}", status.message()));
        }
        verdict
    }
}

/// Takes `requests[7].price.amount` apart.
fn place<'a>(field: &'a str, list: &str) -> Option<(usize, &'a str)> {
    let (place, rest) = field.strip_prefix(list)?.strip_prefix('[')?.split_once(']')?;
    Some((place.parse().ok()?, rest.strip_prefix('.').unwrap_or(rest)))
}

/// The column that a field of a request comes from.
fn column(field: &str) -> &str {
    match field.split('.').next().unwrap_or(field) {
        "quantity" => "qty",
        "place_time" => "placed_at",
        "customer_id" => "customer_ref",
        field => field,
    }
}

#[cfg(test)]
mod tests {
    use tonic::Code;
    use tonic_types::ErrorDetails;

    use super::*;

    #[test]
    fn a_refusal_is_taken_apart_by_line() {
        let mut details = ErrorDetails::new();
        for field in ["lines[3].sku", "lines[3].quantity", "lines[10].unit_price.amount"] {
            details.add_bad_request_violation(field, "is bad");
        }
        details.add_bad_request_violation("customer_id", "is unknown");
        details.add_bad_request_violation("lines", "has 501 entries");
        let status = Status::with_error_details(Code::InvalidArgument, "no", details);
        let verdict = Verdict::read(&status, "lines");
        let said = |column: &str| (column.to_owned(), "is bad".to_owned());
        assert_eq!(verdict.places[&3], [said("sku"), said("qty")]);
        assert_eq!(verdict.places[&10], [said("unit_price")]);
        let columns: Vec<&str> = verdict.fields.iter().map(|(column, _)| column.as_str()).collect();
        assert_eq!(columns, ["customer_ref", "lines"]);
    }

    #[test]
    fn a_shortage_is_told_by_sku() {
        let facts = HashMap::from([("P1".to_owned(), "requested 3, available 2".to_owned())]);
        let details = ErrorDetails::with_error_info("STOCK_SHORT", "bramble", facts);
        let status = Status::with_error_details(Code::FailedPrecondition, "short", details);
        let verdict = Verdict::read(&status, "lines");
        assert_eq!(verdict.skus["P1"], "has too little stock: requested 3, available 2");
    }
}
