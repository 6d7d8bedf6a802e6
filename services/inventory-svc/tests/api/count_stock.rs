use proto::inventory::v1::{self as pb, CountStockLine, CountStockRequest, MovementReason};
use tonic::{Code, Status};
use uuid::Uuid;

use testkit::refusal;

use crate::app::{App, moved, new_order};

/// Each with what was counted, and the movement that it was based on.
fn counted(lines: &[(&str, i32, i64)]) -> CountStockRequest {
    let line = |(sku, counted_quantity, movement_count): &(&str, i32, i64)| CountStockLine {
        sku: (*sku).to_owned(),
        counted_quantity: Some(*counted_quantity),
        movement_count: Some(*movement_count),
    };
    CountStockRequest { lines: lines.iter().map(line).collect(), ..Default::default() }
}

async fn count(app: &App, request: CountStockRequest) -> Result<pb::CountStockResponse, Status> {
    Ok(app.client.clone().count_stock(request).await?.into_inner())
}

#[tokio::test]
async fn what_is_counted_is_on_hand() {
    let app = App::start().await;
    for sku in ["A", "B", "C"] {
        app.stock(sku, 0).await;
        app.buy(sku, 4, "2.50").await;
    }
    app.reserve(&new_order(), &[("A", 1)]).await.unwrap();
    let answer = count(&app, counted(&[("B", 5, 1), ("A", 1, 1), ("C", 4, 1)])).await.unwrap();
    assert_eq!(
        moved(&answer.movements),
        [("A", MovementReason::Count, -3, "-7.50"), ("B", MovementReason::Count, 1, "2.50")],
        "C was right"
    );
    assert_eq!((app.levels("A").await, app.levels("B").await), ((1, 1), (5, 0)));
    let events = app.log.events_of(&answer.count_id).await;
    let told: Vec<_> =
        events.iter().map(|(t, v, d)| (t.as_str(), *v, &d["reason"], &d["gain"])).collect();
    let (word, yes, no) = ("count".into(), true.into(), serde_json::Value::Null);
    assert_eq!(told, [("stock.adjusted", 1, &word, &yes), ("stock.adjusted", 2, &word, &no)]);
    app.check_books().await;
    app.check_account().await;
}

#[tokio::test]
async fn what_moved_since_must_be_counted_again_but_reservations_move_nothing() {
    let app = App::start().await;
    app.stock("A", 5).await;
    app.stock("B", 5).await;
    let seen = app.item("A").await.movement_count;
    assert_eq!(seen, 1);
    app.reserve(&new_order(), &[("A", 2)]).await.unwrap();
    app.receive("B", 1).await.unwrap();
    let refused = refusal(count(&app, counted(&[("A", 4, seen), ("B", 5, 1)])).await);
    refused.is(Code::Aborted, "ITEM_MOVED");
    assert_eq!(refused.facts, ["B: movement_count 2"]);
    assert_eq!(app.levels("A").await, (5, 2));
    count(&app, counted(&[("A", 4, seen), ("B", 6, 2)])).await.unwrap();
    assert_eq!(app.levels("A").await, (4, 2));
    refusal(count(&app, counted(&[("A", 4, seen)])).await).is(Code::Aborted, "ITEM_MOVED");
}

#[tokio::test]
async fn of_two_counts_of_the_same_one_wins() {
    let app = App::start().await;
    app.stock("A", 5).await;
    let (one, other) =
        tokio::join!(count(&app, counted(&[("A", 3, 1)])), count(&app, counted(&[("A", 4, 1)])));
    assert_eq!(u8::from(one.is_ok()) + u8::from(other.is_ok()), 1);
    assert_eq!(app.item("A").await.movement_count, 2);
    app.check_books().await;
}

#[tokio::test]
async fn less_than_is_reserved_cannot_be_set() {
    let app = App::start().await;
    app.stock("A", 5).await;
    app.reserve(&new_order(), &[("A", 3)]).await.unwrap();
    let refused = refusal(count(&app, counted(&[("A", 2, 1)])).await);
    refused.is(Code::FailedPrecondition, "BELOW_RESERVED");
    assert_eq!(refused.facts, ["A: on hand 5, reserved 3, change -3"]);
    count(&app, counted(&[("A", 3, 1)])).await.unwrap();
}

#[tokio::test]
async fn the_first_count_of_nothing_and_the_largest_are_possible() {
    let app = App::start().await;
    app.stock("A", 0).await;
    count(&app, counted(&[("A", i32::MAX, 0)])).await.unwrap();
    assert_eq!(app.levels("A").await, (i32::MAX, 0));
    count(&app, counted(&[("A", 0, 1)])).await.unwrap();
    assert_eq!(app.levels("A").await, (0, 0));
}

#[tokio::test]
async fn the_same_request_again_answers_the_same() {
    let app = App::start().await;
    app.stock("A", 5).await;
    let request_id = Uuid::now_v7().to_string();
    let request = CountStockRequest { request_id, ..counted(&[("A", 3, 1)]) };
    let first = count(&app, request.clone()).await.unwrap();
    assert_eq!(count(&app, request.clone()).await.unwrap(), first);
    let other = CountStockRequest { lines: counted(&[("A", 4, 1)]).lines, ..request };
    refusal(count(&app, other).await).is(Code::AlreadyExists, "REQUEST_ID_USED");
    assert_eq!(app.told("stock.adjusted").await.len(), 1);
}

#[tokio::test]
async fn every_bad_field_is_named() {
    let app = App::start().await;
    app.stock("A", 5).await;
    let mut request = counted(&[("a b", -1, -1), ("A", 1, 1), ("A", 1, 1)]);
    request.request_id = "7".to_owned();
    request.lines[1].movement_count = None;
    // Not as if nothing had been found.
    request.lines[1].counted_quantity = None;
    let refused = refusal(count(&app, request).await);
    assert!(refused.fields.contains(&"lines[1].counted_quantity: is required".to_owned()));
    refused.names(&[
        "request_id",
        "lines[0].sku",
        "lines[0].counted_quantity",
        "lines[0].movement_count",
        "lines[1].counted_quantity",
        "lines[1].movement_count",
        "lines[2].sku",
    ]);
    refusal(count(&app, counted(&[])).await).names(&["lines"]);
    refusal(count(&app, counted(&[("A", 1, 1), ("X", 1, 0)])).await).names(&["lines[1].sku"]);
}
