//! Every SQL statement of the service, one function each.
//!
//! Lock order: orders by id, ascending; their items only with the order's row held. Customers are locked by nobody who locks orders.

pub(crate) mod customers;
pub(crate) mod items;
pub(crate) mod orders;
pub(crate) mod requests;
pub(crate) mod returns;
pub(crate) mod shipments;

use chrono::{DateTime, Utc};
use uuid::Uuid;

pub(crate) const SCHEMA: &str = "orders";

/// Where a list in the order of time goes on: the last row that was sent. As text: microseconds, `/`, id.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TimeKey {
    pub(crate) at: DateTime<Utc>,
    pub(crate) id: Uuid,
}

/// Where a list in the order of names goes on: the last row that was sent. As text: id, `/`, name.
#[derive(Debug, Clone)]
pub(crate) struct NameKey {
    pub(crate) name: String,
    pub(crate) id: Uuid,
}

impl std::str::FromStr for TimeKey {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (micros, id) = text.split_once('/').ok_or(())?;
        let at = micros.parse().ok().and_then(DateTime::from_timestamp_micros).ok_or(())?;
        Ok(Self { at, id: id.parse().map_err(|_| ())? })
    }
}

impl std::str::FromStr for NameKey {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (id, name) = text.split_once('/').ok_or(())?;
        // Postgres knows no NUL.
        let id = id.parse().ok().filter(|_| !name.contains('\0')).ok_or(())?;
        Ok(Self { name: name.to_owned(), id })
    }
}
