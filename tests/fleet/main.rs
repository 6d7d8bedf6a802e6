//! The whole fleet: the real binaries on a real Postgres and NATS, used as shops, programs and operators use it.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by them, its helpers too"
)]

mod world;
mod clerk;

mod sale;
mod books;
mod any_order;
mod upgrade;
mod killed;
mod clients;
mod export;
mod low_stock;
mod dashboard;
mod verify;
mod own_writes;
mod traces;
