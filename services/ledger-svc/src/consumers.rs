//! Events of other services that are booked.

mod billing;

pub(crate) use billing::BillingBooks;
