//! The tables: their names, and their columns as Parquet writes a schema. They are the contract with everybody who reads the files.
//!
//! Money is `DECIMAL(18,2)` of the deployment's currency, times are UTC in microseconds, keys are UUIDs. A table's rows are spread over files
//! by ranges of its key, which is named here: each key is in one file, and the files' ranges do not overlap, so that a file's
//! [`range`](crate::Materialized::range) tells whether it need be opened. A column is only ever added, at the end, with the table counted anew.
//!
//! Some tables are *additive*: rows of one key sum up. Most keys have one row; what has changed of late is in a file of its own, which may
//! have another row of the same key, with figures below zero too. Whoever reads them sums by key, always.

/// A table of the folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Table {
    /// As in [`Materialized::table`](crate::Materialized::table).
    pub name: &'static str,
    /// A message type of Parquet.
    pub schema: &'static str,
}

/// All of them.
pub const ALL: [Table; 11] = [
    SALES_BY_HOUR,
    STOCK_SNAPSHOT,
    AR_AGEING,
    OPEN_INVOICES,
    SET_ASIDE_EVENTS,
    TRIAL_BALANCE,
    STOCK_BY_DAY,
    ORDER_FACTS,
    SALES_BY_SKU_DAY,
    SALES_BY_SKU_MONTH,
    RECEIVABLES_BY_DAY,
];

/// When an hour of placing began (the key), with what was ordered then and not cancelled, tax included. A return leaves it as it is. Hours are
/// those of the business day: UTC hours, unless its zone is some minutes off them. An hour without orders has no row.
pub const SALES_BY_HOUR: Table = Table {
    name: "sales_by_hour",
    schema: "message sales_by_hour {
        required int64 hour (TIMESTAMP(MICROS,true));
        required int64 total_amount (DECIMAL(18,2));
        required int32 order_count;
    }",
};

/// A SKU (the key) with its levels now, and since when.
///
/// It is low on stock when what is available, `qty_on_hand` − `reserved_qty`, is `reorder_point` or less; one of which no point was ever set has
/// 0. Of a product that is `archived`, and so not sold any more, that matters only while some is on hand. `reorder_point` and `archived` change
/// without a new `snapshot_at`.
pub const STOCK_SNAPSHOT: Table = Table {
    name: "stock_snapshot",
    schema: "message stock_snapshot {
        required binary sku (STRING);
        required int32 qty_on_hand;
        required int32 reserved_qty;
        required int64 snapshot_at (TIMESTAMP(MICROS,true));
        required int32 reorder_point;
        required boolean archived;
    }",
};

/// A business day (the key): what customers owed at its end (today: now), by how late it was. `as_of` lies within the day.
pub const AR_AGEING: Table = Table {
    name: "ar_ageing",
    schema: "message ar_ageing {
        required int64 bucket_30 (DECIMAL(18,2));
        required int64 bucket_60 (DECIMAL(18,2));
        required int64 bucket_90 (DECIMAL(18,2));
        required int64 total_ar (DECIMAL(18,2));
        required int64 as_of (TIMESTAMP(MICROS,true));
        required int64 current (DECIMAL(18,2));
        required int64 bucket_over_90 (DECIMAL(18,2));
    }",
};

/// An invoice (the key) on which something is owed.
pub const OPEN_INVOICES: Table = Table {
    name: "open_invoices",
    schema: "message open_invoices {
        required fixed_len_byte_array(16) invoice_id (UUID);
        required fixed_len_byte_array(16) customer_id (UUID);
        required int32 due_date (DATE);
        required int64 residual (DECIMAL(18,2));
    }",
};

/// An event that could not be counted, and why. The key is its source and its place in that log.
pub const SET_ASIDE_EVENTS: Table = Table {
    name: "set_aside_events",
    schema: "message set_aside_events {
        required binary source (STRING);
        required int64 sequence;
        required fixed_len_byte_array(16) event_id (UUID);
        required binary event_type (STRING);
        required binary subject (STRING);
        required int64 event_time (TIMESTAMP(MICROS,true));
        required binary reason (STRING);
    }",
};

