use chrono::NaiveDate;
use proto::{
    analytics::v1::{GetStockSnapshotRequest, analytics_service_client::AnalyticsServiceClient},
    inventory::v1::{ListItemsRequest, inventory_service_client::InventoryServiceClient},
};
use serde_json::Map;

use super::{
    Fleet,
    fresh::{self, Freshness, Page},
    refusal,
    sheet::{Column, Sheet},
};

/// What is in the house, what is promised, and what is to be reordered.
#[derive(Debug, clap::Args)]
pub(crate) struct Stock {
    /// Only what is at or below its reorder point.
    #[arg(long, conflicts_with = "as_of")]
    low: bool,
    /// As it was at the end of this business day, such as 2017-01-31; else as it is now.
    #[arg(long)]
    as_of: Option<NaiveDate>,
    /// At most so many rows.
    #[arg(long, default_value_t = 100_000)]
    limit: usize,
    #[command(flatten)]
    freshness: Freshness,
}

pub(super) async fn ask(report: &Stock, fleet: &Fleet) -> anyhow::Result<Sheet> {
    match report.as_of {
        Some(day) => of_day(report, day, fleet).await,
        None => now(report, fleet).await,
    }
}

/// inventory-svc knows best.
async fn now(report: &Stock, fleet: &Fleet) -> anyhow::Result<Sheet> {
    let mut inventory = InventoryServiceClient::new(fleet.client.client(&fleet.inventory_url)?);
    let mut request = ListItemsRequest { page_size: 1000, low: report.low, ..Default::default() };
    let mut items = Vec::new();
    loop {
        let answer = inventory.list_items(request.clone()).await;
        let answer = answer.map_err(|status| refusal("inventory-svc", &status))?.into_inner();
        items.extend(answer.items);
        request.page_token = answer.next_page_token;
        if request.page_token.is_empty() || items.len() > report.limit {
            break;
        }
    }
    let more = items.len() > report.limit || !request.page_token.is_empty();
    items.truncate(report.limit);
    let count = items.len();
    let rows = items.into_iter().map(|item| {
        vec![
            item.sku.into(),
            item.name.into(),
            item.on_hand.into(),
            item.reserved.into(),
            item.available.into(),
            item.reorder_point.into(),
        ]
    });
    let what = if report.low { "SKUs at or below their reorder point" } else { "SKUs" };
    Ok(Sheet {
        columns: vec![
            Column("sku", "SKU", false),
            Column("name", "Name", false),
            Column("on_hand", "On hand", true),
            Column("reserved", "Reserved", true),
            Column("available", "Available", true),
            Column("reorder_point", "Reorder at", true),
        ],
        rows: rows.collect(),
        total: None,
        facts: Map::from_iter([("more".to_owned(), more.into())]),
        notes: vec![counted(count, what, more)],
    })
}

/// As it was counted. Names and reorder points are of today, and so not in it.
async fn of_day(report: &Stock, day: NaiveDate, fleet: &Fleet) -> anyhow::Result<Sheet> {
    report.freshness.wait(fleet).await?;
    let mut analytics = AnalyticsServiceClient::new(fleet.client.client(&fleet.analytics_url)?);
    let as_of_date = rpc::to_date(day);
    let ask = async |page_token| {
        let request = GetStockSnapshotRequest {
            as_of_date: as_of_date.clone(),
            page_size: 10_000,
            page_token,
            ..GetStockSnapshotRequest::default()
        };
        let answer = analytics.get_stock_snapshot(request).await;
        let answer = answer.map_err(|status| refusal("analytics-svc", &status))?.into_inner();
        Ok(Page {
            rows: answer.levels,
            next_page_token: answer.next_page_token,
            watermark: answer.watermark.unwrap_or_default(),
            day: as_of_date.clone(),
        })
    };
    let Page { rows: mut levels, next_page_token, watermark, .. } =
        fresh::of_one_version("inventory", report.limit, ask).await?;
    let more = levels.len() > report.limit || !next_page_token.is_empty();
    levels.truncate(report.limit);
    let note = counted(levels.len(), &format!("SKUs at the end of {as_of_date}"), more);
    let rows = levels.into_iter().map(|level| {
        let available = level.qty_on_hand - level.reserved_qty;
        vec![
            level.sku.into(),
            level.qty_on_hand.into(),
            level.reserved_qty.into(),
            available.into(),
        ]
    });
    Ok(Sheet {
        columns: vec![
            Column("sku", "SKU", false),
            Column("on_hand", "On hand", true),
            Column("reserved", "Reserved", true),
            Column("available", "Available", true),
        ],
        rows: rows.collect(),
        total: None,
        facts: Map::from_iter([
            ("more".to_owned(), more.into()),
            ("as_of_date".to_owned(), as_of_date.into()),
            ("watermark".to_owned(), fresh::fact(&watermark)),
        ]),
        notes: vec![note, fresh::note(&watermark)],
    })
}

fn counted(count: usize, what: &str, more: bool) -> String {
    let more_note = if more { ", and there are more" } else { "" };
    format!("{count} {what}{more_note}")
}
