//! Rows by their key, which know what of them has changed since they were last written.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::RangeBounds,
};

/// Keys that are remembered one by one; beyond, everything counts as changed. It bounds what a disk that cannot be written for long costs.
const KEYS_MAX: usize = 1 << 16;

/// Rows by key.
#[derive(Debug, Clone)]
pub(crate) struct Table<K, R> {
    rows: BTreeMap<K, R>,
    changes: Changes<K>,
}

/// Which keys' rows are new, different or gone.
#[derive(Debug, Clone)]
pub(crate) struct Changes<K> {
    keys: BTreeSet<K>,
    /// There were too many to remember.
    all: bool,
}

impl<K: Ord + Clone, R: PartialEq> Table<K, R> {
    /// A table as it was written: nothing has changed.
    pub(crate) fn new(rows: BTreeMap<K, R>) -> Self {
        Self { rows, changes: Changes::default() }
    }

    pub(crate) fn rows(&self) -> &BTreeMap<K, R> {
        &self.rows
    }

    pub(crate) fn get(&self, key: &K) -> Option<&R> {
        self.rows.get(key)
    }

    pub(crate) fn set(&mut self, key: K, row: R) {
        if self.rows.get(&key) != Some(&row) {
            self.changes.add(key.clone());
            self.rows.insert(key, row);
        }
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<R> {
        let removed = self.rows.remove(key)?;
        self.changes.add(key.clone());
        Some(removed)
    }

    /// Leaves the table as one that has just been written.
    pub(crate) fn take_changes(&mut self) -> Changes<K> {
        std::mem::take(&mut self.changes)
    }

    /// After a write that came to nothing.
    pub(crate) fn put_back(&mut self, changes: Changes<K>) {
        self.changes.all |= changes.all;
        changes.keys.into_iter().for_each(|key| self.changes.add(key));
    }
}

impl<K: Ord + Clone> Changes<K> {
    pub(crate) fn is_empty(&self) -> bool {
        !self.all && self.keys.is_empty()
    }

    /// Whether a row within the range has changed.
    pub(crate) fn touch(&self, range: impl RangeBounds<K>) -> bool {
        self.all || self.keys.range(range).next().is_some()
    }

    fn add(&mut self, key: K) {
        if !self.all {
            self.keys.insert(key);
            self.all = self.keys.len() > KEYS_MAX;
        }
        if self.all {
            self.keys.clear();
        }
    }
}

impl<K> Default for Changes<K> {
    fn default() -> Self {
        Self { keys: BTreeSet::new(), all: false }
    }
}

impl<K: Ord + Clone, R: PartialEq> Default for Table<K, R> {
    fn default() -> Self {
        Self::new(BTreeMap::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_to_what_it_was_has_not_changed() {
        let mut table = Table::new(BTreeMap::from([(1, 'a')]));
        table.set(1, 'a');
        assert_eq!(table.remove(&2), None);
        assert!(table.take_changes().is_empty());
        table.set(1, 'b');
        let changes = table.take_changes();
        assert!(changes.touch(1..2) && !changes.touch(2..));
        assert!(table.take_changes().is_empty());
        table.put_back(changes);
        assert!(table.take_changes().touch(1..2));
    }

    #[test]
    fn more_changes_than_can_be_remembered_are_changes_of_everything() {
        let mut table = Table::default();
        for key in 0..=KEYS_MAX {
            table.set(key, ());
            table.remove(&key);
        }
        let changes = table.take_changes();
        assert!(changes.touch(usize::MAX..) && changes.keys.is_empty());
        table.put_back(changes);
        table.set(1, ());
        assert!(table.take_changes().touch(2..3));
    }
}
