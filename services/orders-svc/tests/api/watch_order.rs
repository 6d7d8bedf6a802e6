use std::time::Duration;

use proto::orders::v1::{Order, OrderStatus, WatchOrderRequest, WatchOrderResponse};
use tokio::time::timeout;
use tonic::{Code, Status, Streaming};

use testkit::{eventually, refusal};

use crate::{
    app::{App, Orders, WAIT_MAX},
    requests::{holding, new_id, shipping},
};

async fn watch(client: &Orders, order_id: &str) -> Result<Streaming<WatchOrderResponse>, Status> {
    let request = WatchOrderRequest { order_id: order_id.to_owned() };
    Ok(client.clone().watch_order(request).await?.into_inner())
}

async fn next(stream: &mut Streaming<WatchOrderResponse>) -> Result<Option<Order>, Status> {
    let next = timeout(WAIT_MAX, stream.message()).await.unwrap()?;
    Ok(next.map(|message| message.order.unwrap()))
}

async fn next_order(stream: &mut Streaming<WatchOrderResponse>) -> Order {
    next(stream).await.unwrap().unwrap()
}

#[tokio::test]
async fn an_order_is_sent_as_it_is_and_whenever_it_has_changed() {
    let app = App::start().await;
    app.stock("A", 9, "1.00").await;
    let draft = app.draft(&[("A", 2)]).await;
    let mut stream = watch(&app.client, &draft.order_id).await.unwrap();
    let mut other = watch(&app.client, &draft.order_id).await.unwrap();
    assert_eq!(next_order(&mut stream).await, draft);
    assert_eq!(next_order(&mut other).await, draft);
    let placed = app.place(&draft.order_id).await.unwrap();
    assert_eq!(next_order(&mut stream).await, placed);
    let line = placed.lines[0].line_id.as_str();
    app.settle().await;
    let (part, _) = app.ship_as(shipping(&draft.order_id, &[(line, 1)])).await.unwrap();
    assert_eq!(next_order(&mut stream).await, part);
    // Payment makes no event of the order, but another order all the same.
    app.hear_paid(&[&draft.order_id]).await;
    assert!(next_order(&mut stream).await.paid);
    let (completed, _) = app.ship(&draft.order_id).await.unwrap();
    assert_eq!(completed.status(), OrderStatus::Completed);
    assert_eq!(next_order(&mut stream).await, completed);
    // One who reads late may miss states between, not the last one.
    while next_order(&mut other).await != completed {}
    // Nothing more comes while nothing happens.
    assert!(timeout(Duration::from_millis(700), stream.message()).await.is_err());
}

#[tokio::test]
async fn what_another_replica_changes_is_seen_too() {
    let app = App::start().await;
    let mut another = app.start_another().await;
    app.stock("A", 9, "1.00").await;
    let draft = app.draft(&[("A", 2)]).await;
    let mut stream = watch(&app.client, &draft.order_id).await.unwrap();
    assert_eq!(next_order(&mut stream).await, draft);
    for _ in 0..3 {
        let held = another.hold_order(holding(&draft.order_id)).await.unwrap().into_inner();
        assert_eq!(Some(next_order(&mut stream).await), held.order);
        let released = app.release(&draft.order_id).await.unwrap();
        assert_eq!(next_order(&mut stream).await, released);
    }
}

#[tokio::test]
async fn a_watch_ends_with_its_order() {
    let app = App::start().await;
    app.stock("A", 9, "1.00").await;
    let nothing = new_id();
    let mut stream = watch(&app.client, &nothing).await.unwrap();
    let refused = refusal(next(&mut stream).await);
    refused.is(Code::NotFound, "ORDER_NOT_FOUND");
    assert_eq!(refused.facts, [format!("order_id: {nothing}")]);
    refusal(watch(&app.client, "7").await).names(&["order_id"]);

    let draft = app.draft(&[("A", 2)]).await;
    let mut stream = watch(&app.client, &draft.order_id).await.unwrap();
    assert_eq!(next_order(&mut stream).await, draft);
    let order_id = draft.order_id;
    let request = proto::orders::v1::DeleteOrderRequest { order_id, ..Default::default() };
    app.delete_as(request).await.unwrap();
    refusal(next(&mut stream).await).is(Code::NotFound, "ORDER_NOT_FOUND");
    assert!(next(&mut stream).await.unwrap().is_none());
}

#[tokio::test]
async fn a_watch_ends_when_the_service_stops() {
    let app = App::start().await;
    app.stock("A", 9, "1.00").await;
    let draft = app.draft(&[("A", 2)]).await;
    let mut stream = watch(&app.client, &draft.order_id).await.unwrap();
    next_order(&mut stream).await;
    app.stop();
    refusal(next(&mut stream).await).is(Code::Unavailable, "STOPPING");
}

#[tokio::test]
async fn a_hundred_watch_and_a_place_is_free_when_one_leaves() {
    let app = App::start().await;
    app.stock("A", 9, "1.00").await;
    let draft = app.draft(&[("A", 2)]).await;
    let mut streams = Vec::new();
    for _ in 0..100 {
        let mut stream = watch(&app.client, &draft.order_id).await.unwrap();
        assert_eq!(next_order(&mut stream).await, draft);
        streams.push(stream);
    }
    refusal(watch(&app.client, &draft.order_id).await)
        .is(Code::ResourceExhausted, "TOO_MANY_WATCHES");
    let held = app.hold(&draft.order_id).await.unwrap();
    for stream in &mut streams {
        assert_eq!(next_order(stream).await, held);
    }
    drop(streams.pop());
    let mut more = None;
    eventually("there is a place", WAIT_MAX, async || {
        more = watch(&app.client, &draft.order_id).await.ok();
        more.is_some()
    })
    .await;
    assert_eq!(next_order(&mut more.unwrap()).await, held);
}
