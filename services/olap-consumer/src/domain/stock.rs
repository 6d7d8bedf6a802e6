use chrono::{DateTime, Utc};

use super::Table;

/// What is there of one SKU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Level {
    pub(crate) on_hand: i32,
    pub(crate) reserved: i32,
    /// Since when.
    pub(crate) at: DateTime<Utc>,
}

/// Stock levels by SKU. Events carry absolute levels, so that each mends whatever came before.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stock {
    pub(crate) levels: Table<String, Level>,
}

impl Stock {
    /// A new product has a level, too.
    pub(crate) fn add(&mut self, sku: String, at: DateTime<Utc>) {
        if self.levels.get(&sku).is_none() {
            self.levels.set(sku, Level { on_hand: 0, reserved: 0, at });
        }
    }

    pub(crate) fn set(&mut self, sku: String, level: Level) {
        self.levels.set(sku, level);
    }
}
