//! What tools ask before a person asks anything: which tables there are, with which columns, and what this server can do.

use std::sync::LazyLock;

use arrow::array::RecordBatch;
use arrow_flight::{
    IpcMessage,
    error::{FlightError, Result},
    sql::{
        CommandGetCatalogs, CommandGetDbSchemas, CommandGetSqlInfo, CommandGetTableTypes,
        CommandGetTables, SqlInfo,
        metadata::{SqlInfoData, SqlInfoDataBuilder},
    },
};
use prost::bytes::Bytes;

use crate::domain::TABLES;

/// The names that DuckDB gives what is in memory.
const CATALOG: &str = "memory";
const SCHEMA: &str = "main";
const TABLE_TYPE: &str = "VIEW";

static SQL_INFO: LazyLock<Result<SqlInfoData>> = LazyLock::new(|| {
    let mut info = SqlInfoDataBuilder::new();
    info.append(SqlInfo::FlightSqlServerName, "Bramble analytics");
    info.append(SqlInfo::FlightSqlServerVersion, env!("CARGO_PKG_VERSION"));
    info.append(SqlInfo::FlightSqlServerArrowVersion, "1.5");
    info.append(SqlInfo::FlightSqlServerReadOnly, true);
    info.append(SqlInfo::FlightSqlServerSql, true);
    info.append(SqlInfo::FlightSqlServerSubstrait, false);
    info.append(SqlInfo::FlightSqlServerTransaction, 0i32);
    info.append(SqlInfo::SqlIdentifierQuoteChar, "\"");
    info.build()
});

pub(super) fn catalogs(query: CommandGetCatalogs) -> Result<RecordBatch> {
    let mut catalogs = query.into_builder();
    catalogs.append(CATALOG);
    catalogs.build()
}

pub(super) fn schemas(query: CommandGetDbSchemas) -> Result<RecordBatch> {
    let mut schemas = query.into_builder();
    schemas.append(CATALOG, SCHEMA);
    schemas.build()
}

pub(super) fn tables(query: CommandGetTables, time_zone: &str) -> Result<RecordBatch> {
    let mut tables = query.into_builder();
    for table in TABLES.iter() {
        tables.append(CATALOG, SCHEMA, table.name, TABLE_TYPE, &table.schema(time_zone))?;
    }
    tables.build()
}

pub(super) fn table_types(query: CommandGetTableTypes) -> Result<RecordBatch> {
    let mut types = query.into_builder();
    types.append(TABLE_TYPE);
    types.build()
}

pub(super) fn sql_info(query: CommandGetSqlInfo) -> Result<RecordBatch> {
    match &*SQL_INFO {
        Ok(info) => query.into_builder(info).build(),
        Err(error) => Err(FlightError::ProtocolError(error.to_string())),
    }
}

/// A message as it stands alone: behind a mark and its length, and filled up to a multiple of eight.
pub(super) fn with_length(message: &IpcMessage) -> Bytes {
    let length = message.0.len().next_multiple_of(8);
    let mut bytes = vec![0xff; 4];
    bytes.extend(u32::try_from(length).unwrap_or_default().to_le_bytes());
    bytes.extend_from_slice(&message.0);
    bytes.resize(8 + length, 0);
    bytes.into()
}
