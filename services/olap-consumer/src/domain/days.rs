use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

/// The days of the business.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BusinessDays(pub(crate) Tz);

impl BusinessDays {
    /// The business day of a point in time.
    pub(crate) fn day_of(self, time: DateTime<Utc>) -> NaiveDate {
        time.with_timezone(&self.0).date_naive()
    }

    /// The first instant of a day: midnight or, where clocks skip it, what comes right after.
    pub(crate) fn start_of(self, day: NaiveDate) -> DateTime<Utc> {
        let midnight = day.and_time(NaiveTime::MIN);
        (0..48)
            .map(|half_hours| midnight + TimeDelta::minutes(30 * half_hours))
            .find_map(|time| self.0.from_local_datetime(&time).earliest())
            .map_or(midnight.and_utc(), |time| time.to_utc())
    }

    /// When the hour of the business day began in which a point in time is. No hour is of two days.
    pub(crate) fn hour_of(self, time: DateTime<Utc>) -> DateTime<Utc> {
        let start = self.start_of(self.day_of(time));
        start + TimeDelta::hours((time - start).num_hours())
    }

    /// The last microsecond of a day.
    pub(crate) fn end_of(self, day: NaiveDate) -> DateTime<Utc> {
        self.start_of(day + Days::new(1)) - TimeDelta::microseconds(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn a_day_begins_at_midnight_where_the_business_is() {
        let london = BusinessDays(chrono_tz::Europe::London);
        for (on, start, end) in [
            ("2026-10-24", "2026-10-23T23:00:00Z", "2026-10-24T22:59:59.999999Z"),
            // 25 hours: clocks go back.
            ("2026-10-25", "2026-10-24T23:00:00Z", "2026-10-25T23:59:59.999999Z"),
            ("2026-10-26", "2026-10-26T00:00:00Z", "2026-10-26T23:59:59.999999Z"),
            // 23 hours.
            ("2027-03-28", "2027-03-28T00:00:00Z", "2027-03-28T22:59:59.999999Z"),
        ] {
            let parse = |time: &str| time.parse::<DateTime<Utc>>().unwrap();
            assert_eq!(london.start_of(day(on)), parse(start));
            assert_eq!(london.end_of(day(on)), parse(end));
        }
    }

    #[test]
    fn hours_begin_when_the_clock_of_the_business_strikes() {
        use chrono_tz::Tz;
        for (zone, time, hour) in [
            (Tz::UTC, "2026-11-25T09:59:59.999999Z", "2026-11-25T09:00:00Z"),
            (Tz::UTC, "2026-11-25T10:00:00Z", "2026-11-25T10:00:00Z"),
            (Tz::UTC, "1969-12-31T23:30:00Z", "1969-12-31T23:00:00Z"),
            // Summer time begins there in the second of these hours, and ends in the last.
            (Tz::Europe__London, "2026-03-29T00:59:59Z", "2026-03-29T00:00:00Z"),
            (Tz::Europe__London, "2026-03-29T01:59:59Z", "2026-03-29T01:00:00Z"),
            (Tz::Europe__London, "2026-10-25T00:30:00Z", "2026-10-25T00:00:00Z"),
            (Tz::Europe__London, "2026-10-25T01:30:00Z", "2026-10-25T01:00:00Z"),
            // Midnight, and a minute before.
            (Tz::Asia__Kolkata, "2026-11-24T18:30:00Z", "2026-11-24T18:30:00Z"),
            (Tz::Asia__Kolkata, "2026-11-24T18:29:00Z", "2026-11-24T17:30:00Z"),
            (Tz::Asia__Kathmandu, "2026-11-24T18:20:00Z", "2026-11-24T18:15:00Z"),
            (Tz::America__St_Johns, "2026-11-24T18:20:00Z", "2026-11-24T17:30:00Z"),
        ] {
            let parse = |time: &str| time.parse::<DateTime<Utc>>().unwrap();
            assert_eq!(BusinessDays(zone).hour_of(parse(time)), parse(hour), "{zone} {time}");
        }
    }

    /// Of every seventh zone: also where a day is half an hour longer, or begins at one.
    #[test]
    fn each_hour_is_one_of_its_day_whatever_the_zone() {
        let times = (0..3000).map(|number| {
            let seconds = 1_262_304_000 + number * 172_753;
            DateTime::from_timestamp(seconds, 999_999_000).unwrap()
        });
        for time in times {
            for zone in chrono_tz::TZ_VARIANTS.into_iter().step_by(7) {
                let days = BusinessDays(zone);
                let hour = days.hour_of(time);
                assert!(hour <= time && time - hour < TimeDelta::hours(1), "{zone} {time}");
                assert_eq!(days.day_of(hour), days.day_of(time), "{zone} {time}");
                assert_eq!(days.hour_of(hour), hour, "{zone} {time}");
            }
        }
    }

    #[test]
    fn every_day_holds_its_first_and_its_last_instant_also_where_midnight_is_skipped() {
        for zone in [
            chrono_tz::Europe::London,
            // Midnight was skipped there each spring, and doubled there each autumn.
            chrono_tz::America::Sao_Paulo,
            chrono_tz::America::Havana,
            chrono_tz::Asia::Beirut,
            chrono_tz::Australia::Lord_Howe,
        ] {
            let days = BusinessDays(zone);
            for on in day("2014-01-01").iter_days().take(2000) {
                assert_eq!(days.day_of(days.start_of(on)), on, "{zone}");
                assert_eq!(days.day_of(days.end_of(on)), on, "{zone}");
                let before = days.start_of(on) - TimeDelta::microseconds(1);
                assert_eq!(before, days.end_of(on - Days::new(1)), "{zone}");
            }
        }
    }
}
