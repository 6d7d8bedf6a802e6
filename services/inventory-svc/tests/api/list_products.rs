use proto::inventory::v1::{BatchCreateProductsRequest, ListProductsRequest};
use tonic::Status;

use testkit::refusal;

use crate::app::{App, product};

async fn list(app: &App, request: ListProductsRequest) -> Result<(Vec<String>, String), Status> {
    let answer = app.client.clone().list_products(request).await?.into_inner();
    let skus = answer.products.into_iter().map(|product| product.sku).collect();
    Ok((skus, answer.next_page_token))
}

/// All pages of two.
async fn list_all(app: &App, name_prefix: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut request = ListProductsRequest {
        page_size: 2,
        name_prefix: name_prefix.to_owned(),
        ..Default::default()
    };
    loop {
        let (skus, next) = list(app, request.clone()).await.unwrap();
        assert!(skus.len() <= 2);
        all.extend(skus);
        if next.is_empty() {
            return all;
        }
        request.page_token = next;
    }
}

async fn create(app: &App, products: &[(&str, &str)]) {
    let requests = products.iter().map(|(sku, name)| product(sku, name, "1")).collect();
    app.client
        .clone()
        .batch_create_products(BatchCreateProductsRequest { requests, ..Default::default() })
        .await
        .unwrap();
}

#[tokio::test]
async fn products_come_by_sku_page_by_page() {
    let app = App::start().await;
    create(&app, &[("C", "x"), ("A", "z"), ("D", "y"), ("B", "x"), ("E", "x")]).await;
    assert_eq!(list_all(&app, "").await, ["A", "B", "C", "D", "E"]);
    let (all, next) = list(&app, ListProductsRequest::default()).await.unwrap();
    assert_eq!((all.len(), next.as_str()), (5, ""));
}

#[tokio::test]
async fn a_name_prefix_gives_names_that_start_so_by_name_and_sku() {
    let app = App::start().await;
    let names = [
        ("1", "Tea cup"),
        ("2", "Tea"),
        ("3", "tea"),
        ("4", "Teapot"),
        ("5", "Tea cup"),
        ("6", "Te"),
        ("7", "Tea\u{10FFFF}\u{10FFFF}"),
        ("8", "Teb"),
        ("9", "Tea cup"),
    ];
    create(&app, &names).await;
    assert_eq!(list_all(&app, "Tea").await, ["2", "1", "5", "9", "4", "7"]);
    assert_eq!(list_all(&app, "Tea c").await, ["1", "5", "9"]);
    assert_eq!(list_all(&app, "x").await, [""; 0]);
}

#[tokio::test]
async fn signs_that_mean_something_in_patterns_mean_themselves() {
    let app = App::start().await;
    create(&app, &[("1", "50% off"), ("2", "500 off"), ("3", "a_b"), ("4", "axb"), ("5", "\\a")])
        .await;
    assert_eq!(list_all(&app, "50%").await, ["1"]);
    assert_eq!(list_all(&app, "a_").await, ["3"]);
    assert_eq!(list_all(&app, "\\").await, ["5"]);
    assert_eq!(list_all(&app, "%").await, [""; 0]);
}

#[tokio::test]
async fn a_token_goes_on_with_its_own_list_only() {
    let app = App::start().await;
    create(&app, &[("1", "a"), ("2", "ab"), ("3", "abc")]).await;
    let by_name =
        ListProductsRequest { page_size: 1, name_prefix: "a".to_owned(), ..Default::default() };
    let (_, page_token) = list(&app, by_name.clone()).await.unwrap();
    let other = ListProductsRequest { page_token: page_token.clone(), ..Default::default() };
    refusal(list(&app, other).await).names(&["page_token"]);
    let broken = ListProductsRequest { page_token: format!("{page_token}\u{0}"), ..by_name };
    refusal(list(&app, broken).await).names(&["page_token"]);
    let sizes = ListProductsRequest { page_size: 1001, ..Default::default() };
    refusal(list(&app, sizes).await).names(&["page_size"]);
    let long = ListProductsRequest { name_prefix: "x".repeat(256), ..Default::default() };
    refusal(list(&app, long).await).names(&["name_prefix"]);
}

#[tokio::test]
async fn a_name_prefix_uses_the_index_on_names() {
    let app = App::start().await;
    sqlx::query(
        "insert into inventory.products (sku, name, price)
         select 'S-' || n, 'Part ' || n % 997 || ' of ' || n, 1 from generate_series(1, 20000) n",
    )
    .execute(&app.db)
    .await
    .unwrap();
    sqlx::query("vacuum analyze inventory.products").execute(&app.db).await.unwrap();
    let found = list_all(&app, "Part 12 of 1").await;
    assert!(!found.is_empty());
    // What the statement of `store::products::list_by_name` does, planned for whatever comes.
    let mut db = app.db.acquire().await.unwrap();
    sqlx::raw_sql(
        "set plan_cache_mode = force_generic_plan;
         prepare listed (text, text, text, boolean, bigint) as
         select sku from inventory.products
         where name ~>=~ $1 and name ~<=~ $2 and (name ~>~ $1 or sku > $3) and (archived_at is null or $4)
         order by name using ~<~, sku limit $5",
    )
    .execute(&mut *db)
    .await
    .unwrap();
    let plan: Vec<String> = sqlx::query_scalar(
        "explain (costs off) execute listed ('Part 12', 'Part 13', '', false, 51)",
    )
    .fetch_all(&mut *db)
    .await
    .unwrap();
    assert!(
        plan.iter().any(|line| line.contains("Index Scan using idx_products_name")),
        "{plan:#?}"
    );
}

#[tokio::test]
async fn products_that_come_meanwhile_move_nothing() {
    let app = App::start().await;
    create(&app, &[("B", "Tea"), ("C", "Tea"), ("D", "Tea"), ("F", "Tea")]).await;
    let (mut by_sku, mut by_name) = (
        ListProductsRequest { page_size: 2, ..Default::default() },
        ListProductsRequest { page_size: 2, name_prefix: "Te".to_owned(), ..Default::default() },
    );
    for request in [&mut by_sku, &mut by_name] {
        let (first, next) = list(&app, request.clone()).await.unwrap();
        assert_eq!(first, ["B", "C"]);
        request.page_token = next;
    }
    create(&app, &[("A", "Tea"), ("BB", "Tea"), ("E", "Tea")]).await;
    for mut request in [by_sku, by_name] {
        let (second, next) = list(&app, request.clone()).await.unwrap();
        assert_eq!(second, ["D", "E"]);
        request.page_token = next;
        assert_eq!(list(&app, request).await.unwrap(), (vec!["F".to_owned()], String::new()));
    }
}

#[tokio::test]
async fn a_token_is_for_the_same_choice_of_archived_products() {
    let app = App::start().await;
    create(&app, &[("A", "a"), ("B", "b")]).await;
    let request = ListProductsRequest { page_size: 1, ..Default::default() };
    let (_, page_token) = list(&app, request.clone()).await.unwrap();
    let other = ListProductsRequest { page_token, show_archived: true, ..request };
    refusal(list(&app, other).await).names(&["page_token"]);
}
