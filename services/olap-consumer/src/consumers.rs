//! Follows the other services' logs: reads what their events tell, and has it counted.
//!
//! **Invariant:** the position moves with each event, in the same step as what the event changes; an event at or below it is skipped.
//!
//! An event that cannot be read, or that contradicts what came before, is set aside: logged as an error, kept as a row of
//! `set_aside_events`, and not counted; everything else goes on. Once what it takes is deployed, a rebuild counts it.
//! Where amounts add up ([`Followed::adds_up`]), later events of the same subject are set aside with it. When too many are, the source is
//! followed no further, and the service is not ready.

mod orders;
mod inventory;
mod billing;
mod ledger;

use std::{
    collections::BTreeSet,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{anyhow, ensure};
use ids::OrderId;
use log::{Event, Feed, Position, Source};
use manifest::Counted;
use proto::log::v1::ListEventsRequest;
use tokio::{
    sync::Notify,
    task::spawn_blocking,
    time::{sleep, timeout},
};
use tonic::Status;

use crate::{
    domain::{Books, Fact, LineKey, OrderLine, SetAside, TooManySetAside},
    store::{self, LastDecoded, Place, Shelf},
};

const RETRY_AFTER: Duration = Duration::from_secs(1);
/// How long a source may take to say what it has at the position.
const ASK_MAX: Duration = Duration::from_secs(5);
/// How long a source may be silent before it is asked whether it still has what was counted.
const CHECK_EVERY: Duration = Duration::from_secs(10);
/// How long a follower that waits for room waits before it looks again.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What followers count into, and the store writes from.
#[derive(Debug)]
pub(crate) struct SharedBooks {
    books: Mutex<Books>,
    /// The lines on the disk: replaced in the same step in which those in memory are forgotten.
    lines: Mutex<Arc<Shelf<LineKey>>>,
    decoded: Arc<LastDecoded<OrderLine>>,
    place: Place,
    /// Told when so much waits to be written that it should not wait for the next time.
    pub(crate) much_waits: Notify,
    /// Told when anything was counted.
    pub(crate) changed: Notify,
    has_room: Notify,
}

impl SharedBooks {
    pub(crate) fn new(books: Books, place: Place, lines: Arc<Shelf<LineKey>>) -> Self {
        let (much_waits, changed, has_room) = (Notify::new(), Notify::new(), Notify::new());
        let (books, lines, decoded) = (Mutex::new(books), Mutex::new(lines), Arc::default());
        Self { books, lines, decoded, place, much_waits, changed, has_room }
    }

    /// Fails when somebody broke off half-way: such books must not be written.
    pub(crate) fn lock(&self) -> anyhow::Result<MutexGuard<'_, Books>> {
        self.books.lock().map_err(|_| broken_off())
    }

    /// What was to be written is on the disk, which `note` has the books know.
    pub(crate) fn written(
        &self,
        lines: Arc<Shelf<LineKey>>,
        note: impl FnOnce(&mut Books),
    ) -> anyhow::Result<()> {
        let mut books = self.lock()?;
        *self.lines.lock().map_err(|_| broken_off())? = lines;
        note(&mut books);
        self.has_room.notify_waiters();
        Ok(())
    }

    /// Counts events in their order. Orders that they change are fetched first, without keeping others from the books meanwhile.
    pub(crate) async fn count(&self, followed: Followed, told: Vec<Told>) -> anyhow::Result<()> {
        let changed: BTreeSet<OrderId> = told.iter().filter_map(Told::changes_order).collect();
        let (mut looked_for, mut lines) = (BTreeSet::new(), Vec::new());
        loop {
            let (lacking, shelf) = {
                let mut books = self.lock()?;
                let lacks =
                    |order: &&OrderId| !looked_for.contains(*order) && books.orders.lacks(**order);
                let lacking: BTreeSet<OrderId> = changed.iter().filter(lacks).copied().collect();
                if lacking.is_empty() {
                    books.orders.fetched(lines);
                    let folded = fold(&mut books, followed, told);
                    self.changed.notify_one();
                    return Ok(folded?);
                }
                (lacking, self.shelf()?)
            };
            match self.fetch(Arc::clone(&shelf), &lacking).await {
                Ok(found) => {
                    lines.extend(found);
                    looked_for.extend(lacking);
                }
                // A write has replaced files of it meanwhile, which may be gone: they are in others now.
                Err(_) if !Arc::ptr_eq(&shelf, &self.shelf()?) => (),
                Err(error) => return Err(error),
            }
        }
    }

    fn shelf(&self) -> anyhow::Result<Arc<Shelf<LineKey>>> {
        Ok(Arc::clone(&*self.lines.lock().map_err(|_| broken_off())?))
    }

    async fn fetch(
        &self,
        shelf: Arc<Shelf<LineKey>>,
        orders: &BTreeSet<OrderId>,
    ) -> anyhow::Result<Vec<(LineKey, OrderLine)>> {
        if shelf.is_empty() {
            return Ok(Vec::new());
        }
        let (place, decoded) = (self.place.clone(), Arc::clone(&self.decoded));
        let orders = orders.iter().map(|order| order.0).collect();
        spawn_blocking(move || store::find(&place, &shelf, &decoded, &orders)).await?
    }

    /// Waits while twice as many rows wait to be written as may: on a disk that does not keep up, or takes nothing.
    pub(crate) async fn has_room(&self, rows_max: usize) -> anyhow::Result<()> {
        loop {
            let (untaken, unwritten) = {
                let books = self.lock()?;
                (books.untaken(), books.unwritten())
            };
            let has_room = unwritten < 2 * rows_max;
            if untaken >= rows_max || !has_room {
                self.much_waits.notify_one();
            }
            if has_room {
                return Ok(());
            }
            let _ = timeout(LOOK_EVERY, self.has_room.notified()).await;
        }
    }
}

