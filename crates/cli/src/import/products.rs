use proto::inventory::v1::{
    BatchCreateProductsRequest, CreateProductRequest,
    inventory_service_client::InventoryServiceClient,
};

use super::{
    batches::Batch,
    calls::{Calls, Failure},
    check::Check,
};

pub(crate) const COLUMNS: [&str; 4] = ["sku", "name", "description", "price"];

pub(crate) struct Products {
    pub(crate) calls: Calls,
    pub(crate) inventory: InventoryServiceClient<rpc::Client>,
}

impl Batch for Products {
    type Item = CreateProductRequest;

    fn read(&self, check: &mut Check<'_>) -> Option<Self::Item> {
        Some(CreateProductRequest {
            request_id: String::new(),
            sku: check.sku("sku"),
            name: check.text("name", 1, 255),
            description: check.text("description", 0, 10_000),
            price: Some(check.price("price")),
        })
    }

    fn keys(&self, item: &Self::Item) -> Vec<(&'static str, String)> {
        vec![("sku", item.sku.clone())]
    }

    async fn send(&self, items: Vec<Self::Item>) -> Result<(), Failure> {
        let request =
            BatchCreateProductsRequest { requests: items, ..BatchCreateProductsRequest::default() };
        let call = async || self.inventory.clone().batch_create_products(request.clone()).await;
        self.calls.patiently("inventory-svc", call).await.map(drop)
    }
}
