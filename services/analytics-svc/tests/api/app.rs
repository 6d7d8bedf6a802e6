//! The service under test, and the words that the tests use.

use std::time::Duration;

use analytics_svc::Config;
use chrono::{DateTime, SecondsFormat};
use clap::Parser;
use proto::{
    analytics::v1::{self as pb, analytics_service_client::AnalyticsServiceClient},
    common::v1::Money,
};
use rpc::Shutdown;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tonic::{IntoRequest, Request, Status};

use crate::olap::Olap;

pub(crate) const WAIT_MAX: Duration = Duration::from_secs(30);
/// For what is to be refused in time: so long that the service keeps back as much of it as it ever does, for its refusal to arrive.
pub(crate) const SHORT: Duration = Duration::from_millis(2500);

pub(crate) struct App {
    pub(crate) client: AnalyticsServiceClient<rpc::Client>,
    pub(crate) url: String,
    /// Where browsers go.
    pub(crate) dashboard: String,
    pub(crate) olap: Olap,
    pub(crate) shutdown: Shutdown,
    _folder: TempDir,
}

impl Drop for App {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

impl App {
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// With more arguments.
    pub(crate) async fn start_with(arguments: &[&str]) -> Self {
        // A folder's name may hold nearly anything.
        let folder = TempDir::with_prefix("o'lap \"1\" ").unwrap();
        let path = folder.path().to_str().unwrap();
        let all = [["analytics-svc", "--olap-dir", path].as_slice(), arguments].concat();
        let config = Config::parse_from(all);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let pages = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let dashboard = format!("http://{}", pages.local_addr().unwrap());
        let shutdown = Shutdown::new();
        let told = shutdown.clone();
        tokio::spawn(async move {
            analytics_svc::serve(&config, listener, pages, told).await.unwrap();
        });
        let channel = rpc::ClientConfig::default().client(&url).unwrap();
        let client = AnalyticsServiceClient::new(channel);
        let olap = Olap::new(folder.path());
        Self { client, url, dashboard, olap, shutdown, _folder: folder }
    }

    pub(crate) async fn sales(
        &self,
        request: impl IntoRequest<pb::QuerySalesByHourRequest>,
    ) -> Result<pb::QuerySalesByHourResponse, Status> {
        Ok(self.client.clone().query_sales_by_hour(request.into_request()).await?.into_inner())
    }

    pub(crate) async fn stock(
        &self,
        request: impl IntoRequest<pb::GetStockSnapshotRequest>,
    ) -> Result<pb::GetStockSnapshotResponse, Status> {
        Ok(self.client.clone().get_stock_snapshot(request.into_request()).await?.into_inner())
    }

    pub(crate) async fn ageing(
        &self,
        request: impl IntoRequest<pb::GetArAgeingRequest>,
    ) -> Result<pb::GetArAgeingResponse, Status> {
        Ok(self.client.clone().get_ar_ageing(request.into_request()).await?.into_inner())
    }

    /// All hours.
    pub(crate) async fn all_sales(&self) -> Result<pb::QuerySalesByHourResponse, Status> {
        self.sales(pb::QuerySalesByHourRequest::default()).await
    }
}

/// `request` with so much time for the answer.
pub(crate) fn within<T>(time: Duration, request: T) -> Request<T> {
    let mut request = Request::new(request);
    request.set_timeout(time);
    request
}

/// The amount alone, all being in the deployment's currency.
pub(crate) fn amount(money: Option<&Money>) -> &str {
    let money = money.unwrap();
    assert_eq!(money.currency_code, "GBP");
    &money.amount
}

pub(crate) fn time_text(time: Option<prost_types::Timestamp>) -> String {
    let time = time.unwrap();
    let time = DateTime::from_timestamp(time.seconds, u32::try_from(time.nanos).unwrap()).unwrap();
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// As `hour amount count`.
pub(crate) fn hours(answer: &pb::QuerySalesByHourResponse) -> Vec<String> {
    let hours = answer.hours.iter().map(|hour| {
        let sold = amount(hour.total_amount.as_ref());
        format!("{} {sold} {}", time_text(hour.hour), hour.order_count)
    });
    hours.collect()
}

/// As `sku on_hand reserved`.
pub(crate) fn levels(answer: &pb::GetStockSnapshotResponse) -> Vec<String> {
    let levels = answer
        .levels
        .iter()
        .map(|level| format!("{} {} {}", level.sku, level.qty_on_hand, level.reserved_qty));
    levels.collect()
}

/// How much of `orders` is counted, and nothing else is.
pub(crate) fn counted(watermark: Option<&pb::Watermark>) -> i64 {
    let positions = &watermark.unwrap().positions;
    assert!(positions.len() == 1 && positions[0].source == "orders", "{positions:?}");
    positions[0].sequence
}

pub(crate) fn position(source: &str, sequence: i64) -> pb::SourcePosition {
    pb::SourcePosition { source: source.to_owned(), sequence }
}
