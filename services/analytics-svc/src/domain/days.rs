//! Days as months: what is summed up by month and by day need not be read by day for long.

use chrono::{NaiveDate, TimeDelta};

use super::Period;

/// From the first up to and including the second.
pub(crate) type DaySpan = (NaiveDate, NaiveDate);

/// Whole months, with the days that they lack and those that they have too many of.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct MonthsAndDays {
    /// The first days of the first and of the last.
    pub(crate) months: Option<DaySpan>,
    pub(crate) more: Vec<DaySpan>,
    pub(crate) less: Vec<DaySpan>,
}

impl MonthsAndDays {
    /// The same as these days, where there is nothing on days that are not `known`. Days are hardly more than those of a month.
    pub(crate) fn of((first, last): DaySpan, known: Option<DaySpan>) -> Self {
        let (mut first, mut last) = (first, last);
        if let Some((oldest, newest)) = known {
            if last < oldest || newest < first {
                return Self::default();
            }
            // All of the days that are known of a month are as good as all of it.
            if first <= oldest {
                first = Period::Month.start(oldest);
            }
            if newest <= last {
                last = Period::Month.last_day(Period::Month.start(newest));
            }
        }
        let behind = next(last);
        let (from, until) = (nearest_month(first), nearest_month(behind));
        // A month has as many rows as some two days, and each part is looked for by itself.
        let by_month = (first - from).abs() + (behind - until).abs() + (until - from) / 15;
        if until <= from || behind - first <= by_month + TimeDelta::days(2) {
            return Self { more: vec![(first, last)], ..Self::default() };
        }
        let mut all =
            Self { months: Some((from, Period::Month.start(before(until)))), ..Self::default() };
        if first < from {
            all.more.push((first, before(from)));
        } else if from < first {
            all.less.push((from, before(first)));
        }
        if until < behind {
            all.more.push((until, last));
        } else if behind < until {
            all.less.push((behind, before(until)));
        }
        all
    }
}

/// The first day of a month that is nearest.
fn nearest_month(day: NaiveDate) -> NaiveDate {
    let this = Period::Month.start(day);
    let next = next(Period::Month.last_day(this));
    if day - this <= next - day { this } else { next }
}

fn next(day: NaiveDate) -> NaiveDate {
    day.succ_opt().unwrap_or(day)
}

fn before(day: NaiveDate) -> NaiveDate {
    day.pred_opt().unwrap_or(day)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use chrono::Days;

    use proptest::prelude::*;

    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn span(first: &str, last: &str) -> DaySpan {
        (day(first), day(last))
    }

    fn each((first, last): DaySpan) -> impl Iterator<Item = NaiveDate> {
        first.iter_days().take_while(move |day| *day <= last)
    }

    /// How often each day is counted.
    fn counted(of: &MonthsAndDays) -> BTreeMap<NaiveDate, i32> {
        let months =
            of.months.into_iter().map(|(first, last)| (first, Period::Month.last_day(last)));
        let mut days = BTreeMap::new();
        for (spans, sign) in [(months.collect(), 1), (of.more.clone(), 1), (of.less.clone(), -1)] {
            for day in spans.into_iter().flat_map(each) {
                *days.entry(day).or_insert(0) += sign;
            }
        }
        days.retain(|_, count| *count != 0);
        days
    }

    proptest! {
        #[test]
        fn each_known_day_that_is_asked_for_is_counted_once_and_no_other(
            start in 0_u64..900, length in 0_u64..800,
            known in prop::option::of((0_u64..900, 0_u64..800)),
        ) {
            let at = |days: u64| day("2023-11-20") + Days::new(days);
            let asked = (at(start), at(start + length));
            let known = known.map(|(start, length)| (at(start), at(start + length)));
            let found = MonthsAndDays::of(asked, known);
            let is_known = |day: &NaiveDate| known.is_none_or(|(a, b)| (a..=b).contains(day));
            let wanted: BTreeMap<_, _> = each(asked).filter(is_known).map(|day| (day, 1)).collect();
            let mut all = counted(&found);
            all.retain(|day, _| is_known(day));
            prop_assert_eq!(all, wanted);
        }
    }

    /// All spans of a year and a half from any day of a year on.
    #[test]
    fn never_many_days_are_left() {
        for start in 0..366 {
            let first = day("2023-12-01") + Days::new(start);
            for length in 0..550 {
                let found = MonthsAndDays::of((first, first + Days::new(length)), None);
                let edges = found.more.iter().chain(&found.less).copied().flat_map(each).count();
                assert!(edges <= 40, "{found:?}");
            }
        }
    }

    #[test]
    fn what_is_whole_needs_no_days() {
        let all = MonthsAndDays::of(span("0001-01-01", "9999-12-31"), None);
        assert_eq!(all.months, Some(span("0001-01-01", "9999-12-01")));
        assert!(all.more.is_empty() && all.less.is_empty());
        // The month that is not over yet.
        let known = Some(span("2025-11-24", "2026-11-26"));
        for last in ["2026-11-26", "2026-11-30", "2026-12-31"] {
            let found = MonthsAndDays::of(span("2026-11-01", last), known);
            let months = Some(span("2026-11-01", "2026-11-01"));
            assert_eq!(found, MonthsAndDays { months, ..MonthsAndDays::default() }, "{last}");
        }
        assert_eq!(
            MonthsAndDays::of(span("2026-11-27", "2026-11-30"), known),
            MonthsAndDays::default()
        );
    }

    #[test]
    fn a_few_days_are_read_by_day_and_a_month_without_a_few_is_read_without_them() {
        let few = MonthsAndDays::of(span("2026-05-14", "2026-05-20"), None);
        assert_eq!(
            few,
            MonthsAndDays {
                more: vec![span("2026-05-14", "2026-05-20")],
                ..MonthsAndDays::default()
            }
        );
        let most = MonthsAndDays::of(span("2026-05-03", "2026-06-29"), None);
        assert_eq!(most.months, Some(span("2026-05-01", "2026-06-01")));
        assert_eq!(most.less, [span("2026-05-01", "2026-05-02"), span("2026-06-30", "2026-06-30")]);
        assert!(most.more.is_empty());
    }
}
