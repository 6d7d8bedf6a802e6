use std::time::Duration;

use proto::inventory::v1::{
    self as pb, BatchGetItemsRequest, GetItemRequest, ListItemsRequest, ReceiveStockRequest,
};
use tonic::Code;

use testkit::refusal;

use crate::app::{App, new_order};

#[tokio::test]
async fn an_item_tells_what_is_on_hand_reserved_and_available() {
    let app = App::start().await;
    app.stock("A", 10).await;
    app.reserve(&new_order(), &[("A", 3)]).await.unwrap();
    let item = app.item("A").await;
    assert_eq!((item.on_hand, item.reserved, item.available), (10, 3, 7));
    assert_eq!((item.name.as_str(), item.reorder_point), ("a A", 0));
    assert!(item.update_time.is_some());
}

#[tokio::test]
async fn an_unknown_item_is_not_found() {
    let app = App::start().await;
    let get =
        async |sku: &str| app.client.clone().get_item(GetItemRequest { sku: sku.to_owned() }).await;
    refusal(get("X").await).is(Code::NotFound, "PRODUCT_NOT_FOUND");
    refusal(get("").await).names(&["sku"]);
}

#[tokio::test]
async fn those_of_many_that_exist_are_found() {
    let app = App::start().await;
    app.stock("B", 2).await;
    app.stock("A", 1).await;
    let get = async |skus: &[&str]| {
        let skus = skus.iter().map(|sku| (*sku).to_owned()).collect();
        let answer = app.client.clone().batch_get_items(BatchGetItemsRequest { skus }).await?;
        let items = answer.into_inner().items.into_iter();
        Ok::<_, tonic::Status>(items.map(|item| (item.sku, item.available)).collect::<Vec<_>>())
    };
    let found = get(&["B", "X", "A", "B"]).await.unwrap();
    assert_eq!(found, [("A".to_owned(), 1), ("B".to_owned(), 2)]);
    refusal(get(&[]).await).names(&["skus"]);
    refusal(get(&["A", "a b"]).await).names(&["skus[1]"]);
    refusal(get(&["A"; 1001]).await).names(&["skus"]);
}

#[tokio::test]
async fn what_is_low_has_an_index_of_its_own() {
    let app = App::start().await;
    let mut db = app.db.acquire().await.unwrap();
    sqlx::query("set enable_seqscan = off").execute(&mut *db).await.unwrap();
    let plan: Vec<String> = sqlx::query_scalar(
        "explain (costs off) select sku from inventory.inventory_items i join inventory.products using (sku)
         where low and sku > 'A' and (not archived or qty_on_hand > 0) order by sku limit 3",
    )
    .fetch_all(&mut *db)
    .await
    .unwrap();
    assert!(plan.join("\n").contains("inventory_items_low_idx"), "{plan:#?}");
}

/// Else each reservation would write to all indexes of the table.
#[tokio::test]
async fn a_level_change_writes_no_index() {
    let app = App::start().await;
    app.stock("A", 1000).await;
    for _ in 0..20 {
        app.reserve(&new_order(), &[("A", 1)]).await.unwrap();
    }
    let hot = async || {
        let changes: (i64, i64) = sqlx::query_as(
            "select n_tup_upd, n_tup_hot_upd from pg_stat_user_tables where relname = 'inventory_items'",
        )
        .fetch_one(&app.db)
        .await
        .unwrap();
        // The first delivery takes the item off what is low.
        changes.0 >= 21 && changes.1 == changes.0 - 1
    };
    testkit::eventually(
        "all changes but one stay in their page",
        Duration::from_secs(30),
        async || {
            // A session tells the statistics of its past with its next statement.
            app.item("A").await;
            hot().await
        },
    )
    .await;
}

#[tokio::test]
async fn low_items_are_those_at_or_below_their_reorder_point() {
    let app = App::start().await;
    for (sku, quantity, reorder_point) in [("A", 10, 5), ("B", 5, 5), ("C", 6, 5), ("D", 6, 5)] {
        app.stock(sku, 0).await;
        let sku = sku.to_owned();
        let reorder_point = Some(reorder_point);
        let request = ReceiveStockRequest { sku, quantity, reorder_point, ..Default::default() };
        app.client.clone().receive_stock(request).await.unwrap();
    }
    app.reserve(&new_order(), &[("D", 1)]).await.unwrap();
    let list = async |request: ListItemsRequest| {
        let answer = app.client.clone().list_items(request).await?.into_inner();
        let skus: Vec<String> = answer.items.into_iter().map(|item: pb::Item| item.sku).collect();
        Ok::<_, tonic::Status>((skus, answer.next_page_token))
    };
    let low = ListItemsRequest { low: true, ..Default::default() };
    assert_eq!(list(low.clone()).await.unwrap().0, ["B", "D"]);
    assert_eq!(list(ListItemsRequest::default()).await.unwrap().0, ["A", "B", "C", "D"]);

    let (first, page_token) = list(ListItemsRequest { page_size: 1, ..low.clone() }).await.unwrap();
    assert_eq!(first, ["B"]);
    let next = ListItemsRequest { page_size: 1, page_token: page_token.clone(), ..low.clone() };
    assert_eq!(list(next).await.unwrap(), (vec!["D".to_owned()], String::new()));
    let other = ListItemsRequest { page_size: 1, page_token, ..Default::default() };
    refusal(list(other).await).names(&["page_token"]);
    refusal(list(ListItemsRequest { page_size: -1, ..low }).await).names(&["page_size"]);
}
