use std::collections::{BTreeMap, BTreeSet};

use chrono::{Days, NaiveDate, TimeDelta};
use ids::{CustomerId, OrderItemId};
use proptest::prelude::*;

use super::*;

const LONDON: BusinessDays = BusinessDays(chrono_tz::Europe::London);

fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn amount(text: &str) -> Amount {
    money::Money::parse(text).unwrap().into()
}

fn invoice(due_date: NaiveDate, residual: Amount) -> OpenInvoice {
    OpenInvoice { customer_id: CustomerId(Uuid::nil()), due_date, residual }
}

/// The same of one of three customers.
fn invoice_of(InvoiceId(number): InvoiceId, due_date: NaiveDate, residual: Amount) -> OpenInvoice {
    let customer_id = CustomerId(Uuid::from_u128(number.as_u128() % 3));
    OpenInvoice { customer_id, due_date, residual }
}

fn id(number: u128) -> InvoiceId {
    InvoiceId(Uuid::from_u128(number))
}

/// One SKU after a change.
fn stock(sku: &str, on_hand: i32, reserved: i32, reorder_point: i32) -> Fact {
    Fact::StockChanged(vec![NewLevel { sku: sku.to_owned(), on_hand, reserved, reorder_point }])
}

/// Buckets in the order of lateness, and their total.
fn buckets(ageing: &Ageing) -> [Amount; 6] {
    let Ageing { current, to_30, to_60, to_90, over_90, .. } = *ageing;
    [current, to_30, to_60, to_90, over_90, ageing.total()]
}

fn amounts(of: [&str; 6]) -> [Amount; 6] {
    of.map(amount)
}

#[test]
fn an_order_counts_in_its_hour_until_it_is_cancelled() {
    let mut sales = Sales::default();
    let (nine, ten) = (time("2026-11-25T09:00:00Z"), time("2026-11-25T10:00:00Z"));
    sales.place(nine, amount("10.00")).unwrap();
    sales.place(ten, amount("0.10")).unwrap();
    sales.place(ten, amount("0.20")).unwrap();
    let hours: Vec<_> = sales.hours.rows().iter().map(|(hour, row)| (*hour, *row)).collect();
    let nine = (nine, HourOfSales { total: amount("10.00"), order_count: 1 });
    let ten = (ten, HourOfSales { total: amount("0.30"), order_count: 2 });
    assert_eq!(hours, [nine, ten]);

    sales.cancel(ten.0, amount("0.20")).unwrap();
    assert_eq!(sales.hours.get(&ten.0).unwrap().total, amount("0.10"));
    sales.cancel(ten.0, amount("0.10")).unwrap();
    assert_eq!(sales.hours.get(&ten.0), None, "an hour without orders has no row");
    assert_eq!(sales.hours.get(&nine.0), Some(&nine.1));
}

#[test]
fn a_part_of_an_order_leaves_its_hour_but_the_order_stays() {
    let mut sales = Sales::default();
    let hour = time("2026-11-25T09:00:00Z");
    assert_eq!(sales.reduce(hour, amount("0.00")), Err(Unsound::NotSold(hour)));
    sales.place(hour, amount("10.00")).unwrap();
    sales.reduce(hour, amount("4.00")).unwrap();
    let row = |total| HourOfSales { total: amount(total), order_count: 1 };
    assert_eq!(sales.hours.get(&hour), Some(&row("6.00")));
    assert_eq!(sales.reduce(hour, amount("6.01")), Err(Unsound::NotSold(hour)));
    sales.reduce(hour, amount("6.00")).unwrap();
    assert_eq!(sales.hours.get(&hour), Some(&row("0.00")));
}

#[test]
fn what_was_not_sold_is_not_taken_away() {
    let mut sales = Sales::default();
    let hour = time("2026-11-25T09:00:00Z");
    assert_eq!(sales.cancel(hour, amount("1.00")), Err(Unsound::NotSold(hour)));
    assert_eq!(sales.cancel(hour, amount("0.00")), Err(Unsound::NotSold(hour)));
    sales.place(hour, amount("1.00")).unwrap();
    assert_eq!(sales.cancel(hour, amount("0.99")), Err(Unsound::NotSold(hour)));
    assert_eq!(sales.cancel(hour, amount("1.01")), Err(Unsound::NotSold(hour)));
    sales.place(hour, amount("1.00")).unwrap();
    assert_eq!(sales.cancel(hour, amount("2.01")), Err(Unsound::NotSold(hour)));
    let row = HourOfSales { total: amount("2.00"), order_count: 2 };
    assert_eq!(sales.hours.get(&hour), Some(&row));
}

#[test]
fn sums_stay_within_their_column() {
    let mut sales = Sales::default();
    let hour = time("2026-11-25T09:00:00Z");
    let largest = amount("999999999999.99");
    for _ in 0..10_000 {
        sales.place(hour, largest).unwrap();
    }
    assert_eq!(sales.place(hour, largest), Err(Unsound::TooMuch));
    assert_eq!(sales.hours.get(&hour).unwrap().order_count, 10_000);
}

