//! Reservations and stock while one transaction holds their rows: what may be promised, shipped and given back.
//!
//! Commands decide here, one order after the other, and the store then writes what has changed, all at once. A refusal of
//! [`Book::reserve`] leaves the book as it was; after any other refusal the transaction is given up.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use ids::{OrderId, ShipmentId};

use crate::{
    InventoryError,
    domain::{Level, LevelChange, Movement, Reservation, ReservationState, ReservedLine, Short},
    error::Shortage,
};

/// A repeated reservation that has less time left than this gets its full time again.
const RENEWED_BELOW: TimeDelta = TimeDelta::seconds(60);

/// How much of a SKU an order wants, and the first line of its request that says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) qty: i32,
    pub(crate) line: usize,
}

/// What is to be told of one order's stock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct News {
    /// The reservation's version after it.
    pub(crate) version: i32,
    pub(crate) levels: Vec<LevelChange>,
}

/// What a transaction has locked, and what it has changed of it.
#[derive(Debug, Default)]
pub(crate) struct Book {
    reservations: BTreeMap<OrderId, Reservation>,
    lines: BTreeMap<OrderId, BTreeMap<String, ReservedLine>>,
    levels: BTreeMap<String, Level>,
    /// Reservations that this transaction has added and that hold nothing yet.
    fresh: BTreeSet<OrderId>,
    changed: BTreeSet<OrderId>,
    added: BTreeSet<OrderId>,
    shipped: BTreeSet<OrderId>,
    emptied: BTreeSet<OrderId>,
    changed_skus: BTreeSet<String>,
    movements: Vec<Movement>,
}

impl Book {
    pub(crate) fn new(
        fresh: Vec<Reservation>,
        known: Vec<Reservation>,
        lines: Vec<ReservedLine>,
        levels: Vec<Level>,
    ) -> Self {
        let mut book =
            Self { fresh: fresh.iter().map(|one| one.order_id).collect(), ..Self::default() };
        book.reservations = fresh.into_iter().chain(known).map(|one| (one.order_id, one)).collect();
        book.levels = levels.into_iter().map(|level| (level.sku.clone(), level)).collect();
        for line in lines {
            book.lines.entry(line.order_id).or_default().insert(line.sku.clone(), line);
        }
        book
    }

    /// Promises all of what an order wants, or nothing. No news when the same was promised before.
    pub(crate) fn reserve(
        &mut self,
        order_id: OrderId,
        wanted: &BTreeMap<String, Wanted>,
        ttl: TimeDelta,
    ) -> Result<Option<News>, InventoryError> {
        let fresh = self.fresh.contains(&order_id);
        let reservation = self.reservation(order_id)?;
        match reservation.state {
            ReservationState::Released => {
                return Err(InventoryError::ReservationReleased(order_id));
            }
            ReservationState::Held if fresh => (),
            ReservationState::Lapsed => (),
            ReservationState::Held | ReservationState::Confirmed | ReservationState::Shipped => {
                return self.repeat(order_id, wanted, ttl).map(|()| None);
            }
        }
        self.check_stock(wanted)?;
        let mut levels = Vec::with_capacity(wanted.len());
        for (sku, Wanted { qty, .. }) in wanted {
            levels.push(self.shift(sku, 0, *qty)?);
        }
        let line = |(sku, wanted): (&String, &Wanted)| {
            let sku = sku.clone();
            (sku.clone(), ReservedLine { order_id, sku, qty: wanted.qty, shipped_qty: 0 })
        };
        self.lines.insert(order_id, wanted.iter().map(line).collect());
        self.added.insert(order_id);
        if self.fresh.remove(&order_id) {
            // It stands in the table as held already.
            return Ok(Some(News { version: self.reservation(order_id)?.version, levels }));
        }
        let reservation = self.change(order_id)?;
        reservation.state = ReservationState::Held;
        reservation.expires_at = reservation.seen_at + ttl;
        reservation.version += 1;
        Ok(Some(News { version: reservation.version, levels }))
    }

