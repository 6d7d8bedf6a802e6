//! An event that cannot be applied waits aside with all later ones of its aggregate, and nobody else waits with it.

use std::{sync::atomic::Ordering, time::Duration};

use log::{Event, EventLogService, Log};
use proto::log::v1::{
    DiscardDeadLetterRequest, ListDeadLettersRequest, RetryDeadLettersRequest,
    event_log_client::EventLogClient,
};
use tonic::Code;

use testkit::eventually;

use crate::world::{Note, PATIENCE, World, append, note};

struct Poisoned {
    world: World,
    orders: Log,
    effect: Note,
    admin: EventLogClient<rpc::Client>,
}

/// Of aggregates a and b, the second event of a cannot be applied.
async fn poisoned() -> Poisoned {
    let world = World::start().await;
    let (orders, inventory) = (world.log("orders", 4).await, world.log("inventory", 4).await);
    world.run(world.relay(&orders).await);
    let source = world.source(&orders).await;
    let effect = Note::default();
    let service = EventLogService::new(inventory.clone()).with_retry("orders", effect.clone());
    let admin = world.serve(service).await;
    world.consume(&inventory, &source, effect.clone());
    append(
        &orders,
        &[
            note("a", 1, false),
            note("b", 1, false),
            note("a", 2, true),
            note("b", 2, false),
            note("a", 3, false),
            note("b", 3, false),
        ],
    )
    .await;
    let poisoned = Poisoned { world, orders, effect, admin };
    poisoned.position_is(6).await;
    poisoned
}

impl Poisoned {
    async fn position_is(&self, sequence: i64) {
        let position = "select coalesce(max(log_id), 0) from inventory.consumer_positions";
        eventually("the position moves on", PATIENCE, async || {
            self.world.count(position).await == sequence
        })
        .await;
    }

    async fn applied(&self) -> Vec<(String, i32, i32)> {
        sqlx::query_as("select subject, version, times from inventory.test_effects order by place")
            .fetch_all(&self.world.admin)
            .await
            .unwrap()
    }

    async fn letters(&mut self) -> Vec<proto::log::v1::DeadLetter> {
        let request = ListDeadLettersRequest::default();
        self.admin.list_dead_letters(request).await.unwrap().into_inner().dead_letters
    }

    async fn retry(&mut self) -> Result<i32, tonic::Status> {
        let request =
            RetryDeadLettersRequest { source: "orders".to_owned(), subject: "a".to_owned() };
        Ok(self.admin.retry_dead_letters(request).await?.into_inner().applied_count)
    }
}

fn once(events: &[(&str, i32)]) -> Vec<(String, i32, i32)> {
    events.iter().map(|(subject, version)| ((*subject).to_owned(), *version, 1)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poisoned_event_parks_its_aggregate_and_no_other() {
    let mut poisoned = poisoned().await;
    // In the batch, and then thrice alone.
    assert_eq!(poisoned.effect.refused.load(Ordering::Relaxed), 4);
    let expected = [("a", 1), ("b", 1), ("b", 2), ("b", 3)];
    assert_eq!(poisoned.applied().await, once(&expected));
    let letters = poisoned.letters().await;
    let found: Vec<_> = letters.iter().map(|letter| (letter.sequence, &*letter.error)).collect();
    assert_eq!(found, [(3, "poison"), (5, "parked behind an earlier event of its aggregate")]);
    assert!(letters.iter().all(|letter| letter.source == "orders" && letter.subject == "a"));
    let event = Event::parse(letters[0].cloud_event.as_bytes(), 0).unwrap();
    assert_eq!((event.sequence, event.previous, event.version), (3, 2, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_are_applied_in_order_once_they_can_be() {
    let mut poisoned = poisoned().await;
    let refusal = poisoned.retry().await.unwrap_err();
    assert_eq!(refusal.code(), Code::FailedPrecondition);
    assert!(refusal.message().contains("poison"), "{refusal}");
    assert_eq!(poisoned.letters().await.len(), 2);

    poisoned.effect.cured.store(true, Ordering::Relaxed);
    assert_eq!(poisoned.retry().await.unwrap(), 2);
    assert_eq!(poisoned.retry().await.unwrap(), 0);
    assert!(poisoned.letters().await.is_empty());
    append(&poisoned.orders, &[note("a", 4, false)]).await;
    poisoned.position_is(7).await;
    let expected = [("a", 1), ("b", 1), ("b", 2), ("b", 3), ("a", 2), ("a", 3), ("a", 4)];
    assert_eq!(poisoned.applied().await, once(&expected));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_discarded_letter_lets_those_behind_it_be_applied() {
    let mut poisoned = poisoned().await;
    let dead_letter_id = poisoned.letters().await[0].dead_letter_id.clone();
    let request = DiscardDeadLetterRequest { dead_letter_id };
    poisoned.admin.discard_dead_letter(request.clone()).await.unwrap();
    let again = poisoned.admin.discard_dead_letter(request).await.unwrap_err();
    assert_eq!(again.code(), Code::NotFound);
    assert_eq!(poisoned.retry().await.unwrap(), 1);
    assert_eq!(poisoned.applied().await.last().unwrap(), &("a".to_owned(), 3, 1));
    let request = RetryDeadLettersRequest { source: "nobody".to_owned(), subject: "a".to_owned() };
    let refusal = poisoned.admin.retry_dead_letters(request).await.unwrap_err();
    assert_eq!(refusal.code(), Code::InvalidArgument);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_comes_while_letters_are_retried_is_not_left_behind() {
    let mut poisoned = poisoned().await;
    poisoned.effect.cured.store(true, Ordering::Relaxed);
    // Holds the retry between its effect and its commit, while the listener hears of the aggregate's next event; and then the
    // listener between parking that one and its commit.
    sqlx::raw_sql(
        "create function inventory.test_wait() returns trigger language plpgsql as $$
         begin
           perform pg_sleep(1.2);
           return coalesce(new, old);
         end $$;
         create trigger test_wait_retry before delete on inventory.dead_letters
           for each row when (old.log_id = 5) execute function inventory.test_wait();
         create trigger test_wait_consumer before insert on inventory.dead_letters
           for each row execute function inventory.test_wait()",
    )
    .execute(&poisoned.world.admin)
    .await
    .unwrap();
    let orders = poisoned.orders.clone();
    let next = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(400)).await;
        append(&orders, &[note("a", 4, false)]).await;
    });
    poisoned.retry().await.unwrap();
    next.await.unwrap();
    poisoned.position_is(7).await;
    assert_eq!(poisoned.letters().await, []);
    assert_eq!(poisoned.applied().await.last().unwrap(), &("a".to_owned(), 4, 1));
}
