//! What the page shows, a panel each, as JSON.
//!
//! Sales and receivables come from one version of the materializations and carry its watermark. What is to be reordered, and the newest orders,
//! their services know best; how the fleet is, each service says of itself ([`neighbours`](super::neighbours)). A panel whose service does not
//! answer says so, and no other panel suffers.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::{
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use rpc::Refusal;
use serde::Serialize;
use serde_json::json;
use tokio::task::spawn_blocking;
use tonic::{Code, Status};

use super::{
    neighbours::Neighbours,
    now,
    sales::{Around, Sales},
    shared::{Answer, Key, Shared},
};
use crate::{
    AnalyticsError, Config,
    domain::{self, Ageing, MinPosition},
    queries::{self, Found, Materializations},
    store::Version,
};

/// More hours than are ever asked for: two months and a week.
const HOURS_MAX: i64 = 2000;
/// The last of the year 2999: no service is told of a later time.
const LAST_SECOND: Option<DateTime<Utc>> = DateTime::from_timestamp(32_503_679_999, 0);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Panel {
    Sales,
    Receivables,
    Stock,
    Orders,
    Fleet,
}

impl Panel {
    pub(super) const ALL: [Self; 5] =
        [Self::Sales, Self::Receivables, Self::Stock, Self::Orders, Self::Fleet];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Sales => "sales",
            Self::Receivables => "receivables",
            Self::Stock => "stock",
            Self::Orders => "orders",
            Self::Fleet => "fleet",
        }
    }

    /// What follows from a version is good for as long as that is live; the rest may change at any time.
    fn age_max(self) -> Duration {
        match self {
            Self::Sales | Self::Receivables => Duration::from_secs(60),
            Self::Stock | Self::Orders => Duration::from_secs(5),
            Self::Fleet => Duration::from_secs(2),
        }
    }
}

/// Why a panel, or a page, is not shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refused {
    status: StatusCode,
    reason: &'static str,
    message: String,
}

pub(super) struct Board {
    materializations: Materializations,
    neighbours: Neighbours,
    zone: Tz,
    shown: [Shared; Panel::ALL.len()],
}

/// How far the figures have seen.
#[derive(Serialize)]
struct Watermark<'a> {
    version: u64,
    written_at: DateTime<Utc>,
    event_time: Option<DateTime<Utc>>,
    /// The sequence of the last event that is counted, by source.
    positions: BTreeMap<&'a str, i64>,
}

#[derive(Serialize)]
struct SalesPanel<'a> {
    watermark: Watermark<'a>,
    is_today: bool,
    #[serde(flatten)]
    sales: Sales,
}

#[derive(Serialize)]
struct ReceivablesPanel<'a> {
    watermark: Watermark<'a>,
    as_of: NaiveDate,
    total: String,
    buckets: [Bucket; 5],
}

#[derive(Serialize)]
struct Bucket {
    /// Days late: from this one on, up to and including that one. Neither: not due yet.
    from_day: Option<u32>,
    to_day: Option<u32>,
    amount: String,
}

impl Board {
    pub(super) fn new(config: &Config, materializations: Materializations) -> anyhow::Result<Self> {
        let neighbours = Neighbours::new(config)?;
        let (zone, shown) = (config.time_zone, Default::default());
        Ok(Self { materializations, neighbours, zone, shown })
    }

    /// What the panels depend on at this moment.
    pub(super) async fn key(&self, day: Option<NaiveDate>) -> Key {
        let today = domain::day_of(now(), self.zone);
        let version = self.live().await.ok().flatten().map(|version| version.manifest.version);
        let day = day.unwrap_or(today);
        Key { version, day, is_today: day == today }
    }

    pub(super) async fn show(&self, panel: Panel, key: Key) -> Answer {
        let Some(shown) = self.shown.get(panel as usize) else {
            return Err(Status::internal("a panel has no place").into());
        };
        // Before the first version there may be one at any time.
        let soon = if key.version.is_none() { Duration::from_secs(1) } else { Duration::MAX };
        let ask = async {
            let json = match panel {
                Panel::Sales => self.sales(key).await?,
                Panel::Receivables => self.receivables(key).await?,
                Panel::Stock => self.neighbours.low_on_stock().await?,
                Panel::Orders => {
                    let ends = domain::instants_of(key.day, self.zone).map(|(_, ends)| ends);
                    self.neighbours.newest_orders(ends.min(LAST_SECOND)).await?
                }
                Panel::Fleet => {
                    self.neighbours.fleet(self.live().await.ok().flatten().as_deref()).await
                }
            };
            Ok(json.to_string().into())
        };
        shown.get(key, panel.age_max().min(soon), ask).await
    }