    /// The order is placed.
    pub(crate) fn confirm(&mut self, order_id: OrderId) -> Result<(), InventoryError> {
        match self.reservation(order_id)?.state {
            ReservationState::Held => {
                self.change(order_id)?.state = ReservationState::Confirmed;
                Ok(())
            }
            ReservationState::Confirmed | ReservationState::Shipped => Ok(()),
            ReservationState::Released | ReservationState::Lapsed => {
                Err(InventoryError::ReservationReleased(order_id))
            }
        }
    }

    /// Takes a shipment's goods off reservation, promise and shelf.
    pub(crate) fn ship(
        &mut self,
        order_id: OrderId,
        shipment_id: ShipmentId,
        goods: &BTreeMap<String, i32>,
    ) -> Result<News, InventoryError> {
        match self.reservation(order_id)?.state {
            ReservationState::Held | ReservationState::Confirmed | ReservationState::Shipped => (),
            ReservationState::Released | ReservationState::Lapsed => {
                return Err(InventoryError::ReservationReleased(order_id));
            }
        }
        let mut levels = Vec::with_capacity(goods.len());
        for (sku, &qty) in goods {
            let line = self.lines.entry(order_id).or_default().get_mut(sku);
            let open = line.as_ref().map_or(0, |line| line.qty - line.shipped_qty);
            let line = line.filter(|_| (1..=open).contains(&qty)).ok_or_else(|| {
                InventoryError::OverShipment { order_id, sku: sku.clone(), qty, open }
            })?;
            line.shipped_qty += qty;
            levels.push(self.shift(sku, -qty, -qty)?);
            let sku = sku.clone();
            self.movements.push(Movement { sku, qty: -qty, ref_id: shipment_id.0 });
        }
        self.shipped.insert(order_id);
        let done = self.lines_of(order_id).all(|line| line.qty == line.shipped_qty);
        let reservation = self.change(order_id)?;
        if done {
            reservation.state = ReservationState::Shipped;
        }
        reservation.version += 1;
        Ok(News { version: reservation.version, levels })
    }

    /// Frees for ever what has not been shipped. No news when nothing was promised any more.
    pub(crate) fn release(&mut self, order_id: OrderId) -> Result<Option<News>, InventoryError> {
        match self.reservation(order_id)?.state {
            ReservationState::Released => return Ok(None),
            ReservationState::Shipped => return Err(InventoryError::ReservationShipped(order_id)),
            ReservationState::Held | ReservationState::Confirmed | ReservationState::Lapsed => (),
        }
        self.give_back(order_id, ReservationState::Released)
    }

    /// Frees what is held for a draft whose time has run out.
    pub(crate) fn lapse(&mut self, order_id: OrderId) -> Result<Option<News>, InventoryError> {
        if !self.has_run_out(order_id) {
            return Ok(None);
        }
        let news = self.give_back(order_id, ReservationState::Lapsed)?;
        self.lines.remove(&order_id);
        self.emptied.insert(order_id);
        Ok(news)
    }

    pub(crate) fn has_run_out(&self, order_id: OrderId) -> bool {
        self.reservations.get(&order_id).is_some_and(Reservation::has_run_out)
    }

    /// Until when an order has what it wants.
    pub(crate) fn expires_at(&self, order_id: OrderId) -> Result<DateTime<Utc>, InventoryError> {
        Ok(self.reservation(order_id)?.expires_at)
    }

    pub(crate) fn level(&self, sku: &str) -> Option<&Level> {
        self.levels.get(sku)
    }

    /// Answers as before; what is held and about to run out gets its full time again.
    fn repeat(
        &mut self,
        order_id: OrderId,
        wanted: &BTreeMap<String, Wanted>,
        ttl: TimeDelta,
    ) -> Result<(), InventoryError> {
        let had = self.lines_of(order_id).map(|line| (&line.sku, line.qty));
        if !had.eq(wanted.iter().map(|(sku, wanted)| (sku, wanted.qty))) {
            return Err(InventoryError::ReservationDiffers(order_id));
        }
        let reservation = self.reservation(order_id)?;
        let ends_soon = reservation.expires_at < reservation.seen_at + RENEWED_BELOW.min(ttl / 2);
        if reservation.state == ReservationState::Held && ends_soon {
            let reservation = self.change(order_id)?;
            reservation.expires_at = reservation.seen_at + ttl;
        }
        Ok(())
    }

