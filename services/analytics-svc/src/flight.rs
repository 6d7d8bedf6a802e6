//! SQL for people: Arrow Flight SQL, which ADBC and JDBC drivers speak.
//!
//! A statement is kept nowhere: its ticket is its text, and so is its handle when a driver prepares it, with the values bound to it. It is
//! looked at when its answer is fetched. To stop reading an answer is to end its query.
//!
//! A call may say in `bramble-min-position`, such as `orders=42,billing=7`, how far each source must be counted in what it reads: it waits for
//! that as the other calls do, or ends with `DEADLINE_EXCEEDED`. The answer's schema says under `bramble.watermark` how far they are, in JSON.
//!
//! A driver that knows only a name and a password sends the token as the password; a handshake gives it back as the bearer token.

mod call;
mod capabilities;
mod catalog;
mod prepared;
mod session;

use arrow_flight::{
    Action, FlightData, FlightDescriptor, FlightInfo, HandshakeRequest, HandshakeResponse,
    IpcMessage, Ticket,
    flight_service_server::FlightService,
    sql::{
        ActionBeginSavepointRequest, ActionBeginSavepointResult, ActionBeginTransactionRequest,
        ActionBeginTransactionResult, ActionCancelQueryRequest, ActionCancelQueryResult,
        ActionClosePreparedStatementRequest, ActionCreatePreparedStatementRequest,
        ActionCreatePreparedStatementResult, ActionEndSavepointRequest,
        ActionEndTransactionRequest, CommandGetCatalogs, CommandGetCrossReference,
        CommandGetDbSchemas, CommandGetExportedKeys, CommandGetImportedKeys, CommandGetPrimaryKeys,
        CommandGetSqlInfo, CommandGetTableTypes, CommandGetTables, CommandGetXdbcTypeInfo,
        CommandPreparedStatementQuery, CommandPreparedStatementUpdate, CommandStatementIngest,
        CommandStatementQuery, CommandStatementUpdate, DoPutPreparedStatementResult, SqlInfo,
        TicketStatementQuery,
        server::{FlightSqlService, PeekableFlightDataStream},
    },
};
use futures::{StreamExt, TryStreamExt, stream};
use prost::bytes::Bytes;
use tonic::{Request, Response, Status, Streaming, metadata::AsciiMetadataValue};

use crate::{
    AnalyticsError,
    sandbox::{Question, Sandbox},
};
use call::{info, min_position, table, turn_by};
use prepared::Prepared;

const READ_ONLY: AnalyticsError =
    AnalyticsError::SqlUnsupported("nothing can be changed here: only queries can be asked");
const NO_TRANSACTIONS: AnalyticsError =
    AnalyticsError::SqlUnsupported("there are no transactions: each query reads one version whole");
