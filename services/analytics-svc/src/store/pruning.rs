//! Which files of a table hold what a statement looks for, as far as the manifest tells. A file of which it tells nothing may hold anything.

use std::{
    ops::{Bound, RangeBounds},
    str::FromStr,
};

use manifest::Materialized;

/// Whether a file may hold a key of the range.
pub(super) fn may_hold(file: &Materialized, keys: &impl RangeBounds<String>) -> bool {
    let Some((first, last)) = &file.range else { return true };
    let begins_by = match keys.start_bound() {
        Bound::Included(start) => start <= last,
        Bound::Excluded(start) => start < last,
        Bound::Unbounded => true,
    };
    let goes_on_from = match keys.end_bound() {
        Bound::Included(end) => first <= end,
        Bound::Excluded(end) => first < end,
        Bound::Unbounded => true,
    };
    begins_by && goes_on_from
}

/// Of files that share no key, and in which each row has a key of its own: those with the first `count` keys behind one.
pub(super) fn behind<'a>(
    files: impl Iterator<Item = &'a Materialized>,
    key: &str,
    count: u64,
) -> Vec<&'a Materialized> {
    let behind = (Bound::Excluded(key.to_owned()), Bound::Unbounded);
    let mut files: Vec<_> = files.filter(|file| may_hold(file, &behind)).collect();
    if files.iter().any(|file| file.range.is_none()) {
        return files;
    }
    files.sort_by(|a, b| a.range.cmp(&b.range));
    let mut found = 0;
    let enough = files.iter().position(|file| {
        // Of one that begins before, only the last row is sure to be behind.
        let begins_behind = file.range.as_ref().is_some_and(|(first, _)| first.as_str() > key);
        found += if begins_behind { file.row_count } else { 1 };
        found >= count
    });
    files.truncate(enough.map_or(files.len(), |last| last + 1));
    files
}

/// The files in the order in which they are to be looked at for the highest key: each by itself, or all at once if that is not known.
pub(super) fn newest_first<'a>(
    files: impl Iterator<Item = &'a Materialized>,
) -> Vec<Vec<&'a Materialized>> {
    let mut files: Vec<_> = files.collect();
    if files.iter().any(|file| file.range.is_none()) {
        return vec![files];
    }
    files.sort_by(|a, b| b.range.cmp(&a.range));
    files.into_iter().map(|file| vec![file]).collect()
}

/// The lowest and the highest key of all files, if each tells its own.
pub(super) fn range<'a, T: FromStr + Ord>(
    files: impl Iterator<Item = &'a Materialized>,
) -> Option<(T, T)> {
    let ranges = files.map(|file| {
        let (first, last) = file.range.as_ref()?;
        Some((first.parse().ok()?, last.parse().ok()?))
    });
    let ranges: Vec<(T, T)> = ranges.collect::<Option<_>>()?;
    ranges.into_iter().reduce(|(first, last), (low, high)| (first.min(low), last.max(high)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file(keys: &[u8]) -> Materialized {
        let range = keys.first().zip(keys.last()).map(|(a, b)| (key(*a), key(*b)));
        Materialized { row_count: keys.len() as u64, range, ..Materialized::default() }
    }

    fn key(of: u8) -> String {
        format!("{of:03}")
    }

    #[test]
    fn a_file_without_a_range_may_hold_anything() {
        let unknown = Materialized::default();
        let known = file(&[5, 7]);
        assert!(may_hold(&unknown, &(key(200)..)));
        assert!(!may_hold(&known, &(key(200)..)));
        let both = [&unknown, &known];
        assert_eq!(behind(both.into_iter(), &key(4), 1).len(), 2);
        assert_eq!(behind(both.into_iter(), &key(9), 1), [&unknown]);
        assert_eq!(range::<u8>(both.into_iter()), None);
        assert_eq!(newest_first(both.into_iter()).len(), 1);
        assert_eq!(range([&known].into_iter()), Some((5, 7)));
    }

    proptest! {
        /// Files are cut from sorted keys; whoever reads only what is left finds what whoever reads all does.
        #[test]
        fn no_key_is_missed(
            keys in prop::collection::btree_set(0_u8..100, 1..60),
            size in 1_usize..9,
            from in 0_u8..101,
            length in 0_u8..20,
            count in 1_usize..20,
        ) {
            let keys: Vec<u8> = keys.into_iter().collect();
            let parts: Vec<&[u8]> = keys.chunks(size).collect();
            let files: Vec<_> = parts.iter().map(|part| file(part)).collect();
            let held = |file: &Materialized| parts[files.iter().position(|f| f == file).unwrap()];
            let until = from + length;

            let within = |of: &[u8]| of.iter().filter(|k| (from..until).contains(k)).count();
            let asked = key(from)..key(until);
            for file in &files {
                let needed = within(held(file)) > 0;
                prop_assert!(may_hold(file, &asked) || !needed);
                prop_assert!(may_hold(file, &(key(from)..=key(from))) || !held(file).contains(&from));
            }

            let left = behind(files.iter(), &key(from), count as u64);
            let found = left.iter().flat_map(|file| held(file)).filter(|k| **k > from);
            let wanted = keys.iter().filter(|k| **k > from);
            prop_assert!(found.take(count).eq(wanted.take(count)));
            // One file more than its rows fill, and the one that the key is in.
            prop_assert!(left.len() <= count.div_ceil(size) + 2);

            prop_assert_eq!(range::<u8>(files.iter()), Some((keys[0], keys[keys.len() - 1])));
            let newest_first = newest_first(files.iter());
            let found = newest_first.iter().flatten().flat_map(|file| held(file).iter().rev());
            prop_assert!(found.eq(keys.iter().rev()));
        }
    }
}
