//! Orders that are being watched. One statement a look asks for all of them, however many watch, so changes by other replicas are seen as
//! well.
//!
//! **Invariant:** a watch is told of every look that finds its order other than the look before; nothing is asked while nobody watches.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use ids::OrderId;
use sqlx::PgPool;
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore, watch},
    time::sleep,
};
use uuid::Uuid;

use super::{WholeOrder, whole_order};
use crate::{
    OrdersError,
    store::{self, orders::Mark},
};

const WATCHES_MAX: usize = 100;
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// What the last look at an order found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    NotYet,
    There(Mark),
    Gone,
}

#[derive(Debug, Clone)]
pub(crate) struct Watches {
    pool: PgPool,
    places: Arc<Semaphore>,
    watched: Arc<Mutex<HashMap<OrderId, watch::Sender<Seen>>>>,
    begun: Arc<Notify>,
}

/// One who watches.
#[derive(Debug)]
pub(crate) struct Watch {
    pool: PgPool,
    id: OrderId,
    looks: watch::Receiver<Seen>,
    /// What was told last.
    told: Option<Mark>,
    _place: OwnedSemaphorePermit,
}

impl Watches {
    pub(crate) fn new(pool: PgPool) -> Self {
        Self {
            pool,
            places: Arc::new(Semaphore::new(WATCHES_MAX)),
            watched: Arc::default(),
            begun: Arc::default(),
        }
    }

    /// Begins before the order is read for the first time, so that no change is missed between.
    pub(crate) fn begin(&self, id: OrderId) -> Result<Watch, OrdersError> {
        let place = Arc::clone(&self.places).try_acquire_owned();
        let place = place.map_err(|_| OrdersError::TooManyWatches)?;
        let looks = self
            .watched()
            .entry(id)
            .or_insert_with(|| watch::Sender::new(Seen::NotYet))
            .subscribe();
        self.begun.notify_one();
        Ok(Watch { pool: self.pool.clone(), id, looks, told: None, _place: place })
    }

    /// Looks until told to end.
    pub(crate) async fn run(self, shutdown: rpc::Shutdown) {
        let work = async {
            let mut fails = false;
            loop {
                let looked = self.look().await;
                if let (Err(error), false) = (&looked, fails) {
                    tracing::warn!(%error, "watched orders are not looked at");
                }
                fails = looked.is_err();
                sleep(LOOK_EVERY).await;
            }
        };
        tokio::select! { () = work => (), () = shutdown.cancelled() => () }
    }

    async fn look(&self) -> sqlx::Result<()> {
        let ids: Vec<Uuid> = {
            let mut watched = self.watched();
            watched.retain(|_, sender| sender.receiver_count() > 0);
            watched.keys().map(|id| id.0).collect()
        };
        if ids.is_empty() {
            self.begun.notified().await;
            return Ok(());
        }
        let mut db = self.pool.acquire().await?;
        let marks: HashMap<OrderId, Mark> =
            store::orders::marks(&mut db, &ids).await?.into_iter().collect();
        let watched = self.watched();
        for id in ids.into_iter().map(OrderId) {
            let seen = marks.get(&id).map_or(Seen::Gone, |mark| Seen::There(*mark));
            if let Some(sender) = watched.get(&id) {
                sender.send_if_modified(|last| std::mem::replace(last, seen) != seen);
            }
        }
        Ok(())
    }

    fn watched(&self) -> MutexGuard<'_, HashMap<OrderId, watch::Sender<Seen>>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watch {
    /// Waits until the order is other than it was told last: at first not at all.
    pub(crate) async fn next(&mut self) -> Result<WholeOrder, OrdersError> {
        loop {
            if let Some(told) = self.told {
                self.looks.changed().await.map_err(|_| OrdersError::Stopping)?;
                if *self.looks.borrow_and_update() == Seen::There(told) {
                    continue;
                }
            }
            let whole = whole_order(&self.pool, self.id).await?;
            let now = Mark { version: whole.order.version, paid: whole.order.paid };
            // What the look has found may have been read with the change before it.
            if self.told.replace(now) != Some(now) {
                return Ok(whole);
            }
        }
    }
}
