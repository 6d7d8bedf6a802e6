//! The same request a hundred times at once has one effect, and one answer.

use std::{fmt::Debug, sync::Arc};

use proto::inventory::v1::{
    self as pb, AdjustStockRequest, AdjustmentReason, CommitReservationRequest, CountStockLine,
    CountStockRequest, ReceiveStockRequest, ReleaseReservationLine, ReleaseReservationRequest,
    ReserveStockLine, ReserveStockRequest, ReturnStockLine, ReturnStockRequest,
};
use tokio::task::JoinSet;
use tonic::Status;

use crate::app::{App, adjust_lines, new_order};

const TIMES: usize = 100;

/// Makes a call a hundred times at once; gives the answer, and how many events it told.
async fn at_once<F, A>(app: &Arc<App>, call: impl Fn(Arc<App>) -> F) -> (A, i64)
where
    F: Future<Output = Result<A, Status>> + Send + 'static,
    A: PartialEq + Debug + Send + 'static,
{
    let before = app.event_count().await;
    let mut callers = JoinSet::new();
    for _ in 0..TIMES {
        callers.spawn(call(Arc::clone(app)));
    }
    let mut answers = callers.join_all().await.into_iter().map(Result::unwrap);
    let first = answers.next().unwrap();
    for answer in answers {
        assert_eq!(answer, first);
    }
    app.check_books().await;
    (first, app.event_count().await - before)
}

macro_rules! call {
    ($app:expr, $rpc:ident, $request:expr) => {{
        let request = $request;
        at_once(&$app, move |app| {
            let request = request.clone();
            async move { Ok(app.client.clone().$rpc(request).await?.into_inner()) }
        })
        .await
    }};
}

async fn with_ten() -> Arc<App> {
    let app = Arc::new(App::start().await);
    app.stock("A", 0).await;
    app.buy("A", 10, "1").await;
    app
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_delivery_is_received_once() {
    let app = with_ten().await;
    let request = ReceiveStockRequest {
        request_id: new_order(),
        sku: "A".to_owned(),
        quantity: 5,
        unit_cost: "2".to_owned(),
        ..Default::default()
    };
    let (_, told) = call!(app, receive_stock, request);
    assert_eq!((app.levels("A").await, app.value("A").await, told), ((15, 0), "20.00".into(), 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_adjustment_and_a_count_move_once() {
    let app = with_ten().await;
    let request = AdjustStockRequest {
        request_id: new_order(),
        reason: AdjustmentReason::Lost.into(),
        lines: adjust_lines(&[("A", -3)]),
    };
    let (_, told) = call!(app, adjust_stock, request);
    assert_eq!((app.levels("A").await, told), ((7, 0), 1));
    let line =
        CountStockLine { sku: "A".to_owned(), counted_quantity: Some(6), movement_count: Some(2) };
    let (_, told) =
        call!(app, count_stock, CountStockRequest { request_id: new_order(), lines: vec![line] });
    assert_eq!((app.levels("A").await, told), ((6, 0), 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_order_is_reserved_released_in_part_shipped_and_taken_back_once() {
    let app = with_ten().await;
    let order_id = new_order();
    let line = ReserveStockLine { sku: "A".to_owned(), quantity: 6 };
    let request = ReserveStockRequest {
        request_id: new_order(),
        order_id: order_id.clone(),
        lines: vec![line],
    };
    let (_, told) = call!(app, reserve_stock, request);
    assert_eq!((app.levels("A").await, told), ((10, 6), 1));

    let line = ReleaseReservationLine { sku: "A".to_owned(), quantity: 2 };
    let request = ReleaseReservationRequest {
        request_id: new_order(),
        order_id: order_id.clone(),
        lines: vec![line],
    };
    let (_, told) = call!(app, release_reservation, request);
    assert_eq!((app.levels("A").await, told), ((10, 4), 1));

    // Without a request id: the shipment is the key.
    let line = pb::CommitReservationLine { sku: "A".to_owned(), quantity: 3 };
    let request = CommitReservationRequest {
        order_id: order_id.clone(),
        shipment_id: new_order(),
        lines: vec![line],
        ..Default::default()
    };
    let (_, told) = call!(app, commit_reservation, request);
    assert_eq!((app.levels("A").await, told), ((7, 1), 1));

    let line = ReturnStockLine { sku: "A".to_owned(), quantity: 1, restock: false };
    let request = ReturnStockRequest {
        order_id: order_id.clone(),
        return_id: new_order(),
        lines: vec![line],
        ..Default::default()
    };
    let (_, told) = call!(app, return_stock, request);
    assert_eq!((app.levels("A").await, told), ((7, 1), 2));

    let request = ReleaseReservationRequest { order_id, ..Default::default() };
    let (_, told) = call!(app, release_reservation, request);
    assert_eq!((app.levels("A").await, told), ((7, 0), 1));
    app.check_account().await;
}
