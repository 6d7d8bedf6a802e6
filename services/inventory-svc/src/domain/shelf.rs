//! What is on hand of each SKU while one transaction holds its row: what is promised of it, what moves, what it is worth, and what falls to
//! its reorder point.
//!
//! Costs are a moving average, exact to the penny: what comes adds what it cost, what leaves takes its share of the value, half a penny
//! rounded up, and the last one takes all.
//!
//! **Invariant:** value ≥ 0, and 0 where nothing is on hand; every change of on hand and value is a movement's.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use ids::OrderId;
use money::Money;
use uuid::Uuid;

use crate::{
    InventoryError,
    domain::{Below, ItemNews, Level, LevelChange, NewMovement, Reason},
    error::Shortfall,
};

/// What a movement is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Document {
    pub(crate) reason: Reason,
    pub(crate) id: Uuid,
    pub(crate) order_id: Option<OrderId>,
}

/// What a document did: each SKU with its level afterwards, and what all of it cost.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Moves {
    pub(crate) levels: Vec<LevelChange>,
    pub(crate) cost: Money,
    /// By the database's clock; unset when no goods moved.
    pub(crate) at: Option<DateTime<Utc>>,
}

/// What one movement did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Moved {
    level: LevelChange,
    /// What the goods cost; never negative.
    pub(super) cost: Money,
    at: DateTime<Utc>,
}

impl Moved {
    fn of(level: &Level, qty: i32, cost: Money) -> Self {
        Self { level: level.changed_by(qty), cost, at: level.seen_at }
    }
}

impl Moves {
    pub(crate) fn add(&mut self, moved: Moved) -> Result<(), InventoryError> {
        let sum = self.cost.checked_add(moved.cost);
        self.cost = sum.map_err(|_| InventoryError::ValueOutOfRange(moved.level.sku.clone()))?;
        self.at = Some(moved.at);
        self.levels.push(moved.level);
        Ok(())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.levels.is_empty()
    }
}

/// The items that a transaction has locked, and what it has changed of them.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    levels: BTreeMap<String, Level>,
    changed: BTreeSet<String>,
    movements: Vec<NewMovement>,
    /// What has changed since news were asked for.
    touched: BTreeSet<String>,
    news: Vec<ItemNews>,
}

impl Shelf {
    pub(crate) fn new(levels: Vec<Level>) -> Self {
        let levels = levels.into_iter().map(|level| (level.sku.clone(), level)).collect();
        Self { levels, ..Self::default() }
    }

    pub(crate) fn level(&self, sku: &str) -> Option<&Level> {
        self.levels.get(sku)
    }

    /// Those that are not here, each with its place.
    pub(crate) fn missing<'a>(
        &self,
        skus: impl Iterator<Item = (usize, &'a String)>,
    ) -> Vec<(usize, String)> {
        let missing = skus.filter(|(_, sku)| !self.levels.contains_key(*sku));
        missing.map(|(place, sku)| (place, sku.clone())).collect()
    }

    /// Promises so many, or gives a promise back when negative.
    pub(crate) fn promise(&mut self, sku: &str, qty: i32) -> Result<LevelChange, InventoryError> {
        self.change(sku, None, |level| {
            level.reserved_qty += qty;
            Ok(level.changed_by(qty.abs()))
        })
    }

    /// Puts goods on the shelf that cost so much all together or, when nobody knows, the average of those that are there.
    pub(crate) fn put(
        &mut self,
        sku: &str,
        qty: i32,
        cost: Option<Money>,
        document: Document,
    ) -> Result<Moved, InventoryError> {
        self.receive(sku, qty, cost, None, document)
    }

    /// The same with another reorder point, which counts only once the goods are there.
    pub(crate) fn receive(
        &mut self,
        sku: &str,
        qty: i32,
        cost: Option<Money>,
        reorder_point: Option<i32>,
        document: Document,
    ) -> Result<Moved, InventoryError> {
        let (mut moved, sequence) = self.change(sku, reorder_point, |level| {
            let cost = match cost {
                Some(cost) => cost,
                None => share(level, qty)?,
            };
            let on_hand = level.qty_on_hand.checked_add(qty);
            level.qty_on_hand = on_hand.ok_or_else(|| InventoryError::TooMany(sku.to_owned()))?;
            let value = level.value.checked_add(cost);
            level.value = value.map_err(|_| InventoryError::ValueOutOfRange(sku.to_owned()))?;
            level.movement_count += 1;
            Ok((Moved::of(level, qty, cost), level.movement_count))
        })?;
        moved.level.reorder_point = reorder_point.unwrap_or(moved.level.reorder_point);
        let (sku, cost) = (sku.to_owned(), moved.cost);
        self.movements.push(NewMovement { sku, sequence, qty, cost, document });
        Ok(moved)
    }

    /// Takes goods off the shelf, of which so many were promised, and that had cost so much all together (never more than all that are there)
    /// or, when nobody says, the average. Gives what they had cost.
    pub(crate) fn take(
        &mut self,
        sku: &str,
        qty: i32,
        promised: i32,
        cost: Option<Money>,
        document: Document,
    ) -> Result<Moved, InventoryError> {
        let (moved, sequence) = self.change(sku, None, |level| {
            if let Some(below) = below(level, -qty, promised) {
                return Err(InventoryError::BelowReserved(Shortfall(vec![below])));
            }
            let cost = match cost {
                Some(cost) => cost,
                None => share(level, qty)?,
            };
            level.qty_on_hand -= qty;
            level.reserved_qty -= promised;
            let value = level.value.checked_sub(cost);
            level.value = value.map_err(|_| InventoryError::ValueOutOfRange(sku.to_owned()))?;
            level.movement_count += 1;
            Ok((Moved::of(level, qty, cost), level.movement_count))
        })?;
        let lost = Money::ZERO.checked_sub(moved.cost);
        let lost = lost.map_err(|_| InventoryError::ValueOutOfRange(sku.to_owned()))?;
        let sku = sku.to_owned();
        self.movements.push(NewMovement { sku, sequence, qty: -qty, cost: lost, document });
        Ok(moved)
    }