#[test]
fn a_product_has_a_level_from_the_start_and_each_event_sets_it() {
    let mut books = Books::new(LONDON);
    let (early, late) = (time("2026-11-25T09:00:00Z"), time("2026-11-25T10:00:00Z"));
    let created = Fact::ProductCreated { sku: "nut".to_owned() };
    books.apply(created.clone(), early).unwrap();
    let nut = |books: &Books| *books.stock.items.get(&"nut".to_owned()).unwrap();
    let new = Level { on_hand: 0, reserved: 0, at: early };
    assert_eq!(nut(&books), Item { level: new, reorder_point: 0, archived: false });
    books.apply(stock("nut", 7, 2, 3), late).unwrap();
    books.apply(created, late).unwrap();
    let level = Level { on_hand: 7, reserved: 2, at: late };
    assert_eq!(nut(&books), Item { level, reorder_point: 3, archived: false });
}

#[test]
fn when_to_reorder_and_whether_it_is_sold_at_all_leave_the_level_and_its_time_alone() {
    let mut books = Books::new(LONDON);
    let (early, late) = (time("2026-11-25T09:00:00Z"), time("2026-11-26T10:00:00Z"));
    let set = |reorder_point| Fact::ReorderPointSet { sku: "nut".to_owned(), reorder_point };
    let archived = |archived| Fact::ProductArchived { sku: "nut".to_owned(), archived };
    books.apply(stock("nut", 7, 2, 3), early).unwrap();
    books.stock.items.take_changes();
    books.apply(set(5), late).unwrap();
    books.apply(archived(true), late).unwrap();
    let level = Level { on_hand: 7, reserved: 2, at: early };
    let nut = |books: &Books| *books.stock.items.get(&"nut".to_owned()).unwrap();
    assert_eq!(nut(&books), Item { level, reorder_point: 5, archived: true });
    assert!(!books.stock.items.take_changes().is_empty(), "it is written");
    let days: Vec<_> = books.stock.days.rows().keys().map(|(day, _)| *day).collect();
    assert_eq!(days, [day("2026-11-25")]);
    // What is archived stays so whatever moves.
    books.apply(stock("nut", 1, 0, 5), late).unwrap();
    assert!(nut(&books).archived);
    books.apply(archived(false), late).unwrap();
    let level = Level { on_hand: 1, reserved: 0, at: late };
    assert_eq!(nut(&books), Item { level, reorder_point: 5, archived: false });

    // One that was never heard of is there from then on.
    let fig = Fact::ReorderPointSet { sku: "fig".to_owned(), reorder_point: 4 };
    books.apply(fig, late).unwrap();
    let level = Level { on_hand: 0, reserved: 0, at: late };
    let expected = Item { level, reorder_point: 4, archived: false };
    assert_eq!(books.stock.items.get(&"fig".to_owned()), Some(&expected));
    assert!(books.stock.days.get(&(day("2026-11-26"), "fig".to_owned())).is_some());
}

#[test]
fn each_day_of_lateness_has_its_bucket() {
    let today = day("2026-11-25");
    let now = time("2026-11-25T12:00:00Z");
    let mut books = Books::new(LONDON);
    // Days late; each amount is another digit of the sums.
    for (number, late, residual) in [
        (1, -1, "1.00"),
        (2, 0, "20.00"),
        (3, 1, "1.00"),
        (4, 30, "20.00"),
        (5, 31, "1.00"),
        (6, 60, "20.00"),
        (7, 61, "1.00"),
        (8, 90, "20.00"),
        (9, 91, "1.00"),
        (10, 4000, "20.00"),
        (11, -4000, "300.00"),
    ] {
        let due = today - TimeDelta::days(late);
        books.apply(Fact::InvoiceIssued(id(number), invoice(due, amount(residual))), now).unwrap();
    }
    let row = |books: &mut Books| {
        books.receivables.age(today);
        buckets(books.receivables.days.get(&today).unwrap())
    };
    let all = ["321.00", "21.00", "21.00", "21.00", "21.00", "405.00"];
    assert_eq!(row(&mut books), amounts(all));

    // Part paid: 5.00 of 20.00. Voided: one of 1.00. Paid in full: one of 20.00.
    books.apply(Fact::InvoicesReduced(vec![(id(4), amount("15.00"))]), now).unwrap();
    books.apply(Fact::InvoiceClosed(id(9)), now).unwrap();
    books.apply(Fact::InvoicesReduced(vec![(id(8), amount("0.00"))]), now).unwrap();
    books.apply(Fact::InvoiceClosed(id(8)), now).unwrap();
    let rest = ["321.00", "16.00", "21.00", "1.00", "20.00", "379.00"];
    assert_eq!(row(&mut books), amounts(rest));

    // The money for the one of 20.00 bounces, and a part of that for another.
    let again = |number, late, residual| {
        (id(number), invoice(today - TimeDelta::days(late), amount(residual)))
    };
    let bounced = vec![again(8, 90, "20.00"), again(4, 30, "19.00")];
    books.apply(Fact::InvoicesOwedAgain(bounced), now).unwrap();
    let owed_again = ["321.00", "20.00", "21.00", "21.00", "20.00", "403.00"];
    assert_eq!(row(&mut books), amounts(owed_again));
    let repaid = vec![(id(8), amount("0.00")), (id(4), amount("15.00"))];
    books.apply(Fact::InvoicesReduced(repaid), now).unwrap();
    assert_eq!(row(&mut books), amounts(rest));

    // A day later each is a day later.
    books.receivables.age(today + Days::new(1));
    let next = buckets(books.receivables.days.get(&(today + Days::new(1))).unwrap());
    assert_eq!(next, amounts(["301.00", "21.00", "16.00", "21.00", "20.00", "379.00"]));
}

