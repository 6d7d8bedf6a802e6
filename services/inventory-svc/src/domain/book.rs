//! Reservations and stock while one transaction holds their rows: what may be promised, shipped, given back and taken back.
//!
//! Commands decide here, one order after the other, and the store then writes what has changed, all at once. A refusal of
//! [`Book::reserve`] leaves the book as it was; after any other refusal the transaction is given up.

mod reserve;
mod take_back;

pub(crate) use reserve::Wanted;
pub(crate) use take_back::TakenBack;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use ids::{OrderId, ShipmentId};
use uuid::Uuid;

use crate::{
    InventoryError,
    domain::{
        By, Document, Level, Move, Movement, Moves, Reason, Reservation, ReservationState,
        ReservedLine, Shelf, Turn,
    },
};

/// How much of each SKU.
pub(crate) type Goods = BTreeMap<String, i32>;

/// What is to be told of one order's stock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct News {
    /// The reservation's version after it.
    pub(crate) version: i32,
    pub(crate) moves: Moves,
}

/// What a transaction has locked, and what it has changed of it.
#[derive(Debug, Default)]
pub(crate) struct Book {
    reservations: BTreeMap<OrderId, Reservation>,
    lines: BTreeMap<OrderId, BTreeMap<String, ReservedLine>>,
    pub(crate) shelf: Shelf,
    /// What shipments and returns have moved already.
    documents: BTreeMap<Uuid, Contents>,
    /// Reservations that this transaction has added and that hold nothing yet.
    fresh: BTreeSet<OrderId>,
    changed: BTreeSet<OrderId>,
    added: BTreeSet<OrderId>,
    changed_lines: BTreeSet<OrderId>,
    emptied: BTreeSet<OrderId>,
}

