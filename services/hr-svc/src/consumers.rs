//! Events of other services that payroll runs take note of.

mod ledger;

pub(crate) use ledger::Books;