#[test]
fn days_late_are_days_of_the_calendar_also_when_clocks_change() {
    let mut books = Books::new(LONDON);
    let issued = time("2026-09-01T12:00:00Z");
    let due = day("2026-09-25");
    books.apply(Fact::InvoiceIssued(id(1), invoice(due, amount("7.00"))), issued).unwrap();
    // On the day of 25 hours it is 30 days late, to its very end, and on the next 31.
    for (now, on, expected) in [
        ("2026-10-24T23:00:00Z", "2026-10-25", ["0", "7.00", "0", "0", "0", "7.00"]),
        ("2026-10-25T23:59:59Z", "2026-10-25", ["0", "7.00", "0", "0", "0", "7.00"]),
        ("2026-10-26T00:00:00Z", "2026-10-26", ["0", "0", "7.00", "0", "0", "7.00"]),
    ] {
        assert_eq!(LONDON.day_of(time(now)), day(on));
        books.receivables.age(day(on));
        let rows = books.receivables.days.rows();
        assert_eq!(rows.last_key_value().map(|(on, _)| *on), Some(day(on)));
        assert_eq!(buckets(&rows[&day(on)]), amounts(expected), "{now}");
    }
    let ends = books.receivables.days.rows()[&day("2026-10-25")].as_of;
    assert_eq!(ends, time("2026-10-25T23:59:59.999999Z"));
    let ends = books.receivables.days.rows()[&day("2026-10-24")].as_of;
    assert_eq!(ends, time("2026-10-24T22:59:59.999999Z"));
}

#[test]
fn a_day_turns_over_without_an_event_and_is_put_right_by_one_that_was_late_on_its_way() {
    let mut books = Books::new(LONDON);
    let (first, second) = (day("2026-11-25"), day("2026-11-26"));
    let issue = |books: &mut Books, number, at: &str| {
        let fact = Fact::InvoiceIssued(id(number), invoice(first, amount("1.00")));
        books.apply(fact, time(at)).unwrap();
    };
    let totals = |books: &Books| -> Vec<(NaiveDate, DateTime<Utc>, Amount)> {
        let rows = books.receivables.days.rows().iter();
        rows.map(|(day, row)| (*day, row.as_of, row.total())).collect()
    };
    let ends = time("2026-11-25T23:59:59.999999Z");
    issue(&mut books, 1, "2026-11-25T12:00:00Z");
    books.receivables.age(first);
    assert_eq!(totals(&books), [(first, time("2026-11-25T12:00:00Z"), amount("1.00"))]);

    books.receivables.age(second);
    let midnight = time("2026-11-26T00:00:00Z");
    let turned = [(first, ends, amount("1.00")), (second, midnight, amount("1.00"))];
    assert_eq!(totals(&books), turned);

    // Logged before midnight, arrived after: it is of its own day.
    issue(&mut books, 2, "2026-11-25T23:59:00Z");
    books.receivables.age(second);
    let mended = [(first, ends, amount("2.00")), (second, midnight, amount("2.00"))];
    assert_eq!(totals(&books), mended);

    // Once an event of the next day is logged, one of the day before counts there.
    issue(&mut books, 3, "2026-11-26T08:00:00Z");
    issue(&mut books, 4, "2026-11-25T23:59:59Z");
    books.receivables.age(second);
    let eight = time("2026-11-26T08:00:00Z");
    assert_eq!(totals(&books), [(first, ends, amount("2.00")), (second, eight, amount("4.00"))]);
}

#[test]
fn a_clock_of_ours_that_is_wrong_for_a_while_leaves_no_trace() {
    let mut books = Books::new(LONDON);
    let today = day("2026-11-25");
    let fact = Fact::InvoiceIssued(id(1), invoice(today, amount("1.00")));
    books.apply(fact, time("2026-11-25T12:00:00Z")).unwrap();
    books.receivables.age(today);
    let right = books.receivables.days.rows().clone();
    for wrong in ["1970-01-01", "2026-12-31", "2055-01-01", "9999-12-31"] {
        books.receivables.age(day(wrong));
        assert!(books.receivables.days.rows().len() <= 36_526);
        books.receivables.age(today);
        assert_eq!(books.receivables.days.rows(), &right, "{wrong}");
    }
}

