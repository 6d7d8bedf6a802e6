use proto::inventory::v1::{self as pb, AdjustStockRequest, AdjustmentReason, MovementReason};
use tonic::Code;
use uuid::Uuid;

use testkit::refusal;

use crate::app::{App, adjust_lines, moved, new_order};

#[tokio::test]
async fn differences_move_with_their_reason_and_their_average_cost() {
    let app = App::start().await;
    for sku in ["A", "B"] {
        app.stock(sku, 0).await;
    }
    app.buy("A", 3, "3.3333").await;
    app.buy("B", 2, "5").await;
    let adjusted = app.adjust(AdjustmentReason::Correction, &[("B", 2), ("A", -1)]).await.unwrap();
    assert_eq!(
        moved(&adjusted.movements),
        [
            ("A", MovementReason::Correction, -1, "-3.33"),
            ("B", MovementReason::Correction, 2, "10.00"),
        ]
    );
    let one = &adjusted.movements[0];
    assert_eq!((one.sequence, one.document_id.as_str()), (2, adjusted.adjustment_id.as_str()));
    assert_eq!((one.order_id.as_str(), one.create_time.is_some()), ("", true));
    assert_eq!((app.levels("A").await, app.levels("B").await), ((2, 0), (4, 0)));
    assert_eq!((app.value("A").await, app.value("B").await), ("6.67".into(), "20.00".into()));
    app.check_books().await;
    app.check_account().await;

    // One event a direction.
    let events = app.log.events_of(&adjusted.adjustment_id).await;
    let today = app.today().await;
    let (id, cost) = (
        &adjusted.adjustment_id,
        |amount| serde_json::json!({"amount": amount, "currencyCode": "GBP"}),
    );
    let found = serde_json::json!({
        "documentId": id, "gain": true, "cost": cost("10.00"), "effectiveDate": today, "reason": "correction",
        "levels": [{"sku": "B", "quantity": 2, "onHand": 4}],
    });
    let lost = serde_json::json!({
        "documentId": id, "cost": cost("3.33"), "effectiveDate": today, "reason": "correction",
        "levels": [{"sku": "A", "quantity": 1, "onHand": 2}],
    });
    let event = "stock.adjusted".to_owned();
    assert_eq!(events, [(event.clone(), 1, found), (event, 2, lost)]);
}

#[tokio::test]
async fn what_has_no_cost_moves_none() {
    let app = App::start().await;
    app.stock("A", 5).await;
    app.adjust(AdjustmentReason::Lost, &[("A", -1)]).await.unwrap();
    let told = app.told("stock.adjusted").await;
    assert_eq!(
        (&told[0]["cost"], &told[0]["effectiveDate"]),
        (&serde_json::Value::Null, &serde_json::Value::Null)
    );
    assert_eq!(told[0]["reason"], "lost");
}

#[tokio::test]
async fn less_than_is_reserved_or_than_nothing_is_never_left_and_nothing_moves() {
    let app = App::start().await;
    for sku in ["A", "B", "C"] {
        app.stock(sku, 5).await;
    }
    app.reserve(&new_order(), &[("B", 3)]).await.unwrap();
    let refused =
        refusal(app.adjust(AdjustmentReason::Damaged, &[("A", -1), ("C", -6), ("B", -3)]).await);
    refused.is(Code::FailedPrecondition, "BELOW_RESERVED");
    assert_eq!(
        refused.facts,
        ["B: on hand 5, reserved 3, change -3", "C: on hand 5, reserved 0, change -6"]
    );
    assert_eq!(app.levels("A").await, (5, 0));
    assert!(app.told("stock.adjusted").await.is_empty());
    app.adjust(AdjustmentReason::Damaged, &[("A", -1), ("C", -5), ("B", -2)]).await.unwrap();
    assert_eq!((app.levels("B").await, app.levels("C").await), ((3, 3), (0, 0)));
    app.check_books().await;
}

