//! Rows that add up: those of one key are as good as their sum.
//!
//! Of such a table only what has changed of late is in memory, by how much: nothing need be fetched to change a row. A write puts all of
//! it into one small file or, once it is much, adds it to what rests on the disk (`store::summed`).
//!
//! A table is made additive by: a row type that is [`Adds`] (its zero is a row that is not there) and, in the store, a row with
//! `AddsUp` and `Rests`; a [`Sums`] in the books, to which whoever changes a row adds the difference; and a line each where the tables are
//! listed (`store/flush.rs`, `store/load.rs`, `store/compare.rs`).

use std::collections::BTreeMap;

/// A row whose columns add up.
pub(crate) trait Adds: Copy + Default + PartialEq {
    /// What does not fit stays at the end of its range.
    fn plus(self, other: Self) -> Self;

    /// The columns, to be compared with other sums of them.
    fn parts(self) -> Vec<i64>;
}

/// By how much the sums of a table have changed.
#[derive(Debug, Clone)]
pub(crate) struct Sums<K, R> {
    /// Of what is not in the sorted files.
    pending: BTreeMap<K, R>,
    /// Whether that is what is in the small file.
    is_written: bool,
    /// Since the last write began.
    new: BTreeMap<K, R>,
    /// One key that is looked at, and all that was added to it since.
    watched: Option<(K, R)>,
}

impl<K: Ord + Clone, R: Adds> Sums<K, R> {
    /// As they were written.
    pub(crate) fn new(pending: BTreeMap<K, R>) -> Self {
        Self { pending, is_written: true, new: BTreeMap::new(), watched: None }
    }

    pub(crate) fn add(&mut self, key: K, by: R) {
        if let Some((watched, sum)) = &mut self.watched
            && *watched == key
        {
            *sum = sum.plus(by);
        }
        add(&mut self.new, key, by);
    }

    /// How many rows are in no file.
    pub(crate) fn unwritten(&self) -> usize {
        self.untaken() + if self.is_written { 0 } else { self.pending.len() }
    }

    /// Those of them that no write under way has taken.
    pub(crate) fn untaken(&self) -> usize {
        self.new.len()
    }

    /// Copies what is to be written, which is all that is pending; none when it is written already. A write that comes to nothing is begun
    /// again.
    pub(crate) fn begin_write(&mut self) -> Option<BTreeMap<K, R>> {
        let new = std::mem::take(&mut self.new);
        self.is_written &= new.is_empty();
        new.into_iter().for_each(|(key, by)| add(&mut self.pending, key, by));
        (!self.is_written).then(|| self.pending.clone())
    }

    /// What was pending when the write began is in the sorted files, if it `is_merged`, or else in the small one.
    pub(crate) fn written(&mut self, is_merged: bool) {
        self.is_written = true;
        if is_merged {
            self.pending.clear();
        }
    }

    pub(crate) fn watch(&mut self, key: K) {
        self.watched = Some((key, R::default()));
    }

    /// None where it comes to nothing.
    pub(crate) fn watched(&self, key: &K) -> Option<R> {
        let (_, sum) = self.watched.as_ref().filter(|(watched, _)| watched == key)?;
        Some(*sum).filter(|sum| *sum != R::default())
    }

    #[cfg(test)]
    pub(crate) fn pending(&self) -> BTreeMap<K, R> {
        let mut all = self.pending.clone();
        self.new.iter().for_each(|(key, row)| add(&mut all, key.clone(), *row));
        all
    }
}

/// Adds to the row of a key, which goes when nothing is left of it.
fn add<K: Ord, R: Adds>(rows: &mut BTreeMap<K, R>, key: K, by: R) {
    let sum = rows.get(&key).copied().unwrap_or_default().plus(by);
    if sum == R::default() {
        rows.remove(&key);
    } else {
        rows.insert(key, sum);
    }
}

impl<K: Ord + Clone, R: Adds> Default for Sums<K, R> {
    fn default() -> Self {
        Self::new(BTreeMap::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Adds for i64 {
        fn plus(self, other: Self) -> Self {
            self.saturating_add(other)
        }

        fn parts(self) -> Vec<i64> {
            vec![self]
        }
    }

    #[test]
    fn what_is_added_is_pending_until_it_is_merged() {
        let mut sums = Sums::default();
        assert_eq!(sums.begin_write(), None);
        sums.add(1, 5);
        sums.add(2, 7);
        assert_eq!((sums.unwritten(), sums.begin_write()), (2, Some([(1, 5), (2, 7)].into())));
        assert_eq!((sums.unwritten(), sums.untaken()), (2, 0));
        // While it is written, more comes.
        sums.add(1, 1);
        sums.written(false);
        assert_eq!((sums.unwritten(), sums.pending()), (1, [(1, 6), (2, 7)].into()));
        assert_eq!(sums.untaken(), 1);
        assert_eq!(sums.begin_write(), Some([(1, 6), (2, 7)].into()));
        sums.add(2, 1);
        sums.written(true);
        assert_eq!(sums.pending(), [(2, 1)].into());
        assert_eq!(sums.begin_write(), Some([(2, 1)].into()));
        sums.written(false);
        assert_eq!((sums.unwritten(), sums.begin_write()), (0, None));
    }

    #[test]
    fn what_comes_to_nothing_is_no_row_but_a_change_of_its_file() {
        let mut sums = Sums::new([(1, 5)].into());
        sums.add(1, 0);
        assert_eq!(sums.begin_write(), None);
        sums.add(1, -5);
        assert_eq!(sums.begin_write(), Some(BTreeMap::new()));
        assert_eq!(sums.begin_write(), Some(BTreeMap::new()), "it is still to be written");
        sums.written(false);
        assert_eq!(sums.begin_write(), None);
    }

    #[test]
    fn a_write_that_came_to_nothing_loses_nothing() {
        let mut sums = Sums::default();
        sums.add(1, 5);
        sums.begin_write();
        sums.add(1, 2);
        assert_eq!((sums.unwritten(), sums.begin_write()), (2, Some([(1, 7)].into())));
    }

    #[test]
    fn all_that_is_added_to_a_key_can_be_watched() {
        let mut sums = Sums::default();
        sums.watch(1);
        sums.add(1, 5);
        sums.begin_write();
        sums.written(true);
        sums.add(1, 2);
        sums.add(2, 2);
        assert_eq!((sums.watched(&1), sums.watched(&2)), (Some(7), None));
        sums.add(1, -7);
        assert_eq!(sums.watched(&1), None);
    }
}