#[test]
fn a_fact_that_contradicts_what_is_known_changes_nothing() {
    let mut books = Books::new(LONDON);
    let (today, now) = (day("2026-11-25"), time("2026-11-25T12:00:00Z"));
    let issue =
        |number, residual| Fact::InvoiceIssued(id(number), invoice(today, amount(residual)));
    books.apply(issue(1, "5.00"), now).unwrap();
    books.apply(issue(2, "0.00"), now).unwrap();
    books.receivables.age(today);
    let before = books.clone();
    let pay = |left: &[(u128, &str)]| {
        Fact::InvoicesReduced(left.iter().map(|(n, left)| (id(*n), amount(left))).collect())
    };
    let again = |owed: &[(u128, &str)]| {
        let owed = owed.iter().map(|(n, owed)| (id(*n), invoice(today, amount(owed))));
        Fact::InvoicesOwedAgain(owed.collect())
    };
    let later = time("2026-11-26T12:00:00Z");
    for (fact, why) in [
        (issue(1, "5.00"), Unsound::IssuedTwice(id(1))),
        (pay(&[(1, "4.00"), (3, "1.00")]), Unsound::NotOpen(id(3))),
        (pay(&[(2, "0.00")]), Unsound::NotOpen(id(2))),
        (pay(&[(1, "5.01")]), Unsound::OwedMore(id(1))),
        (pay(&[(1, "-0.01")]), Unsound::OwedMore(id(1))),
        (again(&[(3, "1.00"), (1, "5.00")]), Unsound::OwedLess(id(1))),
        (again(&[(2, "0.00")]), Unsound::OwedLess(id(2))),
    ] {
        assert_eq!(books.apply(fact, later), Err(why));
    }
    let far = time("2127-01-01T00:00:00Z");
    assert_eq!(books.apply(Fact::InvoiceClosed(id(1)), far), Err(Unsound::FarOff(far)));
    assert_eq!(books.receivables.invoices.rows(), before.receivables.invoices.rows());
    assert_eq!(books.receivables.days.rows(), before.receivables.days.rows());
    assert_eq!(books.receivables.until, before.receivables.until);
}

#[test]
fn as_many_events_are_set_aside_as_people_can_look_at() {
    let mut books = Books::new(LONDON);
    let event = SetAside {
        event_id: Uuid::nil(),
        event_type: "order.placed".to_owned(),
        subject: "one".to_owned(),
        event_time: time("2026-11-25T12:00:00Z"),
        reason: "it cannot be read".to_owned(),
    };
    for sequence in 1..=1000 {
        books.set_aside("orders", sequence, event.clone()).unwrap();
    }
    assert!(books.set_aside("orders", 1001, event).is_err());
    assert!(books.is_set_aside("orders", "one"));
    assert!(!books.is_set_aside("billing", "one") && !books.is_set_aside("orders", "two"));
}

/// What happens to receivables, some time after what happened before.
#[derive(Debug, Clone)]
enum Step {
    Issue {
        due_in_days: i64,
        hundredths: i64,
    },
    /// A part of the invoice with that number among those that are open.
    Pay {
        which: usize,
        percent: i64,
    },
    Close {
        which: usize,
    },
    /// The invoice with that number among all that were ever issued.
    OweAgain {
        which: usize,
        hundredths: i64,
    },
    /// Nothing but a look at the calendar.
    Look,
}

fn steps() -> impl Strategy<Value = Vec<(i64, Step)>> {
    let step = prop_oneof![
        4 => (-120_i64..60, 0_i64..10_000)
            .prop_map(|(due_in_days, hundredths)| Step::Issue { due_in_days, hundredths }),
        3 => (any::<usize>(), 0_i64..=100).prop_map(|(which, percent)| Step::Pay { which, percent }),
        2 => any::<usize>().prop_map(|which| Step::Close { which }),
        1 => (any::<usize>(), 1_i64..10_000)
            .prop_map(|(which, hundredths)| Step::OweAgain { which, hundredths }),
        2 => Just(Step::Look),
    ];
    // Minutes since the step before: mostly some hours, now and then backwards or some days.
    let pause = prop_oneof![6 => 0_i64..600, 1 => -120_i64..0, 1 => 0_i64..10_000];
    prop::collection::vec((pause, step), 1..80)
}

