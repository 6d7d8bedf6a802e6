use proto::inventory::v1::{self as pb, AdjustmentReason, ListMovementsRequest, MovementReason};
use tonic::Status;

use testkit::refusal;

use crate::app::{App, moved, new_order};

fn of_sku(sku: &str) -> ListMovementsRequest {
    ListMovementsRequest { sku: sku.to_owned(), ..Default::default() }
}

fn of_document(document_id: &str) -> ListMovementsRequest {
    ListMovementsRequest { document_id: document_id.to_owned(), ..Default::default() }
}

async fn list(
    app: &App,
    request: ListMovementsRequest,
) -> Result<(Vec<pb::Movement>, String), Status> {
    let answer = app.client.clone().list_movements(request).await?.into_inner();
    Ok((answer.movements, answer.next_page_token))
}

#[tokio::test]
async fn a_sku_has_its_movements_newest_first_also_while_others_come() {
    let app = App::start().await;
    app.stock("A", 0).await;
    app.stock("B", 1).await;
    app.buy("A", 5, "2").await;
    app.adjust(AdjustmentReason::Lost, &[("A", -1)]).await.unwrap();
    app.adjust(AdjustmentReason::Found, &[("A", 2)]).await.unwrap();
    let mut request = ListMovementsRequest { page_size: 2, ..of_sku("A") };
    let (first, page_token) = list(&app, request.clone()).await.unwrap();
    assert_eq!(
        moved(&first),
        [("A", MovementReason::Found, 2, "4.00"), ("A", MovementReason::Lost, -1, "-2.00")]
    );
    app.receive("A", 1).await.unwrap();
    request.page_token = page_token;
    let (rest, next) = list(&app, request).await.unwrap();
    assert_eq!(moved(&rest), [("A", MovementReason::Receipt, 5, "10.00")]);
    assert_eq!(next, "");
    let numbers: Vec<i64> = first.iter().chain(&rest).map(|movement| movement.sequence).collect();
    assert_eq!(numbers, [3, 2, 1]);
    assert!(list(&app, of_sku("X")).await.unwrap().0.is_empty());
}

#[tokio::test]
async fn a_document_has_its_movements_by_sku() {
    let app = App::start().await;
    for sku in ["A", "B", "C"] {
        app.stock(sku, 3).await;
    }
    let (order, shipment, id) = (new_order(), new_order(), new_order());
    app.reserve(&order, &[("B", 2), ("A", 1), ("C", 1)]).await.unwrap();
    app.commit(&order, &shipment, &[]).await.unwrap();
    let (left, _) = list(&app, of_document(&shipment)).await.unwrap();
    let left: Vec<_> =
        left.iter().map(|m| (m.sku.as_str(), m.quantity, m.order_id.as_str())).collect();
    assert_eq!(left, [("A", -1, order.as_str()), ("B", -2, &order), ("C", -1, &order)]);

    app.take_back(&order, &id, &[("B", 2, false), ("A", 1, true)]).await.unwrap();
    let mut request = ListMovementsRequest { page_size: 1, ..of_document(&id) };
    let mut all = Vec::new();
    loop {
        let (page, next) = list(&app, request.clone()).await.unwrap();
        all.extend(page);
        if next.is_empty() {
            break;
        }
        request.page_token = next;
    }
    let all: Vec<_> = moved(&all).into_iter().map(|(sku, why, qty, _)| (sku, why, qty)).collect();
    assert_eq!(
        all,
        [
            ("A", MovementReason::Return, 1),
            ("B", MovementReason::Return, 2),
            ("B", MovementReason::Scrapped, -2)
        ]
    );
    let both = ListMovementsRequest { sku: "B".to_owned(), ..of_document(&id) };
    assert_eq!(list(&app, both).await.unwrap().0.len(), 2);
    let other = ListMovementsRequest { sku: "C".to_owned(), ..of_document(&id) };
    assert!(list(&app, other).await.unwrap().0.is_empty());
}

#[tokio::test]
async fn a_filter_is_required_and_a_token_goes_on_with_its_own_list_only() {
    let app = App::start().await;
    app.stock("A", 1).await;
    app.receive("A", 1).await.unwrap();
    refusal(list(&app, ListMovementsRequest::default()).await).names(&["sku"]);
    refusal(list(&app, of_document("x")).await).names(&["document_id"]);
    refusal(list(&app, of_sku("a b")).await).names(&["sku"]);
    refusal(list(&app, ListMovementsRequest { page_size: 1001, ..of_sku("A") }).await)
        .names(&["page_size"]);
    let (_, page_token) =
        list(&app, ListMovementsRequest { page_size: 1, ..of_sku("A") }).await.unwrap();
    let other = ListMovementsRequest { page_token: page_token.clone(), ..of_sku("B") };
    refusal(list(&app, other).await).names(&["page_token"]);
    let broken = ListMovementsRequest { page_token: format!("{page_token}x"), ..of_sku("A") };
    refusal(list(&app, broken).await).names(&["page_token"]);
}

#[tokio::test]
async fn movements_cannot_be_changed_or_taken_away() {
    let app = App::start().await;
    app.stock("A", 1).await;
    for statement in [
        "update inventory.stock_movements set qty = 2",
        "delete from inventory.stock_movements",
        "truncate inventory.stock_movements",
    ] {
        let refused = sqlx::query(statement).execute(&app.db).await.unwrap_err();
        assert!(refused.to_string().contains("append-only"), "{refused}");
    }
}

#[tokio::test]
async fn indexes_serve_both_lists() {
    let app = App::start().await;
    let mut db = app.db.acquire().await.unwrap();
    sqlx::query("set enable_seqscan = off").execute(&mut *db).await.unwrap();
    let plans = [
        (
            "explain (costs off) select sku from inventory.stock_movements
             where sku = 'A' and sequence < 9 order by sequence desc limit 3",
            "stock_movements_sku_sequence_key",
        ),
        (
            "explain (costs off) select sku from inventory.stock_movements
             where ref_id = '019a0000-0000-7000-8000-000000000000' and (sku, reason) > ('A', 'return')
             order by sku, reason limit 3",
            "stock_movements_ref_id_sku_reason_key",
        ),
    ];
    for (query, index) in plans {
        let plan: Vec<String> = sqlx::query_scalar(query).fetch_all(&mut *db).await.unwrap();
        let plan = plan.join("\n");
        assert!(plan.contains(index) && !plan.contains("Sort"), "{plan}");
    }
}
