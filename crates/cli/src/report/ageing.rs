use chrono::NaiveDate;
use proto::analytics::v1::{GetArAgeingRequest, analytics_service_client::AnalyticsServiceClient};
use serde_json::Map;

use super::{
    Fleet, amount,
    fresh::{self, Freshness},
    refusal,
    sheet::{Column, Sheet},
};

/// What customers owe, by how late it is.
#[derive(Debug, clap::Args)]
pub(crate) struct Ageing {
    /// At the end of this business day, such as 2017-01-31; else of the newest.
    #[arg(long)]
    as_of: Option<NaiveDate>,
    #[command(flatten)]
    freshness: Freshness,
}

pub(super) async fn ask(report: Ageing, fleet: &Fleet) -> anyhow::Result<Sheet> {
    report.freshness.wait(fleet).await?;
    let mut analytics = AnalyticsServiceClient::new(fleet.client.client(&fleet.analytics_url)?);
    let as_of_date = report.as_of.map(rpc::to_date).unwrap_or_default();
    let request = GetArAgeingRequest { as_of_date, ..GetArAgeingRequest::default() };
    let answer = analytics.get_ar_ageing(request).await;
    let answer = answer.map_err(|status| refusal("analytics-svc", &status))?.into_inner();

    let watermark = answer.watermark.unwrap_or_default();
    let buckets = [
        ("not due", answer.current),
        ("1 to 30 days late", answer.bucket_30),
        ("31 to 60 days late", answer.bucket_60),
        ("61 to 90 days late", answer.bucket_90),
        ("91 days late or more", answer.bucket_over_90),
    ];
    let rows = buckets.map(|(bucket, owed)| vec![bucket.into(), amount(owed).into()]);
    Ok(Sheet {
        columns: vec![Column("bucket", "Owed since", false), Column("amount", "Amount", true)],
        rows: rows.into(),
        total: Some(vec!["total".into(), amount(answer.total_ar).into()]),
        notes: vec![format!("As of {}", answer.as_of_date), fresh::note(&watermark)],
        facts: Map::from_iter([
            ("as_of_date".to_owned(), answer.as_of_date.into()),
            ("watermark".to_owned(), fresh::fact(&watermark)),
        ]),
    })
}