proptest! {
    /// Beside a model that keeps every event, and works every row out from all of them.
    #[test]
    fn rows_follow_from_the_log_whenever_they_are_looked_at(steps in steps()) {
        let mut books = Books::new(LONDON);
        let mut log: Vec<(DateTime<Utc>, BTreeMap<InvoiceId, OpenInvoice>)> = Vec::new();
        let mut now = time("2026-10-20T20:00:00Z");
        let mut open: BTreeMap<InvoiceId, OpenInvoice> = BTreeMap::new();
        let mut issued: BTreeMap<InvoiceId, NaiveDate> = BTreeMap::new();
        for (number, (pause, step)) in steps.into_iter().enumerate() {
            now += TimeDelta::minutes(pause);
            let one = |which: usize| {
                let index = which.checked_rem(open.len())?;
                open.iter().nth(index).map(|(id, invoice)| (*id, *invoice))
            };
            let fact = match step {
                Step::Issue { due_in_days, hundredths } => {
                    let due = LONDON.day_of(now) + TimeDelta::days(due_in_days);
                    let residual = Amount::from_hundredths(hundredths).unwrap();
                    let id = id(number as u128);
                    Some(Fact::InvoiceIssued(id, invoice_of(id, due, residual)))
                }
                Step::Pay { which, percent } => one(which).map(|(id, invoice)| {
                    let left = invoice.residual.hundredths() * percent / 100;
                    Fact::InvoicesReduced(vec![(id, Amount::from_hundredths(left).unwrap())])
                }),
                Step::OweAgain { which, hundredths } => {
                    let index = which.checked_rem(issued.len());
                    index.and_then(|index| issued.iter().nth(index)).map(|(id, due)| {
                        let owed = open.get(id).map_or(0, |invoice| invoice.residual.hundredths());
                        let residual = Amount::from_hundredths(owed + hundredths).unwrap();
                        Fact::InvoicesOwedAgain(vec![(*id, invoice_of(*id, *due, residual))])
                    })
                }
                Step::Close { which } => one(which).map(|(id, _)| Fact::InvoiceClosed(id)),
                Step::Look => None,
            };
            let Some(fact) = fact else {
                books.receivables.age(LONDON.day_of(now));
                continue;
            };
            books.apply(fact.clone(), now).unwrap();
            match fact {
                Fact::InvoiceIssued(id, invoice) => {
                    open.insert(id, invoice);
                    issued.insert(id, invoice.due_date);
                }
                Fact::InvoicesOwedAgain(owed) => open.extend(owed),
                Fact::InvoicesReduced(left) => left.into_iter().for_each(|(id, residual)| {
                    open.get_mut(&id).unwrap().residual = residual;
                }),
                Fact::InvoiceClosed(id) => { open.remove(&id); }
                _ => unreachable!(),
            }
            open.retain(|_, invoice| invoice.residual > Amount::ZERO);
            log.push((now, open.clone()));
        }
        prop_assert_eq!(books.receivables.invoices.rows(), &open);
        prop_assume!(!log.is_empty());
        let newest = log.iter().map(|(time, _)| *time).max().unwrap();
        let today = LONDON.day_of(now).max(LONDON.day_of(newest)) + Days::new(2);
        books.receivables.age(today);

        let first = LONDON.day_of(log[0].0);
        let days: BTreeSet<NaiveDate> =
            first.iter_days().take_while(|day| *day <= today).collect();
        let rows = books.receivables.days.rows();
        prop_assert!(rows.keys().eq(&days));
        let changes = books.receivables.changes.pending();
        prop_assert!(changes.keys().all(|(day, ..)| days.contains(day)));
        prop_assert!(changes.values().all(|more| *more != OwedMore::default()));
        for on in days {
            // Everything before the first event of a later day.
            let before = log.iter().take_while(|(time, _)| LONDON.day_of(*time) <= on);
            let owed = before.last().map(|(_, open)| open.clone()).unwrap_or_default();
            let late = |from: i64, to: i64| {
                let invoices = owed.values().map(|invoice| {
                    ((on - invoice.due_date).num_days(), invoice.residual.hundredths())
                });
                let some = invoices.filter(|(days, _)| (from..=to).contains(days));
                Amount::from_hundredths(some.map(|(_, owed)| owed).sum()).unwrap()
            };
            let all = late(i64::MIN, i64::MAX);
            let expected =
                [late(i64::MIN, 0), late(1, 30), late(31, 60), late(61, 90), late(91, i64::MAX), all];
            prop_assert_eq!(buckets(&rows[&on]), expected, "{}", on);
            prop_assert_eq!(LONDON.day_of(rows[&on].as_of), on);
            // By customer and due date, too.
            let mut debts: BTreeMap<(CustomerId, NaiveDate), i64> = BTreeMap::new();
            for invoice in owed.values() {
                let key = (invoice.customer_id, invoice.due_date);
                *debts.entry(key).or_default() += invoice.residual.hundredths();
            }
            let mut summed: BTreeMap<(CustomerId, NaiveDate), i64> = BTreeMap::new();
            for ((_, customer, due), more) in changes.iter().filter(|((day, ..), _)| *day <= on) {
                *summed.entry((*customer, *due)).or_default() += more.0.hundredths();
            }
            summed.retain(|_, owed| *owed != 0);
            prop_assert_eq!(summed, debts, "{}", on);
        }
    }

    #[test]
    fn sales_are_what_is_placed_less_what_is_cancelled(
        orders in prop::collection::vec((0_i64..500, 0_i64..100_000, any::<bool>()), 1..100),
    ) {
        // Over the beginning of summer time.
        let (start, days) = (time("2026-03-28T22:00:00Z"), BusinessDays(chrono_tz::Europe::London));
        let mut sales = Sales::default();
        let mut expected: BTreeMap<String, (i64, i32)> = BTreeMap::new();
        for (minutes, hundredths, stays) in orders.iter().copied() {
            let placed_at = start + TimeDelta::minutes(minutes);
            let amount = Amount::from_hundredths(hundredths).unwrap();
            sales.place(days.hour_of(placed_at), amount).unwrap();
            if stays {
                let hour = expected.entry(placed_at.format("%F %H:00").to_string()).or_default();
                *hour = (hour.0 + hundredths, hour.1 + 1);
            }
        }
        for (minutes, hundredths, _) in orders.into_iter().filter(|(.., stays)| !stays) {
            let hour = days.hour_of(start + TimeDelta::minutes(minutes));
            sales.cancel(hour, Amount::from_hundredths(hundredths).unwrap()).unwrap();
        }
        let rows = sales.hours.rows().iter().map(|(hour, row)| {
            (hour.format("%F %H:%M").to_string(), (row.total.hundredths(), row.order_count))
        });
        prop_assert_eq!(rows.collect::<BTreeMap<_, _>>(), expected);
    }
}

