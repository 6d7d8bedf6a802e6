//! The tables that people may ask with SQL, and their columns. olap-consumer writes them as [`manifest::tables`] says; what a newer one adds at
//! their ends is shown, too.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use manifest::tables;

use super::remarks;

pub(crate) const SALES_BY_HOUR: &str = tables::SALES_BY_HOUR.name;
pub(crate) const STOCK_SNAPSHOT: &str = tables::STOCK_SNAPSHOT.name;
pub(crate) const STOCK_BY_DAY: &str = tables::STOCK_BY_DAY.name;
pub(crate) const AR_AGEING: &str = tables::AR_AGEING.name;
pub(crate) const OPEN_INVOICES: &str = tables::OPEN_INVOICES.name;
pub(crate) const RECEIVABLES_BY_DAY: &str = tables::RECEIVABLES_BY_DAY.name;
pub(crate) const ORDER_FACTS: &str = tables::ORDER_FACTS.name;
pub(crate) const SALES_BY_SKU_DAY: &str = tables::SALES_BY_SKU_DAY.name;
pub(crate) const SALES_BY_SKU_MONTH: &str = tables::SALES_BY_SKU_MONTH.name;
pub(crate) const TRIAL_BALANCE: &str = tables::TRIAL_BALANCE.name;
/// How far each source is counted in all of them. It is in no file.
pub(crate) const WATERMARK: &str = "watermark";

/// Those of the contract but for what olap-consumer keeps for its operators, and the watermark.
pub(crate) static TABLES: LazyLock<Vec<Table>> = LazyLock::new(|| {
    let shown = tables::ALL.into_iter().filter(|table| *table != tables::SET_ASIDE_EVENTS);
    let watermark = Table {
        name: WATERMARK,
        columns: vec![
            ("source", Kind::Text),
            ("sequence", Kind::Long),
            ("event_time", Kind::Time),
            ("written_at", Kind::Time),
            ("version", Kind::Long),
        ],
    };
    shown.map(Table::of).chain([watermark]).collect()
});

/// Where Flight SQL has a remark on a column.
const REMARKS: &str = "ARROW:FLIGHT:SQL:REMARKS";

pub(crate) struct Table {
    pub(crate) name: &'static str,
    columns: Vec<(&'static str, Kind)>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Text,
    Int,
    Long,
    Decimal(u8, i8),
    Time,
    Day,
    Id,
    Flag,
}

impl Table {
    fn of(table: tables::Table) -> Self {
        let columns = table.schema.lines().filter_map(|line| column(line.trim()));
        Self { name: table.name, columns: columns.collect() }
    }

    /// A query that gives the columns and no row.
    pub(crate) fn empty(&self) -> String {
        let columns =
            self.columns.iter().map(|(name, kind)| format!(r#"null::{} as "{name}""#, kind.sql()));
        format!("select {} where false", columns.collect::<Vec<_>>().join(", "))
    }

    /// Of which type an answer has a column.
    pub(crate) fn kind(&self, column: &str, time_zone: &str) -> Option<DataType> {
        let named = |(name, _): &&(&str, Kind)| name.eq_ignore_ascii_case(column);
        self.columns.iter().find(named).map(|(_, kind)| kind.arrow(time_zone))
    }

    /// As an answer has them, each with a remark for people.
    pub(crate) fn schema(&self, time_zone: &str) -> Schema {
        let field = |(name, kind): &(&str, Kind)| {
            let remark = remarks::of(self.name, name);
            let remark = remark.map(|remark| (REMARKS.to_owned(), remark.to_owned()));
            Field::new(*name, kind.arrow(time_zone), true)
                .with_metadata(remark.into_iter().collect())
        };
        Schema::new(self.columns.iter().map(field).collect::<Vec<_>>())
    }
}

/// Of a line such as `required int64 hour (TIMESTAMP(MICROS,true));`.
fn column(line: &'static str) -> Option<(&'static str, Kind)> {
    let line = line.strip_prefix("required ").or_else(|| line.strip_prefix("optional "))?;
    let (stored, named) = line.trim_end_matches(';').split_once(' ')?;
    let (name, meant) = named.split_once(' ').unwrap_or((named, ""));
    let kind = match (stored, meant) {
        ("int32", "") => Kind::Int,
        ("int64", "") => Kind::Long,
        ("boolean", "") => Kind::Flag,
        (_, "(STRING)") => Kind::Text,
        (_, "(UUID)") => Kind::Id,
        (_, "(DATE)") => Kind::Day,
        (_, "(TIMESTAMP(MICROS,true))") => Kind::Time,
        (_, meant) => {
            let digits = meant.strip_prefix("(DECIMAL(")?.strip_suffix("))")?;
            let (precision, scale) = digits.split_once(',')?;
            Kind::Decimal(precision.parse().ok()?, scale.parse().ok()?)
        }
    };
    Some((name, kind))
}

impl Kind {
    fn sql(self) -> String {
        match self {
            Self::Text => "varchar".to_owned(),
            Self::Int => "integer".to_owned(),
            Self::Long => "bigint".to_owned(),
            Self::Decimal(precision, scale) => format!("decimal({precision}, {scale})"),
            Self::Time => "timestamptz".to_owned(),
            Self::Day => "date".to_owned(),
            Self::Id => "uuid".to_owned(),
            Self::Flag => "boolean".to_owned(),
        }
    }

    fn arrow(self, time_zone: &str) -> DataType {
        match self {
            Self::Text | Self::Id => DataType::Utf8,
            Self::Int => DataType::Int32,
            Self::Long => DataType::Int64,
            Self::Decimal(precision, scale) => DataType::Decimal128(precision, scale),
            Self::Time => DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::from(time_zone))),
            Self::Day => DataType::Date32,
            Self::Flag => DataType::Boolean,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_of_the_contract_is_understood() {
        for table in tables::ALL {
            // The first line and the last are the message's.
            let columns = table.schema.lines().count() - 2;
            assert_eq!(Table::of(table).columns.len(), columns, "{}", table.name);
        }
        let facts = Table::of(tables::ORDER_FACTS).columns;
        assert_eq!(facts[3], ("sku", Kind::Text));
        assert_eq!(facts[9], ("tax_rate", Kind::Decimal(5, 4)));
        assert_eq!(facts[12], ("cancelled", Kind::Flag));
    }
}
