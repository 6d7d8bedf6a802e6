//! The service's face: each method reads its request, calls one function, and answers.

mod reports;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use chrono_tz::Tz;
use proto::analytics::v1 as pb;
use rpc::{Fields, Page};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use crate::{
    AnalyticsError,
    domain::{self, Ageing, HourOfSales, MinPosition, SOURCES, StockLevel},
    queries::{self, Found, Materializations},
    store::Version,
};

const PAGE_SIZE_DEFAULT: i32 = 1000;
const PAGE_SIZE_MAX: i32 = 10_000;
const SKUS_MAX: usize = 1000;
const TOP_DEFAULT: i32 = 10;
const TOP_MAX: i32 = 1000;
const MIN_POSITION_MAX: usize = 16;

/// The days that are written with four digits.
const FIRST_DAY: NaiveDate = NaiveDate::from_ymd_opt(1, 1, 1).unwrap();
const LAST_DAY: NaiveDate = NaiveDate::from_ymd_opt(9999, 12, 31).unwrap();

pub(crate) struct Analytics {
    pub(crate) materializations: Materializations,
    pub(crate) time_zone: Tz,
}

#[tonic::async_trait]
impl pb::analytics_service_server::AnalyticsService for Analytics {
    async fn query_sales_by_hour(
        &self,
        request: Request<pb::QuerySalesByHourRequest>,
    ) -> Result<Response<pb::QuerySalesByHourResponse>, Status> {
        let request = request.into_inner();
        let mut fields = Fields::default();
        let start = fields.optional_time("start_time", request.start_time);
        let end = fields.optional_time("end_time", request.end_time);
        if start.zip(end).is_some_and(|(start, end)| end <= start) {
            fields.bad("end_time", "must be after start_time");
        }
        let filters = format!("{start:?} {end:?}");
        let page = read_page(&mut fields, request.page_size, &request.page_token, &filters);
        let after: Option<DateTime<Utc>> = page.token.key(&mut fields);
        let min_position = read_min_position(&mut fields, request.min_position);
        fields.done()?;

        // Hours begin at whole microseconds.
        let behind = after
            .map(|after| after.checked_add_signed(TimeDelta::microseconds(1)).unwrap_or(after));
        let from = behind.max(start).unwrap_or(DateTime::<Utc>::MIN_UTC);
        let until = end.unwrap_or(DateTime::<Utc>::MAX_UTC);
        let of = &self.materializations;
        let found = queries::sales_by_hour(of, min_position, (from, until), page.limit()).await?;
        let Found(mut hours, version) = found;
        let next_page_token = page.cut(&mut hours, |hour| hour.hour.to_rfc3339());
        Ok(Response::new(pb::QuerySalesByHourResponse {
            hours: hours.iter().map(show_hour).collect(),
            next_page_token,
            watermark: Some(show_watermark(&version)),
        }))
    }

    async fn get_stock_snapshot(
        &self,
        request: Request<pb::GetStockSnapshotRequest>,
    ) -> Result<Response<pb::GetStockSnapshotResponse>, Status> {
        let request = request.into_inner();
        let mut fields = Fields::default();
        let day = fields.optional_date("as_of_date", &request.as_of_date);
        let filters = format!("{} {}", request.as_of_date, request.skus.join("\n"));
        let page = read_page(&mut fields, request.page_size, &request.page_token, &filters);
        let after: Option<String> = page.token.key(&mut fields);
        fields.count("skus", request.skus.len(), 0, SKUS_MAX);
        let skus = request.skus.into_iter().take(SKUS_MAX).enumerate();
        let skus = skus.map(|(index, sku)| fields.sku(&format!("skus[{index}]"), sku)).collect();
        let min_position = read_min_position(&mut fields, request.min_position);
        fields.done()?;

        let (of, after) = (&self.materializations, after.unwrap_or_default());
        let limit = page.limit();
        let Found(mut stock, version) = match day {
            None => queries::stock_snapshot(of, min_position, after, skus, limit).await?,
            Some(day) => queries::stock_of_day(of, min_position, day, after, skus, limit).await?,
        };
        let next_page_token = page.cut(&mut stock.levels, |level| level.sku.clone());
        Ok(Response::new(pb::GetStockSnapshotResponse {
            levels: stock.levels.into_iter().map(show_level).collect(),
            next_page_token,
            snapshot_time: stock.taken_at.map(rpc::to_time),
            watermark: Some(show_watermark(&version)),
        }))
    }

    async fn get_ar_ageing(
        &self,
        request: Request<pb::GetArAgeingRequest>,
    ) -> Result<Response<pb::GetArAgeingResponse>, Status> {
        let request = request.into_inner();
        let mut fields = Fields::default();
        let day = fields.optional_date("as_of_date", &request.as_of_date);
        let min_position = read_min_position(&mut fields, request.min_position);
        fields.done()?;

        let (of, zone) = (&self.materializations, self.time_zone);
        let Found(ageing, version) = queries::ar_ageing(of, min_position, day, zone).await?;
        Ok(Response::new(show_ageing(&ageing, &version, zone)))
    }

