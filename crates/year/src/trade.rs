//! A year of orders, and what becomes of each, drawn from what real trade looks like. The same seed draws the same year.
//!
//! When orders come, how many lines they have and whose they are is drawn from the baskets; what is in them from all lines that were bought,
//! so that a product is as popular as it was. As the year has more orders a day, it has as many more customers.

use std::collections::BTreeSet;

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveTime, TimeDelta, Utc};
use testkit::Dice;
use uuid::{Builder, Uuid};

use crate::{
    calendar::{TERMS, day_of, instant, start_of},
    money::Pence,
    shape::{Bought, Shape},
};

pub(crate) const DAYS: u64 = 365;
const WEEKS: i64 = 53;
const SEED: u64 = 4;
/// How often another product is drawn when one is in the order already.
const TRIES: usize = 20;

/// What becomes of orders, in thousandths.
const CANCELLED: u32 = 10;
const SHIPPED_IN_PART: u32 = 15;
const RETURNED: u32 = 15;
const NEVER_PAID: u32 = 4;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Line {
    pub(crate) id: Uuid,
    pub(crate) product: usize,
    pub(crate) quantity: i32,
    pub(crate) price: Pence,
    pub(crate) cancelled: i32,
    pub(crate) shipped: i32,
    pub(crate) returned: i32,
}

/// An order and its future: what happens to it, in order.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) id: Uuid,
    pub(crate) customer: usize,
    pub(crate) lines: Vec<Line>,
    pub(crate) steps: Vec<(DateTime<Utc>, Step)>,
}

impl Order {
    /// Of all that is not given up.
    pub(crate) fn total(&self) -> Pence {
        self.lines.iter().map(|line| line.price * (line.quantity - line.cancelled)).sum()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Place,
    Cancel,
    /// All but so many of the first line.
    Ship(i32),
    GiveUpRest,
    /// The whole of the last line.
    Return,
    Pay,
    FallOverdue,
}

/// A year that ends with a day.
#[derive(Debug)]
pub(crate) struct Year<'a> {
    shape: &'a Shape,
    dice: Dice,
    pub(crate) first_day: NaiveDate,
    /// The first instant that is not in it.
    pub(crate) end: DateTime<Utc>,
    /// How often each customer of the shape is there.
    pub(crate) copies: usize,
    /// When orders are placed, and how many lines they have, newest first.
    placed: Vec<(DateTime<Utc>, usize)>,
}

impl<'a> Year<'a> {
    pub(crate) fn draw(shape: &'a Shape, lines: usize, last_day: NaiveDate) -> Self {
        let dice = Dice::new(SEED);
        let first_day = last_day - Days::new(DAYS - 1);
        let (begin, end) = (start_of(first_day), start_of(last_day + Days::new(1)));
        let monday = first_day - Days::new(first_day.weekday().num_days_from_monday().into());
        let (mut placed, mut drawn) = (Vec::new(), 0);
        while drawn < lines {
            let Some(basket) = dice.pick(&shape.baskets) else { break };
            let second = 7 * 86_400 * dice.roll(WEEKS.unsigned_abs()).cast_signed();
            let seconds = TimeDelta::seconds(second + basket.second_of_week);
            let local = monday.and_time(NaiveTime::MIN) + seconds;
            let at = instant(local) + TimeDelta::microseconds(dice.roll(1_000_000_u32).into());
            if (begin..end).contains(&at) {
                placed.push((at, basket.lines));
                drawn += basket.lines;
            }
        }
        placed.sort_unstable_by(|one, other| other.cmp(one));
        let per_day = placed.len() / usize::try_from(DAYS).unwrap_or(1);
        let copies = (per_day * shape.days / shape.baskets.len()).max(1);
        Self { shape, dice, first_day, end, copies, placed }
    }

    pub(crate) fn id(&self, at: DateTime<Utc>) -> Uuid {
        uuid(at, &self.dice)
    }

    fn draw_order(&self, placed_at: DateTime<Utc>, count: usize) -> Order {
        let (dice, shape) = (&self.dice, self.shape);
        let of_shape = dice.pick(&shape.baskets).map_or(0, |basket| basket.customer);
        let customer = of_shape * self.copies + dice.roll(self.copies);
        let (mut lines, mut there) = (Vec::with_capacity(count), BTreeSet::new());
        for _ in 0..count * TRIES {
            let Some(Bought { product, quantity, price }) = dice.pick(&shape.bought).copied()
            else {
                break;
            };
            if there.insert(product) {
                let id = self.id(placed_at);
                let (cancelled, shipped, returned) = (0, 0, 0);
                lines.push(Line { id, product, quantity, price, cancelled, shipped, returned });
            }
            if lines.len() == count {
                break;
            }
        }
        let steps = fate(placed_at, &lines, dice);
        Order { id: self.id(placed_at), customer, lines, steps }
    }
}

