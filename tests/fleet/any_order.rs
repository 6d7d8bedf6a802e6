//! Services start in any order, wait for what they need, and end when told.

use stack::{Fleet, Interrupt};
use testkit::TestDb;

use crate::world::{World, eventually};

#[tokio::test]
async fn a_fleet_without_nats_waits_for_it_and_goes_on() {
    let mut world = World::start().await;
    world.product("TEA", "2.50", 10).await;
    let customer = world.customer().await;
    world.nats.program().kill().unwrap();

    // Orders are taken meanwhile; their events wait in the log.
    let order = world.order(&customer, &[("TEA", 4)]).await.unwrap();
    // It may be slow to answer before it says so.
    eventually("word that it is unready", async || {
        let health = world
            .fleet
            .cli()
            .unwrap()
            .args(["health", "--url"])
            .arg(world.fleet.url("orders-svc"))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&health.stderr);
        (!health.status.success() && said.contains("NOT_SERVING")).then_some(())
    })
    .await;

    world.nats.restart(&Interrupt::default()).unwrap();
    world.fleet.wait_until_ready(&Interrupt::default()).unwrap();
    world.invoice(&order.order_id).await;
    world.verify().await;
}

#[tokio::test]
async fn services_that_come_first_say_what_they_wait_for() {
    // A database that nobody has migrated.
    let database = TestDb::start().await;
    database.admin(&format!("drop database {} with (force)", database.name)).await;
    database.admin(&format!("create database {}", database.name)).await;
    let mut world = World::begin_on(database, &[]).await;
    world.launch_before_migrations(&["ledger"]).await;
}

#[tokio::test]
async fn a_fleet_that_is_told_to_stop_ends_well_and_leaves_nothing() {
    let mut world = World::start().await;
    let pids: Vec<u32> = world.fleet.programs().iter().map(stack::process::Program::pid).collect();
    world.fleet.stop().unwrap();
    for pid in pids {
        assert!(!std::path::Path::new(&format!("/proc/{pid}/exe")).exists());
    }
    for service in Fleet::names() {
        let log = world.folder.path().join("logs").join(format!("{service}.log"));
        let said = std::fs::read_to_string(log).unwrap();
        assert!(said.contains("stopped"), "{service}: {said}");
    }
}
