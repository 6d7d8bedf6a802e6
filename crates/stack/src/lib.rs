//! A Postgres, a NATS and the seven services of this checkout's own: nothing else on the machine is touched, nothing is left running.
//!
//! - [`process`]: programs that end with the one that started them, and are told to end in the right order.
//! - `port`: a port of loopback for each, that is nobody else's.
//! - [`parts`]: what is not Rust (Postgres, NATS, DuckDB's library, grpcurl), fetched by the registries' own clients and checked.
//! - [`postgres`] and [`nats`]: a private server each.
//! - [`fleet`]: the seven services on them.
//!
//! Plain threads and processes, few dependencies: a newcomer's first command waits for this to be compiled.
//!
//! **Invariant:** whoever is dropped here has ended its process and waited for it.

pub mod process;
mod port;
pub mod parts;
pub mod postgres;
pub mod nats;
pub mod fleet;

pub use fleet::{Fleet, Ports};
pub use nats::Nats;
pub use parts::Parts;
pub use port::Port;
pub use postgres::Postgres;
pub use process::Interrupt;