fn broken_off() -> anyhow::Error {
    anyhow!("counting was broken off")
}

/// A source, and what its events tell.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Followed {
    pub(crate) source: &'static str,
    /// None for an event that is of no interest here.
    read: fn(&Event) -> anyhow::Result<Option<Fact>>,
    /// An event takes away what an earlier one of the same subject has added.
    adds_up: bool,
}

pub(crate) const ORDERS: Followed =
    Followed { source: "orders", read: orders::read, adds_up: true };
/// Levels are absolute.
pub(crate) const INVENTORY: Followed =
    Followed { source: "inventory", read: inventory::read, adds_up: false };
/// What is owed is absolute, and an invoice that is not known is not open.
pub(crate) const BILLING: Followed =
    Followed { source: "billing", read: billing::read, adds_up: false };
/// A journal is posted once, and taken back by another one.
pub(crate) const LEDGER: Followed =
    Followed { source: "ledger", read: ledger::read, adds_up: false };

/// An event that has been read, which needs no books.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) event: Event,
    /// Or why it cannot be read.
    fact: Result<Option<Fact>, String>,
}

impl Told {
    pub(crate) fn read(followed: Followed, event: Event) -> Self {
        let fact = (followed.read)(&event).map_err(|error| format!("{error:#}"));
        Self { event, fact }
    }

    /// The order whose lines it changes.
    fn changes_order(&self) -> Option<OrderId> {
        self.fact.as_ref().ok()?.as_ref()?.changes_order()
    }
}

/// Follows one source.
#[derive(Debug, Clone)]
pub(crate) struct Follower {
    pub(crate) followed: Followed,
    pub(crate) source: Source,
    /// Rows that may wait to be written.
    rows_max: usize,
    /// Whether it is followed right now; for readiness.
    pub(crate) is_following: Arc<AtomicBool>,
}

impl Follower {
    pub(crate) fn new(followed: Followed, source: Source, rows_max: usize) -> Self {
        Self { followed, source, rows_max, is_following: Arc::default() }
    }

    /// Follows the source until it is dropped, whatever happens to NATS and the source meanwhile.
    pub(crate) async fn run(&self, books: &SharedBooks) {
        let mut told = String::new();
        loop {
            if let Err(error) = self.follow(books, &mut told).await {
                self.is_following.store(false, Ordering::Relaxed);
                let text = format!("{error:#}");
                if text != told {
                    let source = self.source.name;
                    tracing::warn!(source, "events are not counted: {text}");
                    told = text;
                }
            }
            sleep(RETRY_AFTER).await;
        }
    }

    async fn follow(&self, books: &SharedBooks, told: &mut String) -> anyhow::Result<()> {
        let source = self.source.name;
        let counted = books.lock()?.position(source);
        self.check_known(counted).await?;
        let mut position = to_position(counted);
        let mut feed = Feed::open(&self.source, position).await?;
        self.is_following.store(true, Ordering::Relaxed);
        loop {
            let events = self.wait_for(&mut feed, position).await?;
            let page = events.into_iter().map(|event| Told::read(self.followed, event));
            books.count(self.followed, page.collect()).await?;
            position = to_position(books.lock()?.position(source));
            told.clear();
            books.has_room(self.rows_max).await?;
        }
    }

    /// Gives the next events. A log that was restored to an earlier time may say nothing for long: it is asked now and then.
    async fn wait_for(&self, feed: &mut Feed, position: Position) -> anyhow::Result<Vec<Event>> {
        let mut next = pin!(feed.next(position));
        loop {
            if let Ok(events) = timeout(CHECK_EVERY, &mut next).await {
                return events;
            }
            self.check_known(to_counted(position)).await?;
        }
    }

    /// Fails when the source's log does not have the event that was counted last. A source that cannot be asked may be followed all the
    /// same: the feed checks what it can, too.
    async fn check_known(&self, counted: Counted) -> anyhow::Result<()> {
        let source = self.source.name;
        let known = self.knows(counted).await.unwrap_or_else(|status| {
            tracing::debug!(source, "its log cannot be asked now: {}", status.message());
            true
        });
        ensure!(
            known,
            "the log of {source} does not have event {} at {}, which is counted in the materializations: it was restored to an \
             earlier time, or is another one's; to count what it has now, delete the folder of the materializations",
            counted.event_id,
            counted.log_id
        );
        Ok(())
    }

