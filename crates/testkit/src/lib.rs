//! What tests need: a database and a NATS of their own, real ones both, services that are played beside the one under test, keys and
//! tokens, and reading what a service tells and refuses.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by them")]

mod postgres;
mod nats;
mod played;
mod service_log;
mod dice;
mod keys;
mod midnight;
mod refusal;
mod wait;

pub use dice::Dice;
pub use keys::Keys;
pub use midnight::past_midnight;
pub use nats::TestNats;
pub use played::PlayedService;
pub use postgres::TestDb;
pub use refusal::{Refusal, refusal};
pub use service_log::ServiceLog;
pub use stack::Port;
pub use wait::eventually;
