use proto::orders::v1::{BatchGetOrdersRequest, Order, OrderStatus};
use tonic::Code;

use testkit::refusal;

use crate::{
    app::App,
    requests::{new_id, shipping},
};

#[tokio::test]
async fn an_order_comes_with_its_lines_and_shipments() {
    let app = App::start().await;
    app.stock("A", 10, "1.00").await;
    app.stock("B", 10, "2.00").await;
    let order = app.placed(&[("B", 1), ("A", 3), ("B", 2)]).await;
    let (b, a) = (order.lines[0].line_id.as_str(), order.lines[1].line_id.as_str());
    let (_, first) = app.ship_as(shipping(&order.order_id, &[(a, 2)])).await.unwrap();
    let (_, second) = app.ship_as(shipping(&order.order_id, &[(a, 1), (b, 1)])).await.unwrap();

    let found = app.order(&order.order_id).await;
    let skus: Vec<&str> = found.lines.iter().map(|line| line.sku.as_str()).collect();
    assert_eq!(skus, ["B", "A", "B"], "in the order in which they were given");
    assert_eq!(found.shipments, [first, second]);
    let left: Vec<i32> = found.lines.iter().map(|line| line.shipped_quantity).collect();
    assert_eq!(left, [1, 3, 0]);
    assert_eq!(found.status(), OrderStatus::Placed);
}

#[tokio::test]
async fn an_order_that_does_not_exist_is_not_found() {
    let app = App::start().await;
    let nothing = new_id();
    let refused = refusal(app.find_order(&nothing).await);
    refused.is(Code::NotFound, "ORDER_NOT_FOUND");
    assert_eq!(refused.facts, [format!("order_id: {nothing}")]);
    refusal(app.find_order("7").await).names(&["order_id"]);
}

/// A shipment that commits between two statements of a read is in none of them.
#[tokio::test]
async fn an_order_is_read_as_of_one_moment() {
    let app = App::start().await;
    app.stock("A", 9, "1.00").await;
    let order = app.placed(&[("A", 2)]).await;
    let mut shipping = app.db.begin().await.unwrap();
    let lock = "lock table orders.shipments in access exclusive mode";
    sqlx::query(lock).execute(&mut *shipping).await.unwrap();
    let ship = async {
        app.has_waiting(1).await;
        sqlx::query("insert into orders.shipments (id, order_id) select gen_random_uuid(), id from orders.orders")
            .execute(&mut *shipping)
            .await
            .unwrap();
        shipping.commit().await.unwrap();
    };
    let (seen, ()) = tokio::join!(app.order(&order.order_id), ship);
    assert_eq!(seen, order);
    assert_eq!(app.order(&order.order_id).await.shipments.len(), 1);
}

#[tokio::test]
async fn many_orders_are_found_at_once_with_their_lines() {
    let app = App::start().await;
    app.stock("A", 90, "1.00").await;
    let (draft, placed) = (app.draft(&[("A", 1), ("A", 2)]).await, app.placed(&[("A", 3)]).await);
    let (shipped, _) = app.ship(&placed.order_id).await.unwrap();
    let get = async |ids: &[&str]| {
        let order_ids = ids.iter().map(|id| (*id).to_owned()).collect();
        let request = BatchGetOrdersRequest { order_ids };
        let answer = app.client.clone().batch_get_orders(request).await?;
        Ok::<_, tonic::Status>(answer.into_inner().orders)
    };
    let nothing = new_id();
    let ids = [&*shipped.order_id, &nothing, &draft.order_id, &shipped.order_id];
    let expected = [Order { shipments: Vec::new(), ..shipped.clone() }, draft.clone()];
    assert_eq!(get(&ids).await.unwrap(), expected);
    assert_eq!(get(&[&nothing]).await.unwrap(), []);
    refusal(get(&[]).await).names(&["order_ids"]);
    refusal(get(&[nothing.as_str(); 101]).await).names(&["order_ids"]);
    refusal(get(&[&nothing, "7"]).await).names(&["order_ids[1]"]);

    // What is too large for a message is refused, not cut off.
    let (sku, mut large) = ("x".repeat(64), Vec::new());
    app.stock(&sku, 0, "1.00").await;
    for _ in 0..40 {
        large.push(app.draft(&[(sku.as_str(), 1_000_000); 500]).await.order_id);
    }
    let large: Vec<&str> = large.iter().map(String::as_str).collect();
    refusal(get(&large).await).names(&["order_ids"]);
    assert_eq!(get(&large[..8]).await.unwrap().len(), 8);
}
