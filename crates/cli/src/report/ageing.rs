use chrono::NaiveDate;
use money::Money;
use proto::analytics::v1::{
    CustomerAgeing, GetArAgeingRequest, QueryArAgeingByCustomerRequest,
    analytics_service_client::AnalyticsServiceClient,
};
use serde_json::{Map, Value};

use super::{
    Fleet, amount,
    fresh::{self, Freshness, Page},
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
    let as_of_date = report.as_of.map(rpc::to_date).unwrap_or_default();
    if report.by_customer {
        return by_customer(as_of_date, fleet).await;
    }
    let mut analytics = AnalyticsServiceClient::new(fleet.client.client(&fleet.analytics_url)?);
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

/// Totalled here: the total of another answer may be of another version.
async fn by_customer(as_of_date: String, fleet: &Fleet) -> anyhow::Result<Sheet> {
    let mut analytics = AnalyticsServiceClient::new(fleet.client.client(&fleet.analytics_url)?);
    let ask = async |page_token| {
        let request = QueryArAgeingByCustomerRequest {
            as_of_date: as_of_date.clone(),
            page_size: 10_000,
            page_token,
            ..QueryArAgeingByCustomerRequest::default()
        };
        let answer = analytics.query_ar_ageing_by_customer(request).await;
        let answer = answer.map_err(|status| refusal("analytics-svc", &status))?.into_inner();
        Ok(Page {
            rows: answer.customers,
            next_page_token: answer.next_page_token,
            watermark: answer.watermark.unwrap_or_default(),
            day: answer.as_of_date,
        })
    };
    let Page { rows: customers, watermark, day: as_of_date, .. } =
        fresh::of_one_version("billing", usize::MAX, ask).await?;
    let mut total = [Money::ZERO; 6];
    let mut rows = Vec::with_capacity(customers.len());
    for owed in customers {
        let CustomerAgeing {
            customer_id,
            current,
            bucket_30,
            bucket_60,
            bucket_90,
            bucket_over_90,
            total_ar,
        } = owed;
        let amounts =
            [current, bucket_30, bucket_60, bucket_90, bucket_over_90, total_ar].map(amount);
        for (sum, amount) in total.iter_mut().zip(&amounts) {
            *sum = sum.checked_add(Money::parse(amount)?)?;
        }
        rows.push(row(customer_id, amounts));
    }
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
        total: Some(row("total".to_owned(), total.map(|sum| sum.to_string()))),
        notes: vec![format!("As of {as_of_date}"), fresh::note(&watermark)],
        facts: Map::from_iter([
            ("as_of_date".to_owned(), as_of_date.into()),
            ("watermark".to_owned(), fresh::fact(&watermark)),
        ]),
    })
}

fn row(customer: String, amounts: [String; 6]) -> Vec<Value> {
    std::iter::once(customer).chain(amounts).map(Value::from).collect()
}

#[cfg(test)]
mod tests {
    use proto::{
        analytics::v1::{QueryArAgeingByCustomerResponse, SourcePosition, Watermark},
        common::v1,
    };
    use serde_json::json;

    use super::*;
    use crate::{fake::Fake, report::tests::told};

    /// Of two customers, each on a page of its own, who owe a pound for each event that is counted: one more before each page, up to so
    /// many. All is late from so many pages on.
    async fn told_while_counting(events_max: i64, pages: i64) -> anyhow::Result<Value> {
        let owed = |pounds: i64| {
            let amount = format!("{pounds}.00");
            Some(v1::Money { amount, currency_code: "GBP".to_owned() })
        };
        let (mut sequence, mut asked_before) = (0, 0);
        let page = move |asked: QueryArAgeingByCustomerRequest| {
            sequence = events_max.min(sequence + 1);
            let positions = vec![SourcePosition { source: "billing".to_owned(), sequence }];
            let is_first = asked.page_token.is_empty();
            let is_late = asked_before >= pages;
            asked_before += 1;
            let owing = CustomerAgeing {
                customer_id: if is_first { "ann" } else { "bob" }.to_owned(),
                current: owed(if is_late { 0 } else { sequence }),
                bucket_30: owed(if is_late { sequence } else { 0 }),
                bucket_60: owed(0),
                bucket_90: owed(0),
                bucket_over_90: owed(0),
                total_ar: owed(sequence),
            };
            QueryArAgeingByCustomerResponse {
                as_of_date: if is_late { "2026-11-25" } else { "2026-11-24" }.to_owned(),
                customers: vec![owing],
                next_page_token: if is_first { "behind ann" } else { "" }.to_owned(),
                watermark: Some(Watermark { positions, ..Watermark::default() }),
            }
        };
        let fake = Fake::default().on("QueryArAgeingByCustomer", page);
        told(&fake.serve().await, &["ageing", "--by-customer"]).await
    }

    #[tokio::test]
    async fn what_each_customer_owes_is_of_one_version_and_sums_to_the_total() {
        for events in [1, 2, 3] {
            let told = told_while_counting(events, i64::MAX).await.unwrap();
            let row = |who: &str, pounds: i64| {
                let owed = format!("{pounds}.00");
                json!({
                    "customer_id": who, "current": owed, "bucket_30": "0.00", "bucket_60": "0.00", "bucket_90": "0.00",
                    "bucket_over_90": "0.00", "total_ar": owed,
                })
            };
            assert_eq!(told["rows"], json!([row("ann", events), row("bob", events)]));
            assert_eq!(told["total"], row("total", 2 * events));
            assert_eq!(told["watermark"]["positions"], json!({ "billing": events }));
            assert_eq!(told["as_of_date"], "2026-11-24");
        }
    }

    #[tokio::test]
    async fn what_each_customer_owes_is_of_one_day_when_midnight_comes_between_the_pages() {
        let told = told_while_counting(1, 1).await.unwrap();
        let rows = told["rows"].as_array().unwrap();
        let late: Vec<_> = rows.iter().map(|row| &row["bucket_30"]).collect();
        assert_eq!(late, ["1.00", "1.00"]);
        assert_eq!(told["total"]["bucket_30"], "2.00");
        assert_eq!(told["as_of_date"], "2026-11-25");
    }

    #[tokio::test]
    async fn what_is_never_of_one_version_is_refused() {
        let refused = told_while_counting(i64::MAX, i64::MAX).await.unwrap_err().to_string();
        assert!(refused.contains("`bramble export`"), "{refused}");
    }
}