fn order(number: u128) -> OrderId {
    OrderId(Uuid::from_u128(number))
}

fn line(number: u128) -> ids::OrderItemId {
    ids::OrderItemId(Uuid::from_u128(number))
}

fn placed(number: u128, quantities: &[i32]) -> Fact {
    let lines = (1..).zip(quantities).map(|(number, quantity)| NewLine {
        line_id: line(number),
        sku: "one".to_owned(),
        quantity: *quantity,
        unit_price: amount("2.50"),
        tax_rate: None,
    });
    Fact::OrderPlaced {
        order: order(number),
        customer_id: CustomerId(Uuid::nil()),
        placed_at: time("2026-11-25T09:30:00Z"),
        total: amount("100.00"),
        lines: lines.collect(),
    }
}

/// Cancelled, shipped, returned, and the amount of each line.
fn lines_of(books: &Books) -> Vec<([i32; 3], Amount)> {
    let lines = books.orders.lines.rows().values();
    let moved =
        |line: &OrderLine| [line.cancelled_quantity, line.shipped_quantity, line.returned_quantity];
    lines.map(|line| (moved(line), line.amount())).collect()
}

#[test]
fn what_becomes_of_an_order_is_on_its_lines() {
    let mut books = Books::new(LONDON);
    let now = time("2026-11-25T12:00:00Z");
    let placed_at = time("2026-11-25T09:30:00Z");
    let (shipped, returned) = (
        |lines| Fact::OrderShipped { order: order(1), lines },
        |lines| Fact::OrderReturned { order: order(1), lines },
    );
    let reduced =
        |by, lines| Fact::OrderReduced { order: order(1), placed_at, by: amount(by), lines };
    books.apply(placed(1, &[4, 2]), now).unwrap();
    books.apply(shipped(vec![(line(1), 1), (line(2), 2)]), now).unwrap();
    books.apply(shipped(vec![(line(1), 1)]), now).unwrap();
    books.apply(reduced("2.50", vec![(line(1), 1)]), now).unwrap();
    books.apply(returned(vec![(line(2), 1)]), now).unwrap();
    let now_are = [([1, 2, 0], amount("7.50")), ([0, 2, 1], amount("5.00"))];
    assert_eq!(lines_of(&books), now_are);

    // More than there is, of a line that is not, of an order that is not: nothing changes, not the hour either.
    let more = Err(Unsound::MoreThanOrdered(order(1)));
    for (fact, refused) in [
        (shipped(vec![(line(1), 2)]), more.clone()),
        (shipped(vec![(line(1), 1), (line(2), 1)]), more.clone()),
        (shipped(vec![(line(1), -1)]), more.clone()),
        (returned(vec![(line(2), 1), (line(2), 1)]), more.clone()),
        (reduced("2.50", vec![(line(1), 2)]), more),
        (shipped(vec![(line(3), 1)]), Err(Unsound::NotPlaced(order(1)))),
        (
            Fact::OrderShipped { order: order(2), lines: vec![(line(1), 1)] },
            Err(Unsound::NotPlaced(order(2))),
        ),
        (reduced("99.00", vec![(line(1), 1)]), Err(Unsound::NotSold(time("2026-11-25T09:00:00Z")))),
    ] {
        assert_eq!(books.apply(fact, now), refused);
    }
    assert_eq!(lines_of(&books), now_are);
    assert_eq!(books.sales.hours.rows().values().next().unwrap().total, amount("97.50"));

    books
        .apply(Fact::OrderCancelled { order: order(1), placed_at, total: amount("97.50") }, now)
        .unwrap();
    assert!(books.orders.lines.rows().values().all(|line| line.cancelled));
    assert!(lines_of(&books).iter().all(|(_, amount)| *amount == Amount::ZERO));
}