/// An account and an effective day (the key: day, account): what was posted then. The balance of a day is the sum of all days up to it.
///
/// Journals of before their event told the lines are on the account without a name, on both sides: sums tie with and without them.
pub const TRIAL_BALANCE: Table = Table {
    name: "trial_balance",
    schema: "message trial_balance {
        required binary account (STRING);
        required int32 day (DATE);
        required fixed_len_byte_array(9) debit (DECIMAL(20,2));
        required fixed_len_byte_array(9) credit (DECIMAL(20,2));
    }",
};

/// A SKU whose levels changed on a business day, as they were at the end of that day, or are now if it is today. The key: day, SKU.
///
/// A row holds until the SKU's next one, so that a day on which nothing moved costs nothing. The levels at the end of day D are
/// `select sku, arg_max(qty_on_hand, business_day), arg_max(reserved_qty, business_day) from stock_by_day where business_day <= D group by sku`.
/// On the last day of a month on which anything moved, every SKU has a row: of the days before it none need be read for a later one.
pub const STOCK_BY_DAY: Table = Table {
    name: "stock_by_day",
    schema: "message stock_by_day {
        required binary sku (STRING);
        required int32 qty_on_hand;
        required int32 reserved_qty;
        required int64 snapshot_at (TIMESTAMP(MICROS,true));
        required int32 business_day (DATE);
    }",
};

/// A line of an order that was placed. The key, and the order within a file: `placed_at`, `order_id`, `line_id`.
///
/// `amount` is net and of what is kept: (`quantity` − `cancelled_quantity`) × `unit_price`; it is 0 once the order is `cancelled`, whose
/// lines then are cancelled whole. A return leaves it as it is. `tax_rate` is null where the order did not tell it.
pub const ORDER_FACTS: Table = Table {
    name: "order_facts",
    schema: "message order_facts {
        required fixed_len_byte_array(16) order_id (UUID);
        required fixed_len_byte_array(16) line_id (UUID);
        required fixed_len_byte_array(16) customer_id (UUID);
        required binary sku (STRING);
        required int32 quantity;
        required int32 cancelled_quantity;
        required int32 shipped_quantity;
        required int32 returned_quantity;
        required int64 unit_price (DECIMAL(18,2));
        optional int32 tax_rate (DECIMAL(5,4));
        required int64 amount (DECIMAL(18,2));
        required int64 placed_at (TIMESTAMP(MICROS,true));
        required boolean cancelled;
    }",
};

/// Additive. A business day of placing and a SKU (the key: day, SKU): what was ordered then, and what became of it by now.
///
/// `quantity` is what was ordered less what was cancelled, `amount` what that costs, net; `line_count` are the lines of which something is
/// kept. They are the sums of [`ORDER_FACTS`], in which `business_day` is the day of `placed_at` where the business is.
pub const SALES_BY_SKU_DAY: Table = Table {
    name: "sales_by_sku_day",
    schema: "message sales_by_sku_day {
        required int32 business_day (DATE);
        required binary sku (STRING);
        required int64 quantity;
        required int64 shipped_quantity;
        required int64 returned_quantity;
        required int64 amount (DECIMAL(18,2));
        required int32 line_count;
    }",
};

/// Additive. The same by month of business days, which is named by its first day (the key: month, SKU).
pub const SALES_BY_SKU_MONTH: Table = Table {
    name: "sales_by_sku_month",
    schema: "message sales_by_sku_month {
        required int32 month (DATE);
        required binary sku (STRING);
        required int64 quantity;
        required int64 shipped_quantity;
        required int64 returned_quantity;
        required int64 amount (DECIMAL(18,2));
        required int32 line_count;
    }",
};

/// Additive. By how much it changed on a business day what a customer owes on invoices of a due date (the key: day, customer, due date).
///
/// What a customer owed at the end of day D is `sum(amount)` where `business_day <= D`, and how late it was follows from D − `due_date`; all
/// customers' sums are the row of [`AR_AGEING`] of that day.
pub const RECEIVABLES_BY_DAY: Table = Table {
    name: "receivables_by_day",
    schema: "message receivables_by_day {
        required int32 business_day (DATE);
        required fixed_len_byte_array(16) customer_id (UUID);
        required int32 due_date (DATE);
        required int64 amount (DECIMAL(18,2));
    }",
};
