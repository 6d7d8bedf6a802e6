//! The service over gRPC: a real server on port 0, a real Postgres, a real NATS; billing-svc is played by the tests.
#![expect(clippy::unwrap_used, reason = "a test fails by it, helpers of tests too")]

mod app;

mod list_accounts;
mod billing_events;
mod once;
mod journal_posted;
mod get_trial_balance;
mod list_entries;
mod append_only;
mod dead_letters;
mod model;
