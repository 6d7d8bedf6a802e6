//! Asks analytics-svc, over gRPC and as the dashboard does; an answer is what it says and how long it took.

use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use chrono::{DateTime, NaiveDate, SecondsFormat};
use proto::{
    analytics::v1::{
        AccountTotals, CustomerAgeing, GetArAgeingRequest, GetArAgeingResponse,
        GetStockSnapshotRequest, GetTopProductsRequest, GetTrialBalanceRequest,
        QueryArAgeingByCustomerRequest, QueryLowStockRequest, QuerySalesByHourRequest,
        QuerySalesByPeriodRequest, QuerySalesBySkuRequest, SkuSales,
        analytics_service_client::AnalyticsServiceClient,
    },
    common::v1::Money,
};
use rpc::{Client, ClientConfig};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

/// A row is its values with bars between them, as the SQL beside it writes them.
pub(crate) type Answer = Vec<String>;

/// What is asked.
#[derive(Debug, Clone)]
pub(crate) enum Ask {
    Hours(QuerySalesByHourRequest),
    Periods(QuerySalesByPeriodRequest),
    Skus(QuerySalesBySkuRequest),
    Top(GetTopProductsRequest),
    Stock(GetStockSnapshotRequest),
    Ageing(GetArAgeingRequest),
    AgeingByCustomer(QueryArAgeingByCustomerRequest),
    LowStock(QueryLowStockRequest),
    TrialBalance(GetTrialBalanceRequest),
    /// A panel of the dashboard, of a day.
    Panel(Panel, String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Panel {
    Sales,
    Receivables,
    Stock,
    Orders,
}

pub(crate) struct Asker {
    analytics: AnalyticsServiceClient<Client>,
    dashboard: String,
    token: String,
    http: Option<BufReader<TcpStream>>,
}

impl Asker {
    /// `dashboard` is its host and port.
    pub(crate) fn new(url: &str, dashboard: &str, token: &str) -> anyhow::Result<Self> {
        let config = ClientConfig { token: Some(token.to_owned()), ..ClientConfig::default() };
        Ok(Self {
            analytics: AnalyticsServiceClient::new(config.client(url)?),
            dashboard: dashboard.to_owned(),
            token: token.to_owned(),
            http: None,
        })
    }

    /// The business day that receivables are of when none is named.
    pub(crate) async fn today(&mut self) -> anyhow::Result<NaiveDate> {
        let newest = self.analytics.get_ar_ageing(GetArAgeingRequest::default()).await?;
        Ok(newest.into_inner().as_of_date.parse()?)
    }

    pub(crate) async fn ask(&mut self, what: &Ask) -> anyhow::Result<(Answer, Duration)> {
        let mut client = self.analytics.clone();
        Ok(match what.clone() {
            Ask::Hours(request) => {
                let (said, took) = timed(client.query_sales_by_hour(request)).await?;
                let rows = said.hours.iter().map(|hour| {
                    let at = hour.hour.and_then(|at| DateTime::from_timestamp(at.seconds, 0));
                    let at = at.map(|at| at.to_rfc3339_opts(SecondsFormat::Secs, true));
                    row([
                        &at.unwrap_or_default(),
                        amount(&hour.total_amount),
                        &hour.order_count.to_string(),
                    ])
                });
                (rows.collect(), took)
            }
            Ask::Periods(request) => {
                let (said, took) = timed(client.query_sales_by_period(request)).await?;
                let rows = said.periods.iter().map(|period| {
                    row([
                        &period.start_date,
                        amount(&period.total_amount),
                        &period.order_count.to_string(),
                    ])
                });
                (rows.collect(), took)
            }
            Ask::Skus(request) => {
                let (said, took) = timed(client.query_sales_by_sku(request)).await?;
                (said.skus.iter().map(sku).collect(), took)
            }
            Ask::Top(request) => {
                let (said, took) = timed(client.get_top_products(request)).await?;
                (said.skus.iter().map(sku).collect(), took)
            }
            Ask::Stock(request) => {
                let (said, took) = timed(client.get_stock_snapshot(request)).await?;
                let rows = said.levels.iter().map(|level| {
                    row([
                        &level.sku,
                        &level.qty_on_hand.to_string(),
                        &level.reserved_qty.to_string(),
                    ])
                });
                (rows.collect(), took)
            }
            Ask::Ageing(request) => {
                let (said, took) = timed(client.get_ar_ageing(request)).await?;
                (vec![ageing(&said)], took)
            }
            Ask::AgeingByCustomer(request) => {
                let (said, took) = timed(client.query_ar_ageing_by_customer(request)).await?;
                (said.customers.iter().map(customer).collect(), took)
            }
            Ask::LowStock(request) => {
                let (said, took) = timed(client.query_low_stock(request)).await?;
                let rows = said.items.iter().map(|item| {
                    let levels = [item.qty_on_hand, item.reserved_qty, item.reorder_point];
                    row([&item.sku, &levels.map(|n| n.to_string()).join("|")])
                });
                (rows.collect(), took)
            }
            Ask::TrialBalance(request) => {
                let (said, took) = timed(client.get_trial_balance(request)).await?;
                (said.accounts.iter().map(account).collect(), took)
            }
            Ask::Panel(panel, day) => {
                let began = Instant::now();
                let said = self.get(&format!("/api/{}?day={day}", panel.name())).await?;
                let took = began.elapsed();
                (panel.rows(&serde_json::from_slice(&said)?)?, took)
            }
        })
    }

    /// By HTTP/1.1, on a connection that is kept as a browser keeps it.
    async fn get(&mut self, path: &str) -> anyhow::Result<Vec<u8>> {
        let mut stream = match self.http.take() {
            Some(stream) => stream,
            None => {
                let stream = TcpStream::connect(&self.dashboard).await?;
                stream.set_nodelay(true)?;
                BufReader::new(stream)
            }
        };
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\r\n",
            self.dashboard, self.token
        );
        stream.write_all(request.as_bytes()).await?;
        let (mut status, mut length) = (String::new(), None);
        stream.read_line(&mut status).await?;
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).await?;
            match line.trim_end().split_once(": ") {
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    length = Some(value.parse::<usize>()?);
                }
                Some(_) => (),
                None => break,
            }
        }
        let mut body = vec![0; length.context("an answer has a length")?];
        stream.read_exact(&mut body).await?;
        let answer = String::from_utf8_lossy(&body);
        ensure!(status.contains(" 200 "), "{path}: {} {answer}", status.trim());
        self.http = Some(stream);
        Ok(body)
    }
}

