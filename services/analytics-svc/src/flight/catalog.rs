//! What tools ask before a person asks anything: which tables there are, with which columns, and what this server can do.

use std::sync::{Arc, LazyLock};

use arrow::{
    array::RecordBatch,
    datatypes::{DataType, Field, Schema, SchemaRef},
};
use arrow_flight::{
    IpcMessage,
    error::Result,
    sql::{
        CommandGetCatalogs, CommandGetDbSchemas, CommandGetSqlInfo, CommandGetTableTypes,
        CommandGetTables, CommandGetXdbcTypeInfo,
    },
};
use prost::bytes::Bytes;

use super::capabilities;
use crate::domain::TABLES;

/// The names that DuckDB gives what is in memory.
pub(super) const CATALOG: &str = "memory";
pub(super) const SCHEMA: &str = "main";
const TABLE_TYPE: &str = "VIEW";

static PRIMARY_KEYS: LazyLock<SchemaRef> = LazyLock::new(|| {
    columns(&[
        ("catalog_name", DataType::Utf8, true),
        ("db_schema_name", DataType::Utf8, true),
        ("table_name", DataType::Utf8, false),
        ("column_name", DataType::Utf8, false),
        ("key_name", DataType::Utf8, true),
        ("key_sequence", DataType::Int32, false),
    ])
});
static FOREIGN_KEYS: LazyLock<SchemaRef> = LazyLock::new(|| {
    columns(&[
        ("pk_catalog_name", DataType::Utf8, true),
        ("pk_db_schema_name", DataType::Utf8, true),
        ("pk_table_name", DataType::Utf8, false),
        ("pk_column_name", DataType::Utf8, false),
        ("fk_catalog_name", DataType::Utf8, true),
        ("fk_db_schema_name", DataType::Utf8, true),
        ("fk_table_name", DataType::Utf8, false),
        ("fk_column_name", DataType::Utf8, false),
        ("key_sequence", DataType::Int32, false),
        ("fk_key_name", DataType::Utf8, true),
        ("pk_key_name", DataType::Utf8, true),
        ("update_rule", DataType::UInt8, false),
        ("delete_rule", DataType::UInt8, false),
    ])
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
    query.into_builder(capabilities::sql_info()?).build()
}

pub(super) fn type_info(query: CommandGetXdbcTypeInfo) -> Result<RecordBatch> {
    query.into_builder(capabilities::type_info()?).build()
}

/// No table has any: rows of one key may be several that add up.
pub(super) fn primary_keys() -> Result<RecordBatch> {
    Ok(RecordBatch::new_empty(Arc::clone(&PRIMARY_KEYS)))
}

/// None either, from whichever end they are looked for.
pub(super) fn foreign_keys() -> Result<RecordBatch> {
    Ok(RecordBatch::new_empty(Arc::clone(&FOREIGN_KEYS)))
}

/// Columns as the protocol names them: those that must be there, and those that may.
fn columns(of: &[(&str, DataType, bool)]) -> SchemaRef {
    let field = |(name, kind, nullable): &(&str, DataType, bool)| {
        Field::new(*name, kind.clone(), *nullable)
    };
    Arc::new(Schema::new(of.iter().map(field).collect::<Vec<_>>()))
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
