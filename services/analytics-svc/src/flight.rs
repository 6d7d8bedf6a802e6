//! SQL for people: Arrow Flight SQL, which ADBC and JDBC drivers speak.
//!
//! A statement is kept nowhere: its ticket, and its handle when a driver prepares it, is its text. It is looked at when its answer is fetched.
//! A driver that knows only a name and a password sends the token as the password; a handshake gives it back as the bearer token.

mod catalog;

use std::time::Duration;

use arrow::array::RecordBatch;
use arrow_flight::{
    Action, FlightData, FlightDescriptor, FlightEndpoint, FlightInfo, HandshakeRequest,
    HandshakeResponse, IpcMessage, Ticket,
    encode::FlightDataEncoderBuilder,
    flight_service_server::FlightService,
    sql::{
        ActionClosePreparedStatementRequest, ActionCreatePreparedStatementRequest,
        ActionCreatePreparedStatementResult, CommandGetCatalogs, CommandGetDbSchemas,
        CommandGetSqlInfo, CommandGetTableTypes, CommandGetTables, CommandPreparedStatementQuery,
        CommandStatementQuery, DoPutPreparedStatementResult, ProstMessageExt, SqlInfo,
        TicketStatementQuery,
        server::{FlightSqlService, PeekableFlightDataStream},
    },
};
use futures::{StreamExt, TryStreamExt, stream};
use prost::{Message, bytes::Bytes};
use rpc::Call;
use tokio::time::Instant;
use tonic::{Request, Response, Status, Streaming, metadata::AsciiMetadataValue};

use crate::{AnalyticsError, sandbox::Sandbox};

const KEPT_BACK_MAX: Duration = Duration::from_millis(500);

#[derive(Clone)]
pub(crate) struct Sql {
    pub(crate) sandbox: Sandbox,
}

type Answer = Response<<Sql as FlightService>::DoGetStream>;

#[tonic::async_trait]
impl FlightSqlService for Sql {
    type FlightService = Self;

