//! Any process of the fleet is killed at any moment, while orders come in: nothing that was acknowledged is lost, nothing is doubled.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use proto::orders::v1::CreateOrderRequest;
use stack::{Fleet, Interrupt};
use tokio::time::{Instant, sleep};

use crate::world::{World, order, placed};

const CALLERS: usize = 8;
/// Each service twice.
const KILLS: usize = 14;

#[tokio::test]
async fn kills_at_any_moment_lose_and_double_nothing() {
    let mut world = World::start().await;
    for sku in ["TEA", "CUP", "POT"] {
        world.product(sku, "2.50", 1_000_000).await;
    }
    let customer = world.customer().await;
    let enough = Arc::new(AtomicBool::new(false));
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let (orders, customer) = (world.orders(), customer.clone());
            let enough = Arc::clone(&enough);
            tokio::spawn(async move {
                let mut answered = Vec::new();
                while !enough.load(Ordering::Relaxed) {
                    let request = order(&customer, &[("TEA", 1), ("CUP", 2), ("POT", 1)]);
                    answered.push(insist(orders.clone(), &request).await);
                }
                answered
            })
        })
        .collect();

    for (kill, victim) in Fleet::names().cycle().take(KILLS).enumerate() {
        world.fleet.program(victim).unwrap().kill().unwrap();
        if kill % 3 == 2 {
            world.nats.program().kill().unwrap();
            world.nats.restart(&Interrupt::default()).unwrap();
        }
        world.fleet.restart(victim).unwrap();
        // Not in step with anything.
        sleep(Duration::from_millis(150 + 97 * (kill as u64 % 7))).await;
    }
    world.fleet.wait_until_ready(&Interrupt::default()).unwrap();
    enough.store(true, Ordering::Relaxed);
    let mut orders = BTreeSet::new();
    for caller in callers {
        orders.extend(caller.await.unwrap());
    }

    assert!(orders.len() > KILLS, "only {} orders", orders.len());
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
    assert_eq!(counted, orders.len(), "{sales}");
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
