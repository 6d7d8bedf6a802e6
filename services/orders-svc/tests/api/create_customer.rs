use std::collections::HashSet;

use futures::future::join_all;
use proto::orders::v1::CreateCustomerRequest;
use tonic::Code;

use testkit::refusal;

use crate::{
    app::App,
    requests::{customer, metadata, new_id},
};

#[tokio::test]
async fn a_customer_is_kept_as_given_and_told_of_without_personal_data() {
    let app = App::start().await;
    let request = CreateCustomerRequest {
        request_id: String::new(),
        name: "Ann Ångström".to_owned(),
        email: "Ann@Example.com".to_owned(),
        phone: "+44 20 7946 0000".to_owned(),
        metadata: metadata("shop", "north"),
    };
    let made = app.create_customer(request.clone()).await.unwrap();
    assert_eq!(
        (&made.name, &made.email, &made.phone),
        (&request.name, &request.email, &request.phone)
    );
    assert_eq!(made.metadata, request.metadata);
    assert!(made.create_time.is_some());
    assert_eq!(app.told_of(&made.customer_id).await, ["customer.created 1"]);
    let (_, _, data) = app.log.events_of(&made.customer_id).await.remove(0);
    assert_eq!(data, serde_json::json!({"customerId": made.customer_id}));
}

#[tokio::test]
async fn an_address_is_taken_whatever_its_case() {
    let app = App::start().await;
    let first = app.create_customer(customer("ann@example.com")).await.unwrap();
    for email in ["ann@example.com", "ANN@example.COM", "Ann@Example.com"] {
        let refused = refusal(app.create_customer(customer(email)).await);
        refused.is(Code::AlreadyExists, "EMAIL_TAKEN");
        assert_eq!(refused.facts, [format!("customer_id: {}", first.customer_id)]);
    }
    app.create_customer(customer("ann@example.org")).await.unwrap();
    assert_eq!(app.count("select count(*) from orders.events_log").await, 2);
}

#[tokio::test]
async fn every_bad_field_is_named() {
    let app = App::start().await;
    let request = CreateCustomerRequest {
        request_id: "7".to_owned(),
        name: " ".to_owned(),
        email: "ann.example.com".to_owned(),
        phone: "5".repeat(51),
        metadata: metadata("big", &"x".repeat(16 << 10)),
    };
    refusal(app.create_customer(request).await).names(&[
        "request_id",
        "name",
        "email",
        "phone",
        "metadata",
    ]);
    refusal(app.create_customer(CreateCustomerRequest::default()).await).names(&["name", "email"]);
    for email in ["@example.com", "ann@", "ann@x@y", "a nn@example.com", "ann@example.com\0"] {
        refusal(app.create_customer(customer(email)).await).names(&["email"]);
    }
    let with_nul = CreateCustomerRequest { metadata: metadata("a", "\0"), ..customer("a@b") };
    refusal(app.create_customer(with_nul).await).names(&["metadata"]);
    let with_nul = CreateCustomerRequest { metadata: metadata("a\0", "b"), ..customer("a@b") };
    refusal(app.create_customer(with_nul).await).names(&["metadata"]);
    assert_eq!(app.count("select count(*) from orders.customers").await, 0);
}

#[tokio::test]
async fn fields_may_be_as_large_as_promised() {
    let app = App::start().await;
    let request = CreateCustomerRequest {
        name: "Å".repeat(255),
        phone: "5".repeat(50),
        // {"a":"…"} is 8 bytes more.
        metadata: metadata("a", &"x".repeat((16 << 10) - 8)),
        ..customer(&format!("{}@example.com", "a".repeat(243)))
    };
    let made = app.create_customer(request.clone()).await.unwrap();
    assert_eq!((made.name, made.email), (request.name, request.email));
    assert_eq!(made.metadata, request.metadata);
    let larger = CreateCustomerRequest {
        metadata: metadata("a", &"x".repeat((16 << 10) - 7)),
        ..customer("b@example.com")
    };
    refusal(app.create_customer(larger).await).names(&["metadata"]);
}

#[tokio::test]
async fn the_same_request_again_answers_with_the_same_customer() {
    let app = App::start().await;
    let request = CreateCustomerRequest { request_id: new_id(), ..customer("ann@example.com") };
    let first = app.create_customer(request.clone()).await.unwrap();
    assert_eq!(app.create_customer(request.clone()).await.unwrap(), first);

    let other = CreateCustomerRequest { email: "bob@example.com".to_owned(), ..request.clone() };
    let refused = refusal(app.create_customer(other).await);
    refused.is(Code::AlreadyExists, "REQUEST_ID_USED");
    assert_eq!(refused.facts, [format!("request_id: {}", request.request_id)]);
    assert_eq!(app.told_of(&first.customer_id).await, ["customer.created 1"]);
    assert_eq!(app.count("select count(*) from orders.customers").await, 1);
}

#[tokio::test]
async fn a_refused_request_is_not_remembered() {
    let app = App::start().await;
    app.create_customer(customer("ann@example.com")).await.unwrap();
    let taken = CreateCustomerRequest { request_id: new_id(), ..customer("Ann@example.com") };
    refusal(app.create_customer(taken.clone()).await).is(Code::AlreadyExists, "EMAIL_TAKEN");
    let mended = CreateCustomerRequest { email: "bob@example.com".to_owned(), ..taken };
    app.create_customer(mended).await.unwrap();
}

#[tokio::test]
async fn a_hundred_at_once_are_one_customer() {
    let app = App::start().await;
    let with_id = CreateCustomerRequest { request_id: new_id(), ..customer("ann@example.com") };
    let answers = join_all((0..100).map(|_| app.create_customer(with_id.clone()))).await;
    let ids: HashSet<String> =
        answers.into_iter().map(|answer| answer.unwrap().customer_id).collect();
    assert_eq!(ids.len(), 1);

    let emails = (0..100).map(|n| if n % 2 == 0 { "bob@example.com" } else { "BOB@example.com" });
    let answers = join_all(emails.map(|email| app.create_customer(customer(email)))).await;
    let (made, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!(made.len(), 1);
    let bob = made.into_iter().next().unwrap().unwrap().customer_id;
    for answer in refused {
        let refused = refusal(answer);
        refused.is(Code::AlreadyExists, "EMAIL_TAKEN");
        assert_eq!(refused.facts, [format!("customer_id: {bob}")]);
    }
    assert_eq!(app.count("select count(*) from orders.events_log").await, 2);
}
