//! Any process of the fleet is killed at any moment, while orders come in: nothing that was acknowledged is lost, nothing is doubled.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use proto::orders::v1::CreateOrderRequest;
use stack::{Fleet, Interrupt};
use tokio::time::{Instant, sleep};

use crate::world::{World, order, placed};

const CALLERS: usize = 8;
const ORDERS_EACH: usize = 40;

/// Where a caller has got to.
#[derive(Default)]
struct Answered {
    /// The order of each request that was answered with OK.
    orders: Mutex<BTreeSet<String>>,
    done: AtomicBool,
}

#[tokio::test]
async fn kills_at_any_moment_lose_and_double_nothing() {
    let mut world = World::start().await;
    for sku in ["TEA", "CUP", "POT"] {
        world.product(sku, "2.50", 100_000).await;
    }
    let customer = world.customer().await;
    let answered = Arc::new(Answered::default());
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let (orders, answered) = (world.orders(), Arc::clone(&answered));
            let requests: Vec<_> = (0..ORDERS_EACH)
                .map(|_| order(&customer, &[("TEA", 1), ("CUP", 2), ("POT", 1)]))
                .collect();
            tokio::spawn(async move {
                for request in requests {
                    let order_id = insist(orders.clone(), &request).await;
                    answered.orders.lock().unwrap().insert(order_id);
                }
            })
        })
        .collect();
    let ended = Arc::clone(&answered);
    let callers = tokio::spawn(async move {
        for caller in callers {
            caller.await.unwrap();
        }
        ended.done.store(true, Ordering::Relaxed);
    });

    let mut kills = 0;
    let victims: Vec<&str> = Fleet::names().collect();
    while !answered.done.load(Ordering::Relaxed) {
        let victim = victims[kills % victims.len()];
        world.fleet.program(victim).unwrap().kill().unwrap();
        if kills % 3 == 2 {
            world.nats.program().kill().unwrap();
            world.nats.restart(&Interrupt::default()).unwrap();
        }
        world.fleet.restart(victim).unwrap();
        kills += 1;
        // Not in step with anything.
        sleep(Duration::from_millis(150 + 97 * (kills as u64 % 7))).await;
    }
    callers.await.unwrap();
    assert!(kills >= 7, "only {kills} kills");
    world.fleet.wait_until_ready(&Interrupt::default()).unwrap();

    let orders = answered.orders.lock().unwrap().clone();
    assert_eq!(orders.len(), CALLERS * ORDERS_EACH);
    world.verify().await;
    let kept: Vec<String> =
        sqlx::query_scalar("select id::text from orders.orders where status = 'placed'")
            .fetch_all(&world.db)
            .await
            .unwrap();
    assert_eq!(kept.into_iter().collect::<BTreeSet<_>>(), orders);
    let sales = world.bramble(&["report", "sales", "--wait-for-fresh", "--format", "csv"]);
    let counts = sales.lines().skip(1).filter_map(|row| row.rsplit(',').nth(1));
    let counted: usize = counts.map(|count| count.parse::<usize>().unwrap()).sum();
    assert_eq!(counted, CALLERS * ORDERS_EACH, "{sales}");
}

/// The same request until it is answered, as a careful client does.
async fn insist(
    mut orders: proto::orders::v1::orders_service_client::OrdersServiceClient<rpc::Client>,
    request: &CreateOrderRequest,
) -> String {
    let began = Instant::now();
    loop {
        match orders.create_order(request.clone()).await {
            Ok(answer) => return placed(answer).order_id,
            Err(status) => {
                assert!(began.elapsed() < Duration::from_secs(120), "{status:?}");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}