    /// Changes what is on hand by differences, all of them or none. Gives what was found and what was lost.
    pub(crate) fn adjust(
        &mut self,
        changes: &BTreeMap<String, i32>,
        document: Document,
    ) -> Result<(Moves, Moves), InventoryError> {
        let below: Vec<Below> = changes
            .iter()
            .filter_map(|(sku, change)| below(self.levels.get(sku)?, *change, 0))
            .collect();
        if !below.is_empty() {
            return Err(InventoryError::BelowReserved(Shortfall(below)));
        }
        let (mut found, mut lost) = (Moves::default(), Moves::default());
        for (sku, &change) in changes {
            if change > 0 {
                found.add(self.put(sku, change, None, document)?)?;
            } else if change < 0 {
                lost.add(self.take(sku, -change, 0, None, document)?)?;
            }
        }
        Ok((found, lost))
    }

    pub(crate) fn set_reorder_point(&mut self, sku: &str, to: i32) -> Result<(), InventoryError> {
        self.change(sku, Some(to), |_| Ok(()))
    }

    pub(crate) fn set_archived(&mut self, sku: &str, archived: bool) -> Result<(), InventoryError> {
        self.get(sku)?.archived = archived;
        self.changed.insert(sku.to_owned());
        Ok(())
    }

    /// What is to be told of items themselves, since this was asked last: to be asked after each document, before the shelf is saved. What
    /// comes and goes by one document passes the reorder point unseen.
    pub(crate) fn item_news(&mut self) -> Vec<ItemNews> {
        for sku in std::mem::take(&mut self.touched) {
            self.news.extend(self.levels.get_mut(&sku).and_then(fall));
        }
        std::mem::take(&mut self.news)
    }

    pub(crate) fn changed_levels(&self) -> Vec<&Level> {
        debug_assert!(self.touched.is_empty(), "news are asked for before the shelf is saved");
        self.changed.iter().filter_map(|sku| self.levels.get(sku)).collect()
    }

    pub(crate) fn movements(&self) -> &[NewMovement] {
        &self.movements
    }

    fn get(&mut self, sku: &str) -> Result<&mut Level, InventoryError> {
        let level = self.levels.get_mut(sku);
        level.ok_or_else(|| InventoryError::ProductNotFound(sku.to_owned()))
    }

    /// Makes a change and, with it, sets the reorder point, if there is one to be set.
    fn change<T>(
        &mut self,
        sku: &str,
        reorder_point: Option<i32>,
        change: impl FnOnce(&mut Level) -> Result<T, InventoryError>,
    ) -> Result<T, InventoryError> {
        let level = self.get(sku)?;
        let done = change(level)?;
        let news = set(level, reorder_point);
        self.news.extend(news);
        self.changed.insert(sku.to_owned());
        self.touched.insert(sku.to_owned());
        Ok(done)
    }
}

fn set(level: &mut Level, reorder_point: Option<i32>) -> Option<ItemNews> {
    let to = reorder_point.filter(|to| *to != level.reorder_point)?;
    level.reorder_point = to;
    level.version += 1;
    let (sku, version) = (level.sku.clone(), level.version);
    Some(ItemNews::ReorderPointSet { sku, reorder_point: to, version })
}

/// Once per fall: news only when nothing was told since it was above. What is not sold any more needs no more of it.
fn fall(level: &mut Level) -> Option<ItemNews> {
    if level.archived {
        return None;
    }
    let is_low = level.available() <= level.reorder_point;
    let is_news = is_low && !level.reorder_told;
    level.reorder_told = is_low;
    if !is_news {
        return None;
    }
    level.version += 1;
    Some(ItemNews::ReorderNeeded {
        sku: level.sku.clone(),
        available: level.available(),
        reorder_point: level.reorder_point,
        version: level.version,
    })
}

/// Whether less would be left than is promised to others.
fn below(level: &Level, change: i32, promised: i32) -> Option<Below> {
    let Level { qty_on_hand: on_hand, reserved_qty: reserved, .. } = *level;
    let left = i64::from(on_hand) + i64::from(change);
    let sku = level.sku.clone();
    (left < i64::from(reserved - promised)).then_some(Below { sku, on_hand, reserved, change })
}

/// What so many cost by the average of those that are on hand, half a penny rounded up; nothing when there are none.
fn share(level: &Level, qty: i32) -> Result<Money, InventoryError> {
    portion(level.value, qty, level.qty_on_hand)
        .map_err(|_| InventoryError::ValueOutOfRange(level.sku.clone()))
}

/// `amount` × `part` / `whole`, none of them negative, half a penny rounded up.
pub(super) fn portion(amount: Money, part: i32, whole: i32) -> Result<Money, money::MoneyError> {
    if whole == 0 {
        return Ok(Money::ZERO);
    }
    let (part, whole) = (i128::from(part), i128::from(whole));
    Money::from_hundredths((2 * amount.hundredths() * part + whole) / (2 * whole))
}

#[cfg(test)]
mod tests;
