use proto::inventory::v1::{self as pb, GetItemRequest, ListItemsRequest, ReceiveStockRequest};
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
