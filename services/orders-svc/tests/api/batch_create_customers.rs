use proto::orders::v1::{BatchCreateCustomersRequest, CreateCustomerRequest, Customer};
use tokio::task::JoinSet;
use tonic::Status;

use testkit::refusal;

use crate::{
    app::{App, Orders},
    requests::{customer, metadata, new_id},
};

pub(crate) async fn create_all(
    mut client: Orders,
    requests: Vec<CreateCustomerRequest>,
) -> Result<Vec<Customer>, Status> {
    let request = BatchCreateCustomersRequest { requests };
    Ok(client.batch_create_customers(request).await?.into_inner().customers)
}

#[tokio::test]
async fn those_who_are_known_are_answered_as_they_are_in_the_order_of_the_request() {
    let app = App::start().await;
    let known = CreateCustomerRequest {
        phone: "1".to_owned(),
        metadata: metadata("a", "b"),
        ..customer("ann@example.com")
    };
    let ann = app.create_customer(known).await.unwrap();
    let emails = ["zoe@example.com", "ANN@EXAMPLE.COM", "Bob@example.com", "bob@example.com"];
    let all = create_all(app.client.clone(), emails.map(customer).to_vec()).await.unwrap();
    let answered: Vec<&str> = all.iter().map(|customer| customer.email.as_str()).collect();
    assert_eq!(
        answered,
        ["zoe@example.com", "ann@example.com", "Bob@example.com", "Bob@example.com"]
    );
    assert_eq!((&all[1], &all[2]), (&ann, &all[3]));
    assert_eq!(app.count("select count(*) from orders.customers").await, 3);
    for customer in &all {
        assert_eq!(app.told_of(&customer.customer_id).await, ["customer.created 1"]);
    }
    let again = create_all(app.client.clone(), emails.map(customer).to_vec()).await.unwrap();
    assert_eq!(again, all);
    assert_eq!(app.count("select count(*) from orders.events_log").await, 3);
}

/// Which letters have a case depends on the database's locale.
#[tokio::test]
async fn addresses_in_any_script_are_answered() {
    let app = App::start().await;
    let emails = ["JÖRG@example.com", "İpek@example.com", "ΟΔΟΣ@example.com", "ẞ@example.com"];
    let all = create_all(app.client.clone(), emails.map(customer).to_vec()).await.unwrap();
    let answered: Vec<&str> = all.iter().map(|customer| customer.email.as_str()).collect();
    assert_eq!(answered, emails);
    for (email, made) in emails.into_iter().zip(&all) {
        let refused = refusal(app.create_customer(customer(email)).await);
        assert_eq!(refused.facts, [format!("customer_id: {}", made.customer_id)]);
    }
}

#[tokio::test]
async fn all_are_added_or_none() {
    let app = App::start().await;
    let mut requests = vec![customer("ann@example.com"), customer("bob"), customer("c@d")];
    requests[0].request_id = new_id();
    requests[2].name = String::new();
    refusal(create_all(app.client.clone(), requests).await).names(&[
        "requests[0].request_id",
        "requests[1].email",
        "requests[2].name",
    ]);
    assert_eq!(app.count("select count(*) from orders.customers").await, 0);
}

#[tokio::test]
async fn a_batch_has_one_to_a_thousand() {
    let app = App::start().await;
    let many = |count| (0..count).map(|n| customer(&format!("{n}@example.com"))).collect();
    refusal(create_all(app.client.clone(), Vec::new()).await).names(&["requests"]);
    refusal(create_all(app.client.clone(), many(1001)).await).names(&["requests"]);
    let all = create_all(app.client.clone(), many(1000)).await.unwrap();
    assert_eq!((all.len(), all[999].email.as_str()), (1000, "999@example.com"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn batches_in_opposite_order_never_lock_each_other_out() {
    let app = App::start().await;
    let clients = [app.client.clone(), app.start_another().await];
    for round in 0..10 {
        let mut batches = JoinSet::new();
        for caller in 0..8 {
            let mut requests: Vec<_> =
                (0..50).map(|n| customer(&format!("{round}.{n}@example.com"))).collect();
            if caller % 2 == 0 {
                requests.reverse();
            }
            batches.spawn(create_all(clients[caller % 2].clone(), requests));
        }
        for all in batches.join_all().await {
            assert_eq!(all.unwrap().len(), 50);
        }
    }
    assert_eq!(app.count("select count(*) from orders.events_log").await, 500);
    assert_eq!(app.deadlocks().await, 0);
}
