//! `bramble export`: reports as files that other programs read.
//!
//! Each is a query in SQL to analytics-svc, whose answer comes in pieces and goes into the file as it comes: a report of any size needs little
//! memory. A file is there whole or not at all.

mod file;

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, anyhow};
use arrow_flight::{
    FlightDescriptor,
    decode::FlightRecordBatchStream,
    error::FlightError,
    flight_service_client::FlightServiceClient,
    sql::{CommandStatementQuery, ProstMessageExt},
};
use chrono::NaiveDate;
use clap::{Args, Subcommand, ValueEnum};
use futures::{StreamExt, TryStreamExt};
use prost::Message;
use tonic::Request;

use crate::report::{Fleet, Freshness, in_order, refusal};
use file::{Format, Table};

/// An answer may take as long as this to begin.
const PATIENCE: Duration = Duration::from_secs(60);
/// One value may be large.
const PIECE_MAX_BYTES: usize = 32 << 20;

/// Write sales, stock, what customers owe, or the books to a file.
#[derive(Debug, Args)]
pub(crate) struct Export {
    #[command(subcommand)]
    what: What,
    /// What is written; without it, what the file's name ends in.
    #[arg(long, global = true, value_enum)]
    format: Option<Format>,
    /// The file. One that is there is replaced.
    #[arg(long, short, global = true)]
    out: Option<PathBuf>,
    #[command(flatten)]
    freshness: Freshness,
    #[command(flatten)]
    fleet: Fleet,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Sales by hour, or by something else: with tax, but for those by SKU.
    Sales {
        #[arg(long, value_enum, default_value_t = By::Hour)]
        by: By,
        #[command(flatten)]
        days: Days,
    },
    /// Stock now, or at the end of a day.
    Stock {
        /// Such as 2026-11-24.
        #[arg(long)]
        as_of: Option<NaiveDate>,
        /// Only what is at or below its reorder point now.
        #[arg(long, conflicts_with = "as_of")]
        low: bool,
    },
    /// What customers owe by how late it is, a row a business day.
    Ageing {
        /// What each customer owes now instead.
        #[arg(long, conflicts_with_all = ["from", "to"])]
        by_customer: bool,
        /// What each owed at the end of this day.
        #[arg(long, requires = "by_customer")]
        as_of: Option<NaiveDate>,
        #[command(flatten)]
        days: Days,
    },
    /// What is posted to each account.
    TrialBalance {
        /// At the end of this day; else all there is.
        #[arg(long)]
        as_of: Option<NaiveDate>,
    },
    /// Each line of each order that was placed, in the order of the files: to sort them would take more memory than a query has.
    /// Of more than analytics-svc answers at once (a million, unless it is told otherwise), some days at a time.
    OrderLines {
        #[command(flatten)]
        days: Days,
    },
    /// The answer to a question of your own.
    Sql {
        /// Such as `select sku, sum(amount) from order_facts group by sku`.
        query: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum By {
    Hour,
    Day,
    Week,
    Month,
    Sku,
}

/// Business days.
#[derive(Debug, Args)]
struct Days {
    /// The first day, such as 2026-11-01.
    #[arg(long)]
    from: Option<NaiveDate>,
    /// The last day.
    #[arg(long)]
    to: Option<NaiveDate>,
}

pub(crate) async fn run(export: Export) -> anyhow::Result<()> {
    let Export { what, format, out, freshness, fleet } = export;
    let out = out.context("say --out FILE")?;
    let format = match format {
        Some(format) => format,
        None => Format::of(&out).context("say --format csv or --format parquet")?,
    };
    if let Some(Days { from, to }) = days(&what) {
        in_order(*from, *to)?;
    }
    freshness.wait(&fleet).await?;
    let mut pieces = ask(&fleet, query(&what)).await?;
    // The columns come before the first rows, and when there are none.
    let mut piece = pieces.next().await.transpose().map_err(|error| failed(&error))?;
    let schema = pieces.schema().context("analytics-svc answers without columns")?;
    let mut table = Table::create(&out, format, schema)?;
    while let Some(rows) = piece {
        table.write(&rows)?;
        piece = pieces.next().await.transpose().map_err(|error| failed(&error))?;
    }
    let count = table.finish()?;
    println!("{count} rows in {}", out.display());
    Ok(())
}

async fn ask(fleet: &Fleet, query: String) -> anyhow::Result<FlightRecordBatchStream> {
    let mut client = FlightServiceClient::new(fleet.client.client(&fleet.analytics_url)?)
        .max_decoding_message_size(PIECE_MAX_BYTES);
    let refused = |status| refusal("analytics-svc", &status);
    let query = CommandStatementQuery { query, transaction_id: None };
    let query = FlightDescriptor::new_cmd(query.as_any().encode_to_vec());
    let info = client.get_flight_info(query).await.map_err(refused)?.into_inner();
    let ticket = info.endpoint.into_iter().next().and_then(|endpoint| endpoint.ticket);
    let mut ticket = Request::new(ticket.context("analytics-svc answers without a ticket")?);
    ticket.set_timeout(PATIENCE);
    let pieces = client.do_get(ticket).await.map_err(refused)?.into_inner();
    Ok(FlightRecordBatchStream::new_from_flight_data(pieces.map_err(FlightError::from)))
}

fn failed(error: &FlightError) -> anyhow::Error {
    match error {
        FlightError::Tonic(status) => refusal("analytics-svc", status),
        other => anyhow!("analytics-svc: {other}"),
    }
}

fn days(what: &What) -> Option<&Days> {
    match what {
        What::Sales { days, .. } | What::Ageing { days, .. } | What::OrderLines { days } => {
            Some(days)
        }
        What::Stock { .. } | What::TrialBalance { .. } | What::Sql { .. } => None,
    }
}

/// The question of a report. Days are the only thing of the caller's in it, and they are days.
fn query(what: &What) -> String {
    match what {
        What::Sales { by: By::Hour, days } => format!(
            "select hour, total_amount, order_count from sales_by_hour where {} order by hour",
            days.hold("hour::date")
        ),
        What::Sales { by: By::Sku, days } => format!(
            "select sku, sum(quantity - cancelled_quantity)::bigint as quantity, sum(shipped_quantity)::bigint as shipped_quantity, \
             sum(returned_quantity)::bigint as returned_quantity, sum(amount)::decimal(18, 2) as total_amount, \
             count(*) filter (where quantity > cancelled_quantity) as line_count \
             from order_facts where {} group by sku having sum(quantity - cancelled_quantity) > 0 order by sku",
            days.hold("placed_at::date")
        ),
        What::Sales { by, days } => {
            let unit = match by {
                By::Week => "week",
                By::Month => "month",
                By::Hour | By::Day | By::Sku => "day",
            };
            format!(
                "select date_trunc('{unit}', hour)::date as start_date, sum(total_amount)::decimal(18, 2) as total_amount, \
                 sum(order_count)::bigint as order_count from sales_by_hour where {} group by start_date \
                 having sum(order_count) > 0 order by start_date",
                days.hold("hour::date")
            )
        }
        What::Stock { low: true, .. } => LOW_STOCK.to_owned(),
        What::Stock { as_of: None, .. } => {
            "select sku, qty_on_hand, reserved_qty, snapshot_at from stock_snapshot order by sku"
                .to_owned()
        }
        What::Stock { as_of: Some(day), .. } => format!(
            "select sku, arg_max(qty_on_hand, business_day) as qty_on_hand, arg_max(reserved_qty, business_day) as reserved_qty, \
             max(snapshot_at) as snapshot_at from stock_by_day where business_day <= date '{day}' group by sku order by sku"
        ),
        What::Ageing { by_customer: false, days, .. } => format!(
            "select as_of::date as business_day, \"current\", bucket_30, bucket_60, bucket_90, bucket_over_90, total_ar \
             from ar_ageing where {} order by business_day",
            days.hold("as_of::date")
        ),
        What::Ageing { as_of: None, .. } => ageing_by_customer(
            "select customer_id, residual as amount, (select max(as_of)::date from ar_ageing) - due_date as late from open_invoices",
        ),
        What::Ageing { as_of: Some(day), .. } => ageing_by_customer(&format!(
            "select customer_id, amount, date '{day}' - due_date as late from receivables_by_day where business_day <= date '{day}'"
        )),
        What::TrialBalance { as_of } => format!(
            "select account, sum(debit)::decimal(20, 2) as debit, sum(credit)::decimal(20, 2) as credit \
             from trial_balance where {} group by account order by account",
            Days { from: None, to: *as_of }.hold("day")
        ),
        What::OrderLines { days } => {
            format!("select * from order_facts where {}", days.hold("placed_at::date"))
        }
        What::Sql { query } => query.clone(),
    }
}

const LOW_STOCK: &str = "select sku, qty_on_hand, reserved_qty, qty_on_hand - reserved_qty as available, reorder_point \
     from stock_snapshot where qty_on_hand - reserved_qty <= reorder_point and (not archived or qty_on_hand > 0) order by sku";

/// Of amounts, each owed by a customer and so many days late.
fn ageing_by_customer(owed: &str) -> String {
    format!(
        "with owed as ({owed}) select customer_id, \
         coalesce(sum(amount) filter (where late <= 0), 0)::decimal(18, 2) as \"current\", \
         coalesce(sum(amount) filter (where late between 1 and 30), 0)::decimal(18, 2) as bucket_30, \
         coalesce(sum(amount) filter (where late between 31 and 60), 0)::decimal(18, 2) as bucket_60, \
         coalesce(sum(amount) filter (where late between 61 and 90), 0)::decimal(18, 2) as bucket_90, \
         coalesce(sum(amount) filter (where late > 90), 0)::decimal(18, 2) as bucket_over_90, \
         sum(amount)::decimal(18, 2) as total_ar \
         from owed group by customer_id having sum(amount) <> 0 order by customer_id"
    )
}

impl Days {
    /// What is true of a day between these.
    fn hold(&self, day: &str) -> String {
        let from = self.from.map(|from| format!("{day} >= date '{from}'"));
        let to = self.to.map(|to| format!("{day} <= date '{to}'"));
        let both: Vec<String> = from.into_iter().chain(to).collect();
        if both.is_empty() { "true".to_owned() } else { both.join(" and ") }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[test]
    fn what_is_said_of_any_report_may_stand_before_or_behind_it() {
        let before = ["export", "--wait-for-fresh", "--patience", "5s", "--out", "x.csv", "stock"];
        let behind = ["export", "stock", "--wait-for-fresh", "--patience", "5s", "--out", "x.csv"];
        for said in [before, behind] {
            let said = std::iter::once("bramble").chain(said);
            let crate::Command::Export(export) = crate::Cli::parse_from(said).command else {
                panic!("no export")
            };
            let freshness = format!("{:?}", export.freshness);
            assert_eq!(freshness, "Freshness { wait_for_fresh: true, patience: 5s }");
        }
    }

    #[test]
    fn days_are_bounds_only_where_they_are_said() {
        let day = |text: &str| Some(text.parse().unwrap());
        let (from, to) = (day("2026-11-01"), day("2026-11-30"));
        assert_eq!(Days { from: None, to: None }.hold("day"), "true");
        assert_eq!(Days { from, to: None }.hold("day"), "day >= date '2026-11-01'");
        let both = "day >= date '2026-11-01' and day <= date '2026-11-30'";
        assert_eq!(Days { from, to }.hold("day"), both);
    }
}
