use chrono::{DateTime, Utc};

use super::{Amount, Table, Unsound};

/// What was ordered in one hour and not cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct HourOfSales {
    pub(crate) total: Amount,
    pub(crate) order_count: i32,
}

/// Sales by the hour of the business day in which an order was placed. An hour without orders has no row.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sales {
    pub(crate) hours: Table<DateTime<Utc>, HourOfSales>,
}

impl Sales {
    pub(crate) fn place(&mut self, hour: DateTime<Utc>, total: Amount) -> Result<(), Unsound> {
        let before = self.hours.get(&hour).copied().unwrap_or_default();
        let order_count = before.order_count.checked_add(1).ok_or(Unsound::TooMuch)?;
        self.hours.set(hour, HourOfSales { total: before.total.plus(total)?, order_count });
        Ok(())
    }

    /// Takes a part of an order out of its hour: it stays an order.
    pub(crate) fn reduce(&mut self, hour: DateTime<Utc>, by: Amount) -> Result<(), Unsound> {
        let before = self.hours.get(&hour).copied().ok_or(Unsound::NotSold(hour))?;
        let left = HourOfSales { total: before.total.minus(by)?, ..before };
        if left.total.is_negative() {
            return Err(Unsound::NotSold(hour));
        }
        self.hours.set(hour, left);
        Ok(())
    }

    /// Takes an order out of its own hour again.
    pub(crate) fn cancel(&mut self, hour: DateTime<Utc>, total: Amount) -> Result<(), Unsound> {
        let before = self.hours.get(&hour).copied().unwrap_or_default();
        let left =
            HourOfSales { total: before.total.minus(total)?, order_count: before.order_count - 1 };
        match left.order_count {
            _ if left.total.is_negative() => Err(Unsound::NotSold(hour)),
            1.. => {
                self.hours.set(hour, left);
                Ok(())
            }
            0 if left.total == Amount::ZERO => {
                self.hours.remove(&hour);
                Ok(())
            }
            _ => Err(Unsound::NotSold(hour)),
        }
    }
}
