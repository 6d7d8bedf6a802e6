//! With the answer to a write comes how far the log is then.

use futures::future::join_all;
use proto::orders::v1::{CreateOrderRequest, GetOrderRequest};
use tonic::{Response, Status};

use testkit::eventually;

use crate::{
    app::{App, WAIT_MAX},
    requests::{new_id, order},
};

const NEWEST_OF: &str = "select max(id) from orders.events_log where payload->>'subject' = $1";

/// As `orders=42` tells it.
fn position<T>(answer: &Response<T>) -> Option<i64> {
    let header = answer.metadata().get("bramble-position")?.to_str().unwrap();
    Some(header.strip_prefix("orders=").unwrap().parse().unwrap())
}

#[tokio::test]
async fn a_write_says_where_the_log_ends_and_a_read_does_not() {
    let app = App::start().await;
    app.stock("A", 9, "1.00").await;
    let (client, another) = (app.client.clone(), app.start_another().await);
    let end = async || app.count("select max(id) from orders.events_log").await;
    let customer = app.customer().await;
    let placed =
        CreateOrderRequest { request_id: new_id(), place: true, ..order(&customer, &[("A", 1)]) };
    let answer = client.clone().create_order(placed.clone()).await.unwrap();
    let told = position(&answer);
    assert_eq!(told, Some(end().await));
    let order_id = answer.into_inner().order.unwrap().order_id;

    // Again, and by a replica that has written nothing.
    // None while Postgres takes too long to say.
    let mut again = None;
    eventually("the log's end is told", WAIT_MAX, async || {
        again = position(&another.clone().create_order(placed.clone()).await.unwrap());
        again.is_some()
    })
    .await;
    assert_eq!(again, told);
    let read = client.clone().get_order(GetOrderRequest { order_id }).await.unwrap();
    assert_eq!(position(&read), None);
    let other = CreateOrderRequest { place: false, ..placed };
    let refused: Status = client.clone().create_order(other).await.unwrap_err();
    assert!(refused.metadata().get("bramble-position").is_none());
}

#[tokio::test]
async fn it_includes_what_was_written_however_many_write_at_once() {
    let app = App::start().await;
    app.stock("A", 200, "1.00").await;
    let customer = app.customer().await;
    let clients = [app.client.clone(), app.start_another().await];
    let write = async |turn: usize| {
        let request = CreateOrderRequest {
            request_id: new_id(),
            place: true,
            ..order(&customer, &[("A", 1)])
        };
        let answer = clients[turn % 2].clone().create_order(request).await.unwrap();
        let told = position(&answer).unwrap();
        let order_id = answer.into_inner().order.unwrap().order_id;
        let newest: i64 =
            sqlx::query_scalar(NEWEST_OF).bind(order_id).fetch_one(&app.db).await.unwrap();
        assert!(newest <= told, "event {newest} is behind {told}");
    };
    join_all((0..100).map(write)).await;
}
