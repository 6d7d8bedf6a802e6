//! A service's event log: written with the state, carried by NATS, applied once by whoever listens.
//!
//! - [`event`]: what an event is, as it is written ([`NewEvent`]) and as it arrives ([`Event`]).
//! - [`journal`]: [`Log`], which appends to a schema's `events_log` and wakes the relay after the commit.
//! - [`settled`]: which rows of the log can be read without missing one that commits later.
//! - [`relay`]: carries settled rows to the service's JetStream stream, whose tail is its only cursor.
//! - [`feed`]: another service's events behind a [`position`], without a hole.
//! - [`consumer`]: applies them, position and effect in one commit; what cannot be applied goes to [`dead`].
//! - [`status`]: how far all of these are.
//! - [`serve`]: the `EventLog` that every service serves.
//! - [`request`]: requests that were answered already.
//!
//! **Invariant:** no event leaves before its transaction is committed and every event below it is known or dead.
//!
//! **Invariant:** nothing in Postgres says what has been published, so a wiped or restored NATS is filled again from the log.

mod event;
mod journal;
mod settled;
mod relay;
mod position;
mod feed;
mod consumer;
mod dead;
mod status;
mod serve;
mod nats;
mod request;
mod error;

pub use consumer::{Apply, ApplyError, Consumer};
pub use event::{Cause, Event, NewEvent, stream_name};
pub use feed::{Feed, Source};
pub use journal::Log;
pub use nats::{NatsConfig, connect, is_there};
pub use position::Position;
pub use relay::{Leader, Relay, RelayError, Step};
pub use request::{Claim, RequestError, RequestKey, answered, claim_all};
pub use serve::EventLogService;
pub use settled::read_settled;
