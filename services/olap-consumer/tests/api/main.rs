//! The consumer beside real NATS and Postgres; the services that it follows are played by their logs, with relay and `EventLog`.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by it, helpers of tests too")]

mod shop;
mod trade;
mod model;
mod folder;

mod at_once;
mod counts;
mod days;
mod disk;
mod files;
mod flush;
mod holes;
mod killed;
#[cfg(feature = "benchmarks")]
mod million;
#[cfg(feature = "power-cuts")]
mod power;
mod readiness;
mod rebuild;
mod set_aside;
