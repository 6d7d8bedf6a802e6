//! What every service gets from the chassis, on real sockets; with hr-svc on a real Postgres and NATS where a service is needed.
#![expect(clippy::unwrap_used, reason = "a test fails by it, its helpers too")]

mod fake;

mod doors;
mod web;
mod limits;
mod health;
mod reflection;
mod stopping;
mod gone_callers;
mod position;
