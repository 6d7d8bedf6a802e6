//! Every SQL statement of the service, one function each.
//!
//! Lock order: orders by id, ascending; their items only with the order's row held.

pub(crate) mod customers;
pub(crate) mod items;
pub(crate) mod orders;
pub(crate) mod shipments;

pub(crate) const SCHEMA: &str = "orders";
