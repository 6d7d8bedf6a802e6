//! What a call says beside its question, and how it is answered.

use std::time::Duration;

use arrow::array::RecordBatch;
use arrow_flight::{
    FlightDescriptor, FlightEndpoint, FlightInfo, Ticket, encode::FlightDataEncoderBuilder,
    sql::ProstMessageExt,
};
use futures::{StreamExt, TryStreamExt, stream};
use prost::Message;
use proto::analytics::v1::SourcePosition;
use rpc::{Call, Fields};
use tokio::time::Instant;
use tonic::{Request, Response, Status, metadata::MetadataMap};

use super::Answer;
use crate::{domain::MinPosition, grpc::read_min_position};

const KEPT_BACK_MAX: Duration = Duration::from_millis(500);
/// The header that asks for what is counted at least.
const MIN_POSITION: &str = "bramble-min-position";

/// Such as `orders=42,billing=7`.
pub(super) fn min_position(headers: &MetadataMap) -> Result<MinPosition, Status> {
    let (mut fields, mut positions) = (Fields::default(), Vec::new());
    for header in headers.get_all(MIN_POSITION) {
        let texts = header.to_str().unwrap_or("=").split(',').map(str::trim);
        for text in texts.filter(|text| !text.is_empty()) {
            let position = text.split_once('=').and_then(|(source, sequence)| {
                let sequence = sequence.trim().parse().ok()?;
                Some(SourcePosition { source: source.trim().to_owned(), sequence })
            });
            match position {
                Some(position) => positions.push(position),
                None => fields.bad(MIN_POSITION, "must be such as orders=42,billing=7"),
            }
        }
    }
    let min_position = read_min_position(&mut fields, positions);
    fields.done()?;
    Ok(min_position)
}

/// What has no turn by then is told so, for which some of its caller's time is kept back.
pub(super) fn turn_by() -> Instant {
    let now = Instant::now();
    let left = Call::current().map_or(now, |call| call.deadline()) - now;
    now + left - (left / 4).min(KEPT_BACK_MAX)
}

/// To be fetched where it was asked for.
pub(super) fn info(
    ticket: &impl ProstMessageExt,
    request: Request<FlightDescriptor>,
) -> Response<FlightInfo> {
    let ticket = Ticket::new(ticket.as_any().encode_to_vec());
    let info = FlightInfo::new()
        .with_descriptor(request.into_inner())
        .with_endpoint(FlightEndpoint::new().with_ticket(ticket));
    Response::new(info)
}

pub(super) fn table(rows: arrow_flight::error::Result<RecordBatch>) -> Answer {
    let schema = rows.as_ref().map(RecordBatch::schema).ok();
    let mut encoder = FlightDataEncoderBuilder::new();
    if let Some(schema) = schema {
        encoder = encoder.with_schema(schema);
    }
    Response::new(encoder.build(stream::once(async { rows })).map_err(Status::from).boxed())
}