    async fn query_sales_by_period(
        &self,
        request: Request<pb::QuerySalesByPeriodRequest>,
    ) -> Result<Response<pb::QuerySalesByPeriodResponse>, Status> {
        let request = request.into_inner();
        let mut fields = Fields::default();
        let period = reports::read_period(&mut fields, request.period);
        let days = (request.start_date.as_str(), request.end_date.as_str());
        let span = reports::read_days(&mut fields, days);
        let filters = format!("{period:?} {days:?}");
        let page = read_page(&mut fields, request.page_size, &request.page_token, &filters);
        let after: Option<NaiveDate> = page.token.key(&mut fields);
        let min_position = read_min_position(&mut fields, request.min_position);
        fields.done()?;

        let (of, what) = (&self.materializations, (period, self.time_zone));
        // No period begins on the first day of all.
        let after = after.filter(is_common_year).unwrap_or(FIRST_DAY);
        let instants = domain::instants_between(span, self.time_zone);
        let limit = page.limit();
        let found =
            queries::sales_by_period(of, min_position, what, instants, after, limit).await?;
        let Found(mut periods, version) = found;
        let next_page_token = page.cut(&mut periods, |sales| rpc::to_date(sales.start));
        Ok(Response::new(pb::QuerySalesByPeriodResponse {
            periods: periods.iter().map(|sales| reports::show_period(period, sales)).collect(),
            next_page_token,
            watermark: Some(show_watermark(&version)),
        }))
    }

    async fn query_sales_by_sku(
        &self,
        request: Request<pb::QuerySalesBySkuRequest>,
    ) -> Result<Response<pb::QuerySalesBySkuResponse>, Status> {
        let request = request.into_inner();
        let mut fields = Fields::default();
        let days = (request.start_date.as_str(), request.end_date.as_str());
        let span = reports::read_days(&mut fields, days);
        let filters = format!("{days:?}");
        let page = read_page(&mut fields, request.page_size, &request.page_token, &filters);
        let after: Option<String> = page.token.key(&mut fields);
        let min_position = read_min_position(&mut fields, request.min_position);
        fields.done()?;

        let (of, after) = (&self.materializations, after.unwrap_or_default());
        let (days, limit) = ((span, self.time_zone), page.limit());
        let found = queries::sales_by_sku(of, min_position, days, after, limit).await?;
        let Found(mut skus, version) = found;
        let next_page_token = page.cut(&mut skus, |sales| sales.sku.clone());
        Ok(Response::new(pb::QuerySalesBySkuResponse {
            skus: skus.into_iter().map(reports::show_sku).collect(),
            next_page_token,
            watermark: Some(show_watermark(&version)),
        }))
    }

    async fn get_top_products(
        &self,
        request: Request<pb::GetTopProductsRequest>,
    ) -> Result<Response<pb::GetTopProductsResponse>, Status> {
        let request = request.into_inner();
        let mut fields = Fields::default();
        let days = (request.start_date.as_str(), request.end_date.as_str());
        let span = reports::read_days(&mut fields, days);
        let rank = reports::read_rank(&mut fields, request.rank);
        let limit = if request.limit == 0 { TOP_DEFAULT } else { request.limit };
        let limit = i64::from(fields.within("limit", limit, 1, TOP_MAX));
        let min_position = read_min_position(&mut fields, request.min_position);
        fields.done()?;

        let (of, days) = (&self.materializations, (span, self.time_zone));
        let found = queries::top_products(of, min_position, rank, days, limit).await?;
        let Found(skus, version) = found;
        Ok(Response::new(pb::GetTopProductsResponse {
            skus: skus.into_iter().map(reports::show_sku).collect(),
            watermark: Some(show_watermark(&version)),
        }))
    }

    async fn query_ar_ageing_by_customer(
        &self,
        request: Request<pb::QueryArAgeingByCustomerRequest>,
    ) -> Result<Response<pb::QueryArAgeingByCustomerResponse>, Status> {
        let request = request.into_inner();
        let mut fields = Fields::default();
        let day = fields.optional_date("as_of_date", &request.as_of_date);
        let customer: Option<Uuid> = fields.optional_id("customer_id", &request.customer_id);
        let filters = format!("{day:?} {customer:?}");
        let page = read_page(&mut fields, request.page_size, &request.page_token, &filters);
        let after: Option<Uuid> = page.token.key(&mut fields);
        let min_position = read_min_position(&mut fields, request.min_position);
        fields.done()?;

        let (of, when) = (&self.materializations, (day, self.time_zone));
        let (who, limit) = ((customer, after), page.limit());
        let found = queries::ageing_by_customer(of, min_position, when, who, limit).await?;
        let Found((day, mut customers), version) = found;
        let next_page_token = page.cut(&mut customers, |owing| owing.customer_id.to_string());
        Ok(Response::new(pb::QueryArAgeingByCustomerResponse {
            as_of_date: rpc::to_date(day),
            customers: customers.iter().map(reports::show_customer).collect(),
            next_page_token,
            watermark: Some(show_watermark(&version)),
        }))
    }

