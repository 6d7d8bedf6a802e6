use proto::inventory::v1::{ListItemsRequest, inventory_service_client::InventoryServiceClient};
use serde_json::Map;

use super::{
    Fleet, refusal,
    sheet::{Column, Sheet},
};

/// What is in the house, what is promised, and what is to be reordered.
#[derive(Debug, clap::Args)]
pub(crate) struct Stock {
    /// Only what is at or below its reorder point.
    #[arg(long)]
    low: bool,
    /// At most so many rows.
    #[arg(long, default_value_t = 100_000)]
    limit: usize,
}

pub(super) async fn ask(report: &Stock, fleet: &Fleet) -> anyhow::Result<Sheet> {
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
    let more_note = if more { ", and there are more" } else { "" };
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
        notes: vec![format!("{count} {what}{more_note}")],
    })
}
