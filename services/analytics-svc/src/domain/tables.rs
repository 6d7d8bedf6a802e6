//! The tables that people may ask with SQL, and their columns. olap-consumer writes them; a newer one may add columns at their ends, which
//! are shown, too.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, TimeUnit};

pub(crate) const SALES_BY_HOUR: &str = "sales_by_hour";
pub(crate) const STOCK_SNAPSHOT: &str = "stock_snapshot";
pub(crate) const STOCK_BY_DAY: &str = "stock_by_day";
pub(crate) const AR_AGEING: &str = "ar_ageing";
pub(crate) const OPEN_INVOICES: &str = "open_invoices";
pub(crate) const ORDER_FACTS: &str = "order_facts";
pub(crate) const TRIAL_BALANCE: &str = "trial_balance";
/// How far each source is counted in all of them. It is in no file.
pub(crate) const WATERMARK: &str = "watermark";

pub(crate) struct Table {
    pub(crate) name: &'static str,
    columns: &'static [(&'static str, Kind)],
}

#[derive(Clone, Copy)]
enum Kind {
    Text,
    Int,
    Long,
    Amount,
    /// Sums of amounts.
    Sum,
    Rate,
    Time,
    Day,
    Id,
    Flag,
}

pub(crate) const TABLES: [Table; 8] = [
    Table {
        name: SALES_BY_HOUR,
        columns: &[
            ("hour", Kind::Time),
            ("total_amount", Kind::Amount),
            ("order_count", Kind::Int),
        ],
    },
    Table {
        name: STOCK_SNAPSHOT,
        columns: &[
            ("sku", Kind::Text),
            ("qty_on_hand", Kind::Int),
            ("reserved_qty", Kind::Int),
            ("snapshot_at", Kind::Time),
        ],
    },
    Table {
        name: STOCK_BY_DAY,
        columns: &[
            ("sku", Kind::Text),
            ("qty_on_hand", Kind::Int),
            ("reserved_qty", Kind::Int),
            ("snapshot_at", Kind::Time),
            ("business_day", Kind::Day),
        ],
    },
    Table {
        name: AR_AGEING,
        columns: &[
            ("bucket_30", Kind::Amount),
            ("bucket_60", Kind::Amount),
            ("bucket_90", Kind::Amount),
            ("total_ar", Kind::Amount),
            ("as_of", Kind::Time),
            ("current", Kind::Amount),
            ("bucket_over_90", Kind::Amount),
        ],
    },
    Table {
        name: OPEN_INVOICES,
        columns: &[
            ("invoice_id", Kind::Id),
            ("customer_id", Kind::Id),
            ("due_date", Kind::Day),
            ("residual", Kind::Amount),
        ],
    },
    Table {
        name: ORDER_FACTS,
        columns: &[
            ("order_id", Kind::Id),
            ("line_id", Kind::Id),
            ("customer_id", Kind::Id),
            ("sku", Kind::Text),
            ("quantity", Kind::Int),
            ("cancelled_quantity", Kind::Int),
            ("shipped_quantity", Kind::Int),
            ("returned_quantity", Kind::Int),
            ("unit_price", Kind::Amount),
            ("tax_rate", Kind::Rate),
            ("amount", Kind::Amount),
            ("placed_at", Kind::Time),
            ("cancelled", Kind::Flag),
        ],
    },
    Table {
        name: TRIAL_BALANCE,
        columns: &[
            ("account", Kind::Text),
            ("day", Kind::Day),
            ("debit", Kind::Sum),
            ("credit", Kind::Sum),
        ],
    },
    Table {
        name: WATERMARK,
        columns: &[
            ("source", Kind::Text),
            ("sequence", Kind::Long),
            ("event_time", Kind::Time),
            ("written_at", Kind::Time),
            ("version", Kind::Long),
        ],
    },
];

impl Table {
    /// A query that gives the columns and no row.
    pub(crate) fn empty(&self) -> String {
        let columns =
            self.columns.iter().map(|(name, kind)| format!(r#"null::{} as "{name}""#, kind.sql()));
        format!("select {} where false", columns.collect::<Vec<_>>().join(", "))
    }

    /// As an answer has them.
    pub(crate) fn schema(&self, time_zone: &str) -> Schema {
        let fields =
            self.columns.iter().map(|(name, kind)| Field::new(*name, kind.arrow(time_zone), true));
        Schema::new(fields.collect::<Vec<_>>())
    }
}

impl Kind {
    fn sql(self) -> &'static str {
        match self {
            Self::Text => "varchar",
            Self::Int => "integer",
            Self::Long => "bigint",
            Self::Amount => "decimal(18, 2)",
            Self::Sum => "decimal(20, 2)",
            Self::Rate => "decimal(5, 4)",
            Self::Time => "timestamptz",
            Self::Day => "date",
            Self::Id => "uuid",
            Self::Flag => "boolean",
        }
    }

    fn arrow(self, time_zone: &str) -> DataType {
        match self {
            Self::Text | Self::Id => DataType::Utf8,
            Self::Int => DataType::Int32,
            Self::Long => DataType::Int64,
            Self::Amount => DataType::Decimal128(18, 2),
            Self::Sum => DataType::Decimal128(20, 2),
            Self::Rate => DataType::Decimal128(5, 4),
            Self::Time => DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::from(time_zone))),
            Self::Day => DataType::Date32,
            Self::Flag => DataType::Boolean,
        }
    }
}
