//! How a table is spread over files: by ranges of its keys, like the leaves of a tree.
//!
//! A flush writes only files in whose range something changed, so that its cost is bounded by what changed and not by how much there is
//! (but for the manifest, which names them all).
//! A file that outgrows [`ROWS_MAX`] is split, one that falls below [`ROWS_MIN`] is joined with the next.

use std::{
    collections::BTreeMap,
    ops::Bound::{Excluded, Included, Unbounded},
};

use manifest::Materialized;

use crate::domain::{Changes, Table};

/// More are split over several files of half as many each, or a little more.
const ROWS_MAX: usize = 1024;
/// Fewer are joined with the next file's, if there is one.
const ROWS_MIN: usize = ROWS_MAX / 4;

/// The live files of a table by the first key that each may hold; the first one holds what comes before, too.
pub(crate) type Files<K> = BTreeMap<K, Materialized>;

/// What a flush does to the files of a table.
#[derive(Debug)]
pub(crate) struct Plan<K, R> {
    /// Files that stay.
    pub(crate) kept: Files<K>,
    /// The rows of each new one, ascending.
    pub(crate) new: Vec<Vec<(K, R)>>,
    /// What is no longer changed once this is done.
    pub(crate) changes: Changes<K>,
}

/// Takes the table's changes and copies the rows that are to be written.
pub(crate) fn plan<K: Ord + Clone, R: Clone + PartialEq>(
    files: &Files<K>,
    table: &mut Table<K, R>,
) -> Plan<K, R> {
    let mut plan = Plan { kept: Files::new(), new: Vec::new(), changes: table.take_changes() };
    if plan.changes.is_empty() {
        plan.kept.clone_from(files);
        return plan;
    }
    // Rows of neighbours that are written anew together.
    let mut run: Vec<(K, R)> = Vec::new();
    let mut firsts = files.keys().peekable();
    let mut from = Unbounded;
    loop {
        let file = firsts.next();
        let to = firsts.peek().map_or(Unbounded, |next| Excluded((*next).clone()));
        let range = (from, to.clone());
        let too_few = !run.is_empty() && run.len() < ROWS_MIN;
        match file {
            Some(first) if !too_few && !plan.changes.touch(range.clone()) => {
                cut(&mut run, &mut plan.new);
                plan.kept.extend(files.get_key_value(first).map(|(k, f)| (k.clone(), f.clone())));
            }
            _ => run.extend(table.rows().range(range).map(|(k, row)| (k.clone(), row.clone()))),
        }
        let Excluded(next) = to else { break };
        from = Included(next);
    }
    cut(&mut run, &mut plan.new);
    plan
}

/// Ends a run: its rows go into as many files as they need.
fn cut<K: Clone, R: Clone>(run: &mut Vec<(K, R)>, new: &mut Vec<Vec<(K, R)>>) {
    let count = if run.len() > ROWS_MAX { run.len() / (ROWS_MAX / 2) } else { 1 };
    if !run.is_empty() {
        new.extend(run.chunks(run.len().div_ceil(count)).map(<[_]>::to_vec));
    }
    run.clear();
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// A table, its files, and what these hold.
    #[derive(Default)]
    struct Kept {
        table: Table<u32, u32>,
        files: Files<u32>,
        rows: BTreeMap<String, Vec<(u32, u32)>>,
        written: usize,
    }

    impl Kept {
        /// Gives the rows that were written.
        fn flush(&mut self) -> usize {
            let Plan { kept, new, .. } = plan(&self.files, &mut self.table);
            self.files = kept;
            let mut count = 0;
            for rows in new {
                self.written += 1;
                let path = self.written.to_string();
                let file = Materialized {
                    path: path.clone(),
                    row_count: rows.len() as u64,
                    ..Materialized::default()
                };
                count += rows.len();
                assert!(self.files.insert(rows[0].0, file).is_none());
                self.rows.insert(path, rows);
            }
            self.check();
            count
        }

        fn check(&self) {
            let in_order: Vec<&Vec<(u32, u32)>> =
                self.files.values().map(|file| &self.rows[&file.path]).collect();
            let all: Vec<(u32, u32)> = in_order.iter().copied().flatten().copied().collect();
            assert!(all.iter().copied().eq(self.table.rows().iter().map(|(k, v)| (*k, *v))));
            assert!(in_order.iter().all(|rows| (1..=ROWS_MAX).contains(&rows.len())));
            let others = in_order.len().saturating_sub(1);
            assert!(in_order.iter().take(others).all(|rows| rows.len() >= ROWS_MIN));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn the_files_always_hold_the_rows_each_once_in_order_and_never_many_or_few(
            steps in prop::collection::vec(
                prop::collection::vec((0_u32..20, 0_u32..1000, 1_u32..1500, any::<bool>()), 0..6),
                1..20,
            ),
        ) {
            let mut kept = Kept::default();
            for (version, step) in steps.into_iter().enumerate() {
                for (start, offset, count, removes) in step {
                    let from = start * 1000 + offset;
                    for key in from..from + count {
                        if removes {
                            kept.table.remove(&key);
                        } else {
                            kept.table.set(key, u32::try_from(version).unwrap());
                        }
                    }
                }
                kept.flush();
            }
        }
    }

    #[test]
    fn one_change_writes_one_file_however_many_rows_there_are() {
        let mut kept = Kept::default();
        (0..100_000).for_each(|key| kept.table.set(key, 0));
        kept.flush();
        for key in [0, 50_000, 99_999, 100_000] {
            kept.table.set(key, 1);
            assert!((1..=ROWS_MAX).contains(&kept.flush()));
        }
        assert_eq!(kept.flush(), 0);
    }

    #[test]
    fn rows_that_are_added_at_the_end_leave_what_is_before_alone() {
        let mut kept = Kept::default();
        let mut written = 0;
        for key in 0..20_000 {
            kept.table.set(key, 0);
            if key % 100 == 99 {
                written += kept.flush();
            }
        }
        assert!(written / 200 < ROWS_MAX, "{written}");
        assert!(kept.files.len() < 20_000 / (ROWS_MAX / 2) + 2);
    }

    #[test]
    fn the_few_that_are_left_of_many_are_in_few_files() {
        let mut kept = Kept::default();
        (0..100_000).for_each(|key| kept.table.set(key, 0));
        kept.flush();
        for key in (0..100_000).filter(|key| key % 1000 != 0) {
            kept.table.remove(&key);
            if key % 77 == 0 {
                kept.flush();
            }
        }
        kept.flush();
        assert_eq!(kept.files.len(), 1);
        (0..100_000).for_each(|key| _ = kept.table.remove(&key));
        kept.flush();
        assert_eq!(kept.files.keys().copied().collect::<BTreeSet<_>>(), BTreeSet::new());
    }
}
