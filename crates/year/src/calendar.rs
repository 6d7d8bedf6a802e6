use chrono::{DateTime, Days, NaiveDate, NaiveDateTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

/// Where the business is; the services' own default.
pub(crate) const ZONE: Tz = chrono_tz::Europe::London;
/// Days to pay; billing-svc's own default.
pub(crate) const TERMS: Days = Days::new(30);

/// The business day of an instant.
pub(crate) fn day_of(at: DateTime<Utc>) -> NaiveDate {
    at.with_timezone(&ZONE).date_naive()
}

/// When it is that by the clock on the wall; where clocks skip it, an hour later.
pub(crate) fn instant(local: NaiveDateTime) -> DateTime<Utc> {
    let there = ZONE.from_local_datetime(&local).earliest();
    there.map_or_else(|| local.and_utc() + TimeDelta::hours(1), |there| there.to_utc())
}

/// When a business day begins.
pub(crate) fn start_of(day: NaiveDate) -> DateTime<Utc> {
    instant(day.and_time(chrono::NaiveTime::MIN))
}
