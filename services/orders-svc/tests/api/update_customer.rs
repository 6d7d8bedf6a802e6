use futures::future::join_all;
use proto::orders::v1::{Customer, UpdateCustomerRequest};
use tonic::{Code, Status};

use testkit::refusal;

use crate::{
    app::App,
    batch_create_customers::create_all,
    requests::{customer, mask, metadata, new_id},
};

async fn update(app: &App, request: UpdateCustomerRequest) -> Result<Customer, Status> {
    Ok(app.client.clone().update_customer(request).await?.into_inner().customer.unwrap())
}

fn changing(customer: &Customer, paths: &[&str]) -> UpdateCustomerRequest {
    UpdateCustomerRequest {
        request_id: String::new(),
        customer: Some(customer.clone()),
        update_mask: mask(paths),
    }
}

#[tokio::test]
async fn only_what_the_mask_names_changes() {
    let app = App::start().await;
    let ann = app.create_customer(customer("ann@example.com")).await.unwrap();
    let given = Customer {
        name: "Anna".to_owned(),
        email: "anna@example.com".to_owned(),
        phone: "7".to_owned(),
        metadata: metadata("a", "b"),
        ..ann.clone()
    };
    let anna = update(&app, changing(&given, &["name", "metadata"])).await.unwrap();
    let expected = Customer {
        name: given.name.clone(),
        metadata: given.metadata.clone(),
        etag: anna.etag.clone(),
        ..ann.clone()
    };
    assert_eq!(anna, expected);
    assert_ne!(anna.etag, ann.etag);

    let rest = Customer { metadata: None, etag: anna.etag, ..given };
    let all = ["email", "phone", "metadata"];
    let changed = update(&app, changing(&rest, &all)).await.unwrap();
    assert_eq!(changed, Customer { etag: changed.etag.clone(), ..rest });
    let told = app.log.events_of(&ann.customer_id).await;
    let kinds: Vec<_> = told.iter().map(|(kind, version, _)| (kind.as_str(), *version)).collect();
    assert_eq!(kinds, [("customer.created", 1), ("customer.updated", 2), ("customer.updated", 3)]);
    assert_eq!(told[2].2, serde_json::json!({ "customerId": ann.customer_id }), "nothing personal");
}

