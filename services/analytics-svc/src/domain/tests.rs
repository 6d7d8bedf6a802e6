use chrono::TimeDelta;
use proptest::prelude::*;

use super::*;

/// Days of 23, 24 and 25 hours, days that begin at 1:00, a day that never was, half hours, and a zone far on each side.
const ZONES: [Tz; 8] = [
    Tz::Europe__London,
    Tz::America__Sao_Paulo,
    Tz::America__Havana,
    Tz::Pacific__Apia,
    Tz::Australia__Lord_Howe,
    Tz::Asia__Kolkata,
    Tz::Pacific__Kiritimati,
    Tz::UTC,
];

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn hours(text: &str, zone: Tz) -> i64 {
    let (first, end) = instants_of(day(text), zone).unwrap();
    (end - first).num_hours()
}

#[test]
fn a_day_is_as_long_as_its_clocks_say() {
    assert_eq!(hours("2026-03-29", Tz::Europe__London), 23);
    assert_eq!(hours("2026-06-01", Tz::Europe__London), 24);
    assert_eq!(hours("2026-10-25", Tz::Europe__London), 25);
    // The clocks go from 0:00 to 1:00 that day.
    assert_eq!(hours("2018-11-04", Tz::America__Sao_Paulo), 23);
    // Samoa went to the other side of the date line.
    assert_eq!(hours("2011-12-30", Tz::Pacific__Apia), 0);
}

#[test]
fn the_end_of_the_calendar_is_no_day() {
    assert_eq!(instants_of(NaiveDate::MAX, Tz::UTC), None);
    assert_eq!(instants_of(NaiveDate::MIN, Tz::Asia__Kolkata), None);
}

#[test]
fn what_is_missing_names_how_far_each_source_was_counted() {
    let counted = Counted { log_id: 7, ..Counted::default() };
    let positions = BTreeMap::from([("orders".to_owned(), counted)]);
    let missing = |wanted: &[(&str, i64)]| {
        let wanted = wanted.iter().map(|(source, sequence)| ((*source).to_owned(), *sequence));
        MinPosition(wanted.collect()).missing(&positions)
    };
    assert_eq!(missing(&[]), []);
    assert_eq!(missing(&[("orders", 7), ("hr", 0)]), []);
    let behind = |source: &str, seen, wanted| Behind { source: source.to_owned(), seen, wanted };
    assert_eq!(
        missing(&[("orders", 8), ("billing", 1), ("orders", 1)]),
        [behind("orders", 7, 8), behind("billing", 0, 1)]
    );
}

proptest! {
    #[test]
    fn an_instant_is_of_the_day_whose_bounds_hold_it(
        seconds in -2_000_000_000i64..6_000_000_000, zone in prop::sample::select(&ZONES[..]), off in -3i64..=3,
    ) {
        let instant = DateTime::from_timestamp(seconds, 0).unwrap();
        let day = day_of(instant, zone) + TimeDelta::days(off);
        let (first, end) = instants_of(day, zone).unwrap();
        prop_assert_eq!((first..end).contains(&instant), off == 0, "{} {}", instant, day);
    }
}
