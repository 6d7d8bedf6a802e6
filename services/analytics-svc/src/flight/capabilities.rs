//! What this server can do, in the protocol's own words. Tools take what is missing for an error, so that all of it is said.

use std::{collections::HashMap, sync::LazyLock};

use arrow_flight::{
    error::{FlightError, Result},
    sql::{
        Nullable, Searchable, SqlInfo, SqlNullOrdering, SqlOuterJoinsSupportLevel,
        SqlSupportedCaseSensitivity, SqlSupportedGroupBy, SqlSupportedResultSetConcurrency,
        SqlSupportedResultSetType, SqlSupportedSubqueries, SqlSupportedTransaction,
        SqlSupportedUnions, SqlTransactionIsolationLevel, SupportedSqlGrammar, XdbcDataType,
        XdbcDatetimeSubcode,
        metadata::{
            SqlInfoData, SqlInfoDataBuilder, XdbcTypeInfo, XdbcTypeInfoData,
            XdbcTypeInfoDataBuilder,
        },
    },
};

use crate::sandbox::SQL_MAX_BYTES;

/// The protocol's level of that name, which the library has not.
const ANSI92_ENTRY_SQL: i32 = 0;

static INFO: LazyLock<Result<SqlInfoData>> = LazyLock::new(info);
static TYPES: LazyLock<Result<XdbcTypeInfoData>> = LazyLock::new(types);

pub(super) fn sql_info() -> Result<&'static SqlInfoData> {
    INFO.as_ref().map_err(|error| FlightError::ProtocolError(error.to_string()))
}

pub(super) fn type_info() -> Result<&'static XdbcTypeInfoData> {
    TYPES.as_ref().map_err(|error| FlightError::ProtocolError(error.to_string()))
}

fn info() -> Result<SqlInfoData> {
    use SqlInfo as I;
    let mut info = SqlInfoDataBuilder::new();
    for (name, text) in [
        (I::FlightSqlServerName, "Bramble analytics"),
        (I::FlightSqlServerVersion, env!("CARGO_PKG_VERSION")),
        (I::FlightSqlServerArrowVersion, "1.5"),
        (I::SqlIdentifierQuoteChar, "\""),
        (I::SqlSearchStringEscape, "\\"),
        (I::SqlExtraNameCharacters, ""),
        (I::SqlSchemaTerm, "schema"),
        (I::SqlProcedureTerm, "procedure"),
        (I::SqlCatalogTerm, "catalog"),
    ] {
        info.append(name, text);
    }
    for can in [
        I::FlightSqlServerReadOnly,
        I::FlightSqlServerSql,
        I::SqlAllTablesAreSelectable,
        I::SqlSupportsColumnAliasing,
        I::SqlNullPlusNullIsNull,
        I::SqlSupportsTableCorrelationNames,
        I::SqlSupportsExpressionsInOrderBy,
        I::SqlSupportsOrderByUnrelated,
        I::SqlSupportsLikeEscapeClause,
        I::SqlCatalogAtStart,
        I::SqlCorrelatedSubqueriesSupported,
        I::SqlNamedParametersSupported,
    ] {
        info.append(can, true);
    }
    for cannot in [
        I::FlightSqlServerSubstrait,
        I::FlightSqlServerCancel,
        I::FlightSqlServerBulkIngestion,
        I::FlightSqlServerIngestTransactionsSupported,
        I::SqlDdlCatalog,
        I::SqlDdlSchema,
        I::SqlDdlTable,
        I::SqlSupportsDifferentTableCorrelationNames,
        I::SqlSupportsNonNullableColumns,
        I::SqlSupportsIntegrityEnhancementFacility,
        I::SqlSelectForUpdateSupported,
        I::SqlStoredProceduresSupported,
        I::SqlMaxRowSizeIncludesBlobs,
        I::SqlTransactionsSupported,
        I::SqlDataDefinitionCausesTransactionCommit,
        I::SqlDataDefinitionsInTransactionsIgnored,
        I::SqlBatchUpdatesSupported,
        I::SqlSavepointsSupported,
        I::SqlLocatorsUpdateCopy,
        I::SqlStoredFunctionsUsingCallSyntaxSupported,
    ] {
        info.append(cannot, false);
    }
    for none in [
        I::SqlKeywords,
        I::SqlNumericFunctions,
        I::SqlStringFunctions,
        I::SqlSystemFunctions,
        I::SqlDatetimeFunctions,
    ] {
        info.append(none, Vec::<String>::new());
    }
    // Zero is no limit, or one that nobody knows.
    for unlimited in [
        I::SqlMaxBinaryLiteralLength,
        I::SqlMaxCharLiteralLength,
        I::SqlMaxColumnNameLength,
        I::SqlMaxColumnsInGroupBy,
        I::SqlMaxColumnsInIndex,
        I::SqlMaxColumnsInOrderBy,
        I::SqlMaxColumnsInSelect,
        I::SqlMaxColumnsInTable,
        I::SqlMaxConnections,
        I::SqlMaxCursorNameLength,
        I::SqlMaxIndexLength,
        I::SqlDbSchemaNameLength,
        I::SqlMaxProcedureNameLength,
        I::SqlMaxCatalogNameLength,
        I::SqlMaxRowSize,
        I::SqlMaxStatements,
        I::SqlMaxTableNameLength,
        I::SqlMaxTablesInSelect,
        I::SqlMaxUsernameLength,
    ] {
        info.append(unlimited, 0i64);
    }
    info.append(I::SqlMaxStatementLength, i64::try_from(SQL_MAX_BYTES).unwrap_or_default());
    let none = SqlTransactionIsolationLevel::SqlTransactionNone;
    info.append(I::SqlDefaultTransactionIsolation, i64::from(i32::from(none)));
    let insensitive = SqlSupportedCaseSensitivity::SqlCaseSensitivityCaseInsensitive;
    for (name, what) in [
        (I::FlightSqlServerTransaction, SqlSupportedTransaction::None.into()),
        (I::SqlIdentifierCase, insensitive.into()),
        (I::SqlQuotedIdentifierCase, insensitive.into()),
        (I::SqlNullOrdering, SqlNullOrdering::SqlNullsSortedAtEnd.into()),
        (
            I::SqlSupportedGroupBy,
            bits([
                SqlSupportedGroupBy::SqlGroupByUnrelated,
                SqlSupportedGroupBy::SqlGroupByBeyondSelect,
            ]),
        ),
        (
            I::SqlSupportedGrammar,
            bits([SupportedSqlGrammar::SqlMinimumGrammar, SupportedSqlGrammar::SqlCoreGrammar]),
        ),
        (I::SqlAnsi92SupportedLevel, bits([ANSI92_ENTRY_SQL])),
        (
            I::SqlOuterJoinsSupportLevel,
            bits([
                SqlOuterJoinsSupportLevel::SqlFullOuterJoins,
                SqlOuterJoinsSupportLevel::SqlLimitedOuterJoins,
            ]),
        ),
        (
            I::SqlSupportedSubqueries,
            bits([
                SqlSupportedSubqueries::SqlSubqueriesInComparisons,
                SqlSupportedSubqueries::SqlSubqueriesInExists,
                SqlSupportedSubqueries::SqlSubqueriesInIns,
                SqlSupportedSubqueries::SqlSubqueriesInQuantifieds,
            ]),
        ),
        (
            I::SqlSupportedUnions,
            bits([SqlSupportedUnions::SqlUnion, SqlSupportedUnions::SqlUnionAll]),
        ),
        (I::SqlSupportedTransactionsIsolationLevels, bits([none])),
        (
            I::SqlSupportedResultSetTypes,
            bits([SqlSupportedResultSetType::SqlResultSetTypeForwardOnly]),
        ),
        (
            I::SqlSupportedConcurrenciesForResultSetForwardOnly,
            bits([SqlSupportedResultSetConcurrency::SqlResultSetConcurrencyReadOnly]),
        ),
        (I::SqlSupportedConcurrenciesForResultSetScrollSensitive, 0),
        (I::SqlSupportedConcurrenciesForResultSetScrollInsensitive, 0),
        (I::SqlSupportedConcurrenciesForResultSetUnspecified, 0),
        (I::SqlSchemasSupportedActions, 0),
        (I::SqlCatalogsSupportedActions, 0),
        (I::SqlSupportedPositionedCommands, 0),
    ] {
        info.append(name, what);
    }
    info.append(I::SqlSupportsConvert, HashMap::<i32, Vec<i32>>::new());
    info.build()
}

