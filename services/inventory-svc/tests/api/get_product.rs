use proto::inventory::v1::{BatchGetProductsRequest, GetProductRequest};
use tonic::Code;

use testkit::refusal;

use crate::app::App;

#[tokio::test]
async fn a_product_is_found_by_its_sku() {
    let app = App::start().await;
    app.stock("MUG-1", 0).await;
    let request = GetProductRequest { sku: "MUG-1".to_owned() };
    let product =
        app.client.clone().get_product(request).await.unwrap().into_inner().product.unwrap();
    assert_eq!((product.sku.as_str(), product.name.as_str()), ("MUG-1", "a MUG-1"));
}

#[tokio::test]
async fn an_unknown_sku_is_not_found() {
    let app = App::start().await;
    let request = GetProductRequest { sku: "mug-1".to_owned() };
    let refused = refusal(app.client.clone().get_product(request).await);
    refused.is(Code::NotFound, "PRODUCT_NOT_FOUND");
    assert_eq!(refused.facts, ["sku: mug-1"]);
    let request = GetProductRequest { sku: "\u{0}".to_owned() };
    assert_eq!(refusal(app.client.clone().get_product(request).await).code, Code::InvalidArgument);
}

#[tokio::test]
async fn those_of_many_that_exist_are_found() {
    let app = App::start().await;
    app.stock("B", 0).await;
    app.stock("A", 0).await;
    let get = async |skus: &[&str]| {
        let skus = skus.iter().map(|sku| (*sku).to_owned()).collect();
        let answer =
            app.client.clone().batch_get_products(BatchGetProductsRequest { skus }).await?;
        let products = answer.into_inner().products;
        Ok::<_, tonic::Status>(products.into_iter().map(|product| product.sku).collect::<Vec<_>>())
    };
    assert_eq!(get(&["B", "X", "A", "B"]).await.unwrap(), ["A", "B"]);
    refusal(get(&[]).await).names(&["skus"]);
    refusal(get(&["A", "a b"]).await).names(&["skus[1]"]);
    refusal(get(&["A"; 1001]).await).names(&["skus"]);
}

#[tokio::test]
async fn too_many_large_ones_are_refused_before_a_message_is_too_large() {
    let app = App::start().await;
    sqlx::query(
        "insert into inventory.products (sku, name, description, price)
         select 'S-' || n, 'Part', repeat('é', 10000), 1 from generate_series(1, 160) n",
    )
    .execute(&app.db)
    .await
    .unwrap();
    let get = async |count: i32| {
        let skus = (1..=count).map(|n| format!("S-{n}")).collect();
        let request = BatchGetProductsRequest { skus };
        app.client
            .clone()
            .batch_get_products(request)
            .await
            .map(|got| got.into_inner().products.len())
    };
    assert_eq!(get(150).await.unwrap(), 150);
    refusal(get(160).await).names(&["skus"]);
}
