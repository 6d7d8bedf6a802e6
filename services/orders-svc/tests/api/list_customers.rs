//! `ListCustomers`, `GetCustomer` and `BatchGetCustomers`.

use prost_types::{ListValue, Struct, Value, value::Kind};
use proto::orders::v1::{
    BatchCreateCustomersRequest, BatchGetCustomersRequest, CreateCustomerRequest,
    GetCustomerRequest, ListCustomersRequest,
};
use tonic::{Code, Status};

use testkit::refusal;

use crate::{
    app::App,
    requests::{customer, metadata, new_id},
};

async fn list(app: &App, request: ListCustomersRequest) -> Result<(Vec<String>, String), Status> {
    let answer = app.client.clone().list_customers(request).await?.into_inner();
    let emails = answer.customers.into_iter().map(|customer| customer.email).collect();
    Ok((emails, answer.next_page_token))
}

fn pages_of(page_size: i32, page_token: &str) -> ListCustomersRequest {
    ListCustomersRequest { page_size, page_token: page_token.to_owned(), ..Default::default() }
}

async fn create(app: &App, requests: Vec<CreateCustomerRequest>) {
    let request = BatchCreateCustomersRequest { requests };
    app.client.clone().batch_create_customers(request).await.unwrap();
}

#[tokio::test]
async fn one_customer_is_found_by_its_id() {
    let app = App::start().await;
    let made = app.create_customer(customer("ann@example.com")).await.unwrap();
    let get = |customer_id: &str| {
        let request = GetCustomerRequest { customer_id: customer_id.to_owned() };
        let mut client = app.client.clone();
        async move { client.get_customer(request).await }
    };
    assert_eq!(get(&made.customer_id).await.unwrap().into_inner().customer, Some(made));
    let nobody = new_id();
    let refused = refusal(get(&nobody).await);
    refused.is(Code::NotFound, "CUSTOMER_NOT_FOUND");
    assert_eq!(refused.facts, [format!("customer_id: {nobody}")]);
    refusal(get("ann").await).names(&["customer_id"]);
    refusal(get("").await).names(&["customer_id"]);
}

#[tokio::test]
async fn customers_come_oldest_first_and_new_ones_move_nothing() {
    let app = App::start().await;
    for name in ["a", "b", "c", "d", "e"] {
        create(&app, vec![customer(&format!("{name}@x"))]).await;
    }
    let (first, token) = list(&app, pages_of(2, "")).await.unwrap();
    create(&app, vec![customer("f@x")]).await;
    let (second, token) = list(&app, pages_of(3, &token)).await.unwrap();
    let (third, token) = list(&app, pages_of(3, &token)).await.unwrap();
    assert_eq!([first, second, third].concat(), ["a@x", "b@x", "c@x", "d@x", "e@x", "f@x"]);
    assert_eq!(token, "");
    assert_eq!(list(&app, ListCustomersRequest::default()).await.unwrap().0.len(), 6);
}

#[tokio::test]
async fn an_address_finds_its_customer_whatever_its_case() {
    let app = App::start().await;
    create(&app, vec![customer("ann@example.com"), customer("bob@example.com")]).await;
    let of = |email: &str| ListCustomersRequest { email: email.to_owned(), ..Default::default() };
    let found = list(&app, of("BOB@Example.com")).await.unwrap();
    assert_eq!(found, (vec!["bob@example.com".to_owned()], String::new()));
    assert_eq!(list(&app, of("bob@example.co")).await.unwrap().0, [""; 0]);
    assert_eq!(list(&app, of("bob@example%")).await.unwrap().0, [""; 0]);
    for bad in ["bob", "bob@example.com\0"] {
        refusal(list(&app, of(bad)).await).names(&["email"]);
    }
}

#[tokio::test]
async fn a_token_goes_on_with_its_own_list_only() {
    let app = App::start().await;
    create(&app, ["a@x", "b@x", "c@x"].map(customer).to_vec()).await;
    let (_, token) = list(&app, pages_of(1, "")).await.unwrap();
    let other = ListCustomersRequest { email: "a@x".to_owned(), ..pages_of(1, &token) };
    refusal(list(&app, other).await).names(&["page_token"]);
    for broken in [format!("{token}0"), "x".to_owned(), "x.y".to_owned(), format!("{token}\0")] {
        refusal(list(&app, pages_of(1, &broken)).await).names(&["page_token"]);
    }
    for size in [-1, 1001] {
        refusal(list(&app, pages_of(size, "")).await).names(&["page_size"]);
    }
}

#[tokio::test]
async fn a_page_of_large_customers_fits_into_a_message() {
    let app = App::start().await;
    let large = |n| CreateCustomerRequest {
        metadata: metadata("a", &"x".repeat(16_000)),
        ..customer(&format!("{n}@x"))
    };
    for batch in 0..3 {
        create(&app, (batch * 100..batch * 100 + 100).map(large).collect()).await;
    }
    let (mut all, mut token) = list(&app, pages_of(1000, "")).await.unwrap();
    assert!((100..300).contains(&all.len()), "{}", all.len());
    while !token.is_empty() {
        let (page, next) = list(&app, pages_of(1000, &token)).await.unwrap();
        all.extend(page);
        token = next;
    }
    let expected: Vec<String> = (0..300).map(|n| format!("{n}@x")).collect();
    all.sort_by_key(|email| email.trim_end_matches("@x").parse::<u32>().unwrap());
    assert_eq!(all, expected);
}