    async fn live(&self) -> Result<Option<Arc<Version>>, AnalyticsError> {
        let folder = Arc::clone(&self.materializations.folder);
        spawn_blocking(move || folder.live()).await?
    }

    async fn sales(&self, key: Key) -> Result<serde_json::Value, Refused> {
        let around = Around::new(key.day, self.zone);
        let around = around.ok_or_else(|| {
            Refused::new(StatusCode::BAD_REQUEST, "DAY_INVALID", "no calendar has that day")
        })?;
        let of = &self.materializations;
        let Found((hours, newest), version) =
            queries::sales_around(of, around.instants, HOURS_MAX).await?;
        let sales = around.count(&hours, newest).ok_or(AnalyticsError::SumTooLarge)?;
        let watermark = watermark(&version);
        Ok(json!(SalesPanel { watermark, is_today: key.is_today, sales }))
    }

    async fn receivables(&self, key: Key) -> Result<serde_json::Value, Refused> {
        let of = &self.materializations;
        // Today's may not be there yet just after midnight.
        let day = (!key.is_today).then_some(key.day);
        let found = queries::ar_ageing(of, MinPosition::default(), day, self.zone).await;
        let (ageing, version) = match found {
            Ok(Found(ageing, version)) => (ageing, version),
            Err(AnalyticsError::AgeingNotFound { .. }) => return Ok(json!({ "as_of": null })),
            Err(error) => return Err(error.into()),
        };
        Ok(json!(ReceivablesPanel {
            watermark: watermark(&version),
            as_of: domain::day_of(ageing.as_of, self.zone),
            total: format!("{:.2}", ageing.total_ar),
            buckets: buckets(&ageing),
        }))
    }
}

fn watermark(version: &Version) -> Watermark<'_> {
    let manifest = &version.manifest;
    let positions = manifest.positions.iter();
    Watermark {
        version: manifest.version,
        written_at: manifest.written_at,
        event_time: manifest.event_time,
        positions: positions.map(|(source, counted)| (source.as_str(), counted.log_id)).collect(),
    }
}

fn buckets(ageing: &Ageing) -> [Bucket; 5] {
    [
        (None, None, ageing.current),
        (Some(1), Some(30), ageing.bucket_30),
        (Some(31), Some(60), ageing.bucket_60),
        (Some(61), Some(90), ageing.bucket_90),
        (Some(91), None, ageing.bucket_over_90),
    ]
    .map(|(from_day, to_day, amount)| Bucket {
        from_day,
        to_day,
        amount: format!("{amount:.2}"),
    })
}

impl Refused {
    pub(super) fn new(status: StatusCode, reason: &'static str, message: &str) -> Self {
        Self { status, reason, message: message.to_owned() }
    }

    pub(super) fn json(&self) -> String {
        json!({ "error": { "reason": self.reason, "message": self.message } }).to_string()
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.status, [(CONTENT_TYPE, "application/json")], self.json()).into_response()
    }
}

impl From<AnalyticsError> for Refused {
    fn from(error: AnalyticsError) -> Self {
        let reason = error.reason();
        // Says no more than a caller over gRPC is told, and logs the cause.
        Self { reason, ..Status::from(error).into() }
    }
}

impl From<Status> for Refused {
    fn from(status: Status) -> Self {
        let (http, reason) = match status.code() {
            Code::Unauthenticated => (StatusCode::UNAUTHORIZED, "UNAUTHENTICATED"),
            Code::PermissionDenied => (StatusCode::FORBIDDEN, "PERMISSION_DENIED"),
            Code::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE"),
            Code::ResourceExhausted => (StatusCode::SERVICE_UNAVAILABLE, "RESOURCE_EXHAUSTED"),
            Code::DeadlineExceeded => (StatusCode::GATEWAY_TIMEOUT, "DEADLINE_EXCEEDED"),
            _ => (StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL"),
        };
        Self::new(http, reason, status.message())
    }
}
