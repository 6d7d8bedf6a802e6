//! The service over gRPC: a real server on port 0, real Parquet files and a real manifest; olap-consumer is played by the tests.
#![expect(clippy::unwrap_used, reason = "a test fails by it, helpers of tests too")]

mod app;
mod olap;
mod rows;
mod browser;
mod neighbours;

mod query_sales_by_hour;
mod get_stock_snapshot;
mod get_stock_of_day;
mod get_ar_ageing;
mod query_sales_by_period;
mod query_sales_by_sku;
mod sums_by_sku;
mod sums;
mod pruning;
mod query_ar_ageing_by_customer;
mod query_ar_ageing_of_past_days;
mod query_low_stock;
mod get_trial_balance;
mod min_position;
mod versions;
mod damage;
mod readiness;
mod dashboard;
mod process;
mod sql;
mod sql_values;
mod sql_tools;
mod sql_processes;
