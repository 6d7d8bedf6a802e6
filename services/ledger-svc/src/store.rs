//! Every SQL statement of the service, one function each.

pub(crate) mod accounts;
pub(crate) mod entries;
pub(crate) mod journals;

pub(crate) const SCHEMA: &str = "ledger";
