//! Customers who are archived: `ArchiveCustomer` and `RestoreCustomer`.

use proto::orders::v1::{
    ArchiveCustomerRequest, BatchCreateCustomersRequest, CreateOrderRequest, ListCustomersRequest,
    Order, OrderStatus, RestoreCustomerRequest, UpdateOrderRequest,
};
use tonic::Code;

use testkit::refusal;

use crate::{
    app::App,
    requests::{customer, mask, new_id, order},
};

async fn listed(app: &App, request: ListCustomersRequest) -> Vec<String> {
    let answer = app.client.clone().list_customers(request).await.unwrap().into_inner();
    answer.customers.into_iter().map(|customer| customer.customer_id).collect()
}

#[tokio::test]
async fn who_is_archived_is_listed_only_when_asked_for() {
    let app = App::start().await;
    let ann = app.create_customer(customer("ann@example.com")).await.unwrap();
    let bob = app.customer().await;
    let archived = app.archive(&ann.customer_id).await.unwrap();
    assert!(archived.archive_time.is_some() && archived.etag != ann.etag);
    assert_eq!(app.archive(&ann.customer_id).await.unwrap(), archived, "twice is the same as once");
    let all = |show_archived| ListCustomersRequest { show_archived, ..Default::default() };
    let with_email = |show_archived| ListCustomersRequest {
        email: "ANN@example.com".to_owned(),
        ..all(show_archived)
    };
    let named = |show_archived| ListCustomersRequest {
        name_prefix: "ann".to_owned(),
        ..all(show_archived)
    };
    let both = [ann.customer_id.clone(), bob.clone()];
    assert_eq!(listed(&app, all(false)).await, [bob.as_str()]);
    assert_eq!(listed(&app, all(true)).await, both);
    assert_eq!(listed(&app, named(false)).await, [bob.as_str()]);
    assert_eq!(listed(&app, named(true)).await, both);
    assert_eq!(listed(&app, with_email(false)).await, [""; 0]);
    assert_eq!(listed(&app, with_email(true)).await, [ann.customer_id.as_str()]);
    // A batch that has her already answers with her as she is.
    let request = BatchCreateCustomersRequest { requests: vec![customer("ann@example.com")] };
    let known = app.client.clone().batch_create_customers(request).await.unwrap().into_inner();
    assert_eq!(known.customers, [archived]);

    let restored = app.restore(&ann.customer_id).await.unwrap();
    assert_eq!(restored.archive_time, None);
    assert_eq!(app.restore(&ann.customer_id).await.unwrap(), restored);
    assert_eq!(listed(&app, all(false)).await, both);
    let told = app.told_of(&ann.customer_id).await;
    assert_eq!(told, ["customer.created 1", "customer.archived 2", "customer.restored 3"]);
}

#[tokio::test]
async fn nothing_new_is_sold_to_one_who_is_archived() {
    let app = App::start().await;
    app.stock("A", 9, "1.00").await;
    let (ann, bob) = (app.customer().await, app.customer().await);
    let made = CreateOrderRequest { request_id: new_id(), ..order(&ann, &[("A", 1)]) };
    let draft = app.create(made.clone()).await.unwrap();
    app.archive(&ann).await.unwrap();
    let fact = format!("customer_id: {ann}");
    let refuses = |answer: Result<Order, tonic::Status>| {
        let refused = refusal(answer);
        refused.is(Code::FailedPrecondition, "CUSTOMER_ARCHIVED");
        assert_eq!(refused.facts, [fact.as_str()]);
    };
    let new = CreateOrderRequest { request_id: new_id(), ..order(&ann, &[("A", 1)]) };
    refuses(app.create(new.clone()).await);
    refuses(app.create(CreateOrderRequest { place: true, ..new.clone() }).await);
    refuses(app.place(&draft.order_id).await);
    assert!(app.reservation(&draft.order_id).await.is_err(), "nothing was asked for");
    let of_bob = app.create(order(&bob, &[("A", 1)])).await.unwrap();
    let moved = Order { customer_id: ann.clone(), ..of_bob };
    let moving = UpdateOrderRequest {
        order: Some(moved),
        update_mask: mask(&["customer_id"]),
        ..Default::default()
    };
    refuses(app.update_order(moving).await);
    // What was answered before is answered again, and what is there can be cancelled.
    assert_eq!(app.create(made).await.unwrap(), draft);
    app.cancel(&draft.order_id).await.unwrap();

    // The refusal was not remembered.
    app.restore(&ann).await.unwrap();
    let placed = app.create(CreateOrderRequest { place: true, ..new }).await.unwrap();
    assert_eq!(placed.status(), OrderStatus::Placed);
    app.check_books().await;
}