    fn check_stock(&self, wanted: &BTreeMap<String, Wanted>) -> Result<(), InventoryError> {
        let unknown = wanted.iter().filter(|(sku, _)| !self.levels.contains_key(*sku));
        let skus: Vec<_> = unknown.map(|(sku, wanted)| (wanted.line, sku.clone())).collect();
        if !skus.is_empty() {
            return Err(InventoryError::UnknownSkus { list: "lines", skus });
        }
        let short: Vec<Short> = wanted
            .iter()
            .filter_map(|(sku, wanted)| {
                let available = self.levels.get(sku).map_or(0, Level::available);
                let short = Short { sku: sku.clone(), requested: wanted.qty, available };
                (short.requested > short.available).then_some(short)
            })
            .collect();
        if short.is_empty() { Ok(()) } else { Err(InventoryError::Short(Shortage(short))) }
    }

    fn give_back(
        &mut self,
        order_id: OrderId,
        state: ReservationState,
    ) -> Result<Option<News>, InventoryError> {
        let open: Vec<(String, i32)> = self
            .lines_of(order_id)
            .map(|line| (line.sku.clone(), line.qty - line.shipped_qty))
            .filter(|(_, open)| *open > 0)
            .collect();
        let mut levels = Vec::with_capacity(open.len());
        for (sku, qty) in &open {
            levels.push(self.shift(sku, 0, -qty)?);
        }
        let reservation = self.change(order_id)?;
        reservation.state = state;
        if levels.is_empty() {
            return Ok(None);
        }
        reservation.version += 1;
        Ok(Some(News { version: reservation.version, levels }))
    }

    fn shift(
        &mut self,
        sku: &str,
        on_hand: i32,
        reserved: i32,
    ) -> Result<LevelChange, InventoryError> {
        let level = self.levels.get_mut(sku);
        let level = level.ok_or_else(|| InventoryError::ProductNotFound(sku.to_owned()))?;
        level.qty_on_hand += on_hand;
        level.reserved_qty += reserved;
        self.changed_skus.insert(sku.to_owned());
        Ok(level.changed_by(reserved.abs()))
    }

    fn reservation(&self, order_id: OrderId) -> Result<&Reservation, InventoryError> {
        self.reservations.get(&order_id).ok_or(InventoryError::ReservationNotFound(order_id))
    }

    fn change(&mut self, order_id: OrderId) -> Result<&mut Reservation, InventoryError> {
        self.changed.insert(order_id);
        self.reservations.get_mut(&order_id).ok_or(InventoryError::ReservationNotFound(order_id))
    }

    /// By SKU.
    fn lines_of(&self, order_id: OrderId) -> impl Iterator<Item = &ReservedLine> {
        self.lines.get(&order_id).into_iter().flat_map(BTreeMap::values)
    }
}

/// What the store writes.
impl Book {
    pub(crate) fn changed_reservations(&self) -> Vec<&Reservation> {
        self.changed.iter().filter_map(|id| self.reservations.get(id)).collect()
    }

    /// Reservations that were added for nothing.
    pub(crate) fn unused_reservations(&self) -> &BTreeSet<OrderId> {
        &self.fresh
    }

    /// Reservations that have no lines any more.
    pub(crate) fn emptied_reservations(&self) -> &BTreeSet<OrderId> {
        &self.emptied
    }

    pub(crate) fn added_lines(&self) -> Vec<&ReservedLine> {
        self.added.iter().flat_map(|id| self.lines_of(*id)).collect()
    }

    pub(crate) fn shipped_lines(&self) -> Vec<&ReservedLine> {
        self.shipped.iter().flat_map(|id| self.lines_of(*id)).collect()
    }

    pub(crate) fn changed_levels(&self) -> Vec<&Level> {
        self.changed_skus.iter().filter_map(|sku| self.levels.get(sku)).collect()
    }

    pub(crate) fn movements(&self) -> &[Movement] {
        &self.movements
    }
}

#[cfg(test)]
mod tests;
