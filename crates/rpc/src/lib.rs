//! How every service speaks gRPC: one server start, one client, one way to read fields and to refuse.
//!
//! A call passes [`server`]'s layer first: it checks the caller's token against the method's access option, sets the deadline, bounds
//! how many calls are served at once, and runs the handler in a task of its own.
//!
//! **Invariant:** a caller that goes away never drops a handler half-way.

mod config;
mod server;
mod layer;
mod body;
mod access;
mod call;
mod client;
mod error;
mod fields;
mod page;
mod wire;

pub use access::{Claims, RESTRICTED};
pub use call::{Call, may, require};
pub use client::{Client, ClientConfig};
pub use config::ServerConfig;
pub use error::{ERROR_DOMAIN, Refusal, status};
pub use fields::Fields;
pub use page::{Page, PageToken};
pub use server::{Server, Shutdown, on_signal};
pub use wire::{
    currency, from_date, from_money, json_to_struct, set_currency, struct_to_json, to_date,
    to_money, to_time,
};
