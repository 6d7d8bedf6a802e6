use std::collections::BTreeMap;

use chrono::TimeDelta;
use ids::OrderId;

use crate::{
    InventoryError,
    domain::{Book, Move, Moves, News, ReservationState, ReservedLine, Short},
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

impl Book {
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
}
