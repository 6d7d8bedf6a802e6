use proto::inventory::v1::{VerifyStockRequest, VerifyStockResponse, stock_difference::Kind};
use tonic::Status;

use testkit::refusal;

use crate::app::{App, new_order};

async fn verify(app: &App, skus: &[&str]) -> Result<VerifyStockResponse, Status> {
    let skus = skus.iter().map(|sku| (*sku).to_owned()).collect();
    Ok(app.client.clone().verify_stock(VerifyStockRequest { skus }).await?.into_inner())
}

#[tokio::test]
async fn what_balances_is_counted_and_proven() {
    let app = App::start().await;
    for sku in ["A", "B", "C"] {
        app.stock(sku, 5).await;
    }
    let order = new_order();
    app.reserve(&order, &[("A", 2), ("B", 1)]).await.unwrap();
    app.commit(&order, &new_order(), &[("A", 1)]).await.unwrap();
    let all = verify(&app, &[]).await.unwrap();
    assert_eq!((all.item_count, all.movement_count, all.open_line_count), (3, 4, 2));
    assert_eq!((all.difference_count, all.differences.len()), (0, 0));
    assert!(all.verify_time.is_some());
    let some = verify(&app, &["B", "X", "B"]).await.unwrap();
    assert_eq!((some.item_count, some.movement_count, some.open_line_count), (1, 1, 1));
    refusal(verify(&app, &["A", "a b"]).await).names(&["skus[1]"]);
    refusal(verify(&app, &["A"; 1001]).await).names(&["skus"]);
}

#[tokio::test]
async fn each_kind_of_difference_is_found_and_told_with_both_numbers() {
    let app = App::start().await;
    for sku in ["A", "B", "C", "D", "E"] {
        app.stock(sku, 0).await;
        app.buy(sku, 5, "1").await;
    }
    app.reserve(&new_order(), &[("A", 2)]).await.unwrap();
    let wrong = [
        "update inventory.inventory_items set reserved_qty = 3 where sku = 'A'",
        "update inventory.inventory_items set qty_on_hand = 6 where sku = 'B'",
        "update inventory.inventory_items set value = 5.01 where sku = 'C'",
        "update inventory.inventory_items set movement_count = 7 where sku = 'D'",
    ];
    for statement in wrong {
        sqlx::query(statement).execute(&app.db).await.unwrap();
    }
    let found = verify(&app, &[]).await.unwrap();
    assert_eq!(found.difference_count, 4);
    let told: Vec<_> = found
        .differences
        .iter()
        .map(|one| (one.sku.as_str(), one.kind(), one.recorded.as_str(), one.proven.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            ("A", Kind::Reserved, "3", "2"),
            ("B", Kind::OnHand, "6", "5"),
            ("C", Kind::Value, "5.01", "5.00"),
            ("D", Kind::MovementCount, "7", "1"),
        ]
    );
    assert_eq!(verify(&app, &["E", "C"]).await.unwrap().difference_count, 1);
}

#[tokio::test]
async fn a_line_that_is_open_in_a_reservation_that_is_not_proves_nothing() {
    let app = App::start().await;
    app.stock("A", 5).await;
    let order = new_order();
    app.reserve(&order, &[("A", 2)]).await.unwrap();
    sqlx::query("update inventory.reservations set state = 'released'")
        .execute(&app.db)
        .await
        .unwrap();
    let found = verify(&app, &[]).await.unwrap();
    assert_eq!(found.differences[0].kind(), Kind::Reserved);
    assert_eq!(
        (found.differences[0].recorded.as_str(), found.differences[0].proven.as_str()),
        ("2", "0")
    );
}

#[tokio::test]
async fn thousands_of_items_are_all_looked_at_and_a_hundred_differences_told() {
    let app = App::start().await;
    sqlx::raw_sql(
        "insert into inventory.products (sku, name, price)
         select 'S-' || n, 'Part ' || n, 1 from generate_series(1, 2500) n;
         insert into inventory.inventory_items (sku, qty_on_hand)
         select sku, case when sku > 'S-2' then 1 else 0 end from inventory.products",
    )
    .execute(&app.db)
    .await
    .unwrap();
    let off: i64 = sqlx::query_scalar("select sum(qty_on_hand) from inventory.inventory_items")
        .fetch_one(&app.db)
        .await
        .unwrap();
    let found = verify(&app, &[]).await.unwrap();
    assert_eq!((found.item_count, found.difference_count), (2500, off));
    assert_eq!(found.differences.len(), 100);
    assert!(found.differences.is_sorted_by_key(|one| one.sku.clone()));
}
