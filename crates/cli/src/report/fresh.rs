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
    for source in ["orders", "inventory", "billing"] {
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
