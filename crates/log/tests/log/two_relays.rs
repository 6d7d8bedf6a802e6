//! Two replicas of a service, each with its relay.

use log::{RelayError, Step};

use crate::world::{World, commit, write};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_relays_in_lock_step_one_is_fenced() {
    let world = World::start().await;
    let orders = world.log("orders", 8).await;
    let relays = [world.relay(&orders).await, world.relay(&orders).await];
    let mut wins = [0, 0];
    for _ in 0..100 {
        let mut leaders = [relays[0].lead().await.unwrap(), relays[1].lead().await.unwrap()];
        commit(&orders, 0..3).await;
        let [first, second] = &mut leaders;
        let steps = tokio::join!(first.step(), second.step());
        match steps {
            (Ok(Step::Published(3)), Err(RelayError::Fenced)) => wins[0] += 1,
            (Err(RelayError::Fenced), Ok(Step::Published(3))) => wins[1] += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(wins[0] + wins[1], 100);
    world.all_is_published().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_relays_at_once_publish_each_event_once_and_in_order() {
    let world = World::start().await;
    let (one, two) = (world.log("orders", 8).await, world.log("orders", 8).await);
    world.run(world.relay(&one).await);
    world.run(world.relay(&two).await);
    tokio::join!(write(&one, 6, 100), write(&two, 6, 100));
    world.all_is_published().await;
}