/// A set, with a bit for each.
fn bits<T: Into<i32>>(of: impl IntoIterator<Item = T>) -> i32 {
    of.into_iter().fold(0, |bits, one| bits | 1 << one.into())
}

/// Those that columns of the tables have, and what is counted from them.
fn types() -> Result<XdbcTypeInfoData> {
    use XdbcDataType as T;
    let mut types = XdbcTypeInfoDataBuilder::new();
    let day = Some(XdbcDatetimeSubcode::XdbcSubcodeYear); // DATE has the same number.
    let time = Some(XdbcDatetimeSubcode::XdbcSubcodeTimestamp);
    let instant = Some(XdbcDatetimeSubcode::XdbcSubcodeTimestampWithTimezone);
    for (name, kind, size, time) in [
        ("BOOLEAN", T::XdbcBit, 1, None),
        ("INTEGER", T::XdbcInteger, 10, None),
        ("BIGINT", T::XdbcBigint, 19, None),
        ("DECIMAL", T::XdbcDecimal, 38, None),
        ("DOUBLE", T::XdbcDouble, 15, None),
        ("VARCHAR", T::XdbcVarchar, i32::MAX, None),
        ("UUID", T::XdbcVarchar, 36, None),
        ("DATE", T::XdbcDate, 10, day),
        ("TIMESTAMP", T::XdbcTimestamp, 26, time),
        ("TIMESTAMP WITH TIME ZONE", T::XdbcTimestamp, 32, instant),
    ] {
        let number =
            matches!(kind, T::XdbcInteger | T::XdbcBigint | T::XdbcDecimal | T::XdbcDouble);
        let quoted = kind == T::XdbcVarchar || time.is_some();
        let scale = (kind == T::XdbcDecimal).then_some(38);
        types.append(XdbcTypeInfo {
            type_name: name.to_owned(),
            data_type: kind,
            column_size: Some(size),
            literal_prefix: quoted.then(|| "'".to_owned()),
            literal_suffix: quoted.then(|| "'".to_owned()),
            create_params: scale.map(|_| vec!["precision".to_owned(), "scale".to_owned()]),
            nullable: Nullable::NullabilityNullable,
            case_sensitive: kind == T::XdbcVarchar,
            searchable: Searchable::Full,
            unsigned_attribute: number.then_some(false),
            fixed_prec_scale: false,
            auto_increment: number.then_some(false),
            local_type_name: Some(name.to_owned()),
            minimum_scale: scale.map(|_| 0),
            maximum_scale: scale,
            sql_data_type: if time.is_some() { T::XdbcDatetime } else { kind },
            datetime_subcode: time,
            num_prec_radix: number.then_some(10),
            interval_precision: None,
        });
    }
    types.build()
}
