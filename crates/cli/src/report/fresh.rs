//! How fresh an answer of analytics is, and waiting until it is fresh enough.
//!
//! Waiting asks each source that is counted for its newest event, has the counted events written, and looks again until all that had
//! happened when the question was asked is in the answer.

use std::{collections::BTreeMap, time::Duration};

use anyhow::bail;
use chrono::{DateTime, SecondsFormat};
use clap::Args;
use proto::{
    analytics::v1::{
        QuerySalesByHourRequest, Watermark, analytics_service_client::AnalyticsServiceClient,
    },
    log::v1::{StreamEventsRequest, event_log_client::EventLogClient},
    olap::v1::{
        FlushRequest, GetManifestRequest,
        materializations_service_client::MaterializationsServiceClient,
    },
};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{Fleet, refusal};
use crate::duration;

const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How often an answer is asked for from its first page on.
const BEGIN_MAX: u32 = 10;

/// How fresh the answer must be.
#[derive(Debug, Args)]
pub(crate) struct Freshness {
    /// Wait until everything that has happened so far is in the answer.
    #[arg(long, global = true)]
    wait_for_fresh: bool,
    /// How long to wait for that.
    #[arg(long, global = true, default_value = "60s", value_parser = duration::parse)]
    patience: Duration,
}

type Positions = BTreeMap<String, i64>;

impl Freshness {
    pub(crate) async fn wait(&self, fleet: &Fleet) -> anyhow::Result<()> {
        if !self.wait_for_fresh {
            return Ok(());
        }
        let until = Instant::now() + self.patience;
        let mut olap = MaterializationsServiceClient::new(fleet.client.client(&fleet.olap_url)?);
        let away = |status| refusal("olap-consumer", &status);
        let manifest = olap.get_manifest(GetManifestRequest {}).await.map_err(away)?.into_inner();
        let counted = manifest.positions.into_iter().map(|of| (of.source, of.sequence));
        let newest = newest(fleet, counted.collect()).await?;
        loop {
            olap.flush(FlushRequest {}).await.map_err(away)?;
            let seen = seen(fleet).await?;
            let Some((source, sequence)) = newest
                .iter()
                .find(|(source, sequence)| seen.get(*source).copied().unwrap_or(0) < **sequence)
            else {
                return Ok(());
            };
            if Instant::now() >= until {
                let at = seen.get(source).copied().unwrap_or(0);
                bail!("analytics is not fresh yet: of {source} it has seen {at} of {sequence}");
            }
            sleep(LOOK_EVERY).await;
        }
    }
}

/// The newest event of each source, found by reading on from where analytics is.
async fn newest(fleet: &Fleet, mut positions: Positions) -> anyhow::Result<Positions> {
    // What no event has been counted of yet may be absent.
    for source in ["orders", "inventory", "billing", "ledger"] {
        positions.entry(source.to_owned()).or_insert(0);
    }
    for (source, sequence) in &mut positions {
        let url = match source.as_str() {
            "orders" => &fleet.orders_url,
            "inventory" => &fleet.inventory_url,
            "billing" => &fleet.billing_url,
            "hr" => &fleet.hr_url,
            "ledger" => &fleet.ledger_url,
            _ => continue,
        };
        let away = |status| refusal(&format!("{source}-svc"), &status);
        let mut log = EventLogClient::new(fleet.client.client(url)?);
        let request = StreamEventsRequest { after_sequence: *sequence, follow: false };
        let mut events = log.stream_events(request).await.map_err(away)?.into_inner();
        while let Some(message) = events.message().await.map_err(away)? {
            *sequence = message.event.map_or(*sequence, |event| event.sequence);
        }
    }
    Ok(positions)
}

/// How far analytics answers.
async fn seen(fleet: &Fleet) -> anyhow::Result<Positions> {
    let mut analytics = AnalyticsServiceClient::new(fleet.client.client(&fleet.analytics_url)?);
    let request = QuerySalesByHourRequest { page_size: 1, ..QuerySalesByHourRequest::default() };
    let answer = analytics.query_sales_by_hour(request).await;
    let answer = answer.map_err(|status| refusal("analytics-svc", &status))?.into_inner();
    let positions = answer.watermark.unwrap_or_default().positions;
    Ok(positions.into_iter().map(|of| (of.source, of.sequence)).collect())
}

/// Rows of an answer, and where they go on.
pub(crate) struct Page<R> {
    pub(crate) rows: Vec<R>,
    pub(crate) next_page_token: String,
    pub(crate) watermark: Watermark,
    /// Where it is of one.
    pub(crate) day: String,
}

impl<R> Page<R> {
    /// How far its source was counted, and the day: the newest day becomes another one at midnight, whatever is counted.
    fn version(&self, source: &str) -> (i64, String) {
        let of_source = self.watermark.positions.iter().find(|of| of.source == source);
        (of_source.map_or(0, |of| of.sequence), self.day.clone())
    }
}

/// All pages of an answer as one, or as many as have more than `limit` rows. They are of one version of what is counted from the source:
/// where analytics has gone on counting between two of them, it is asked from the first one on. Fails when that was often enough.
pub(crate) async fn of_one_version<R>(
    source: &str,
    limit: usize,
    mut ask: impl AsyncFnMut(String) -> anyhow::Result<Page<R>>,
) -> anyhow::Result<Page<R>> {
    'begin: for _ in 0..BEGIN_MAX {
        let mut whole = ask(String::new()).await?;
        let version = whole.version(source);
        while !whole.next_page_token.is_empty() && whole.rows.len() <= limit {
            let page = ask(whole.next_page_token).await?;
            if page.version(source) != version {
                continue 'begin;
            }
            whole.rows.extend(page.rows);
            (whole.next_page_token, whole.watermark) = (page.next_page_token, page.watermark);
        }
        return Ok(whole);
    }
    bail!(
        "analytics counted more between the pages of its answer, {BEGIN_MAX} times: ask again when less happens, or use \
         `bramble export`, which has no pages"
    )
}

