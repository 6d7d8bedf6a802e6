//! Reservations and stock while one transaction holds their rows: what may be promised, shipped, given back and taken back.
//!
//! Commands decide here, one order after the other, and the store then writes what has changed, all at once. A refusal of
//! [`Book::reserve`] leaves the book as it was; after any other refusal the transaction is given up.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use ids::{OrderId, ReturnId, ShipmentId};
use money::Money;
use uuid::Uuid;

use crate::{
    InventoryError,
    domain::{
        Document, Level, Move, Movement, Moves, Reason, Reservation, ReservationState,
        ReservedLine, Shelf, Short, Turn, shelf::portion,
    },
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

/// How much of each SKU.
pub(crate) type Goods = BTreeMap<String, i32>;

/// How much of a SKU comes back, and how much of that cannot be sold again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct TakenBack {
    pub(crate) qty: i32,
    pub(crate) scrapped: i32,
}

impl TakenBack {
    pub(crate) fn add(&mut self, qty: i32, restock: bool) {
        self.qty = self.qty.saturating_add(qty);
        if !restock {
            self.scrapped = self.scrapped.saturating_add(qty);
        }
    }
}

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

    /// Promises all of what an order wants, or nothing. No news when the same was promised before.
    pub(crate) fn reserve(
        &mut self,
        order_id: OrderId,
        wanted: &BTreeMap<String, Wanted>,
        ttl: TimeDelta,
    ) -> Result<Option<News>, InventoryError> {
        let fresh = self.fresh.contains(&order_id)
            && self.reservation(order_id)?.state == ReservationState::Held;
        if !fresh && !self.turn(order_id, Move::Reserve)? {
            return self.repeat(order_id, wanted, ttl).map(|()| None);
        }
        self.check_stock(wanted)?;
        let mut moves = Moves::default();
        for (sku, Wanted { qty, .. }) in wanted {
            moves.levels.push(self.shelf.promise(sku, *qty)?);
        }
        let line = |(sku, wanted): (&String, &Wanted)| {
            (sku.clone(), ReservedLine::new(order_id, sku.clone(), wanted.qty))
        };
        self.lines.insert(order_id, wanted.iter().map(line).collect());
        self.added.insert(order_id);
        if self.fresh.remove(&order_id) {
            // It stands in the table as held already.
            return Ok(Some(News { version: self.reservation(order_id)?.version, moves }));
        }
        let reservation = self.change(order_id)?;
        reservation.state = ReservationState::Held;
        reservation.expires_at = reservation.seen_at + ttl;
        reservation.version += 1;
        Ok(Some(News { version: reservation.version, moves }))
    }

    /// The order is placed. False when that was known.
    pub(crate) fn confirm(&mut self, order_id: OrderId) -> Result<bool, InventoryError> {
        let news = self.turn(order_id, Move::Confirm)?;
        if news {
            self.change(order_id)?.state = ReservationState::Confirmed;
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
            let moved = self.shelf.take(&sku, qty, qty, document)?;
            let sum = line.shipped_cost.checked_add(moved.cost);
            line.shipped_cost = sum.map_err(|_| InventoryError::ValueOutOfRange(sku.clone()))?;
            moves.add(moved)?;
            self.note(shipment_id.0, order, Reason::Shipment, sku, -qty);
        }
        self.changed_lines.insert(order_id);
        // Nobody ships for an order that is not placed.
        self.change(order_id)?.state = ReservationState::Confirmed;
        self.close(order_id)?;
        Ok(Some(News { version: self.tell(order_id)?, moves }))
    }

    /// Frees for ever what has not been shipped. No news when nothing was promised any more.
    pub(crate) fn release(&mut self, order_id: OrderId) -> Result<Option<News>, InventoryError> {
        match self.turn(order_id, Move::Release) {
            Ok(true) => self.give_back(order_id, ReservationState::Released),
            Ok(false) => Ok(None),
            // What had been left open was released: the same again.
            Err(InventoryError::ReservationShipped(_))
                if self.lines_of(order_id).any(|line| line.released_qty > 0) =>
            {
                Ok(None)
            }
            Err(refusal) => Err(refusal),
        }
    }

    /// Frees a part of what has not been shipped.
    pub(crate) fn release_lines(
        &mut self,
        order_id: OrderId,
        goods: &Goods,
    ) -> Result<News, InventoryError> {
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

    /// Takes goods back that an order was shipped, for what they had cost, and scraps those that cannot be sold again. Gives the news of what
    /// came and what was scrapped; none when that return has come before.
    pub(crate) fn take_back(
        &mut self,
        order_id: OrderId,
        return_id: ReturnId,
        goods: &BTreeMap<String, TakenBack>,
    ) -> Result<Option<(News, Moves)>, InventoryError> {
        self.reservation(order_id)?;
        let order = Some(order_id);
        let came = goods.iter().map(|(sku, back)| ((Reason::Return, sku.clone()), back.qty));
        let gone = goods.iter().filter(|(_, back)| back.scrapped > 0);
        let gone = gone.map(|(sku, back)| ((Reason::Scrapped, sku.clone()), -back.scrapped));
        let said = Contents { order_id: order, goods: came.chain(gone).collect() };
        match self.documents.get(&return_id.0) {
            Some(back) if *back == said => return Ok(None),
            Some(_) => return Err(InventoryError::ReturnDiffers(return_id)),
            None => (),
        }
        let (mut came, mut gone) = (Moves::default(), Moves::default());
        for (sku, back) in goods {
            let line = self.lines.entry(order_id).or_default().get_mut(sku);
            let out = line.as_ref().map_or(0, |line| line.shipped_qty - line.returned_qty);
            let line = line.filter(|_| (1..=out).contains(&back.qty)).ok_or_else(|| {
                InventoryError::OverReturn { order_id, sku: sku.clone(), qty: back.qty, out }
            })?;
            let cost = cost_of_return(line, back.qty)?;
            let document = Document { reason: Reason::Return, id: return_id.0, order_id: order };
            came.add(self.shelf.put(sku, back.qty, Some(cost), document)?)?;
        }
        // Only once all is here: the event of what came tells its levels.
        for (sku, back) in goods.iter().filter(|(_, back)| back.scrapped > 0) {
            let document = Document { reason: Reason::Scrapped, id: return_id.0, order_id: order };
            gone.add(self.shelf.take(sku, back.scrapped, 0, document)?)?;
        }
        self.documents.insert(return_id.0, said);
        self.changed_lines.insert(order_id);
        let news = News { version: self.tell(order_id)?, moves: came };
        Ok(Some((news, gone)))
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
        let places = wanted.iter().map(|(sku, wanted)| (wanted.line, sku));
        let skus = self.shelf.missing(places);
        if !skus.is_empty() {
            return Err(InventoryError::UnknownSkus { list: "lines", skus });
        }
        let levels = || wanted.iter().filter_map(|(sku, one)| Some((self.shelf.level(sku)?, one)));
        let archived: Vec<String> = levels()
            .filter(|(level, _)| level.archived)
            .map(|(level, _)| level.sku.clone())
            .collect();
        if !archived.is_empty() {
            return Err(InventoryError::ProductArchived(archived));
        }
        let short: Vec<Short> = levels()
            .filter(|(level, wanted)| wanted.qty > level.available())
            .map(|(level, wanted)| Short {
                sku: level.sku.clone(),
                requested: wanted.qty,
                available: level.available(),
            })
            .collect();
        if short.is_empty() { Ok(()) } else { Err(InventoryError::Short(Shortage(short))) }
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

/// What those that come back had cost when they left: all that came back so far, less what was counted of it before, so that the last one
/// brings all that is left.
fn cost_of_return(line: &mut ReservedLine, qty: i32) -> Result<Money, InventoryError> {
    line.returned_qty += qty;
    let back = portion(line.shipped_cost, line.returned_qty, line.shipped_qty)
        // More may have left since, for less each.
        .map(|back| back.max(line.returned_cost));
    let cost = back.and_then(|back| back.checked_sub(line.returned_cost));
    let cost = cost.map_err(|_| InventoryError::ValueOutOfRange(line.sku.clone()))?;
    let back = line.returned_cost.checked_add(cost);
    line.returned_cost = back.map_err(|_| InventoryError::ValueOutOfRange(line.sku.clone()))?;
    Ok(cost)
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
