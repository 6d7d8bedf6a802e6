//! Events of other services that change invoices.

mod orders;

pub(crate) use orders::OrderFates;