    async fn do_handshake(
        &self,
        request: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<<Self as FlightService>::HandshakeStream>, Status> {
        let token = rpc::token(&request.metadata().clone().into_headers());
        let mut answer =
            Response::new(stream::once(async { Ok(HandshakeResponse::default()) }).boxed());
        if let Some(token) = token {
            let bearer: Result<AsciiMetadataValue, _> = format!("Bearer {token}").parse();
            let bearer =
                bearer.map_err(|_| Status::invalid_argument("the token is no plain text"))?;
            answer.metadata_mut().insert("authorization", bearer);
        }
        Ok(answer)
    }

    async fn get_flight_info_statement(
        &self,
        query: CommandStatementQuery,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        let ticket = TicketStatementQuery { statement_handle: query.query.into_bytes().into() };
        Ok(info(&ticket, request))
    }

    async fn do_get_statement(
        &self,
        ticket: TicketStatementQuery,
        _: Request<Ticket>,
    ) -> Result<Answer, Status> {
        self.ask(ticket.statement_handle).await
    }

    async fn do_action_create_prepared_statement(
        &self,
        query: ActionCreatePreparedStatementRequest,
        _: Request<Action>,
    ) -> Result<ActionCreatePreparedStatementResult, Status> {
        let pieces = self.sandbox.ask(query.query.clone(), true, turn_by()).await?;
        let pieces: Vec<FlightData> = pieces.try_collect().await?;
        let columns = pieces.into_iter().next();
        let columns = columns.ok_or(Status::internal("internal error"))?.data_header;
        Ok(ActionCreatePreparedStatementResult {
            prepared_statement_handle: query.query.into_bytes().into(),
            dataset_schema: catalog::with_length(&IpcMessage(columns)),
            parameter_schema: Bytes::new(),
        })
    }

    async fn do_action_close_prepared_statement(
        &self,
        _: ActionClosePreparedStatementRequest,
        _: Request<Action>,
    ) -> Result<(), Status> {
        Ok(())
    }

    async fn get_flight_info_prepared_statement(
        &self,
        query: CommandPreparedStatementQuery,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        Ok(info(&query, request))
    }

    async fn do_get_prepared_statement(
        &self,
        query: CommandPreparedStatementQuery,
        _: Request<Ticket>,
    ) -> Result<Answer, Status> {
        self.ask(query.prepared_statement_handle).await
    }

    async fn do_put_prepared_statement_query(
        &self,
        _: CommandPreparedStatementQuery,
        _: Request<PeekableFlightDataStream>,
    ) -> Result<DoPutPreparedStatementResult, Status> {
        let why = "a query takes no parameters: write the values into it".to_owned();
        Err(AnalyticsError::SqlRefused(why).into())
    }

    async fn get_flight_info_catalogs(
        &self,
        query: CommandGetCatalogs,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        Ok(info(&query, request))
    }

    async fn do_get_catalogs(
        &self,
        query: CommandGetCatalogs,
        _: Request<Ticket>,
    ) -> Result<Answer, Status> {
        Ok(table(catalog::catalogs(query)))
    }

    async fn get_flight_info_schemas(
        &self,
        query: CommandGetDbSchemas,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        Ok(info(&query, request))
    }

    async fn do_get_schemas(
        &self,
        query: CommandGetDbSchemas,
        _: Request<Ticket>,
    ) -> Result<Answer, Status> {
        Ok(table(catalog::schemas(query)))
    }

    async fn get_flight_info_tables(
        &self,
        query: CommandGetTables,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        Ok(info(&query, request))
    }

    async fn do_get_tables(
        &self,
        query: CommandGetTables,
        _: Request<Ticket>,
    ) -> Result<Answer, Status> {
        Ok(table(catalog::tables(query, self.sandbox.time_zone())))
    }

    async fn get_flight_info_table_types(
        &self,
        query: CommandGetTableTypes,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        Ok(info(&query, request))
    }

    async fn do_get_table_types(
        &self,
        query: CommandGetTableTypes,
        _: Request<Ticket>,
    ) -> Result<Answer, Status> {
        Ok(table(catalog::table_types(query)))
    }

    async fn get_flight_info_sql_info(
        &self,
        query: CommandGetSqlInfo,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        Ok(info(&query, request))
    }

    async fn do_get_sql_info(
        &self,
        query: CommandGetSqlInfo,
        _: Request<Ticket>,
    ) -> Result<Answer, Status> {
        Ok(table(catalog::sql_info(query)))
    }

    async fn register_sql_info(&self, _: i32, _: &SqlInfo) {}
}

impl Sql {
    #[tracing::instrument(name = "analytics.sql", skip_all)]
    async fn ask(&self, sql: Bytes) -> Result<Answer, Status> {
        let sql = String::from_utf8(sql.to_vec())
            .map_err(|_| AnalyticsError::SqlRefused("a query is text".to_owned()))?;
        let pieces = self.sandbox.ask(sql, false, turn_by()).await?;
        Ok(Response::new(pieces.map_err(Status::from).boxed()))
    }
}

/// What has no turn by then is told so, for which some of its caller's time is kept back.
fn turn_by() -> Instant {
    let now = Instant::now();
    let left = Call::current().map_or(now, |call| call.deadline()) - now;
    now + left - (left / 4).min(KEPT_BACK_MAX)
}

/// To be fetched where it was asked for.
fn info(ticket: &impl ProstMessageExt, request: Request<FlightDescriptor>) -> Response<FlightInfo> {
    let ticket = Ticket::new(ticket.as_any().encode_to_vec());
    let info = FlightInfo::new()
        .with_descriptor(request.into_inner())
        .with_endpoint(FlightEndpoint::new().with_ticket(ticket));
    Response::new(info)
}

fn table(rows: arrow_flight::error::Result<RecordBatch>) -> Answer {
    let schema = rows.as_ref().map(RecordBatch::schema).ok();
    let mut encoder = FlightDataEncoderBuilder::new();
    if let Some(schema) = schema {
        encoder = encoder.with_schema(schema);
    }
    Response::new(encoder.build(stream::once(async { rows })).map_err(Status::from).boxed())
}
