use chrono::NaiveDate;
use proto::analytics::v1::{
    CustomerAgeing, GetArAgeingRequest, GetArAgeingResponse, QueryArAgeingByCustomerRequest,
    analytics_service_client::AnalyticsServiceClient,
};
use serde_json::{Map, Value};

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
    /// A row a customer who owes something.
    #[arg(long)]
    by_customer: bool,
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
    if report.by_customer {
        return by_customer(answer, fleet).await;
    }

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

/// Of the day of that answer, which is the total of it.
async fn by_customer(whole: GetArAgeingResponse, fleet: &Fleet) -> anyhow::Result<Sheet> {
    let mut analytics = AnalyticsServiceClient::new(fleet.client.client(&fleet.analytics_url)?);
    let mut request = QueryArAgeingByCustomerRequest {
        as_of_date: whole.as_of_date.clone(),
        page_size: 10_000,
        ..QueryArAgeingByCustomerRequest::default()
    };
    let mut rows = Vec::new();
    let watermark = loop {
        let answer = analytics.query_ar_ageing_by_customer(request.clone()).await;
        let answer = answer.map_err(|status| refusal("analytics-svc", &status))?.into_inner();
        rows.extend(answer.customers.into_iter().map(row));
        request.page_token = answer.next_page_token;
        if request.page_token.is_empty() {
            break answer.watermark.unwrap_or_default();
        }
    };
    let total = CustomerAgeing {
        customer_id: "total".to_owned(),
        current: whole.current,
        bucket_30: whole.bucket_30,
        bucket_60: whole.bucket_60,
        bucket_90: whole.bucket_90,
        bucket_over_90: whole.bucket_over_90,
        total_ar: whole.total_ar,
    };
    Ok(Sheet {
        columns: vec![
            Column("customer_id", "Customer", false),
            Column("current", "Not due", true),
            Column("bucket_30", "1 to 30 days late", true),
            Column("bucket_60", "31 to 60", true),
            Column("bucket_90", "61 to 90", true),
            Column("bucket_over_90", "91 or more", true),
            Column("total_ar", "Total", true),
        ],
        rows,
        total: Some(row(total)),
        notes: vec![format!("As of {}", whole.as_of_date), fresh::note(&watermark)],
        facts: Map::from_iter([
            ("as_of_date".to_owned(), whole.as_of_date.into()),
            ("watermark".to_owned(), fresh::fact(&watermark)),
        ]),
    })
}

fn row(owed: CustomerAgeing) -> Vec<Value> {
    let amounts = [
        owed.current,
        owed.bucket_30,
        owed.bucket_60,
        owed.bucket_90,
        owed.bucket_over_90,
        owed.total_ar,
    ];
    let amounts = amounts.into_iter().map(|money| amount(money).into());
    std::iter::once(owed.customer_id.into()).chain(amounts).collect()
}
