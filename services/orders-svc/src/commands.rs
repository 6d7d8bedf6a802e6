//! What the service can be told to do: one file per verb. Commands that many callers send at once commit in groups.

mod create_customers;
mod create_order;
mod place_order;
mod delete_draft;
mod ship_order;
mod cancel_order;

pub(crate) use cancel_order::{CancelOrder, cancel_order};
pub(crate) use create_customers::{
    CreateCustomers, NewCustomer, create_customer, create_customers,
};
pub(crate) use create_order::{Drafts, NewDraft, create_drafts, create_order};
pub(crate) use delete_draft::delete_draft;
pub(crate) use place_order::{
    Answer, PlaceOrder, Placements, commit_placements, not_asked, place_order, price_of,
};
pub(crate) use ship_order::{ShipOrder, completed, ship_order};