#[tokio::test]
async fn the_same_request_again_answers_the_same_also_when_goods_moved_since() {
    let app = App::start().await;
    app.stock("A", 5).await;
    let request = AdjustStockRequest {
        request_id: Uuid::now_v7().to_string(),
        reason: AdjustmentReason::Scrapped.into(),
        lines: adjust_lines(&[("A", -2)]),
    };
    let call = async |request: &AdjustStockRequest| {
        Ok::<_, tonic::Status>(app.client.clone().adjust_stock(request.clone()).await?.into_inner())
    };
    let first = call(&request).await.unwrap();
    app.receive("A", 1).await.unwrap();
    assert_eq!(call(&request).await.unwrap(), first);
    assert_eq!(app.levels("A").await, (4, 0));
    let other = AdjustStockRequest { lines: adjust_lines(&[("A", -1)]), ..request };
    refusal(call(&other).await).is(Code::AlreadyExists, "REQUEST_ID_USED");
}

#[tokio::test]
async fn a_refused_adjustment_is_not_remembered() {
    let app = App::start().await;
    let request = AdjustStockRequest {
        request_id: Uuid::now_v7().to_string(),
        reason: AdjustmentReason::Found.into(),
        lines: adjust_lines(&[("B", 1), ("A", 2), ("X", 1)]),
    };
    app.stock("B", 0).await;
    let refused = refusal(app.client.clone().adjust_stock(request.clone()).await);
    refused.names(&["lines[1].sku", "lines[2].sku"]);
    assert_eq!(refused.message, "not in the catalogue: A, X");
    app.stock("A", 0).await;
    app.stock("X", 0).await;
    app.client.clone().adjust_stock(request).await.unwrap();
    assert_eq!(app.levels("A").await, (2, 0));
}

#[tokio::test]
async fn more_than_can_be_counted_is_refused() {
    let app = App::start().await;
    app.stock("A", 100_000_000).await;
    for _ in 0..20 {
        app.adjust(AdjustmentReason::Found, &[("A", 100_000_000)]).await.unwrap();
    }
    let refused = refusal(app.adjust(AdjustmentReason::Found, &[("A", 100_000_000)]).await);
    refused.is(Code::FailedPrecondition, "TOO_MANY_ON_HAND");
}

#[tokio::test]
async fn every_bad_field_is_named() {
    let app = App::start().await;
    let call = async |reason: AdjustmentReason, lines: &[(&str, i32)]| {
        let lines = adjust_lines(lines);
        let request =
            AdjustStockRequest { request_id: "x".to_owned(), reason: reason.into(), lines };
        refusal(app.client.clone().adjust_stock(request).await)
    };
    call(AdjustmentReason::Unspecified, &[("a b", 0), ("A", 1), ("A", 1)]).await.names(&[
        "request_id",
        "reason",
        "lines[0].sku",
        "lines[0].quantity_change",
        "lines[2].sku",
    ]);
    call(AdjustmentReason::Correction, &[]).await.names(&["request_id", "lines"]);
    call(AdjustmentReason::Correction, &[("A", i32::MIN)])
        .await
        .names(&["request_id", "lines[0].quantity_change"]);
    let only_less = [AdjustmentReason::Damaged, AdjustmentReason::Lost, AdjustmentReason::Scrapped];
    for reason in only_less {
        call(reason, &[("A", 1)]).await.names(&["request_id", "lines[0].quantity_change"]);
    }
    call(AdjustmentReason::Found, &[("A", -1)])
        .await
        .names(&["request_id", "lines[0].quantity_change"]);
    let unknown = pb::AdjustStockRequest {
        reason: 99,
        lines: adjust_lines(&[("A", 1)]),
        ..Default::default()
    };
    let refused = refusal(app.client.clone().adjust_stock(unknown).await);
    assert_eq!(refused.fields, ["reason: is not a reason to adjust stock"]);
}