    /// Whether the source's log has the event that was counted last, if any.
    pub(crate) async fn knows(&self, counted: Counted) -> Result<bool, Status> {
        let Some(before) = counted.log_id.checked_sub(1).filter(|before| *before >= 0) else {
            return Ok(true);
        };
        let mut request = tonic::Request::new(ListEventsRequest {
            after_sequence: before,
            page_size: 1,
            event_type: String::new(),
        });
        request.set_timeout(ASK_MAX);
        let page = self.source.log.clone().list_events(request).await?.into_inner();
        Ok(page.events.first().is_some_and(|event| {
            let id = Event::parse(event.cloud_event.as_bytes(), 0).map(|event| event.id);
            event.sequence == counted.log_id && id.is_ok_and(|id| id == counted.event_id)
        }))
    }
}

/// Counts events in their order, with the orders that they change at hand.
pub(crate) fn fold(
    books: &mut Books,
    followed: Followed,
    told: Vec<Told>,
) -> Result<(), TooManySetAside> {
    for Told { event, fact } in told {
        let position = books.position(followed.source);
        if event.sequence <= position.log_id {
            continue;
        }
        if let Err(reason) = count(books, followed, &event, fact) {
            tracing::error!(
                source = followed.source,
                event_type = event.event_type,
                subject = event.subject,
                sequence = event.sequence,
                "not counted but set aside: {reason}"
            );
            let aside = SetAside {
                event_id: event.id,
                event_type: event.event_type.clone(),
                subject: event.subject.clone(),
                event_time: event.time,
                reason,
            };
            books.set_aside(followed.source, event.sequence, aside)?;
        }
        let behind = to_counted(Position::behind(&event, to_position(position)));
        books.move_to(followed.source, behind, event.time);
    }
    Ok(())
}

fn count(
    books: &mut Books,
    followed: Followed,
    event: &Event,
    fact: Result<Option<Fact>, String>,
) -> Result<(), String> {
    let Some(fact) = fact? else { return Ok(()) };
    if followed.adds_up && books.is_set_aside(followed.source, &event.subject) {
        return Err("an earlier event of the same subject is set aside".to_owned());
    }
    books.apply(fact, event.time).map_err(|unsound| unsound.to_string())
}

fn to_position(counted: Counted) -> Position {
    let Counted { stream_sequence, log_id, event_id } = counted;
    Position { stream_sequence, log_id, event_id }
}

fn to_counted(position: Position) -> Counted {
    let Position { stream_sequence, log_id, event_id } = position;
    Counted { stream_sequence, log_id, event_id }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::BusinessDays;

    fn event(sequence: i64, event_type: &str, total: &str) -> Event {
        let json = serde_json::json!({
            "id": uuid::Uuid::from_u128(u128::try_from(sequence).unwrap()), "type": event_type, "subject": "one",
            "time": "2026-11-24T09:00:00Z", "version": 1, "sequence": sequence.to_string(), "previous": "0",
            "data": {
                "orderId": uuid::Uuid::from_u128(1), "customerId": uuid::Uuid::from_u128(2),
                "total": {"amount": total, "currencyCode": "GBP"}, "placeTime": "2026-11-24T09:00:00Z",
            },
        });
        Event::parse(json.to_string().as_bytes(), 0).unwrap()
    }

    fn fold(books: &mut Books, events: &[Event]) -> Result<(), TooManySetAside> {
        let told = events.iter().map(|event| Told::read(ORDERS, event.clone()));
        super::fold(books, ORDERS, told.collect())
    }

    #[test]
    fn an_event_at_or_below_the_position_is_skipped() {
        let mut books = Books::new(BusinessDays(chrono_tz::Europe::London));
        let events: Vec<Event> =
            (1..=3).map(|sequence| event(sequence, "order.placed", "1.00")).collect();
        for again in [&events[..1], &events[..2], &events[..], &events[1..], &events[..1]] {
            fold(&mut books, again).unwrap();
        }
        let counted = books.sales.hours.rows().values().next().unwrap();
        assert_eq!((counted.total.hundredths(), counted.order_count), (300, 3));
        assert_eq!(books.position("orders").log_id, 3);
        assert_eq!(books.position("billing"), Counted::default());
    }

    #[test]
    fn the_position_moves_over_what_is_set_aside_and_stops_where_too_much_is() {
        let mut books = Books::new(BusinessDays(chrono_tz::Europe::London));
        let events: Vec<Event> =
            (1..=1002).map(|sequence| event(sequence, "order.placed", "gold")).collect();
        assert!(fold(&mut books, &events).is_err());
        assert_eq!(books.position("orders").log_id, 1000);
        assert_eq!(books.set_aside.rows().len(), 1000);
        // A good one of another subject would be counted, but never before those that come first.
        assert!(fold(&mut books, &events[1000..]).is_err());
        assert_eq!(books.position("orders").log_id, 1000);
    }
}
