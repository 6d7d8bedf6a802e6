//! What the service can be told to do: one file per verb. Commands that many callers send at once commit in groups.

mod create_customers;
mod update_customer;
mod archive_customer;
mod create_order;
mod update_order;
mod delete_order;
mod place_order;
mod hold_order;
mod ship_order;
mod cancel_order;
mod return_order;

pub(crate) use archive_customer::{ArchiveCustomer, archive_customer, restore_customer};
pub(crate) use cancel_order::{CancelOrder, cancel_order};
pub(crate) use create_customers::{
    CreateCustomers, NewCustomer, create_customer, create_customers,
};
pub(crate) use create_order::{Drafts, NewDraft, create_drafts, create_order};
pub(crate) use delete_order::{DeleteOrder, delete_draft, delete_order};
pub(crate) use hold_order::{HoldOrder, ReleaseOrder, hold_order, release_order};
pub(crate) use place_order::{
    Answer, PlaceOrder, Placements, commit_placements, not_asked, place_draft, place_order,
    price_of,
};
pub(crate) use return_order::{ReturnOrder, return_order};
pub(crate) use ship_order::{ShipOrder, completed, ship_order};
pub(crate) use update_customer::{UpdateCustomer, update_customer};
pub(crate) use update_order::{UpdateOrder, update_order};

use crate::OrdersError;

/// Refuses a change of what has changed since it was read. An empty etag stands for whatever it is now.
fn check_etag(given: &str, now: String) -> Result<(), OrdersError> {
    if given.is_empty() || given == now { Ok(()) } else { Err(OrdersError::EtagStale(now)) }
}
