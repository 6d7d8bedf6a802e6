use chrono::{DateTime, Datelike, NaiveDate, Utc};

use super::{Table, shelved::Shelved};

/// What is there of one SKU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Level {
    pub(crate) on_hand: i32,
    pub(crate) reserved: i32,
    /// Since when.
    pub(crate) at: DateTime<Utc>,
}

/// A SKU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) level: Level,
    /// It is low on stock when this much is available, or less.
    pub(crate) reorder_point: i32,
    /// Not sold any more.
    pub(crate) archived: bool,
}

/// A SKU after a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewLevel {
    pub(crate) sku: String,
    pub(crate) on_hand: i32,
    pub(crate) reserved: i32,
    pub(crate) reorder_point: i32,
}

/// A SKU's level at the end of a day on which it changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LevelOfDay(pub(crate) Level);

/// Stock by SKU. Events carry absolute levels and reorder points, so that each mends whatever came before.
///
/// A day is closed by the first event of a later one: what was logged behind that counts into the later day, whenever it happened. The last
/// day of a month gets a row of every SKU as it is closed: whoever asks for the levels of a day finds them all within a month or so.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stock {
    pub(crate) items: Table<String, Item>,
    /// By day and SKU. A row holds until the SKU's next one, so a day that turns over without an event needs none.
    pub(crate) days: Shelved<(NaiveDate, String), LevelOfDay>,
    /// The newest day that has an event.
    pub(crate) open_day: Option<NaiveDate>,
}

impl Stock {
    /// A new product has a level, too. `day` is the business day of the event, here and below.
    pub(crate) fn add(&mut self, sku: String, at: DateTime<Utc>, day: NaiveDate) {
        self.get_or_add(sku, at, day);
    }

    pub(crate) fn set(&mut self, new: NewLevel, at: DateTime<Utc>, day: NaiveDate) {
        let NewLevel { sku, on_hand, reserved, reorder_point } = new;
        let level = Level { on_hand, reserved, at };
        let archived = self.items.get(&sku).is_some_and(|item| item.archived);
        self.set_level_of_day(&sku, level, day);
        self.items.set(sku, Item { level, reorder_point, archived });
    }

    pub(crate) fn set_reorder_point(
        &mut self,
        sku: String,
        reorder_point: i32,
        at: DateTime<Utc>,
        day: NaiveDate,
    ) {
        let item = self.get_or_add(sku.clone(), at, day);
        self.items.set(sku, Item { reorder_point, ..item });
    }

    pub(crate) fn set_archived(
        &mut self,
        sku: String,
        archived: bool,
        at: DateTime<Utc>,
        day: NaiveDate,
    ) {
        let item = self.get_or_add(sku.clone(), at, day);
        self.items.set(sku, Item { archived, ..item });
    }

    fn get_or_add(&mut self, sku: String, at: DateTime<Utc>, day: NaiveDate) -> Item {
        if let Some(item) = self.items.get(&sku) {
            return *item;
        }
        let level = Level { on_hand: 0, reserved: 0, at };
        let item = Item { level, reorder_point: 0, archived: false };
        self.set_level_of_day(&sku, level, day);
        self.items.set(sku, item);
        item
    }

    fn set_level_of_day(&mut self, sku: &str, level: Level, day: NaiveDate) {
        let day = self.open_day.map_or(day, |open| open.max(day));
        let open = self.open_day.replace(day).unwrap_or(day);
        if (open.year(), open.month()) != (day.year(), day.month()) {
            for (sku, item) in self.items.rows() {
                self.days.set((open, sku.clone()), LevelOfDay(item.level));
            }
        }
        self.days.set((day, sku.to_owned()), LevelOfDay(level));
    }
}