/// For people.
pub(crate) fn note(watermark: &Watermark) -> String {
    let time = event_time(watermark);
    let time = time.map(|time| format!("events up to {time}")).unwrap_or_default();
    let seen = watermark.positions.iter().map(|of| format!("{} {}", of.source, of.sequence));
    let (seen, age) =
        (seen.collect::<Vec<_>>().join(", "), Duration::from_millis(age_ms(watermark)));
    format!("Fresh as of: {time} ({seen}), written {:.1} s ago", age.as_secs_f32())
}

/// For programs.
pub(crate) fn fact(watermark: &Watermark) -> Value {
    let seen = watermark.positions.iter();
    let seen: BTreeMap<&str, i64> = seen.map(|of| (of.source.as_str(), of.sequence)).collect();
    json!({ "positions": seen, "event_time": event_time(watermark), "age_ms": watermark.age_ms })
}

fn age_ms(watermark: &Watermark) -> u64 {
    u64::try_from(watermark.age_ms).unwrap_or(0)
}

fn event_time(watermark: &Watermark) -> Option<String> {
    watermark.event_time.and_then(time_text)
}

/// As `2017-01-09T08:00:00Z`.
pub(crate) fn time_text(time: prost_types::Timestamp) -> Option<String> {
    let time = DateTime::from_timestamp(time.seconds, u32::try_from(time.nanos).ok()?)?;
    Some(time.to_rfc3339_opts(SecondsFormat::AutoSi, true))
}

#[cfg(test)]
mod tests {
    use proto::{
        analytics::v1::{
            GetStockSnapshotRequest, GetStockSnapshotResponse, HourOfSales,
            QuerySalesByHourResponse, SourcePosition, StockLevel,
        },
        log::v1::{Event, StreamEventsResponse},
        olap::v1::{FlushResponse, GetManifestResponse},
    };

    use super::*;
    use crate::{fake::Fake, report::tests::told};

    #[tokio::test]
    async fn what_no_event_has_been_counted_of_yet_is_waited_for() {
        for late in ["orders", "inventory", "billing", "ledger"] {
            let counted = ["orders", "inventory", "billing", "ledger"].map(|source| {
                let sequence = if source == late { 0 } else { 7 };
                SourcePosition { source: source.to_owned(), sequence }
            });
            let counted: Vec<_> = counted.into_iter().filter(|of| of.sequence > 0).collect();
            let watermark = Some(Watermark { positions: counted, ..Watermark::default() });
            let event = Some(Event { sequence: 7, ..Event::default() });
            let fake = Fake::default()
                .on("GetManifest", |_: GetManifestRequest| GetManifestResponse::default())
                .on("Flush", |_: FlushRequest| FlushResponse::default())
                .on("StreamEvents", move |_: StreamEventsRequest| StreamEventsResponse {
                    event: event.clone(),
                })
                .on("QuerySalesByHour", move |_: QuerySalesByHourRequest| {
                    let watermark = watermark.clone();
                    QuerySalesByHourResponse { watermark, ..Default::default() }
                });
            let report = ["sales", "--wait-for-fresh", "--patience", "0s"];
            let said = told(&fake.serve().await, &report).await.map_err(|error| error.to_string());
            let expected = format!("analytics is not fresh yet: of {late} it has seen 0 of 7");
            assert_eq!(said, Err(expected));
        }
    }

    #[tokio::test]
    async fn sales_and_stock_of_several_pages_are_of_one_version() {
        /// What a second page is of; the first, at first, is of the version before.
        fn version(page_token: &str, begun: &mut i32) -> (i32, String, Option<Watermark>) {
            let is_first = page_token.is_empty();
            *begun += i32::from(is_first);
            let version = if is_first { (*begun).min(2) } else { 2 };
            let positions = ["orders", "inventory"].map(|source| SourcePosition {
                source: source.to_owned(),
                sequence: version.into(),
            });
            let positions = positions.to_vec();
            let next = if is_first { "2" } else { "" };
            let watermark = Some(Watermark { positions, ..Watermark::default() });
            (version, next.to_owned(), watermark)
        }
        let (mut sales_begun, mut stock_begun) = (0, 0);
        let fake = Fake::default()
            .on("QuerySalesByHour", move |asked: QuerySalesByHourRequest| {
                let (order_count, next_page_token, watermark) =
                    version(&asked.page_token, &mut sales_begun);
                let hour = Some(prost_types::Timestamp::default());
                let total_amount = Some(rpc::to_money(money::Money::ZERO));
                let hours = vec![HourOfSales { hour, total_amount, order_count }];
                QuerySalesByHourResponse { hours, next_page_token, watermark }
            })
            .on("GetStockSnapshot", move |asked: GetStockSnapshotRequest| {
                let (qty_on_hand, next_page_token, watermark) =
                    version(&asked.page_token, &mut stock_begun);
                let levels = vec![StockLevel { qty_on_hand, ..StockLevel::default() }];
                GetStockSnapshotResponse {
                    levels,
                    next_page_token,
                    watermark,
                    ..Default::default()
                }
            });
        let url = fake.serve().await;
        for (report, column) in
            [(&["sales"][..], "order_count"), (&["stock", "--as-of", "2026-11-24"][..], "on_hand")]
        {
            let told = told(&url, report).await.unwrap();
            let rows = told["rows"].as_array().unwrap();
            let told: Vec<_> = rows.iter().map(|row| row[column].as_i64().unwrap()).collect();
            assert_eq!(told, [2, 2], "{report:?}");
        }
    }
}
