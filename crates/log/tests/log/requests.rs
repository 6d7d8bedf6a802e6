//! Requests that come twice, also at the same time.

use std::sync::Arc;

use log::{Claim, Log, RequestKey};
use proto::log::v1::DiscardDeadLetterRequest;
use tokio::sync::Barrier;
use uuid::Uuid;

use crate::world::World;

fn key(id: Uuid, text: &str) -> RequestKey {
    let message = DiscardDeadLetterRequest { dead_letter_id: text.to_owned() };
    RequestKey::new(id, "Discard", &message)
}

async fn claim(orders: &Log, keys: &[(RequestKey, &str)]) -> Vec<Claim> {
    let mut tx = orders.begin().await.unwrap();
    let requests: Vec<_> = keys.iter().map(|(key, answer)| (key, (*answer).to_owned())).collect();
    let claims = log::claim_all(&mut tx, "orders", &requests).await.unwrap();
    orders.commit(tx).await.unwrap();
    claims
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_equal_requests_at_once_one_is_new_and_the_others_get_its_answer() {
    let world = World::start().await;
    let orders = world.log("orders", 8).await;
    for _ in 0..30 {
        let (key, barrier) = (key(Uuid::now_v7(), "one"), Arc::new(Barrier::new(6)));
        let claims: Vec<_> = (0..6)
            .map(|number| {
                let (orders, key, barrier) = (orders.clone(), key.clone(), Arc::clone(&barrier));
                tokio::spawn(async move {
                    barrier.wait().await;
                    let mut tx = orders.begin().await.unwrap();
                    let claim = log::answered(&mut tx, "orders", Some(&key), number).await.unwrap();
                    orders.commit(tx).await.unwrap();
                    claim.unwrap_or_else(|| format!("new {number}"))
                })
            })
            .collect();
        let mut answers = Vec::new();
        for claim in claims {
            answers.push(claim.await.unwrap());
        }
        let new: Vec<_> = answers.iter().filter_map(|answer| answer.strip_prefix("new ")).collect();
        assert_eq!(new.len(), 1, "{answers:?}");
        assert_eq!(answers.iter().filter(|answer| *answer == new[0]).count(), 5, "{answers:?}");
    }
}

#[tokio::test]
async fn a_request_whose_transaction_was_undone_is_new_again() {
    let world = World::start().await;
    let orders = world.log("orders", 4).await;
    let key = key(Uuid::now_v7(), "one");
    let mut tx = orders.begin().await.unwrap();
    assert_eq!(log::answered(&mut tx, "orders", Some(&key), "a").await.unwrap(), None);
    tx.rollback().await.unwrap();
    assert_eq!(claim(&orders, &[(key, "b")]).await, [Claim::New]);
}

#[tokio::test]
async fn of_equal_ids_in_a_batch_the_first_is_new() {
    let world = World::start().await;
    let orders = world.log("orders", 4).await;
    let (one, two) = (Uuid::now_v7(), Uuid::now_v7());
    let claims = claim(
        &orders,
        &[(key(one, "x"), "a"), (key(two, "y"), "b"), (key(one, "x"), "c"), (key(two, "z"), "d")],
    )
    .await;
    assert_eq!(claims, [Claim::New, Claim::New, Claim::Answered("a".to_owned()), Claim::Other]);
    let again = claim(&orders, &[(key(two, "y"), "e"), (key(two, "z"), "f")]).await;
    assert_eq!(again, [Claim::Answered("b".to_owned()), Claim::Other]);
}