#[tokio::test]
async fn names_are_found_by_how_they_begin_whatever_their_case() {
    let app = App::start().await;
    let names = ["ann b", "Ann", "Änne", "ANNA", "Bob", "annex", "an", "ann%", "ann_"];
    for (n, name) in names.iter().enumerate() {
        let request =
            CreateCustomerRequest { name: (*name).to_owned(), ..customer(&format!("{n}@x")) };
        create(&app, vec![request]).await;
    }
    let named = |prefix: &str, page_size, page_token: &str| ListCustomersRequest {
        name_prefix: prefix.to_owned(),
        ..pages_of(page_size, page_token)
    };
    let of = async |request| {
        let answer = app.client.clone().list_customers(request).await.unwrap().into_inner();
        let names = answer.customers.into_iter().map(|customer| customer.name);
        (names.collect::<Vec<_>>(), answer.next_page_token)
    };
    let (mut found, mut token) = of(named("aNN", 2, "")).await;
    // One more before and one behind where the pages are.
    for name in ["ann", "annz"] {
        let request =
            CreateCustomerRequest { name: name.to_owned(), ..customer(&format!("{name}@y")) };
        create(&app, vec![request]).await;
    }
    while !token.is_empty() {
        let (page, next) = of(named("aNN", 2, &token)).await;
        assert!(page.len() <= 2);
        found.extend(page);
        token = next;
    }
    assert_eq!(found, ["Ann", "ann b", "ann%", "ann_", "ANNA", "annex", "annz"]);
    assert_eq!(of(named("ann%", 9, "")).await.0, ["ann%"]);
    assert_eq!(of(named("ÄN", 9, "")).await.0, ["Änne"]);
    assert_eq!(of(named("c", 9, "")).await.0, [""; 0]);

    let (_, token) = of(named("ann", 1, "")).await;
    refusal(list(&app, named("an", 1, &token)).await).names(&["page_token"]);
    refusal(list(&app, named("ann", 1, &format!("{token}\0"))).await).names(&["page_token"]);
    let both = ListCustomersRequest { email: "a@x".to_owned(), ..named("ann", 1, "") };
    refusal(list(&app, both).await).names(&["name_prefix"]);
    for bad in ["x".repeat(256), " ".to_owned(), "a\0".to_owned()] {
        refusal(list(&app, named(&bad, 1, "")).await).names(&["name_prefix"]);
    }
}

#[tokio::test]
async fn many_customers_are_found_at_once() {
    let app = App::start().await;
    let mut made = Vec::new();
    for name in ["a", "b", "c"] {
        made.push(app.create_customer(customer(&format!("{name}@x"))).await.unwrap());
    }
    let get = async |ids: &[&str]| {
        let customer_ids = ids.iter().map(|id| (*id).to_owned()).collect();
        let request = BatchGetCustomersRequest { customer_ids };
        let answer = app.client.clone().batch_get_customers(request).await?;
        Ok::<_, Status>(answer.into_inner().customers)
    };
    made[1] = app.archive(&made[1].customer_id).await.unwrap();
    let (nobody, [a, b, c]) = (new_id(), [0, 1, 2].map(|n| made[n].customer_id.as_str()));
    let found = get(&[c, &nobody, a, c, b]).await.unwrap();
    assert_eq!(found, [&made[2], &made[0], &made[1]].map(Clone::clone));
    assert_eq!(get(&[&nobody]).await.unwrap(), []);
    refusal(get(&[]).await).names(&["customer_ids"]);
    refusal(get(&[a; 101]).await).names(&["customer_ids"]);
    refusal(get(&[a, "7", ""]).await).names(&["customer_ids[1]", "customer_ids[2]"]);

    // What is too large for a message is refused, not cut off: short numbers are long on the wire.
    let numbers = vec![Value { kind: Some(Kind::NumberValue(1.0)) }; 8000];
    let list = Value { kind: Some(Kind::ListValue(ListValue { values: numbers })) };
    let large = Some(Struct { fields: [("a".to_owned(), list)].into() });
    let one = |n| CreateCustomerRequest { metadata: large.clone(), ..customer(&format!("{n}@y")) };
    let request = BatchCreateCustomersRequest { requests: (0..30).map(one).collect() };
    let many = app.client.clone().batch_create_customers(request).await.unwrap().into_inner();
    let ids: Vec<&str> = many.customers.iter().map(|customer| &*customer.customer_id).collect();
    refusal(get(&ids).await).names(&["customer_ids"]);
    assert_eq!(get(&ids[..15]).await.unwrap().len(), 15);
}
