//! `bramble report`: what the services know, as tables.

mod sheet;
mod fresh;
mod sales;
mod trial_balance;
mod stock;
mod ageing;

use anyhow::ensure;
use chrono::NaiveDate;
use clap::{Args, Subcommand};
use rpc::ClientConfig;
use tonic::Status;

pub(crate) use fresh::Freshness;
use sheet::{Format, Sheet};

/// Show sales, the books, stock, or what customers owe.
#[derive(Debug, Args)]
pub(crate) struct Report {
    #[command(subcommand)]
    what: What,
    #[arg(long, global = true, value_enum, default_value_t = Format::Table)]
    format: Format,
    #[command(flatten)]
    fleet: Fleet,
}

#[derive(Debug, Subcommand)]
enum What {
    Sales(sales::Sales),
    TrialBalance(trial_balance::TrialBalance),
    Stock(stock::Stock),
    Ageing(ageing::Ageing),
}

/// Where the services are, and how to show oneself to them.
#[derive(Debug, Args)]
pub(crate) struct Fleet {
    #[arg(
        long,
        global = true,
        env = "BRAMBLE_ORDERS_URL",
        default_value = "http://127.0.0.1:50051",
        hide = true
    )]
    orders_url: String,
    #[arg(
        long,
        global = true,
        env = "BRAMBLE_INVENTORY_URL",
        default_value = "http://127.0.0.1:50052",
        hide = true
    )]
    inventory_url: String,
    #[arg(
        long,
        global = true,
        env = "BRAMBLE_BILLING_URL",
        default_value = "http://127.0.0.1:50053",
        hide = true
    )]
    billing_url: String,
    #[arg(
        long,
        global = true,
        env = "BRAMBLE_HR_URL",
        default_value = "http://127.0.0.1:50054",
        hide = true
    )]
    hr_url: String,
    #[arg(
        long,
        global = true,
        env = "BRAMBLE_LEDGER_URL",
        default_value = "http://127.0.0.1:50055",
        hide = true
    )]
    ledger_url: String,
    #[arg(
        long,
        global = true,
        env = "BRAMBLE_ANALYTICS_URL",
        default_value = "http://127.0.0.1:50056",
        hide = true
    )]
    pub(crate) analytics_url: String,
    #[arg(
        long,
        global = true,
        env = "BRAMBLE_OLAP_URL",
        default_value = "http://127.0.0.1:50057",
        hide = true
    )]
    olap_url: String,
    #[command(flatten)]
    pub(crate) client: ClientConfig,
}

pub(crate) async fn run(report: Report) -> anyhow::Result<()> {
    let Report { what, format, fleet } = report;
    ask(what, &fleet).await?.print(format)
}

async fn ask(what: What, fleet: &Fleet) -> anyhow::Result<Sheet> {
    match what {
        What::Sales(sales) => sales::ask(sales, fleet).await,
        What::TrialBalance(trial_balance) => trial_balance::ask(trial_balance, fleet).await,
        What::Stock(stock) => stock::ask(&stock, fleet).await,
        What::Ageing(ageing) => ageing::ask(ageing, fleet).await,
    }
}

/// A refusal as a sentence for people.
pub(crate) fn refusal(service: &str, status: &Status) -> anyhow::Error {
    anyhow::anyhow!("{service}: {} ({:?})", status.message(), status.code())
}

/// Of days, in the words of the command line.
pub(crate) fn in_order(from: Option<NaiveDate>, to: Option<NaiveDate>) -> anyhow::Result<()> {
    ensure!(from.zip(to).is_none_or(|(from, to)| from <= to), "--to is before --from");
    Ok(())
}

/// The amount alone: all are in the deployment's one currency.
fn amount(money: Option<proto::common::v1::Money>) -> String {
    money.map(|money| money.amount).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::Value;

    use super::*;

    /// What is said to programs, where each service is at the same address.
    pub(super) async fn told(url: &str, report: &[&str]) -> anyhow::Result<Value> {
        let services = ["orders", "inventory", "billing", "hr", "ledger", "analytics", "olap"];
        let urls = services.map(|service| format!("--{service}-url={url}"));
        let report = ["bramble", "report"].iter().chain(report).map(|word| (*word).to_owned());
        let crate::Command::Report(report) = crate::Cli::parse_from(report.chain(urls)).command
        else {
            panic!("no report")
        };
        Ok(ask(report.what, &report.fleet).await?.json())
    }

    #[test]
    fn a_last_day_before_the_first_is_refused() {
        let day = |text: &str| Some(text.parse().unwrap());
        let (earlier, later) = (day("2026-11-01"), day("2026-11-02"));
        for (from, to) in
            [(None, None), (earlier, None), (None, earlier), (earlier, earlier), (earlier, later)]
        {
            assert!(in_order(from, to).is_ok(), "{from:?} {to:?}");
        }
        assert_eq!(in_order(later, earlier).unwrap_err().to_string(), "--to is before --from");
    }
}
