//! The log with a real Postgres and a real NATS, and everything that can go wrong between them.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by them, its helpers too")]

mod world;
mod proxy;

mod nats_users;
mod commits;
mod large;
mod relay_killed;
mod two_relays;
mod unconcerned;
mod consumer_killed;
mod stream_lost;
mod restored;
mod dead_letters;
mod status;
mod retries;
mod requests;
mod everything;