    async fn query_low_stock(
        &self,
        request: Request<pb::QueryLowStockRequest>,
    ) -> Result<Response<pb::QueryLowStockResponse>, Status> {
        let request = request.into_inner();
        let mut fields = Fields::default();
        let archived = request.show_archived;
        let filters = format!("low {archived}");
        let page = read_page(&mut fields, request.page_size, &request.page_token, &filters);
        let after: Option<String> = page.token.key(&mut fields);
        let min_position = read_min_position(&mut fields, request.min_position);
        fields.done()?;

        let (of, after) = (&self.materializations, after.unwrap_or_default());
        let found = queries::low_stock(of, min_position, archived, after, page.limit()).await?;
        let Found(mut items, version) = found;
        let next_page_token = page.cut(&mut items, |item| item.sku.clone());
        Ok(Response::new(pb::QueryLowStockResponse {
            items: items.into_iter().map(reports::show_low).collect(),
            next_page_token,
            watermark: Some(show_watermark(&version)),
        }))
    }

    async fn get_trial_balance(
        &self,
        request: Request<pb::GetTrialBalanceRequest>,
    ) -> Result<Response<pb::GetTrialBalanceResponse>, Status> {
        let request = request.into_inner();
        let mut fields = Fields::default();
        let day = fields.optional_date("as_of_date", &request.as_of_date);
        let min_position = read_min_position(&mut fields, request.min_position);
        fields.done()?;

        let (of, day) = (&self.materializations, day.unwrap_or(LAST_DAY));
        let Found(accounts, version) = queries::trial_balance(of, min_position, day).await?;
        let (debit, credit) = domain::totals(&accounts).ok_or(AnalyticsError::SumTooLarge)?;
        Ok(Response::new(pb::GetTrialBalanceResponse {
            accounts: accounts.into_iter().map(reports::show_account).collect(),
            total_debit: Some(rpc::to_sum(debit)),
            total_credit: Some(rpc::to_sum(credit)),
            watermark: Some(show_watermark(&version)),
        }))
    }
}

fn is_common_year(day: &NaiveDate) -> bool {
    (FIRST_DAY..=LAST_DAY).contains(day)
}

fn read_page(fields: &mut Fields, size: i32, token: &str, filters: &str) -> Page {
    Page::read_up_to(fields, size, token, filters, PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX)
}

pub(crate) fn read_min_position(
    fields: &mut Fields,
    positions: Vec<pb::SourcePosition>,
) -> MinPosition {
    fields.count("min_position", positions.len(), 0, MIN_POSITION_MAX);
    let positions = positions.into_iter().take(MIN_POSITION_MAX).enumerate();
    let positions = positions.map(|(index, position)| {
        let field = |name: &str| format!("min_position[{index}].{name}");
        if !SOURCES.contains(&position.source.as_str()) {
            fields.bad(field("source"), format!("is none of {}", SOURCES.join(", ")));
        }
        let sequence = fields.within(&field("sequence"), position.sequence, 0, i64::MAX);
        (position.source, sequence)
    });
    MinPosition(positions.collect())
}

fn show_hour(hour: &HourOfSales) -> pb::HourOfSales {
    pb::HourOfSales {
        hour: Some(rpc::to_time(hour.hour)),
        total_amount: Some(rpc::to_sum(hour.total_amount)),
        order_count: hour.order_count,
    }
}

fn show_level(level: StockLevel) -> pb::StockLevel {
    pb::StockLevel {
        sku: level.sku,
        qty_on_hand: level.qty_on_hand,
        reserved_qty: level.reserved_qty,
    }
}

fn show_ageing(ageing: &Ageing, version: &Version, zone: Tz) -> pb::GetArAgeingResponse {
    pb::GetArAgeingResponse {
        as_of_date: rpc::to_date(domain::day_of(ageing.as_of, zone)),
        current: Some(rpc::to_sum(ageing.current)),
        bucket_30: Some(rpc::to_sum(ageing.bucket_30)),
        bucket_60: Some(rpc::to_sum(ageing.bucket_60)),
        bucket_90: Some(rpc::to_sum(ageing.bucket_90)),
        bucket_over_90: Some(rpc::to_sum(ageing.bucket_over_90)),
        total_ar: Some(rpc::to_sum(ageing.total_ar)),
        watermark: Some(show_watermark(version)),
    }
}

fn show_watermark(version: &Version) -> pb::Watermark {
    let manifest = &version.manifest;
    let positions = manifest.positions.iter().map(|(source, counted)| pb::SourcePosition {
        source: source.clone(),
        sequence: counted.log_id,
    });
    pb::Watermark {
        positions: positions.collect(),
        event_time: manifest.event_time.map(rpc::to_time),
        age_ms: (now() - manifest.written_at).num_milliseconds().max(0),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "an age is one on the wall clock; nothing is dated by it"
)]
fn now() -> DateTime<Utc> {
    Utc::now()
}
