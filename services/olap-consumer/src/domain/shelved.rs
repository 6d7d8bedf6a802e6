//! Rows that rest on the disk: there may be millions. In memory are those that are not written yet, and those that were fetched to be
//! changed; the rest is the store's. Rows come and change, and never go.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::RangeBounds,
};

/// The rows in memory, by key.
#[derive(Debug, Clone)]
pub(crate) struct Shelved<K, R> {
    rows: BTreeMap<K, R>,
    /// Keys of rows that differ from what is on the disk.
    changed: BTreeSet<K>,
    /// Keys of rows that are being written.
    writing: BTreeSet<K>,
}

impl<K: Ord + Clone, R: Clone + PartialEq> Shelved<K, R> {
    pub(crate) fn range(&self, range: impl RangeBounds<K>) -> impl Iterator<Item = (&K, &R)> {
        self.rows.range(range)
    }

    /// None also when the row is on the disk alone.
    pub(crate) fn get(&self, key: &K) -> Option<&R> {
        self.rows.get(key)
    }

    pub(crate) fn set(&mut self, key: K, row: R) {
        if self.rows.get(&key) != Some(&row) {
            self.changed.insert(key.clone());
            self.rows.insert(key, row);
        }
    }

    /// A row as it is on the disk; one that is in memory is newer.
    pub(crate) fn fetched(&mut self, key: K, row: R) {
        self.rows.entry(key).or_insert(row);
    }

    /// How many rows are not on the disk.
    pub(crate) fn unwritten(&self) -> usize {
        self.changed.len() + self.writing.len()
    }

    /// Copies the rows that are to be written.
    pub(crate) fn begin_write(&mut self) -> BTreeMap<K, R> {
        self.writing.append(&mut self.changed);
        let rows = self.writing.iter().filter_map(|key| Some((key.clone(), self.rows.get(key)?)));
        rows.map(|(key, row)| (key, row.clone())).collect()
    }

    /// After a write that came to nothing.
    pub(crate) fn put_back(&mut self) {
        self.changed.append(&mut self.writing);
    }

    /// They are on the disk: what has not changed meanwhile is forgotten, but for what `is_kept`.
    pub(crate) fn written(&mut self, is_kept: impl Fn(&K) -> bool) {
        self.writing.clear();
        self.rows.retain(|key, _| self.changed.contains(key) || is_kept(key));
    }

    pub(crate) fn changed(&self) -> &BTreeSet<K> {
        &self.changed
    }

    #[cfg(test)]
    pub(crate) fn rows(&self) -> &BTreeMap<K, R> {
        &self.rows
    }
}

impl<K, R> Default for Shelved<K, R> {
    fn default() -> Self {
        Self { rows: BTreeMap::new(), changed: BTreeSet::new(), writing: BTreeSet::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_in_memory_until_it_is_written_and_no_longer() {
        let mut shelved = Shelved::default();
        shelved.set(1, 'a');
        shelved.fetched(1, 'z');
        shelved.fetched(2, 'b');
        assert_eq!((shelved.unwritten(), shelved.get(&1)), (1, Some(&'a')));
        assert_eq!(shelved.begin_write(), BTreeMap::from([(1, 'a')]));
        // Changed while it is written: it stays, and is written again.
        shelved.set(1, 'c');
        shelved.set(3, 'd');
        shelved.written(|_| false);
        assert_eq!(shelved.rows(), &BTreeMap::from([(1, 'c'), (3, 'd')]));
        assert_eq!(shelved.begin_write().len(), 2);
        shelved.put_back();
        shelved.set(3, 'd');
        assert_eq!(shelved.begin_write(), BTreeMap::from([(1, 'c'), (3, 'd')]));
        shelved.written(|key| *key == 3);
        assert_eq!((shelved.rows(), shelved.unwritten()), (&BTreeMap::from([(3, 'd')]), 0));
    }
}