impl Iterator for Year<'_> {
    type Item = Order;

    /// By when they are placed. One that costs nothing is nobody's debt, and left out.
    fn next(&mut self) -> Option<Order> {
        loop {
            let (at, lines) = self.placed.pop()?;
            let order = self.draw_order(at, lines);
            if order.total() > Pence::ZERO {
                return Some(order);
            }
        }
    }
}

pub(crate) fn uuid(at: DateTime<Utc>, dice: &Dice) -> Uuid {
    let noise = (dice.roll(u64::MAX), dice.roll(u64::MAX));
    let mut bytes = [0; 10];
    let noise = noise.0.to_le_bytes().into_iter().chain(noise.1.to_le_bytes());
    bytes.iter_mut().zip(noise).for_each(|(byte, drawn)| *byte = drawn);
    let millis = u64::try_from(at.timestamp_millis()).unwrap_or(0);
    Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid()
}

fn fate(placed_at: DateTime<Utc>, lines: &[Line], dice: &Dice) -> Vec<(DateTime<Utc>, Step)> {
    let minutes = |from: i64, to: i64| {
        let seconds = dice.roll((to - from).unsigned_abs() * 60).cast_signed();
        TimeDelta::seconds(from * 60 + seconds)
    };
    let mut steps = vec![(placed_at, Step::Place)];
    let what = dice.roll(1000_u32);
    if what < CANCELLED {
        steps.push((placed_at + minutes(10, 1200), Step::Cancel));
        return steps;
    }
    let shipped_at = placed_at + minutes(1200, 1680);
    // What is given up, or comes back, is worth something, and not all that there is.
    let is_worth = |line: &Line| line.price > Pence::ZERO;
    let (first, last) = (lines.first(), lines.last());
    let in_part = what < CANCELLED + SHIPPED_IN_PART
        && first.zip(last).is_some_and(|(first, last)| first.id != last.id && is_worth(last))
        && first.is_some_and(is_worth);
    let left = first
        .filter(|_| in_part)
        .map_or(0, |first| 1 + dice.roll(first.quantity.unsigned_abs()).cast_signed());
    steps.push((shipped_at, Step::Ship(left)));
    if in_part {
        steps.push((shipped_at + minutes(30, 90), Step::GiveUpRest));
    }
    let settled_at = shipped_at + minutes(100, 110);
    let paid_at = match dice.roll(1000_u32) {
        ..NEVER_PAID => None,
        NEVER_PAID..800 => Some(settled_at + minutes(0, 2 * 1440)),
        800..950 => Some(settled_at + minutes(2 * 1440, 25 * 1440)),
        950.. => Some(settled_at + minutes(25 * 1440, 60 * 1440)),
    };
    let overdue_at = start_of(day_of(placed_at) + TERMS + Days::new(1)) + minutes(5, 65);
    if paid_at.is_none_or(|paid| paid > overdue_at) {
        steps.push((overdue_at, Step::FallOverdue));
    }
    steps.extend(paid_at.map(|at| (at, Step::Pay)));
    if dice.roll(1000_u32) < RETURNED && lines.len() > 2 && lines.iter().all(is_worth) {
        steps.push((settled_at + minutes(3 * 1440, 20 * 1440), Step::Return));
    }
    steps.sort_unstable_by_key(|(at, _)| *at);
    steps
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn year(of: &Shape) -> Year<'_> {
        Year::draw(of, 5000, "2026-04-15".parse().unwrap())
    }

    #[test]
    fn the_same_year_is_drawn_each_time_and_has_as_many_lines_as_asked_for() {
        let week = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/week");
        let shape = Shape::read(&week).unwrap();
        let all: Vec<Order> = year(&shape).collect();
        let again: Vec<Order> = year(&shape).collect();
        assert_eq!(format!("{all:?}"), format!("{again:?}"));
        let lines: usize = all.iter().map(|order| order.lines.len()).sum();
        assert!((4900..5200).contains(&lines), "{lines}");
        let (begin, end) = (start_of(year(&shape).first_day), year(&shape).end);
        for order in &all {
            let times: Vec<_> = order.steps.iter().map(|(at, _)| *at).collect();
            assert!(times.is_sorted() && (begin..end).contains(&times[0]), "{order:?}");
            assert_eq!(order.steps[0].1, Step::Place);
        }
        // Many of the things that may happen do.
        let happens = |step: fn(&Step) -> bool| {
            all.iter().filter(|order| order.steps.iter().any(|(_, of)| step(of))).count()
        };
        assert!(happens(|step| *step == Step::Cancel) > 0);
        assert!(happens(|step| *step == Step::GiveUpRest) > 0);
        assert!(happens(|step| *step == Step::Return) > 0);
        assert!(happens(|step| *step == Step::Pay) > all.len() * 9 / 10);
    }
}