#[test]
fn an_order_is_in_memory_whole_or_not_at_all() {
    let mut books = Books::new(LONDON);
    let now = time("2026-11-25T12:00:00Z");
    books.apply(placed(1, &[4, 2]), now).unwrap();
    books.apply(placed(2, &[4]), now).unwrap();
    assert_eq!(books.orders.lines.begin_write().len(), 3);
    // One of its lines changes while both are written.
    books.apply(Fact::OrderShipped { order: order(1), lines: vec![(line(1), 1)] }, now).unwrap();
    books.orders.written();
    assert!(!books.orders.lacks(order(1)) && books.orders.lacks(order(2)));
    assert_eq!(lines_of(&books).len(), 2);
    assert_eq!(books.orders.lines.begin_write().len(), 1);
    books.orders.written();
    assert!(books.orders.lacks(order(1)) && lines_of(&books).is_empty());
}

#[test]
fn stock_is_kept_for_each_day_on_which_it_changed() {
    let mut books = Books::new(LONDON);
    let mut set = |level, at: &str| {
        books.apply(stock("one", level, 0, 0), time(at)).unwrap();
        let days = books.stock.days.rows().iter();
        days.map(|((day, _), row)| (day.to_string(), row.0.on_hand)).collect::<Vec<_>>()
    };
    let are = |rows: &[(&str, i32)]| -> Vec<(String, i32)> {
        rows.iter().map(|(day, level)| ((*day).to_owned(), *level)).collect()
    };
    set(1, "2026-10-24T20:00:00Z");
    // Midnight in London is at 23:00 UTC.
    assert_eq!(set(2, "2026-10-24T22:59:59Z"), are(&[("2026-10-24", 2)]));
    let next = are(&[("2026-10-24", 2), ("2026-10-25", 3)]);
    assert_eq!(set(3, "2026-10-24T23:00:00Z"), next);
    // Logged behind an event of a later day: it is of that day.
    let late = are(&[("2026-10-24", 2), ("2026-10-25", 4)]);
    assert_eq!(set(4, "2026-10-24T22:00:00Z"), late);
    // Days without an event have no row.
    let later = are(&[("2026-10-24", 2), ("2026-10-25", 4), ("2026-11-03", 5)]);
    assert_eq!(set(5, "2026-11-03T09:00:00Z"), later);
}

#[test]
fn on_the_last_day_of_a_month_each_sku_has_a_row() {
    let mut books = Books::new(LONDON);
    let mut set = |sku: &str, level, at: &str| {
        books.apply(stock(sku, level, 0, 0), time(at)).unwrap();
        let days = books.stock.days.rows().iter();
        let row = |((day, sku), row): (&(NaiveDate, String), &LevelOfDay)| {
            format!("{day} {sku} {} since {}", row.0.on_hand, LONDON.day_of(row.0.at))
        };
        days.map(row).collect::<Vec<_>>()
    };
    set("one", 1, "2026-10-05T09:00:00Z");
    set("two", 2, "2026-10-07T09:00:00Z");
    // Nothing moved later in October. In London November begins at midnight UTC; so does the next of its days.
    let found = set("two", 3, "2026-11-01T00:00:00Z");
    let october = [
        "2026-10-05 one 1 since 2026-10-05",
        "2026-10-07 one 1 since 2026-10-05",
        "2026-10-07 two 2 since 2026-10-07",
    ];
    assert_eq!(found, [&october[..], &["2026-11-01 two 3 since 2026-11-01"]].concat());
    // Logged behind the first of November it counts there; and once a month is enough.
    set("six", 6, "2026-10-31T23:00:00Z");
    let found = set("six", 7, "2026-11-02T00:00:00Z");
    assert_eq!(
        found[3..],
        [
            "2026-11-01 six 6 since 2026-10-31",
            "2026-11-01 two 3 since 2026-11-01",
            "2026-11-02 six 7 since 2026-11-02"
        ]
    );
    // A year later, too.
    let found = set("one", 1, "2027-11-02T00:00:00Z");
    assert_eq!(found.len(), 9);
    assert_eq!(found[5], "2026-11-02 one 1 since 2026-10-05");
}

#[test]
fn a_journal_is_posted_whole_or_not_at_all() {
    let mut balance = TrialBalance::default();
    let on = day("2026-11-25");
    let debit = |text: &str| Posted { debit: amount(text), credit: Amount::ZERO };
    let lines = vec![("1100".to_owned(), debit("2.00")), ("1100".to_owned(), debit("3.00"))];
    balance.post(on, lines.clone()).unwrap();
    assert_eq!(balance.accounts.get(&(on, "1100".to_owned())), Some(&debit("5.00")));
    let most = Posted {
        debit: Amount::from_hundredths(999_999_999_999_999_999).unwrap(),
        ..debit("0.00")
    };
    let much = vec![
        ("1100".to_owned(), debit("1.00")),
        ("1200".to_owned(), most),
        ("1200".to_owned(), most),
    ];
    assert_eq!(balance.post(on, much), Err(Unsound::TooMuch));
    assert_eq!(balance.accounts.rows().len(), 1);
    balance.post(day("2026-11-26"), lines).unwrap();
    assert_eq!(balance.accounts.rows().len(), 2);
}