#[tokio::test]
async fn an_address_that_another_has_is_refused_and_one_may_change_the_case_of_ones_own() {
    let app = App::start().await;
    let ann = app.create_customer(customer("ann@example.com")).await.unwrap();
    let bob = app.create_customer(customer("bob@example.com")).await.unwrap();
    let taken = Customer { email: "BOB@example.com".to_owned(), ..ann.clone() };
    let refused = refusal(update(&app, changing(&taken, &["email"])).await);
    refused.is(Code::AlreadyExists, "EMAIL_TAKEN");
    assert_eq!(refused.facts, [format!("customer_id: {}", bob.customer_id)]);
    let louder = Customer { email: "ANN@example.com".to_owned(), ..ann };
    let louder = update(&app, changing(&louder, &["email"])).await.unwrap();
    assert_eq!(louder.email, "ANN@example.com");
    // Also of one who is archived.
    app.archive(&bob.customer_id).await.unwrap();
    let refused = refusal(app.create_customer(customer("Bob@Example.com")).await);
    refused.is(Code::AlreadyExists, "EMAIL_TAKEN");
    assert_eq!(refused.facts, [format!("customer_id: {}", bob.customer_id)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_who_want_an_address_at_once_one_has_it() {
    let app = App::start().await;
    let mut all = Vec::new();
    for n in 0..20 {
        all.push(app.create_customer(customer(&format!("{n}@example.com"))).await.unwrap());
    }
    let wanted =
        |customer: &Customer| Customer { email: "x@example.com".to_owned(), ..customer.clone() };
    let calls = all.iter().map(|one| update(&app, changing(&wanted(one), &["email"])));
    let (got, refused): (Vec<_>, Vec<_>) =
        join_all(calls).await.into_iter().partition(Result::is_ok);
    let [got] = got.try_into().unwrap();
    let fact = format!("customer_id: {}", got.unwrap().customer_id);
    for answer in refused {
        let refused = refusal(answer);
        refused.is(Code::AlreadyExists, "EMAIL_TAKEN");
        assert_eq!(refused.facts, [fact.as_str()]);
    }
}

#[tokio::test]
async fn a_change_of_what_has_changed_since_it_was_read_is_refused() {
    let app = App::start().await;
    let ann = app.create_customer(customer("ann@example.com")).await.unwrap();
    let first = update(&app, changing(&ann, &["name"])).await.unwrap();
    let refused = refusal(update(&app, changing(&ann, &["name"])).await);
    refused.is(Code::Aborted, "ETAG_STALE");
    assert_eq!(refused.facts, [format!("etag: {}", first.etag)]);
    let whatever = Customer { etag: String::new(), ..ann };
    update(&app, changing(&whatever, &["name"])).await.unwrap();
}

#[tokio::test]
async fn the_same_request_again_changes_nothing() {
    let app = App::start().await;
    let ann = app.create_customer(customer("ann@example.com")).await.unwrap();
    let request =
        UpdateCustomerRequest { request_id: new_id(), ..changing(&ann, &["name", "email"]) };
    let changed = update(&app, request.clone()).await.unwrap();
    // Its etag is stale by now, but it was answered.
    assert_eq!(update(&app, request.clone()).await.unwrap(), changed);
    let other = UpdateCustomerRequest { update_mask: mask(&["name"]), ..request };
    refusal(update(&app, other).await).is(Code::AlreadyExists, "REQUEST_ID_USED");

    // What was refused is not remembered.
    let stale = UpdateCustomerRequest { request_id: new_id(), ..changing(&ann, &["phone"]) };
    refusal(update(&app, stale.clone()).await).is(Code::Aborted, "ETAG_STALE");
    let mended = UpdateCustomerRequest { customer: Some(changed), ..stale };
    update(&app, mended).await.unwrap();
    assert_eq!(app.told_of(&ann.customer_id).await.len(), 3);
}

#[tokio::test]
async fn every_bad_field_is_named() {
    let app = App::start().await;
    let ann = app.create_customer(customer("ann@example.com")).await.unwrap();
    let bad = Customer {
        customer_id: "7".to_owned(),
        name: String::new(),
        email: "ann".to_owned(),
        phone: "7".repeat(51),
        metadata: metadata("big", &"x".repeat(16 << 10)),
        ..ann.clone()
    };
    let request = UpdateCustomerRequest {
        request_id: "x".to_owned(),
        ..changing(&bad, &["name", "email", "phone", "metadata", "etag"])
    };
    refusal(update(&app, request).await).names(&[
        "request_id",
        "customer.customer_id",
        "update_mask",
        "customer.name",
        "customer.email",
        "customer.phone",
        "customer.metadata",
    ]);
    // What the mask does not name is not read.
    let named = Customer { customer_id: ann.customer_id.clone(), name: "Ann".to_owned(), ..bad };
    update(&app, changing(&named, &["name"])).await.unwrap();
    for paths in [&[][..], &["*"], &["customer.name"], &["create_time"]] {
        refusal(update(&app, changing(&ann, paths)).await).names(&["update_mask"]);
    }
    let request = UpdateCustomerRequest { update_mask: None, ..changing(&ann, &[]) };
    refusal(update(&app, request).await).names(&["update_mask"]);

    let nobody = new_id();
    let nothing = Customer { customer_id: nobody.clone(), ..ann };
    let refused = refusal(update(&app, changing(&nothing, &["name"])).await);
    refused.is(Code::NotFound, "CUSTOMER_NOT_FOUND");
    assert_eq!(refused.facts, [format!("customer_id: {nobody}")]);
}

/// Who had it may have given it up by the time that they are to be named.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_is_free_or_taken_however_it_changes_hands() {
    let app = App::start().await;
    let give = async |owner: &Customer, email: String| {
        let given = Customer { email, etag: String::new(), ..owner.clone() };
        update(&app, changing(&given, &["email"])).await
    };
    let ann = app.create_customer(customer("ann@example.com")).await.unwrap();
    let gives_up = async {
        for round in 0..200 {
            give(&ann, format!("{round}@example.com")).await.unwrap();
            // Taken, or about to be.
            let _ = give(&ann, "ann@example.com".to_owned()).await;
        }
    };
    let take = async || {
        for round in 0..100 {
            let owner = match app.create_customer(customer("ann@example.com")).await {
                Ok(owner) => owner,
                taken => {
                    refusal(taken).is(Code::AlreadyExists, "EMAIL_TAKEN");
                    let request = vec![customer("ann@example.com")];
                    create_all(app.client.clone(), request).await.unwrap().remove(0)
                }
            };
            if owner.customer_id != ann.customer_id {
                let _ = give(&owner, format!("{round}@{}.example.com", owner.customer_id)).await;
            }
        }
    };
    futures::join!(gives_up, take(), take(), take());
}