const UNKNOWN_ACTION: AnalyticsError = AnalyticsError::SqlUnsupported("there is no such action");
const NO_CANCEL: AnalyticsError =
    AnalyticsError::SqlUnsupported("a query ends when its answer is no longer read: close that");

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
        request: Request<Ticket>,
    ) -> Result<Answer, Status> {
        let sql = String::from_utf8(ticket.statement_handle.to_vec())
            .map_err(|_| AnalyticsError::SqlRefused("a query is text".to_owned()))?;
        self.ask(Prepared::new(sql), &request).await
    }

    async fn do_action_create_prepared_statement(
        &self,
        query: ActionCreatePreparedStatementRequest,
        _: Request<Action>,
    ) -> Result<ActionCreatePreparedStatementResult, Status> {
        let question =
            Question { sql: query.query.clone(), columns_only: true, ..Question::default() };
        let pieces = self.sandbox.ask(question, turn_by()).await?;
        let pieces: Vec<FlightData> = pieces.try_collect().await?;
        let schemas =
            pieces.into_iter().map(|piece| catalog::with_length(&IpcMessage(piece.data_header)));
        let schemas: Result<[Bytes; 2], _> = schemas.collect::<Vec<_>>().try_into();
        let what = || AnalyticsError::SqlWorker("it told other than two schemas".to_owned());
        let [dataset_schema, parameter_schema] = schemas.map_err(|_| what())?;
        Ok(ActionCreatePreparedStatementResult {
            prepared_statement_handle: Prepared::new(query.query).handle(),
            dataset_schema,
            parameter_schema,
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
        request: Request<Ticket>,
    ) -> Result<Answer, Status> {
        self.ask(Prepared::of(&query.prepared_statement_handle)?, &request).await
    }

    async fn do_put_prepared_statement_query(
        &self,
        query: CommandPreparedStatementQuery,
        request: Request<PeekableFlightDataStream>,
    ) -> Result<DoPutPreparedStatementResult, Status> {
        let prepared = Prepared::of(&query.prepared_statement_handle)?;
        let bound = prepared.bind(request.into_inner()).await?;
        Ok(DoPutPreparedStatementResult { prepared_statement_handle: Some(bound.handle()) })
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

    async fn get_flight_info_xdbc_type_info(
        &self,
        query: CommandGetXdbcTypeInfo,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        Ok(info(&query, request))
    }

    async fn do_get_xdbc_type_info(
        &self,
        query: CommandGetXdbcTypeInfo,
        _: Request<Ticket>,
    ) -> Result<Answer, Status> {
        Ok(table(catalog::type_info(query)))
    }

    async fn get_flight_info_primary_keys(
        &self,
        query: CommandGetPrimaryKeys,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        Ok(info(&query, request))
    }

    async fn do_get_primary_keys(
        &self,
        _: CommandGetPrimaryKeys,
        _: Request<Ticket>,
    ) -> Result<Answer, Status> {
        Ok(table(catalog::primary_keys()))
    }

    async fn get_flight_info_imported_keys(
        &self,
        query: CommandGetImportedKeys,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        Ok(info(&query, request))
    }

    async fn do_get_imported_keys(
        &self,
        _: CommandGetImportedKeys,
        _: Request<Ticket>,
    ) -> Result<Answer, Status> {
        Ok(table(catalog::foreign_keys()))
    }

    async fn get_flight_info_exported_keys(
        &self,
        query: CommandGetExportedKeys,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        Ok(info(&query, request))
    }

    async fn do_get_exported_keys(
        &self,
        _: CommandGetExportedKeys,
        _: Request<Ticket>,
    ) -> Result<Answer, Status> {
        Ok(table(catalog::foreign_keys()))
    }

    async fn get_flight_info_cross_reference(
        &self,
        query: CommandGetCrossReference,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        Ok(info(&query, request))
    }

    async fn do_get_cross_reference(
        &self,
        _: CommandGetCrossReference,
        _: Request<Ticket>,
    ) -> Result<Answer, Status> {
        Ok(table(catalog::foreign_keys()))
    }

    async fn do_put_statement_update(
        &self,
        _: CommandStatementUpdate,
        _: Request<PeekableFlightDataStream>,
    ) -> Result<i64, Status> {
        Err(READ_ONLY.into())
    }

    async fn do_put_prepared_statement_update(
        &self,
        _: CommandPreparedStatementUpdate,
        _: Request<PeekableFlightDataStream>,
    ) -> Result<i64, Status> {
        Err(READ_ONLY.into())
    }

    async fn do_put_statement_ingest(
        &self,
        _: CommandStatementIngest,
        _: Request<PeekableFlightDataStream>,
    ) -> Result<i64, Status> {
        Err(READ_ONLY.into())
    }

    async fn do_action_begin_transaction(
        &self,
        _: ActionBeginTransactionRequest,
        _: Request<Action>,
    ) -> Result<ActionBeginTransactionResult, Status> {
        Err(NO_TRANSACTIONS.into())
    }

    async fn do_action_end_transaction(
        &self,
        _: ActionEndTransactionRequest,
        _: Request<Action>,
    ) -> Result<(), Status> {
        Err(NO_TRANSACTIONS.into())
    }

    async fn do_action_begin_savepoint(
        &self,
        _: ActionBeginSavepointRequest,
        _: Request<Action>,
    ) -> Result<ActionBeginSavepointResult, Status> {
        Err(NO_TRANSACTIONS.into())
    }

    async fn do_action_end_savepoint(
        &self,
        _: ActionEndSavepointRequest,
        _: Request<Action>,
    ) -> Result<(), Status> {
        Err(NO_TRANSACTIONS.into())
    }

    async fn do_action_cancel_query(
        &self,
        _: ActionCancelQueryRequest,
        _: Request<Action>,
    ) -> Result<ActionCancelQueryResult, Status> {
        Err(NO_CANCEL.into())
    }

    async fn do_action_fallback(
        &self,
        request: Request<Action>,
    ) -> Result<Response<<Self as FlightService>::DoActionStream>, Status> {
        let action = request.into_inner();
        let body = match action.r#type.as_str() {
            "SetSessionOptions" => session::set(&action.body)?,
            "CloseSession" => session::close(),
            "CancelFlightInfo" => return Err(NO_CANCEL.into()),
            _ => return Err(UNKNOWN_ACTION.into()),
        };
        Ok(Response::new(stream::once(async { Ok(arrow_flight::Result { body }) }).boxed()))
    }

    async fn register_sql_info(&self, _: i32, _: &SqlInfo) {}
}

impl Sql {
    #[tracing::instrument(name = "analytics.sql", skip_all)]
    async fn ask(&self, asked: Prepared, request: &Request<Ticket>) -> Result<Answer, Status> {
        let (parameters, min_position) = (asked.values(), min_position(request.metadata())?);
        let question = Question { sql: asked.sql, parameters, columns_only: false, min_position };
        let pieces = self.sandbox.ask(question, turn_by()).await?;
        Ok(Response::new(pieces.map_err(Status::from).boxed()))
    }
}
