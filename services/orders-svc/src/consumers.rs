//! Events of other services that change orders.

mod billing;

pub(crate) use billing::Payments;
