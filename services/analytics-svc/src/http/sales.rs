//! Sales as a shop looks at them: by day, week and month where the business is. Pure: values in, values out.
//!
//! Hours are counted from the beginning of the business day. Weeks begin on Monday. A week and a month are counted up to the day, and compared
//! with as many days of the one before.

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, SecondsFormat, TimeDelta, Utc};
use chrono_tz::Tz;
use rust_decimal::Decimal;
use serde::Serialize;

use crate::domain::{HourOfSales, day_of, instants_of};

/// Days in the chart.
const DAYS: u64 = 31;

/// Days from the first up to and including the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span(NaiveDate, NaiveDate);

/// All that is asked about one day.
#[derive(Debug)]
pub(super) struct Around {
    day: NaiveDate,
    zone: Tz,
    /// Each with what it is compared with.
    periods: [(&'static str, Span, Span); 3],
    /// The instants of the first day that matters, of the day itself, and of its end.
    pub(super) instants: (DateTime<Utc>, DateTime<Utc>, DateTime<Utc>),
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Sums {
    amount: Decimal,
    orders: i64,
}

#[derive(Debug, Serialize)]
pub(super) struct Sales {
    day: NaiveDate,
    periods: Vec<Period>,
    hours: Vec<Bar>,
    days: Vec<Bar>,
    /// The newest day on which something was sold, if nothing was on this one.
    newest_day: Option<NaiveDate>,
}

#[derive(Debug, Serialize)]
struct Period {
    name: &'static str,
    from: NaiveDate,
    to: NaiveDate,
    amount: String,
    orders: i64,
    before_from: NaiveDate,
    before_to: NaiveDate,
    before_amount: String,
    before_orders: i64,
}

/// One of a chart.
#[derive(Debug, Serialize)]
struct Bar {
    /// A day, or the instant at which an hour begins.
    at: String,
    amount: String,
    orders: i64,
}

impl Around {
    /// None beyond what a calendar knows.
    pub(super) fn new(day: NaiveDate, zone: Tz) -> Option<Self> {
        let week = day.checked_sub_days(Days::new(day.weekday().num_days_from_monday().into()))?;
        let month = day.with_day(1)?;
        let month_before = month.checked_sub_months(Months::new(1))?;
        let before = |day: NaiveDate, days| day.checked_sub_days(Days::new(days));
        let periods = [
            ("day", Span(day, day), Span(before(day, 1)?, before(day, 1)?)),
            ("week", Span(week, day), Span(before(week, 7)?, before(day, 7)?)),
            // 31 March is compared with the whole of February.
            (
                "month",
                Span(month, day),
                Span(month_before, day.checked_sub_months(Months::new(1))?),
            ),
        ];
        let first = before(day, DAYS - 1)?.min(month_before).min(before(week, 7)?);
        let (begins, ends) = instants_of(day, zone)?;
        let instants = (instants_of(first, zone)?.0, begins, ends);
        Some(Self { day, zone, periods, instants })
    }

    /// `hours` are those between the instants; `newest` is the newest hour in which something was sold. None if a sum has too many
    /// digits.
    pub(super) fn count(
        &self,
        hours: &[HourOfSales],
        newest: Option<DateTime<Utc>>,
    ) -> Option<Sales> {
        let mut by_day: BTreeMap<NaiveDate, Sums> = BTreeMap::new();
        for hour in hours {
            let sums = by_day.entry(day_of(hour.hour, self.zone)).or_insert(Sums::NONE);
            *sums = sums.with(Sums::of(hour))?;
        }
        let sum = |Span(from, to): Span| {
            by_day.range(from..=to).try_fold(Sums::NONE, |sum, (_, day)| sum.with(*day))
        };
        let period = |&(name, span, earlier): &(&'static str, Span, Span)| {
            let (now, before) = (sum(span)?, sum(earlier)?);
            Some(Period {
                name,
                from: span.0,
                to: span.1,
                amount: text(now.amount),
                orders: now.orders,
                before_from: earlier.0,
                before_to: earlier.1,
                before_amount: text(before.amount),
                before_orders: before.orders,
            })
        };
        let days = (0..DAYS).rev().filter_map(|ago| self.day.checked_sub_days(Days::new(ago)));
        let day = |day: NaiveDate| {
            Bar::of(day.to_string(), by_day.get(&day).copied().unwrap_or(Sums::NONE))
        };
        Some(Sales {
            day: self.day,
            periods: self.periods.iter().map(period).collect::<Option<_>>()?,
            hours: self.hours(hours),
            days: days.map(day).collect(),
            newest_day: newest.map(|newest| day_of(newest, self.zone)),
        })
    }

    /// Each hour of the day, those without a sale too. A day may have 23 or 25.
    fn hours(&self, sold: &[HourOfSales]) -> Vec<Bar> {
        let (_, begins, ends) = self.instants;
        let sold: BTreeMap<DateTime<Utc>, Sums> =
            sold.iter().map(|hour| (hour.hour, Sums::of(hour))).collect();
        let hours =
            (0..).map(|hour| begins + TimeDelta::hours(hour)).take_while(|hour| *hour < ends);
        let bar = |hour: DateTime<Utc>| {
            // The files of an older olap-consumer have UTC hours.
            let within = sold.range(hour..hour + TimeDelta::hours(1)).next();
            let sums = within.map_or(Sums::NONE, |(_, sums)| *sums);
            Bar::of(hour.to_rfc3339_opts(SecondsFormat::Secs, true), sums)
        };
        hours.map(bar).collect()
    }
}

impl Sums {
    const NONE: Self = Self { amount: Decimal::ZERO, orders: 0 };

    fn of(hour: &HourOfSales) -> Self {
        Self { amount: hour.total_amount, orders: hour.order_count.into() }
    }

    fn with(self, other: Self) -> Option<Self> {
        let amount = self.amount.checked_add(other.amount)?;
        Some(Self { amount, orders: self.orders + other.orders })
    }
}

impl Bar {
    fn of(at: String, sums: Sums) -> Self {
        Self { at, amount: text(sums.amount), orders: sums.orders }
    }
}

fn text(amount: Decimal) -> String {
    format!("{amount:.2}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sold(hour: &str, amount: &str, order_count: i32) -> HourOfSales {
        let total_amount = amount.parse().unwrap();
        HourOfSales { hour: hour.parse().unwrap(), total_amount, order_count }
    }

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn around(of: &str, zone: Tz) -> Around {
        Around::new(day(of), zone).unwrap()
    }

    /// As `from..to amount orders, from..to amount orders`.
    fn periods(sales: &Sales) -> Vec<String> {
        let each = sales.periods.iter().map(|p| {
            format!(
                "{} {}..{} {} {}, {}..{} {} {}",
                p.name,
                p.from,
                p.to,
                p.amount,
                p.orders,
                p.before_from,
                p.before_to,
                p.before_amount,
                p.before_orders
            )
        });
        each.collect()
    }

    #[test]
    fn a_day_a_week_and_a_month_are_where_the_business_is() {
        let around = around("2026-04-01", chrono_tz::Europe::London);
        // The first day is the first of March: earlier than 31 days ago, and than the week before.
        assert_eq!(around.instants.0, "2026-03-01T00:00:00Z".parse::<DateTime<Utc>>().unwrap());
        assert_eq!(around.instants.1, "2026-03-31T23:00:00Z".parse::<DateTime<Utc>>().unwrap());
        let hours = [
            sold("2026-03-01T00:00:00Z", "1000.00", 1),
            sold("2026-03-25T12:00:00Z", "200.00", 2),
            sold("2026-03-30T12:00:00Z", "30.00", 3),
            // 23:00 in London, and midnight.
            sold("2026-03-31T22:00:00Z", "4.00", 4),
            sold("2026-03-31T23:00:00Z", "0.50", 5),
            sold("2026-04-01T22:00:00Z", "0.06", 6),
        ];
        let sales = around.count(&hours, None).unwrap();
        assert_eq!(
            periods(&sales),
            [
                "day 2026-04-01..2026-04-01 0.56 11, 2026-03-31..2026-03-31 4.00 4",
                "week 2026-03-30..2026-04-01 34.56 18, 2026-03-23..2026-03-25 200.00 2",
                "month 2026-04-01..2026-04-01 0.56 11, 2026-03-01..2026-03-01 1000.00 1",
            ]
        );
        assert_eq!(sales.hours.len(), 24);
        assert_eq!(
            (&*sales.hours[0].at, &*sales.hours[0].amount),
            ("2026-03-31T23:00:00Z", "0.50")
        );
        assert_eq!((&*sales.hours[23].at, sales.hours[23].orders), ("2026-04-01T22:00:00Z", 6));
        assert_eq!(sales.days.len(), 31);
        assert_eq!((&*sales.days[30].at, &*sales.days[30].amount), ("2026-04-01", "0.56"));
        assert_eq!((&*sales.days[29].at, &*sales.days[29].amount), ("2026-03-31", "4.00"));
    }

    #[test]
    fn a_long_month_is_compared_with_all_of_a_short_one() {
        let sales = around("2026-03-31", chrono_tz::UTC).count(&[], None).unwrap();
        assert!(periods(&sales)[2].contains("2026-02-01..2026-02-28"), "{sales:?}");
    }

    #[test]
    fn days_have_as_many_hours_as_the_clocks_make_of_them() {
        let london = chrono_tz::Europe::London;
        for (of, hours) in [("2026-03-29", 23), ("2026-10-25", 25), ("2026-11-24", 24)] {
            assert_eq!(around(of, london).hours(&[]).len(), hours, "{of}");
        }
        // The day begins at half past six in the evening, UTC.
        let kolkata = around("2026-11-24", chrono_tz::Asia::Kolkata);
        for first in ["2026-11-23T18:30:00Z", "2026-11-23T19:00:00Z"] {
            let hours =
                kolkata.hours(&[sold("2026-11-23T18:00:00Z", "1.00", 1), sold(first, "2.00", 1)]);
            assert_eq!(
                (hours.len(), &*hours[0].at, &*hours[0].amount, &*hours[1].amount),
                (24, "2026-11-23T18:30:00Z", "2.00", "0.00")
            );
        }
    }

    #[test]
    fn without_a_sale_there_is_still_a_picture_and_the_way_to_the_last_one() {
        let newest = "2017-01-14T23:30:00Z".parse().unwrap();
        let sales =
            around("2026-11-24", chrono_tz::Europe::Paris).count(&[], Some(newest)).unwrap();
        assert_eq!(sales.newest_day, Some(day("2017-01-15")));
        assert!(
            sales
                .days
                .iter()
                .chain(&sales.hours)
                .all(|bar| bar.amount == "0.00" && bar.orders == 0)
        );
        assert!(Around::new(NaiveDate::MIN, chrono_tz::UTC).is_none());
    }
}
