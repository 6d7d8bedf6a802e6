//! Effects that fail for a while, or for good.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use log::{Apply, ApplyError, Event};
use sqlx::PgConnection;

use testkit::eventually;

use crate::world::{Note, PATIENCE, World, append, commit, note};

/// Cannot do more than so many events in the time that there is.
#[derive(Clone)]
struct Slow {
    at_once_max: usize,
    sizes: Arc<Mutex<Vec<usize>>>,
    then: Note,
}

impl Apply for Slow {
    const TYPES: &'static [&'static str] = Note::TYPES;

    async fn apply(&self, tx: &mut PgConnection, events: &[Event]) -> Result<(), ApplyError> {
        self.sizes.lock().unwrap().push(events.len());
        if events.len() > self.at_once_max {
            return Err(ApplyError::Retry("canceling statement due to statement timeout".into()));
        }
        self.then.apply(tx, events).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_takes_too_long_is_tried_in_smaller_ones() {
    let world = World::start().await;
    let (orders, inventory) = (world.log("orders", 4).await, world.log("inventory", 4).await);
    commit(&orders, 0..40).await;
    let mut leader = world.relay(&orders).await.lead().await.unwrap();
    leader.step().await.unwrap();
    let source = world.source(&orders).await;
    let slow = Slow { at_once_max: 60, sizes: Arc::default(), then: Note::default() };
    commit(&orders, (0..360).map(|n| n % 64)).await;
    leader.step().await.unwrap();
    world.consume(&inventory, &source, slow.clone());
    world.all_is_applied().await;
    assert!(slow.sizes.lock().unwrap().iter().any(|size| *size > 60));
}

/// Fails as a statement does that finds no row.
#[derive(Clone, Default)]
struct Lookup {
    tried: Arc<AtomicUsize>,
    then: Note,
}

impl Apply for Lookup {
    const TYPES: &'static [&'static str] = Note::TYPES;

    async fn apply(&self, tx: &mut PgConnection, events: &[Event]) -> Result<(), ApplyError> {
        if events.iter().any(|event| event.subject == "unknown") {
            self.tried.fetch_add(1, Ordering::Relaxed);
            sqlx::query("select 1 where false").fetch_one(&mut *tx).await?;
        }
        self.then.apply(tx, events).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_effect_that_misses_a_row_holds_up_nobody_else() {
    let world = World::start().await;
    let (orders, inventory) = (world.log("orders", 4).await, world.log("inventory", 4).await);
    world.run(world.relay(&orders).await);
    let source = world.source(&orders).await;
    world.consume(&inventory, &source, Lookup::default());
    append(&orders, &[note("unknown", 1, false), note("known", 1, false)]).await;
    eventually("the other is applied", PATIENCE, async || {
        world.count("select count(*) from inventory.test_effects").await == 1
    })
    .await;
    assert_eq!(world.count("select count(*) from inventory.dead_letters").await, 1);
}
