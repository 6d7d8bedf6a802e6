//! What is low on stock: inventory-svc, which knows, and analytics-svc, which counts, say the same.

use std::fs;

use prost_types::FieldMask;
use proto::{
    analytics::v1::{QueryLowStockRequest, analytics_service_client::AnalyticsServiceClient},
    inventory::v1::{
        ArchiveProductRequest, CreateProductRequest, GetItemRequest, Item, ListItemsRequest,
        ReceiveStockRequest, RestoreProductRequest, UpdateItemRequest,
    },
    orders::v1::{ReturnDisposition, ReturnOrderLine, ReturnOrderRequest},
};

use crate::world::{World, eventually, money};

/// SKU, on hand, reserved, available, reorder point.
type Low = (String, i32, i32, i32, i32);

impl World {
    /// A new product, of which so many came, if any, to be reordered at so many.
    async fn item(&self, sku: &str, on_hand: i32, reorder_point: i32) {
        let request = CreateProductRequest {
            sku: sku.to_owned(),
            name: format!("a {sku}"),
            price: money("1.00"),
            ..Default::default()
        };
        self.inventory().create_product(request).await.unwrap();
        if on_hand > 0 {
            let request = ReceiveStockRequest {
                sku: sku.to_owned(),
                quantity: on_hand,
                reorder_point: Some(reorder_point),
                ..Default::default()
            };
            self.inventory().receive_stock(request).await.unwrap();
        }
    }

    async fn reorder_at(&self, sku: &str, reorder_point: i32) {
        let request = UpdateItemRequest {
            item: Some(Item { sku: sku.to_owned(), reorder_point, ..Default::default() }),
            update_mask: Some(FieldMask { paths: vec!["reorder_point".to_owned()] }),
            ..Default::default()
        };
        self.inventory().update_item(request).await.unwrap();
    }

    async fn archive(&self, sku: &str) {
        let request = ArchiveProductRequest { sku: sku.to_owned(), ..Default::default() };
        self.inventory().archive_product(request).await.unwrap();
    }

    /// Waits until inventory-svc has heard what moved it to so many on hand.
    async fn has(&self, on_hand: i32, sku: &str) {
        eventually("news of what moved", async || {
            let request = GetItemRequest { sku: sku.to_owned() };
            let item = self.inventory().get_item(request).await.unwrap().into_inner().item?;
            (item.on_hand == on_hand).then_some(())
        })
        .await;
    }

    async fn low_by_inventory(&self, show_archived: bool) -> Vec<Low> {
        let request =
            ListItemsRequest { low: true, show_archived, page_size: 1000, ..Default::default() };
        let items = self.inventory().list_items(request).await.unwrap().into_inner().items;
        let low = items.into_iter();
        low.map(|item| (item.sku, item.on_hand, item.reserved, item.available, item.reorder_point))
            .collect()
    }

    /// A page of two at a time.
    async fn low_by_analytics(&self, show_archived: bool) -> Option<Vec<Low>> {
        let mut analytics = AnalyticsServiceClient::new(self.client("analytics-svc"));
        let mut request =
            QueryLowStockRequest { page_size: 2, show_archived, ..Default::default() };
        let mut low = Vec::new();
        loop {
            let page = analytics.query_low_stock(request.clone()).await.ok()?.into_inner();
            low.extend(page.items.into_iter().map(|item| {
                let levels = (item.qty_on_hand, item.reserved_qty, item.available);
                (item.sku, levels.0, levels.1, levels.2, item.reorder_point)
            }));
            if page.next_page_token.is_empty() {
                return Some(low);
            }
            request.page_token = page.next_page_token;
        }
    }

    /// Fails unless both say this, which names what is low, and what is archived and low besides.
    async fn are_low(&self, skus: &[&str], archived: &[&str]) {
        for show_archived in [false, true] {
            let known = self.low_by_inventory(show_archived).await;
            let mut expected = skus.to_vec();
            expected.extend(archived.iter().filter(|_| show_archived));
            expected.sort_unstable();
            assert_eq!(known.iter().map(|low| low.0.as_str()).collect::<Vec<_>>(), expected);
            eventually("agreement on what is low", async || {
                (self.low_by_analytics(show_archived).await? == known).then_some(())
            })
            .await;
        }
    }
}

#[tokio::test]
async fn analytics_tells_what_is_low_on_stock_as_inventory_does() {
    let world = World::start().await;
    let customer = world.customer().await;
    for (sku, on_hand, reorder_point) in
        [("AXE", 9, 5), ("BUN", 9, 5), ("CUP", 4, 4), ("DYE", 0, 0), ("EGG", 4, 0), ("FAN", 0, 0)]
    {
        world.item(sku, on_hand, reorder_point).await;
    }
    world.are_low(&["CUP", "DYE", "FAN"], &[]).await;

    // What is promised is not available; what is not sold any more is not missed.
    world.order(&customer, &[("AXE", 3), ("BUN", 4)]).await.unwrap();
    world.archive("FAN").await;
    world.are_low(&["BUN", "CUP", "DYE"], &["FAN"]).await;
    let low = world.low_by_inventory(false).await;
    assert_eq!(low[0], ("BUN".to_owned(), 9, 4, 5, 5));

    // Points move by themselves.
    world.reorder_at("AXE", 6).await;
    world.reorder_at("BUN", 4).await;
    world.reorder_at("FAN", 7).await;
    world.are_low(&["AXE", "CUP", "DYE"], &["FAN"]).await;

    // The last ones are sold, their product is archived, and one comes back.
    let another = world.customer().await;
    let sold = world.sell_ship_and_pay(&another, "EGG", "4.00").await;
    world.has(0, "EGG").await;
    world.archive("EGG").await;
    world.are_low(&["AXE", "CUP", "DYE"], &["EGG", "FAN"]).await;
    let line = ReturnOrderLine {
        line_id: sold.lines[0].line_id.clone(),
        quantity: 1,
        disposition: ReturnDisposition::Restock.into(),
    };
    let request =
        ReturnOrderRequest { order_id: sold.order_id, lines: vec![line], ..Default::default() };
    world.orders().return_order(request).await.unwrap();
    world.has(1, "EGG").await;
    world.reorder_at("EGG", 1).await;
    let restored = RestoreProductRequest { sku: "FAN".to_owned(), ..Default::default() };
    world.inventory().restore_product(restored).await.unwrap();
    world.are_low(&["AXE", "CUP", "DYE", "EGG", "FAN"], &[]).await;

    let csv = world.folder.path().join("low.csv");
    world.bramble(&["export", "stock", "--low", "--out", csv.to_str().unwrap()]);
    let rows: Vec<String> = world
        .low_by_inventory(false)
        .await
        .into_iter()
        .map(|(sku, on_hand, reserved, available, point)| {
            format!("{sku},{on_hand},{reserved},{available},{point}\n")
        })
        .collect();
    let text = fs::read_to_string(&csv).unwrap();
    assert_eq!(text.split_once('\n').unwrap().1, rows.concat());
}