/// What was sold of one SKU, by business day and by month: pieces and lines.
fn sold(books: &Books) -> Vec<(String, i64, i32)> {
    let by_sku = &books.orders.by_sku;
    let row = |day: NaiveDate, of: &str, row: SkuSales| {
        (format!("{of} {day}"), row.quantity, row.line_count)
    };
    let days = by_sku.days.pending().into_iter().map(|((day, _), of)| row(day, "day", of.0));
    let months = by_sku.months.pending().into_iter().map(|((day, _), of)| row(day, "month", of.0));
    days.chain(months).collect()
}

#[test]
fn what_is_sold_counts_into_the_days_and_months_of_the_business() {
    let mut books = Books::new(LONDON);
    // Each side of a midnight of UTC that is none there, of one that is, and of both nights on which clocks change.
    for (order, placed_at) in [
        (1, "2026-10-31T23:59:59.999999Z"),
        (2, "2026-11-01T00:00:00Z"),
        (3, "2026-06-30T22:59:59.999999Z"),
        (4, "2026-06-30T23:00:00Z"),
        (5, "2026-07-01T00:00:00Z"),
        (6, "2026-10-24T22:59:59Z"),
        (7, "2026-10-24T23:00:00Z"),
        (8, "2026-10-25T23:59:59Z"),
        (9, "2026-03-29T00:30:00Z"),
        (10, "2026-03-29T23:30:00Z"),
    ] {
        place_one(&mut books, order, 1, time(placed_at));
    }
    let expected = [
        ("day 2026-03-29", 1),
        ("day 2026-03-30", 1),
        ("day 2026-06-30", 1),
        ("day 2026-07-01", 2),
        ("day 2026-10-24", 1),
        ("day 2026-10-25", 2),
        ("day 2026-10-31", 1),
        ("day 2026-11-01", 1),
        ("month 2026-03-01", 2),
        ("month 2026-06-01", 1),
        ("month 2026-07-01", 2),
        ("month 2026-10-01", 4),
        ("month 2026-11-01", 1),
    ];
    let expected = expected.map(|(of, count)| (of.to_owned(), i64::from(count), count));
    assert_eq!(sold(&books), expected);
}

/// An order of one line.
fn place_one(books: &mut Books, order: u128, quantity: i32, placed_at: DateTime<Utc>) {
    let line = NewLine {
        line_id: OrderItemId(Uuid::from_u128(1)),
        sku: "one".to_owned(),
        quantity,
        unit_price: amount("1.00"),
        tax_rate: None,
    };
    let placed = Fact::OrderPlaced {
        order: OrderId(Uuid::from_u128(order)),
        customer_id: CustomerId(Uuid::nil()),
        placed_at,
        total: amount("1.00"),
        lines: vec![line],
    };
    books.apply(placed, placed_at).unwrap();
}

#[test]
fn what_becomes_of_a_line_changes_its_sums_and_what_is_unsound_does_not() {
    let mut books = Books::new(LONDON);
    let (placed_at, later) = (time("2026-10-01T12:00:00Z"), time("2026-11-05T12:00:00Z"));
    let (order, other) = (OrderId(Uuid::from_u128(1)), OrderId(Uuid::from_u128(2)));
    place_one(&mut books, 1, 5, placed_at);
    let moved = |quantity| vec![(OrderItemId(Uuid::from_u128(1)), quantity)];
    let by = amount("0.00");
    let reduced =
        |order, quantity| Fact::OrderReduced { order, placed_at, by, lines: moved(quantity) };
    let sums = |books: &Books| {
        let days = books.orders.by_sku.days.pending();
        let of = |row: &SkuSales| {
            (
                row.quantity,
                row.shipped_quantity,
                row.returned_quantity,
                row.amount.hundredths(),
                row.line_count,
            )
        };
        days.iter().map(|((day, _), row)| (day.to_string(), of(&row.0))).collect::<Vec<_>>()
    };
    let on = |sums| vec![("2026-10-01".to_owned(), sums)];
    assert_eq!(sums(&books), on((5, 0, 0, 500, 1)));
    books.apply(Fact::OrderShipped { order, lines: moved(3) }, later).unwrap();
    books.apply(Fact::OrderReturned { order, lines: moved(1) }, later).unwrap();
    books.apply(reduced(order, 1), later).unwrap();
    assert_eq!(sums(&books), on((4, 3, 1, 400, 1)));
    for unsound in [
        reduced(order, 2),
        reduced(other, 1),
        Fact::OrderShipped { order, lines: moved(2) },
        Fact::OrderReturned { order, lines: [moved(1), moved(2)].concat() },
        Fact::OrderReduced { order, placed_at, by: amount("2.00"), lines: moved(1) },
        Fact::OrderCancelled { order, placed_at: later, total: amount("1.00") },
    ] {
        assert!(books.apply(unsound.clone(), later).is_err(), "{unsound:?}");
    }
    assert_eq!(sums(&books), on((4, 3, 1, 400, 1)));
    // It is written and forgotten, and all of it is taken back later.
    books.orders.by_sku.days.begin_write();
    books.orders.by_sku.days.written(true);
    books.apply(Fact::OrderCancelled { order, placed_at, total: amount("1.00") }, later).unwrap();
    assert_eq!(sums(&books), on((-4, 0, 0, -400, -1)));
}
