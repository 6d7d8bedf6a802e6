//! How every service speaks gRPC: one server start, one client, one way to read fields and to refuse.
//!
//! A call passes [`server`]'s layer first: it checks the caller's token against the method's access option, sets the deadline, bounds
//! how many calls are served at once, and runs the handler in a task of its own.
//!
//! With the answer to a write it says how far the service's log is ([`position`]).
//!
//! A service that has pages for people serves them by [`web`], behind the same doors.
//!
//! **Invariant:** a caller that goes away never drops a handler half-way.

mod config;
mod server;
mod layer;
mod body;
mod access;
mod call;
mod position;
mod web;
mod client;
mod error;
mod fields;
mod page;
mod wire;

pub use access::{Claims, RESTRICTED, token};
pub use call::{Call, may, require};
pub use client::{Client, ClientConfig};
pub use config::ServerConfig;
pub use error::{ERROR_DOMAIN, Refusal, status};
pub use fields::Fields;
pub use page::{Page, PageToken};
pub use position::Written;
pub use server::{Server, Shutdown, on_signal};
pub use web::{Doorkeeper, Visitor, serve_web};
pub use wire::{
    currency, from_date, from_money, json_to_struct, set_currency, struct_to_json, to_date,
    to_money, to_sum, to_time,
};