/// What a document has moved, and for whom, as far as that is known.
#[derive(Debug, Default, PartialEq, Eq)]
struct Contents {
    order_id: Option<OrderId>,
    goods: BTreeMap<(Reason, String), i32>,
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
        book.shelf = Shelf::new(levels);
        for line in lines {
            book.lines.entry(line.order_id).or_default().insert(line.sku.clone(), line);
        }
        book
    }

    /// What documents have moved before, so that none does so twice.
    pub(crate) fn knowing(mut self, movements: Vec<Movement>) -> Self {
        for Movement { ref_id, order_id, reason, sku, qty, .. } in movements {
            self.note(ref_id, order_id, reason, sku, qty);
        }
        self
    }

    /// The order is placed, and what is reserved belongs to it, unless only a call says so. False when it was confirmed before.
    pub(crate) fn confirm(&mut self, order_id: OrderId, by: By) -> Result<bool, InventoryError> {
        let news = self.turn(order_id, Move::Confirm)?;
        if news {
            let reservation = self.change(order_id)?;
            reservation.state = ReservationState::Confirmed;
            reservation.by_call = by == By::Call;
        } else if by == By::Order && self.reservation(order_id)?.by_call {
            self.change(order_id)?.by_call = false;
        }
        Ok(news)
    }

    /// Holds it at least so long from now on. False when it is held longer already.
    pub(crate) fn extend(
        &mut self,
        order_id: OrderId,
        ttl: TimeDelta,
    ) -> Result<bool, InventoryError> {
        self.turn(order_id, Move::Extend)?;
        let Reservation { seen_at, expires_at, .. } = *self.reservation(order_id)?;
        let news = seen_at + ttl > expires_at;
        if news {
            self.change(order_id)?.expires_at = seen_at + ttl;
        }
        Ok(news)
    }

    /// One more event tells of the reservation: gives its version.
    pub(crate) fn tell(&mut self, order_id: OrderId) -> Result<i32, InventoryError> {
        let reservation = self.change(order_id)?;
        reservation.version += 1;
        Ok(reservation.version)
    }

    /// Takes a shipment's goods, or all that is open, off reservation, promise and shelf. No news when that shipment has left before.
    pub(crate) fn ship(
        &mut self,
        order_id: OrderId,
        shipment_id: ShipmentId,
        goods: Option<&Goods>,
        by: By,
    ) -> Result<Option<News>, InventoryError> {
        let said = goods.map(|goods| {
            let goods = goods.iter().map(|(sku, qty)| ((Reason::Shipment, sku.clone()), -qty));
            Contents { order_id: Some(order_id), goods: goods.collect() }
        });
        match self.documents.get(&shipment_id.0) {
            Some(left) if left.is(order_id, Reason::Shipment, said.as_ref()) => return Ok(None),
            Some(_) => return Err(InventoryError::ShipmentDiffers(shipment_id)),
            None => (),
        }
        self.check_owner(order_id, by)?;
        let goods = match (self.turn(order_id, Move::Ship), goods) {
            // Goods that are named are too many by then, and named in the refusal.
            (Err(InventoryError::ReservationShipped(_)), Some(goods)) => goods.clone(),
            (Err(refusal), _) => return Err(refusal),
            (Ok(_), Some(goods)) => goods.clone(),
            (Ok(_), None) => self.open(order_id),
        };
        if goods.is_empty() {
            return Ok(None);
        }
        let order = Some(order_id);
        let document = Document { reason: Reason::Shipment, id: shipment_id.0, order_id: order };
        let mut moves = Moves::default();
        for (sku, qty) in goods {
            let line = self.lines.entry(order_id).or_default().get_mut(&sku);
            let open = line.as_ref().map_or(0, |line| line.open());
            let line = line.filter(|_| (1..=open).contains(&qty)).ok_or_else(|| {
                InventoryError::OverShipment { order_id, sku: sku.clone(), qty, open }
            })?;
            line.shipped_qty += qty;
            let moved = self.shelf.take(&sku, qty, qty, None, document)?;
            let sum = line.shipped_cost.checked_add(moved.cost);
            line.shipped_cost = sum.map_err(|_| InventoryError::ValueOutOfRange(sku.clone()))?;
            moves.add(moved)?;
            self.note(shipment_id.0, order, Reason::Shipment, sku, -qty);
        }
        self.changed_lines.insert(order_id);
        // Nobody ships for an order that is not placed.
        let reservation = self.change(order_id)?;
        reservation.state = ReservationState::Confirmed;
        reservation.by_call = by == By::Call;
        self.close(order_id)?;
        Ok(Some(News { version: self.tell(order_id)?, moves }))
    }

    /// Frees for ever what has not been shipped. No news when nothing was promised any more.
    pub(crate) fn release(
        &mut self,
        order_id: OrderId,
        by: By,
    ) -> Result<Option<News>, InventoryError> {
        match self.turn(order_id, Move::Release) {
            Ok(false) => Ok(None),
            // What had been left open was released: the same again.
            Err(InventoryError::ReservationShipped(_))
                if self.lines_of(order_id).any(|line| line.released_qty > 0) =>
            {
                Ok(None)
            }
            turn => {
                self.check_owner(order_id, by)?;
                turn?;
                self.give_back(order_id, ReservationState::Released)
            }
        }
    }

    /// Frees a part of what has not been shipped: only calls ask for that.
    pub(crate) fn release_lines(
        &mut self,
        order_id: OrderId,
        goods: &Goods,
    ) -> Result<News, InventoryError> {
        self.check_owner(order_id, By::Call)?;
        match self.turn(order_id, Move::ReleaseLines) {
            // What is named is too much by then, and named in the refusal.
            Ok(_) | Err(InventoryError::ReservationShipped(_)) => (),
            Err(refusal) => return Err(refusal),
        }
        let mut moves = Moves::default();
        for (sku, &qty) in goods {
            let line = self.lines.entry(order_id).or_default().get_mut(sku);
            let open = line.as_ref().map_or(0, |line| line.open());
            let line = line.filter(|_| qty <= open).ok_or_else(|| InventoryError::OverRelease {
                order_id,
                sku: sku.clone(),
                qty,
                open,
            })?;
            line.released_qty += qty;
            moves.levels.push(self.shelf.promise(sku, -qty)?);
        }
        self.changed_lines.insert(order_id);
        self.close(order_id)?;
        Ok(News { version: self.tell(order_id)?, moves })
    }

    /// Frees what is held for a draft whose time has run out.
    pub(crate) fn lapse(&mut self, order_id: OrderId) -> Result<Option<News>, InventoryError> {
        if !self.has_run_out(order_id) {
            return Ok(None);
        }
        let news = self.give_back(order_id, ReservationState::Lapsed)?;
        if self.reservation(order_id)?.state == ReservationState::Lapsed {
            self.lines.remove(&order_id);
            self.emptied.insert(order_id);
        }
        Ok(news)
    }

    pub(crate) fn has_run_out(&self, order_id: OrderId) -> bool {
        self.reservations.get(&order_id).is_some_and(Reservation::has_run_out)
    }

    /// Until when an order has what it wants.
    pub(crate) fn expires_at(&self, order_id: OrderId) -> Result<DateTime<Utc>, InventoryError> {
        Ok(self.reservation(order_id)?.expires_at)
    }

    /// A reservation and its lines, by SKU.
    pub(crate) fn state_of(
        &self,
        order_id: OrderId,
    ) -> Result<(Reservation, Vec<ReservedLine>), InventoryError> {
        Ok((self.reservation(order_id)?.clone(), self.lines_of(order_id).cloned().collect()))
    }

    /// Whether a move is to be made (or has been before), or else why not.
    fn turn(&self, order_id: OrderId, what: Move) -> Result<bool, InventoryError> {
        match self.reservation(order_id)?.state.turn(what) {
            Turn::Made => Ok(true),
            Turn::Again => Ok(false),
            Turn::Released => Err(InventoryError::ReservationReleased(order_id)),
            Turn::Shipped => Err(InventoryError::ReservationShipped(order_id)),
            Turn::NotHeld => Err(InventoryError::ReservationNotHeld(order_id)),
        }
    }

    /// What belongs to an order is left to orders-svc: its events about it could never be applied otherwise.
    fn check_owner(&self, order_id: OrderId, by: By) -> Result<(), InventoryError> {
        if by == By::Call && self.reservation(order_id)?.is_the_orders() {
            return Err(InventoryError::OrderPlaced(order_id));
        }
        Ok(())
    }

    fn give_back(
        &mut self,
        order_id: OrderId,
        state: ReservationState,
    ) -> Result<Option<News>, InventoryError> {
        let open = self.open(order_id);
        self.change(order_id)?.state = state;
        if open.is_empty() {
            return Ok(None);
        }
        let mut moves = Moves::default();
        for (sku, qty) in &open {
            moves.levels.push(self.shelf.promise(sku, -qty)?);
        }
        for line in self.lines.entry(order_id).or_default().values_mut() {
            line.released_qty += line.open();
        }
        self.changed_lines.insert(order_id);
        self.close(order_id)?;
        Ok(Some(News { version: self.tell(order_id)?, moves }))
    }

    /// With nothing left open, what has left decides.
    fn close(&mut self, order_id: OrderId) -> Result<(), InventoryError> {
        if self.lines_of(order_id).any(|line| line.open() > 0) {
            return Ok(());
        }
        if self.lines_of(order_id).any(|line| line.shipped_qty > 0) {
            self.change(order_id)?.state = ReservationState::Shipped;
        } else if self.reservation(order_id)?.state != ReservationState::Lapsed {
            self.change(order_id)?.state = ReservationState::Released;
        }
        Ok(())
    }

    fn open(&self, order_id: OrderId) -> Goods {
        let open = self.lines_of(order_id).filter(|line| line.open() > 0);
        open.map(|line| (line.sku.clone(), line.open())).collect()
    }

    fn note(
        &mut self,
        document: Uuid,
        order_id: Option<OrderId>,
        reason: Reason,
        sku: String,
        qty: i32,
    ) {
        let moved = self.documents.entry(document).or_default();
        moved.order_id = order_id;
        moved.goods.insert((reason, sku), qty);
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

impl Contents {
    /// Whether it is a document for this order and this reason, and of these goods, if any are said. Older ones do not know their order.
    fn is(&self, order_id: OrderId, reason: Reason, said: Option<&Self>) -> bool {
        self.order_id.is_none_or(|of| of == order_id)
            && self.goods.keys().all(|(why, _)| *why == reason)
            && said.is_none_or(|said| said.goods == self.goods)
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

    /// Lines that are not as they were, or as they were added.
    pub(crate) fn changed_lines(&self) -> Vec<&ReservedLine> {
        self.changed_lines.iter().flat_map(|id| self.lines_of(*id)).collect()
    }
}

#[cfg(test)]
mod tests;
