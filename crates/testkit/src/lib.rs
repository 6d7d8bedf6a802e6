//! What tests need: a database and a NATS of their own, real ones both, keys and tokens, and reading refusals.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by them")]

mod postgres;
mod nats;
mod keys;
mod refusal;

pub use keys::Keys;
pub use nats::TestNats;
pub use postgres::TestDb;
pub use refusal::{Refusal, refusal};
