//! Requests that come twice, also at the same time.

use std::sync::Arc;

use log::{Claim, Log, RequestKey};
use proto::log::v1::DiscardDeadLetterRequest;
use sqlx::error::DatabaseError;
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

#[tokio::test]
async fn of_many_equal_ids_in_a_batch_each_first_is_new() {
    let world = World::start().await;
    let orders = world.log("orders", 4).await;
    let ids: Vec<Uuid> = (0..64).map(|_| Uuid::now_v7()).collect();
    let keys: Vec<_> = ["x", "y", "z"]
        .iter()
        .flat_map(|text| ids.iter().map(move |id| (key(*id, text), *text)))
        .collect();
    let claims = claim(&orders, &keys).await;
    let (first, others) = claims.split_at(ids.len());
    assert!(first.iter().all(|claim| *claim == Claim::New));
    assert!(others.iter().all(|claim| *claim == Claim::Other));
    let again = claim(&orders, &keys[..ids.len()]).await;
    assert!(again.iter().all(|claim| *claim == Claim::Answered("x".to_owned())));
}

/// A request that is refused after all is taken back while equal ones wait for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_is_taken_back_is_new_to_one_of_those_who_wait() {
    let world = World::start().await;
    let orders = world.log("orders", 8).await;
    let key = key(Uuid::now_v7(), "one");
    let callers: Vec<_> = (0..6)
        .map(|_| {
            let (orders, key) = (orders.clone(), key.clone());
            tokio::spawn(async move {
                for _ in 0..150 {
                    let mut tx = orders.begin().await.unwrap();
                    let earlier = log::answered(&mut tx, "orders", Some(&key), "a").await.unwrap();
                    orders.commit(tx).await.unwrap();
                    if earlier.is_none() {
                        let taken_back =
                            sqlx::query("delete from orders.requests where request_id = $1")
                                .bind(key.id)
                                .execute(orders.pool())
                                .await
                                .unwrap();
                        assert_eq!(taken_back.rows_affected(), 1, "it is new to one at a time");
                    }
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
}

#[tokio::test]
async fn an_answer_is_not_taken_back_under_one_who_reads_it() {
    let world = World::start().await;
    let orders = world.log("orders", 4).await;
    let (one, two) = (key(Uuid::now_v7(), "one"), key(Uuid::now_v7(), "two"));
    assert_eq!(claim(&orders, &[(one.clone(), "a")]).await, [Claim::New]);
    let mut reads = orders.begin().await.unwrap();
    let requests = [(&two, "b".to_owned()), (&one, "c".to_owned())];
    let claims = log::claim_all(&mut reads, "orders", &requests).await.unwrap();
    assert_eq!(claims, [Claim::New, Claim::Answered("a".to_owned())]);

    let take_back = "delete from orders.requests where request_id = $1";
    let mut other = orders.begin().await.unwrap();
    sqlx::query("set local lock_timeout = '100ms'").execute(&mut *other).await.unwrap();
    let refused = sqlx::query(take_back).bind(one.id).execute(&mut *other).await.unwrap_err();
    let code = refused.as_database_error().and_then(DatabaseError::code);
    // It would have to wait.
    assert_eq!(code.as_deref(), Some("55P03"), "{refused}");
    other.rollback().await.unwrap();

    orders.commit(reads).await.unwrap();
    let taken_back = sqlx::query(take_back).bind(one.id).execute(orders.pool()).await.unwrap();
    assert_eq!(taken_back.rows_affected(), 1);
    assert_eq!(
        claim(&orders, &[(one, "d"), (two, "e")]).await,
        [Claim::New, Claim::Answered("b".to_owned())]
    );
}
