//! Prepared statements and the values that are bound to them.
//!
//! Nothing of them is kept: a handle is the statement itself, and who binds values is given a new handle that has them, too. So a handle is as
//! little trusted as a statement, and what is in it is looked at in the query's own process only. (Drivers of before that part of the
//! protocol go on with the old one, and are told that values are missing.)

use arrow_flight::{FlightData, sql::server::PeekableFlightDataStream};
use futures::TryStreamExt;
use prost::{Message, bytes::Bytes};
use tonic::Status;

use crate::{AnalyticsError, sandbox::SQL_MAX_BYTES};

/// Of values, with all that Arrow needs around them.
const VALUES_MAX_BYTES: usize = 512 << 10;

#[derive(Clone, PartialEq, Message)]
pub(super) struct Prepared {
    #[prost(string, tag = "1")]
    pub(super) sql: String,
    /// The columns of the values and then their one row, as they came.
    #[prost(message, repeated, tag = "2")]
    values: Vec<FlightData>,
}

impl Prepared {
    pub(super) fn new(sql: String) -> Self {
        Self { sql, values: Vec::new() }
    }

    pub(super) fn of(handle: &[u8]) -> Result<Self, AnalyticsError> {
        let read = (handle.len() <= SQL_MAX_BYTES + 2 * VALUES_MAX_BYTES)
            .then(|| Self::decode(handle).ok())
            .flatten();
        read.ok_or_else(|| refused("this is no handle of a prepared statement".to_owned()))
    }

    pub(super) fn handle(&self) -> Bytes {
        self.encode_to_vec().into()
    }

    /// With the values that are sent to be bound, in the place of those that it had.
    pub(super) async fn bind(self, mut sent: PeekableFlightDataStream) -> Result<Self, Status> {
        let (mut values, mut left) = (Vec::new(), VALUES_MAX_BYTES);
        while let Some(piece) = sent.try_next().await? {
            let FlightData { data_header, data_body, .. } = piece;
            let value = FlightData { data_header, data_body, ..FlightData::default() };
            left = left.checked_sub(value.encoded_len()).ok_or_else(|| {
                let most = VALUES_MAX_BYTES >> 10;
                refused(format!("a query's values may be {most} KiB together"))
            })?;
            values.push(value);
        }
        Ok(Self { values, ..self })
    }

    /// Each for itself.
    pub(super) fn values(&self) -> Vec<Vec<u8>> {
        self.values.iter().map(Message::encode_to_vec).collect()
    }
}

fn refused(why: String) -> AnalyticsError {
    AnalyticsError::SqlRefused(why)
}