#[tokio::test]
async fn what_was_placed_before_goes_on() {
    let app = App::start().await;
    app.stock("A", 9, "1.00").await;
    let placed = app.placed(&[("A", 2)]).await;
    let other = app.create(order(&placed.customer_id, &[("A", 2)])).await.unwrap();
    app.place(&other.order_id).await.unwrap();
    app.archive(&placed.customer_id).await.unwrap();
    assert_eq!(app.place(&placed.order_id).await.unwrap().status(), OrderStatus::Placed);
    app.ship(&placed.order_id).await.unwrap();
    app.hear_paid(&[&placed.order_id]).await;
    assert_eq!(app.order(&placed.order_id).await.status(), OrderStatus::Completed);
    app.cancel(&other.order_id).await.unwrap();
    app.check_books().await;
}

#[tokio::test]
async fn stale_etags_bad_fields_and_strangers_are_refused() {
    let app = App::start().await;
    let ann = app.create_customer(customer("ann@example.com")).await.unwrap();
    let archive =
        async |request: ArchiveCustomerRequest| app.client.clone().archive_customer(request).await;
    let restore =
        async |request: RestoreCustomerRequest| app.client.clone().restore_customer(request).await;
    let (customer_id, etag) = (ann.customer_id.clone(), ann.etag.clone());
    let request = ArchiveCustomerRequest { request_id: new_id(), customer_id, etag };
    let archived = archive(request.clone()).await.unwrap().into_inner().customer.unwrap();
    let again = archive(request.clone()).await.unwrap().into_inner().customer.unwrap();
    assert_eq!(again, archived);
    let other = ArchiveCustomerRequest { etag: String::new(), ..request.clone() };
    refusal(archive(other).await).is(Code::AlreadyExists, "REQUEST_ID_USED");
    let stale = ArchiveCustomerRequest { request_id: String::new(), ..request.clone() };
    refusal(archive(stale).await).is(Code::Aborted, "ETAG_STALE");
    let stale = RestoreCustomerRequest {
        request_id: new_id(),
        customer_id: ann.customer_id.clone(),
        etag: ann.etag,
    };
    refusal(restore(stale.clone()).await).is(Code::Aborted, "ETAG_STALE");
    let fresh = RestoreCustomerRequest { etag: archived.etag, ..stale };
    let restored = restore(fresh.clone()).await.unwrap().into_inner().customer.unwrap();
    // Archived since: the request that restored it restores it no more.
    app.archive(&ann.customer_id).await.unwrap();
    let again = restore(fresh).await.unwrap().into_inner().customer.unwrap();
    assert!(again.archive_time.is_some() && again.etag != restored.etag);

    let bad = || ("x".to_owned(), "7".to_owned());
    let (request_id, customer_id) = bad();
    let request = ArchiveCustomerRequest { request_id, customer_id, etag: String::new() };
    refusal(archive(request).await).names(&["request_id", "customer_id"]);
    let (request_id, customer_id) = bad();
    let request = RestoreCustomerRequest { request_id, customer_id, etag: String::new() };
    refusal(restore(request).await).names(&["request_id", "customer_id"]);
    let nobody = new_id();
    for answer in [app.archive(&nobody).await, app.restore(&nobody).await] {
        let refused = refusal(answer);
        refused.is(Code::NotFound, "CUSTOMER_NOT_FOUND");
        assert_eq!(refused.facts, [format!("customer_id: {nobody}")]);
    }
}
