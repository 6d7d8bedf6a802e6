use chrono::{DateTime, NaiveDate, Utc};

use super::{Table, shelved::Shelved};

/// What is there of one SKU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Level {
    pub(crate) on_hand: i32,
    pub(crate) reserved: i32,
    /// Since when.
    pub(crate) at: DateTime<Utc>,
}

/// A SKU's level at the end of a day on which it changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LevelOfDay(pub(crate) Level);

/// Stock levels by SKU. Events carry absolute levels, so that each mends whatever came before.
///
/// A day is closed by the first event of a later one: what was logged behind that counts into the later day, whenever it happened.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stock {
    pub(crate) levels: Table<String, Level>,
    /// By day and SKU. A row holds until the SKU's next one, so a day that turns over without an event needs none.
    pub(crate) days: Shelved<(NaiveDate, String), LevelOfDay>,
    /// The newest day that has an event.
    pub(crate) open_day: Option<NaiveDate>,
}

impl Stock {
    /// A new product has a level, too.
    pub(crate) fn add(&mut self, sku: String, at: DateTime<Utc>, day: NaiveDate) {
        if self.levels.get(&sku).is_none() {
            self.set(sku, Level { on_hand: 0, reserved: 0, at }, day);
        }
    }

    /// `day` is the business day of the event.
    pub(crate) fn set(&mut self, sku: String, level: Level, day: NaiveDate) {
        let day = self.open_day.map_or(day, |open| open.max(day));
        self.open_day = Some(day);
        self.days.set((day, sku.clone()), LevelOfDay(level));
        self.levels.set(sku, level);
    }
}
