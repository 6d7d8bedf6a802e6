use proto::inventory::v1::{ListReservationsRequest, Reservation};
use tonic::Status;

use testkit::refusal;

use crate::app::{App, new_order};

async fn list(
    app: &App,
    request: ListReservationsRequest,
) -> Result<(Vec<Reservation>, String), Status> {
    let answer = app.client.clone().list_reservations(request).await?.into_inner();
    Ok((answer.reservations, answer.next_page_token))
}

fn of_sku(sku: &str) -> ListReservationsRequest {
    ListReservationsRequest { sku: sku.to_owned(), ..Default::default() }
}

fn ids(reservations: &[Reservation]) -> Vec<&str> {
    reservations.iter().map(|one| one.order_id.as_str()).collect()
}

#[tokio::test]
async fn open_ones_come_by_order_page_by_page_also_while_others_come() {
    let app = App::start().await;
    app.stock("A", 100).await;
    let mut orders: Vec<String> = (0..5).map(|_| new_order()).collect();
    orders.sort();
    for order in &orders {
        app.reserve(order, &[("A", 2)]).await.unwrap();
    }
    app.confirm(&orders[0]).await.unwrap();
    app.commit(&orders[1], &new_order(), &[]).await.unwrap();
    app.release(&orders[2]).await.unwrap();
    app.commit(&orders[3], &new_order(), &[("A", 1)]).await.unwrap();
    let mut request = ListReservationsRequest { page_size: 2, ..of_sku("") };
    let (first, page_token) = list(&app, request.clone()).await.unwrap();
    assert_eq!(ids(&first), [&orders[0], &orders[3]]);
    assert_eq!((first[1].lines[0].quantity, first[1].lines[0].shipped_quantity), (2, 1));
    let late = new_order();
    app.reserve(&late, &[("A", 1)]).await.unwrap();
    request.page_token = page_token;
    let (rest, next) = list(&app, request).await.unwrap();
    assert_eq!(ids(&rest), [&orders[4], &late]);
    assert_eq!(next, "");
}

#[tokio::test]
async fn of_a_sku_those_that_still_hold_some_of_it() {
    let app = App::start().await;
    app.stock("A", 100).await;
    app.stock("B", 100).await;
    let mut orders: Vec<String> = (0..3).map(|_| new_order()).collect();
    orders.sort();
    app.reserve(&orders[0], &[("A", 2), ("B", 1)]).await.unwrap();
    app.reserve(&orders[1], &[("A", 2), ("B", 1)]).await.unwrap();
    app.reserve(&orders[2], &[("A", 2)]).await.unwrap();
    app.commit(&orders[0], &new_order(), &[("B", 1)]).await.unwrap();
    assert_eq!(ids(&list(&app, of_sku("B")).await.unwrap().0), [&orders[1]]);
    let request = ListReservationsRequest { page_size: 2, ..of_sku("A") };
    let (first, page_token) = list(&app, request.clone()).await.unwrap();
    assert_eq!(ids(&first), [&orders[0], &orders[1]]);
    assert_eq!(first[0].lines.len(), 2);
    let (rest, _) = list(&app, ListReservationsRequest { page_token, ..request }).await.unwrap();
    assert_eq!(ids(&rest), [&orders[2]]);
    assert!(list(&app, of_sku("X")).await.unwrap().0.is_empty());
}

#[tokio::test]
async fn a_token_goes_on_with_its_own_list_only() {
    let app = App::start().await;
    app.stock("A", 100).await;
    for _ in 0..2 {
        app.reserve(&new_order(), &[("A", 2)]).await.unwrap();
    }
    let request = ListReservationsRequest { page_size: 1, ..of_sku("A") };
    let (_, page_token) = list(&app, request.clone()).await.unwrap();
    let other = ListReservationsRequest { page_token: page_token.clone(), ..of_sku("") };
    refusal(list(&app, other).await).names(&["page_token"]);
    let broken = ListReservationsRequest { page_token: format!("{page_token}x"), ..request };
    refusal(list(&app, broken).await).names(&["page_token"]);
    refusal(list(&app, of_sku("a b")).await).names(&["sku"]);
    refusal(list(&app, ListReservationsRequest { page_size: 101, ..of_sku("") }).await)
        .names(&["page_size"]);
}

#[tokio::test]
async fn an_index_of_what_is_open_serves_both_lists() {
    let app = App::start().await;
    let mut db = app.db.acquire().await.unwrap();
    sqlx::query("set enable_seqscan = off").execute(&mut *db).await.unwrap();
    let plans = [
        (
            "explain (costs off) select order_id from inventory.reservations
             where state in ('held', 'confirmed') order by order_id limit 3",
            "",
        ),
        (
            "explain (costs off) select order_id
             from inventory.reservations r join inventory.reservation_items i using (order_id)
             where r.state in ('held', 'confirmed') and i.sku = 'A' and i.shipped_qty + i.released_qty < i.qty
             order by order_id limit 3",
            "reservation_items_pkey",
        ),
    ];
    for (query, index) in plans {
        let plan: Vec<String> = sqlx::query_scalar(query).fetch_all(&mut *db).await.unwrap();
        let plan = plan.join("\n");
        assert!(plan.contains("reservations_open_idx") && plan.contains(index), "{plan}");
    }
}
