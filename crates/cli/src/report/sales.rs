use anyhow::Context;
use chrono::{DateTime, Days, NaiveDate, TimeZone, Utc};
use chrono_tz::Tz;
use money::Money;
use prost_types::Timestamp;
use proto::analytics::v1::{
    HourOfSales, QuerySalesByHourRequest, Watermark,
    analytics_service_client::AnalyticsServiceClient,
};
use serde_json::{Map, Value, json};

use super::{
    Fleet, amount,
    fresh::{self, Freshness, Page},
    in_order, refusal,
    sheet::{Column, Sheet},
};

/// Sales by hour of placing, with tax.
#[derive(Debug, clap::Args)]
pub(crate) struct Sales {
    /// One day, such as 2017-01-09.
    #[arg(long, conflicts_with_all = ["from", "to"])]
    day: Option<NaiveDate>,
    /// The first day.
    #[arg(long)]
    from: Option<NaiveDate>,
    /// The last day.
    #[arg(long)]
    to: Option<NaiveDate>,
    /// Where days begin and end.
    #[arg(long, env = "BRAMBLE_TIME_ZONE", default_value = "Europe/London")]
    time_zone: Tz,
    #[command(flatten)]
    freshness: Freshness,
}

pub(super) async fn ask(sales: Sales, fleet: &Fleet) -> anyhow::Result<Sheet> {
    let zone = sales.time_zone;
    let (first, last) = (sales.day.or(sales.from), sales.day.or(sales.to));
    in_order(first, last)?;
    sales.freshness.wait(fleet).await?;
    let end = last.map(|last| last.checked_add_days(Days::new(1)).context("no such day"));
    let request = QuerySalesByHourRequest {
        start_time: first.map(|first| midnight(first, zone)).transpose()?,
        end_time: end.transpose()?.map(|end| midnight(end, zone)).transpose()?,
        page_size: 10_000,
        ..QuerySalesByHourRequest::default()
    };
    let mut analytics = AnalyticsServiceClient::new(fleet.client.client(&fleet.analytics_url)?);
    let ask = async |page_token| {
        let request = QuerySalesByHourRequest { page_token, ..request.clone() };
        let answer = analytics.query_sales_by_hour(request).await;
        let answer = answer.map_err(|status| refusal("analytics-svc", &status))?.into_inner();
        Ok(Page {
            rows: answer.hours,
            next_page_token: answer.next_page_token,
            watermark: answer.watermark.unwrap_or_default(),
            day: String::new(),
        })
    };
    let whole = fresh::of_one_version("orders", usize::MAX, ask).await?;
    show(whole.rows, &whole.watermark, zone)
}

/// Where the clocks skip midnight, the first moment after it.
fn midnight(day: NaiveDate, zone: Tz) -> anyhow::Result<Timestamp> {
    let local =
        (0..4).find_map(|hour| zone.from_local_datetime(&day.and_hms_opt(hour, 0, 0)?).earliest());
    let local = local.with_context(|| format!("{day} has no midnight in {zone}"))?;
    Ok(rpc::to_time(local.with_timezone(&Utc)))
}

fn show(hours: Vec<HourOfSales>, watermark: &Watermark, zone: Tz) -> anyhow::Result<Sheet> {
    let (mut orders, mut pence) = (0, 0);
    let mut rows: Vec<Vec<Value>> = Vec::with_capacity(hours.len());
    for hour in hours {
        let (time, sold) = (hour.hour.unwrap_or_default(), amount(hour.total_amount));
        orders += i64::from(hour.order_count);
        pence += Money::parse(&sold)?.hundredths();
        let utc = fresh::time_text(time).unwrap_or_default();
        let local = DateTime::parse_from_rfc3339(&utc)?.with_timezone(&zone);
        let local = local.format("%a %Y-%m-%d %H:%M").to_string();
        rows.push(vec![utc.into(), local.into(), hour.order_count.into(), sold.into()]);
    }
    let count = rows.len();
    let sold = format!("{}.{:02}", pence / 100, pence % 100);
    Ok(Sheet {
        columns: vec![
            Column("hour", "Hour (UTC)", false),
            Column("local_hour", "Local time", false),
            Column("order_count", "Orders", true),
            Column("total_amount", "Sold", true),
        ],
        rows,
        total: Some(vec![format!("{count} hours").into(), Value::Null, orders.into(), sold.into()]),
        facts: Map::from_iter([
            ("time_zone".to_owned(), json!(zone.name())),
            ("watermark".to_owned(), fresh::fact(watermark)),
        ]),
        notes: vec![fresh::note(watermark)],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_begins_at_midnight_where_the_business_is() {
        let day = |text: &str| text.parse::<NaiveDate>().unwrap();
        let begins = |text, zone: Tz| fresh::time_text(midnight(day(text), zone).unwrap()).unwrap();
        assert_eq!(begins("2017-01-09", chrono_tz::Europe::London), "2017-01-09T00:00:00Z");
        assert_eq!(begins("2017-07-09", chrono_tz::Europe::London), "2017-07-08T23:00:00Z");
        // The clocks go from 0:00 to 1:00 that day.
        assert_eq!(begins("2018-11-04", chrono_tz::America::Sao_Paulo), "2018-11-04T03:00:00Z");
    }
}
