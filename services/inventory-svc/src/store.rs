//! Every statement against schema `inventory`: one free function each, in the caller's transaction.
//!
//! Who locks more than one row locks reservations first, by order id, and then items, by SKU: [`book`] does it for all that
//! decide on reservations. What a reservation may still have to be added is added before any is locked.

pub(crate) mod book;
pub(crate) mod items;
pub(crate) mod movements;
pub(crate) mod products;
pub(crate) mod requests;
pub(crate) mod reservations;
pub(crate) mod verification;

pub(crate) const SCHEMA: &str = "inventory";

/// Rows that are locked can all be written; if not, nothing is.
fn all_written(rows: u64, expected: usize) -> sqlx::Result<()> {
    if rows == expected as u64 { Ok(()) } else { Err(sqlx::Error::RowNotFound) }
}