impl Panel {
    fn name(self) -> &'static str {
        match self {
            Self::Sales => "sales",
            Self::Receivables => "receivables",
            Self::Stock => "stock",
            Self::Orders => "orders",
        }
    }

    /// What the page shows of it, as far as SQL is asked for the same.
    fn rows(self, said: &Value) -> anyhow::Result<Answer> {
        let list = |name: &str| said[name].as_array().with_context(|| format!("no {name}: {said}"));
        Ok(match self {
            Self::Sales => values(list("days")?, &["at", "amount", "orders"]),
            Self::Receivables => {
                let total = said["total"].as_str().context("no total")?.to_owned();
                let mut rows = values(list("buckets")?, &["amount"]);
                rows.push(total);
                vec![rows.join("|")]
            }
            Self::Stock => values(list("items")?, &["sku", "available", "reorder_point"]),
            Self::Orders => values(list("orders")?, &["order_id", "status", "paid", "total"]),
        })
    }
}

/// What a call answers, and how long that takes.
async fn timed<T>(
    call: impl Future<Output = Result<tonic::Response<T>, tonic::Status>>,
) -> anyhow::Result<(T, Duration)> {
    let began = Instant::now();
    let said = call.await?.into_inner();
    Ok((said, began.elapsed()))
}

fn values(list: &[Value], names: &[&str]) -> Answer {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    list.iter()
        .map(|of| names.iter().map(|name| text(&of[name])).collect::<Vec<_>>().join("|"))
        .collect()
}

fn row<const N: usize>(values: [&str; N]) -> String {
    values.join("|")
}

fn amount(money: &Option<Money>) -> &str {
    money.as_ref().map_or("", |money| money.amount.as_str())
}

fn sku(of: &SkuSales) -> String {
    let counts = [of.quantity, of.shipped_quantity, of.returned_quantity].map(|n| n.to_string());
    row([&of.sku, &counts.join("|"), amount(&of.total_amount), &of.line_count.to_string()])
}

fn ageing(of: &GetArAgeingResponse) -> String {
    let buckets = [
        &of.current,
        &of.bucket_30,
        &of.bucket_60,
        &of.bucket_90,
        &of.bucket_over_90,
        &of.total_ar,
    ];
    buckets.map(amount).join("|")
}

fn customer(of: &CustomerAgeing) -> String {
    let buckets = [
        &of.current,
        &of.bucket_30,
        &of.bucket_60,
        &of.bucket_90,
        &of.bucket_over_90,
        &of.total_ar,
    ];
    format!("{}|{}", of.customer_id, buckets.map(amount).join("|"))
}

fn account(of: &AccountTotals) -> String {
    row([&of.account, amount(&of.debit), amount(&of.credit)])
}

/// Fails with the first row that differs.
pub(crate) fn same(found: &Answer, wanted: &Answer) -> anyhow::Result<()> {
    if found == wanted {
        return Ok(());
    }
    let pairs = found.iter().zip(wanted);
    match pairs.into_iter().find(|(found, wanted)| found != wanted) {
        Some((found, wanted)) => bail!("analytics says {found}, but Postgres {wanted}"),
        None => bail!("analytics says {} rows, but Postgres {}", found.len(), wanted.len()),
    }
}
