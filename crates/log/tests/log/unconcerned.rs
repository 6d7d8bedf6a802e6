//! Most events are of no interest to most who listen: these must not wear the disk.

use log::{Apply, ApplyError, Event};
use sqlx::PgConnection;
use testkit::eventually;

use crate::world::{PATIENCE, World, commit};

/// Tells how each move of a position is committed.
const WITNESS: &str = "
    create table inventory.test_commits (log_id bigint, synced text);
    create function inventory.test_witness() returns trigger language plpgsql security definer as $$
      begin
        insert into inventory.test_commits values (new.log_id, current_setting('synchronous_commit'));
        return new;
      end $$;
    create trigger test_witness after update on inventory.consumer_positions
      for each row execute function inventory.test_witness();";

/// Takes every second event of an aggregate.
#[derive(Clone)]
struct Even;

impl Apply for Even {
    const TYPES: &'static [&'static str] = &["order.noted"];

    fn concerns(&self, event: &Event) -> bool {
        event.version % 2 == 0
    }

    async fn apply(&self, _: &mut PgConnection, events: &[Event]) -> Result<(), ApplyError> {
        assert!(events.iter().all(|event| event.version % 2 == 0));
        Ok(())
    }
}

#[tokio::test]
async fn what_concerns_nobody_moves_the_position_and_waits_for_no_disk() {
    let world = World::start().await;
    let (orders, inventory) = (world.log("orders", 4).await, world.log("inventory", 4).await);
    sqlx::raw_sql(WITNESS).execute(&world.admin).await.unwrap();
    world.run(world.relay(&orders).await);
    world.consume(&inventory, &world.source(&orders).await, Even);
    for event in 1..=4_usize {
        commit(&orders, [1]).await;
        eventually("the position moves", PATIENCE, async || {
            let moved = "select count(*) from inventory.test_commits";
            world.count(moved).await == i64::try_from(event).unwrap()
        })
        .await;
    }
    let commits: Vec<String> =
        sqlx::query_scalar("select synced from inventory.test_commits order by log_id")
            .fetch_all(&world.admin)
            .await
            .unwrap();
    assert_eq!(commits, ["off", "on", "off", "on"]);
}
