use proto::inventory::v1::{
    BatchReceiveStockRequest, ReceiveStockRequest, inventory_service_client::InventoryServiceClient,
};
use uuid::{Uuid, uuid};

use super::{
    batches::Batch,
    calls::{Calls, Failure},
    check::Check,
};

pub(crate) const COLUMNS: [&str; 3] = ["sku", "qty", "reorder_point"];
const NAMESPACE: Uuid = uuid!("6f0a5c1e-4d5a-5b0e-9a55-0b6f3f2c7a41");

pub(crate) struct Stock {
    pub(crate) calls: Calls,
    pub(crate) inventory: InventoryServiceClient<rpc::Client>,
    /// Tells a delivery from an earlier one with the same contents.
    pub(crate) delivery: String,
}

impl Batch for Stock {
    type Item = ReceiveStockRequest;

    /// Of a quantity of 0 there is nothing to receive.
    fn read(&self, check: &mut Check<'_>) -> Option<Self::Item> {
        let sku = check.sku("sku");
        let quantity = check.whole("qty", 0, 100_000_000);
        let reorder_point = check.optional_whole("reorder_point", 0, i32::MAX);
        (quantity > 0).then_some(ReceiveStockRequest {
            sku,
            quantity,
            reorder_point,
            ..ReceiveStockRequest::default()
        })
    }

    fn keys(&self, item: &Self::Item) -> Vec<(&'static str, String)> {
        vec![("sku", item.sku.clone())]
    }

    async fn send(&self, items: Vec<Self::Item>) -> Result<(), Failure> {
        let request_id = delivery_id(&self.delivery, &items).to_string();
        let request = BatchReceiveStockRequest { request_id, requests: items };
        let call = async || self.inventory.clone().batch_receive_stock(request.clone()).await;
        self.calls.patiently("inventory-svc", call).await.map(drop)
    }
}

/// The same goods have the same id, however often they are sent.
fn delivery_id(delivery: &str, items: &[ReceiveStockRequest]) -> Uuid {
    // No separator can be part of a SKU or a number.
    let mut contents = format!("stock\n{delivery}\n");
    for item in items {
        let reorder_point = item.reorder_point.map(|point| point.to_string()).unwrap_or_default();
        contents += &format!("{},{},{reorder_point}\n", item.sku, item.quantity);
    }
    Uuid::new_v5(&NAMESPACE, contents.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_goods_are_the_same_delivery() {
        let one = |sku: &str, quantity, reorder_point| ReceiveStockRequest {
            sku: sku.to_owned(),
            quantity,
            reorder_point,
            ..ReceiveStockRequest::default()
        };
        let id = |items: &[_]| delivery_id("", items);
        let goods = [one("P1", 2, Some(3)), one("P2", 1, None)];
        assert_eq!(id(&goods), id(&goods.clone()));
        assert_ne!(id(&goods), delivery_id("second week", &goods));
        assert_ne!(id(&goods), id(&goods[..1]));
        assert_ne!(id(&[one("P1", 2, None)]), id(&[one("P1", 2, Some(0))]));
    }
}
