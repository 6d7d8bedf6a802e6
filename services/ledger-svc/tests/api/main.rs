//! The service over gRPC: a real server on port 0, a real Postgres, a real NATS; billing-svc, inventory-svc and hr-svc are
//! played by the tests.
#![expect(clippy::unwrap_used, reason = "a test fails by it, helpers of tests too")]

mod app;
mod events;

mod list_accounts;
mod accounts;
mod billing_events;
mod stock_events;
mod payroll_events;
mod once;
mod journal_posted;
mod post_journal;
mod batch_post_journals;
mod reverse_journal;
mod get_journal;
mod list_journals;
mod list_entries;
mod get_trial_balance;
mod get_balance;
mod explain_entry;
mod periods;
mod closing_race;
mod at_once;
mod doors;
mod append_only;
mod dead_letters;
mod plans;
mod upgrade;
mod model;
