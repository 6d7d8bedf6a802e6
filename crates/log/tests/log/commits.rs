//! Concurrent commits, slow ones and rollbacks among them: no reader misses, doubles or reorders an event.

use std::time::Duration;

use log::{Event, EventLogService, NewEvent, Step};
use proto::log::v1::{ListEventsRequest, StreamEventsRequest, event_log_client::EventLogClient};
use tokio::time::timeout;

use crate::world::{World, append, assert_chain, commit, note, write};

const WRITERS: u64 = 16;
const COMMANDS: u64 = 120;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_reader_misses_doubles_or_reorders_an_event() {
    let world = World::start().await;
    let orders = world.log("orders", 24).await;
    world.run(world.relay(&orders).await);
    let event_log = world.serve(EventLogService::new(orders.clone())).await;
    let streamed = tokio::spawn(stream_until_quiet(event_log.clone(), true));
    let paged = tokio::spawn(page_until(event_log.clone(), "order.last"));

    write(&orders, WRITERS, COMMANDS).await;
    append(&orders, &[last()]).await;

    world.all_is_published().await;
    let logged = world.logged().await;
    assert!(logged.len() > 2000, "{} events", logged.len());
    assert_chain(&streamed.await.unwrap(), &logged);
    assert_chain(&paged.await.unwrap(), &logged);
    assert_chain(&stream_until_quiet(event_log, false).await, &logged);
}

#[tokio::test]
async fn an_event_waits_for_those_below_it_that_are_not_committed_yet() {
    let world = World::start().await;
    let orders = world.log("orders", 8).await;
    let mut relay = world.relay(&orders).await.lead().await.unwrap();
    let mut slow = orders.begin().await.unwrap();
    orders.append(&mut slow, &[note("slow", 1, false)]).await.unwrap();
    commit(&orders, [1, 2]).await;

    assert_eq!(relay.step().await.unwrap(), Step::Waits);
    assert_eq!(log::read_settled(&orders, 0, 10).await.unwrap(), []);
    orders.commit(slow).await.unwrap();
    assert_eq!(relay.step().await.unwrap(), Step::Published(3));
    world.all_is_published().await;
}

#[tokio::test]
async fn a_gap_that_was_rolled_back_is_passed_while_others_keep_writing() {
    let world = World::start().await;
    let orders = world.log("orders", 8).await;
    let mut undone = orders.begin().await.unwrap();
    orders.append(&mut undone, &[note("undone", 1, false)]).await.unwrap();
    undone.rollback().await.unwrap();
    commit(&orders, [1]).await;
    // Somebody is always writing: whoever takes a fence and looks at once sees one older than it.
    let mut older = orders.begin().await.unwrap();
    commit_in(&mut older).await;
    let first = log::read_settled(&orders, 0, 10).await.unwrap();
    assert_eq!(first, [], "the fence cannot be passed yet");
    let mut younger = orders.begin().await.unwrap();
    commit_in(&mut younger).await;
    older.rollback().await.unwrap();

    let mut found = Vec::new();
    // Those in the other databases of this Postgres may be older, too, and end.
    for _ in 0..1000 {
        found = log::read_settled(&orders, 0, 10).await.unwrap();
        if !found.is_empty() {
            break;
        }
        commit_in(&mut younger).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(found.len(), 1, "the one who keeps writing is younger than the fence");
}

/// Gives the transaction an xid.
async fn commit_in(tx: &mut sqlx::PgConnection) {
    sqlx::query("select pg_current_xact_id()").execute(tx).await.unwrap();
}

#[tokio::test]
async fn an_id_is_drawn_by_a_transaction_that_has_an_xid_already() {
    let world = World::start().await;
    // Between the drawing of the id and the writing of the row.
    sqlx::raw_sql(
        "create function orders.test_has_xid() returns trigger language plpgsql as $$
         begin
           if pg_current_xact_id_if_assigned() is null then raise exception 'no xid yet'; end if;
           return new;
         end $$;
         create trigger test_has_xid before insert on orders.events_log
           for each row execute function orders.test_has_xid()",
    )
    .execute(&world.admin)
    .await
    .unwrap();
    let orders = world.log("orders", 2).await;
    // The sequence itself needs an xid now and then, but not each time.
    for version in 1..=5 {
        append(&orders, &[note("a", version, false), note("b", version, false)]).await;
    }
    let sequences: Vec<_> =
        world.logged().await.into_iter().map(|(sequence, _)| sequence).collect();
    assert_eq!(sequences, Vec::from_iter(1..=10));
}

#[tokio::test]
async fn a_following_stream_sends_what_is_committed_later() {
    let world = World::start().await;
    let orders = world.log("orders", 4).await;
    let mut event_log = world.serve(EventLogService::new(orders.clone())).await;
    let request = StreamEventsRequest { after_sequence: 0, follow: true };
    let mut events = event_log.stream_events(request).await.unwrap().into_inner();
    commit(&orders, [1]).await;
    let event = events.message().await.unwrap().unwrap().event.unwrap();
    assert_eq!((event.sequence, event.previous), (1, 0));
    world.shutdown.cancel();
    let end = timeout(Duration::from_secs(10), events.message()).await.unwrap();
    assert!(end.is_err(), "the service is stopping");
}

fn last() -> NewEvent {
    NewEvent::new("order.last", "last", 1, &serde_json::json!({}), &log::Cause::default())
}

async fn stream_until_quiet(
    mut event_log: EventLogClient<rpc::Client>,
    follow: bool,
) -> Vec<Event> {
    let request = StreamEventsRequest { after_sequence: 0, follow };
    let mut stream = event_log.stream_events(request).await.unwrap().into_inner();
    let mut events = Vec::new();
    while let Some(message) =
        timeout(Duration::from_secs(20), stream.message()).await.unwrap().unwrap()
    {
        events.push(parse(&message.event.unwrap()));
        if follow && events.last().unwrap().event_type == "order.last" {
            break;
        }
    }
    events
}

/// Page after page from the start, until an event of a type has come.
async fn page_until(mut event_log: EventLogClient<rpc::Client>, event_type: &str) -> Vec<Event> {
    let mut events: Vec<Event> = Vec::new();
    let mut after_sequence = 0;
    while events.last().is_none_or(|event| event.event_type != event_type) {
        let request =
            ListEventsRequest { after_sequence, page_size: 50, event_type: String::new() };
        let page = event_log.list_events(request).await.unwrap().into_inner();
        events.extend(page.events.iter().map(parse));
        after_sequence = page.next_after_sequence;
    }
    events
}

fn parse(event: &proto::log::v1::Event) -> Event {
    let parsed = Event::parse(event.cloud_event.as_bytes(), 0).unwrap();
    assert_eq!((parsed.sequence, parsed.previous), (event.sequence, event.previous));
    parsed
}
