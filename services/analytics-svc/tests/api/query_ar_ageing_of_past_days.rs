//! What each customer owed at the end of any day, worked out here from what was owed by whom, and in the service from what changed.

use std::collections::BTreeMap;

use chrono::{Days, NaiveDate};
use manifest::{
    Materialized,
    tables::{AR_AGEING, OPEN_INVOICES, RECEIVABLES_BY_DAY},
};
use proto::analytics::v1::{
    CustomerAgeing, GetArAgeingRequest, QueryArAgeingByCustomerRequest as Query,
    QueryArAgeingByCustomerResponse,
};
use testkit::{Dice, refusal};
use tonic::{Code, Status};
use uuid::Uuid;

use crate::{
    app::{App, amount},
    rows::{Column, ids},
};

/// A customer, a due date, and how much of that is owed, in hundredths.
type Debts = BTreeMap<(u128, NaiveDate), i64>;

/// What was owed at the end of each day from the first on.
struct History {
    first: NaiveDate,
    ends: Vec<Debts>,
    dice: Dice,
}

/// A row of `receivables_by_day`.
type Change = (NaiveDate, (u128, NaiveDate), i64);

impl History {
    /// At random; on some days nothing happens.
    fn new(seed: u64, day_count: usize) -> Self {
        let (dice, first) = (Dice::new(seed), "2026-05-01".parse().unwrap());
        let (mut debts, mut ends) = (Debts::new(), Vec::new());
        for day in NaiveDate::iter_days(&first).take(day_count) {
            for _ in 0..dice.roll(6) {
                if dice.roll(3) > 0 {
                    let due = day + Days::new(40) - Days::new(dice.roll(140));
                    let key = (1 + dice.roll(7_u128), due);
                    *debts.entry(key).or_default() += 1 + dice.roll(9999_i64);
                } else if let Some(key) = dice.take(&mut debts.keys().copied().collect()) {
                    let owed = debts[&key];
                    debts.insert(key, if dice.roll(2) == 0 { 0 } else { dice.roll(owed + 1) });
                }
            }
            debts.retain(|_, owed| *owed > 0);
            ends.push(debts.clone());
        }
        Self { first, ends, dice }
    }

    fn days(&self) -> impl Iterator<Item = (NaiveDate, &Debts)> {
        self.first.iter_days().zip(&self.ends)
    }

    fn changes(&self) -> Vec<Change> {
        let (mut changes, mut before) = (Vec::new(), &Debts::new());
        for (day, debts) in self.days() {
            let mut more = debts.clone();
            before.iter().for_each(|(key, owed)| *more.entry(*key).or_default() -= owed);
            let more = more.into_iter().filter(|(_, more)| *more != 0);
            changes.extend(more.map(|(key, more)| (day, key, more)));
            before = debts;
        }
        changes
    }

    /// As olap-consumer would have it: so many changes a file, and a part of some of them in a small file of its own.
    fn publish(&self, app: &App, rows_of_file: usize, has_ranges: bool) {
        let (mut sorted, mut small) = (self.changes(), Vec::new());
        for (day, key, more) in &mut sorted {
            if self.dice.roll(5) == 0 {
                let part = self.dice.roll(1000_i64);
                *more -= part;
                small.push((*day, *key, part));
            }
        }
        let files = sorted.chunks(rows_of_file).chain([small.as_slice()]);
        let files = files.filter(|rows| !rows.is_empty());
        let mut files: Vec<_> = files.map(|rows| changed(app, rows, has_ranges)).collect();
        let open: Vec<_> = self.ends.last().unwrap().iter().collect();
        if !open.is_empty() {
            let columns = vec![
                ids(&(100..).take(open.len()).collect::<Vec<_>>()),
                ids(&open.iter().map(|((customer, _), _)| *customer).collect::<Vec<_>>()),
                dates(open.iter().map(|((_, due), _)| *due)),
                Column::Long(open.iter().map(|(_, owed)| **owed).collect()),
            ];
            files.push(app.olap.rows(OPEN_INVOICES, columns));
        }
        files.push(self.ageing(app));
        app.olap.publish(3, files);
    }

    /// A row a day, at noon.
    fn ageing(&self, app: &App) -> Materialized {
        let days: Vec<_> = self.days().map(|(day, debts)| (day, buckets(day, debts))).collect();
        let bucket = |at: usize| Column::Long(days.iter().map(|(_, owed)| owed[at]).collect());
        let noon =
            |day: &NaiveDate| day.and_hms_opt(12, 0, 0).unwrap().and_utc().timestamp_micros();
        let as_of = Column::Long(days.iter().map(|(day, _)| noon(day)).collect());
        let columns = vec![bucket(1), bucket(2), bucket(3), bucket(5), as_of, bucket(0), bucket(4)];
        app.olap.rows(AR_AGEING, columns)
    }

    /// Each customer's six amounts.
    fn owed_by_each(&self, day: NaiveDate) -> Vec<(u128, [i64; 6])> {
        let debts = self.days().find(|(on, _)| *on == day).unwrap().1;
        let mut each: BTreeMap<u128, Debts> = BTreeMap::new();
        for (key, owed) in debts {
            each.entry(key.0).or_default().insert(*key, *owed);
        }
        each.into_iter().map(|(customer, debts)| (customer, buckets(day, &debts))).collect()
    }
}

/// Current, 30, 60, 90, over 90, and the total.
fn buckets(day: NaiveDate, debts: &Debts) -> [i64; 6] {
    let mut buckets = [0; 6];
    for ((_, due), owed) in debts {
        let bucket = match (day - *due).num_days() {
            ..=0 => 0,
            1..=30 => 1,
            31..=60 => 2,
            61..=90 => 3,
            91.. => 4,
        };
        buckets[bucket] += owed;
        buckets[5] += owed;
    }
    buckets
}

fn dates(days: impl Iterator<Item = NaiveDate>) -> Column {
    Column::Int(days.map(|day| day.to_epoch_days()).collect())
}

fn changed(app: &App, rows: &[Change], has_range: bool) -> Materialized {
    let columns = vec![
        dates(rows.iter().map(|(day, ..)| *day)),
        ids(&rows.iter().map(|(_, (customer, _), _)| *customer).collect::<Vec<_>>()),
        dates(rows.iter().map(|(_, (_, due), _)| *due)),
        Column::Long(rows.iter().map(|(.., more)| *more).collect()),
    ];
    let range = (rows[0].0.to_string(), rows[rows.len() - 1].0.to_string());
    let range = has_range.then_some(range);
    Materialized { range, ..app.olap.rows(RECEIVABLES_BY_DAY, columns) }
}

async fn ask(app: &App, query: Query) -> Result<QueryArAgeingByCustomerResponse, Status> {
    Ok(app.client.clone().query_ar_ageing_by_customer(query).await?.into_inner())
}

fn on(day: NaiveDate) -> Query {
    Query { as_of_date: day.to_string(), ..Query::default() }
}

fn hundredths(amounts: [&Option<proto::common::v1::Money>; 6]) -> [i64; 6] {
    amounts.map(|money| amount(money.as_ref()).replace('.', "").parse().unwrap())
}

fn shown(customer: &CustomerAgeing) -> (u128, [i64; 6]) {
    let CustomerAgeing {
        current, bucket_30, bucket_60, bucket_90, bucket_over_90, total_ar, ..
    } = customer;
    let owed = [current, bucket_30, bucket_60, bucket_90, bucket_over_90, total_ar];
    (Uuid::parse_str(&customer.customer_id).unwrap().as_u128(), hundredths(owed))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_customers_owed_on_any_day_sums_to_what_was_owed() {
    for (seed, rows_of_file, has_ranges) in [(1, 9, true), (2, 40, true), (3, 20, false)] {
        let (app, mut history) = (App::start().await, History::new(seed, 70));
        if seed == 2 {
            // In the end all is paid: nothing is open that a day could be worked out from.
            history.ends.push(Debts::new());
        }
        history.publish(&app, rows_of_file, has_ranges);
        let mut owing = 0;
        for (day, _) in history.days() {
            let expected = history.owed_by_each(day);
            let answer = ask(&app, on(day)).await.unwrap();
            assert_eq!(answer.as_of_date, day.to_string());
            let found: Vec<_> = answer.customers.iter().map(shown).collect();
            assert_eq!(found, expected, "{day}");
            owing += found.len();

            let as_of_date = day.to_string();
            let whole = GetArAgeingRequest { as_of_date, ..GetArAgeingRequest::default() };
            let whole = app.ageing(whole).await.unwrap();
            let mut sum = [0; 6];
            for (_, owed) in found {
                sum.iter_mut().zip(owed).for_each(|(sum, owed)| *sum += owed);
            }
            let whole = [
                &whole.current,
                &whole.bucket_30,
                &whole.bucket_60,
                &whole.bucket_90,
                &whole.bucket_over_90,
                &whole.total_ar,
            ];
            assert_eq!(hundredths(whole), sum, "{day}");
        }
        assert!(owing > 150, "{owing}");
        // Now is the newest day.
        let newest = history.days().last().unwrap().0;
        let (now, then) = (ask(&app, Query::default()).await.unwrap(), ask(&app, on(newest)).await);
        assert_eq!((now.as_of_date, now.customers), (newest.to_string(), then.unwrap().customers));
    }
}

#[tokio::test]
async fn a_past_day_is_paged_and_one_customer_may_be_asked_for() {
    let (app, history) = (App::start().await, History::new(4, 40));
    history.publish(&app, 15, true);
    let day = history.first + Days::new(30);
    let all = ask(&app, on(day)).await.unwrap().customers;
    assert!(all.len() > 4, "{}", all.len());
    let mut page = Query { page_size: 2, ..on(day) };
    let mut found = Vec::new();
    loop {
        let answer = ask(&app, page.clone()).await.unwrap();
        found.extend(answer.customers);
        if answer.next_page_token.is_empty() {
            break;
        }
        page.page_token = answer.next_page_token;
    }
    assert_eq!(found, all);
    let other_day = Query { as_of_date: (day + Days::new(1)).to_string(), ..page.clone() };
    refusal(ask(&app, other_day).await).names(&["page_token"]);
    let customer_id = all[0].customer_id.clone();
    let other_customer = Query { customer_id: customer_id.clone(), ..page };
    refusal(ask(&app, other_customer).await).names(&["page_token"]);

    for customer in &all {
        let one = Query { customer_id: customer.customer_id.clone(), ..on(day) };
        assert_eq!(ask(&app, one).await.unwrap().customers, std::slice::from_ref(customer));
    }
    let now = ask(&app, Query { customer_id, ..Query::default() }).await.unwrap();
    assert_eq!(now.customers.len(), 1);
    let nobody = Query { customer_id: Uuid::from_u128(99).to_string(), ..on(day) };
    assert_eq!(ask(&app, nobody).await.unwrap().customers, []);
    let bad = Query { as_of_date: "yesterday".into(), customer_id: "me".into(), ..on(day) };
    refusal(ask(&app, bad).await).names(&["as_of_date", "customer_id"]);
}

#[tokio::test]
async fn a_day_of_which_nothing_is_known_is_not_found() {
    let (app, history) = (App::start().await, History::new(5, 10));
    history.publish(&app, 15, true);
    for day in [history.first - Days::new(1), history.first + Days::new(10)] {
        refusal(ask(&app, on(day)).await).is(Code::NotFound, "AGEING_NOT_FOUND");
    }
    // As it was before changes were kept.
    app.olap.publish(4, vec![history.ageing(&app)]);
    refusal(ask(&app, on(history.first + Days::new(9))).await)
        .is(Code::Unavailable, "COUNTED_ANEW");
    // Nobody ever owed anything.
    let nothing = History { ends: vec![Debts::new(); 3], ..history };
    nothing.publish(&app, 15, true);
    assert_eq!(ask(&app, on(nothing.first)).await.unwrap().customers, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_very_many_customers_takes_little_memory() {
    const CUSTOMERS: usize = 400_000;
    let app = App::start().await;
    let due: NaiveDate = "2026-05-01".parse().unwrap();
    let first = due;
    // In an order of their own, as hashes are.
    let scattered =
        (1..=CUSTOMERS as u128).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835));
    let customers: Vec<u128> = scattered.collect();
    let owing: Vec<Change> =
        customers.iter().map(|customer| (first, (*customer, due), 100)).collect();
    let open = vec![
        ids(&(1..=CUSTOMERS as u128).collect::<Vec<_>>()),
        ids(&customers),
        dates(customers.iter().map(|_| due)),
        Column::Long(vec![100; CUSTOMERS]),
    ];
    let total = i64::try_from(CUSTOMERS).unwrap() * 100;
    let debts: Debts = [((1, due), total)].into();
    let history = History { first, ends: vec![debts.clone(), debts], dice: Dice::new(1) };
    let files =
        vec![changed(&app, &owing, true), app.olap.rows(OPEN_INVOICES, open), history.ageing(&app)];
    app.olap.publish(3, files);
    let mut sorted = customers;
    sorted.sort_unstable();
    for (query, late) in [(Query::default(), 1), (on(first), 0)] {
        let answer = ask(&app, query.clone()).await.unwrap();
        assert_eq!(answer.customers.len(), 1000);
        let mut owed = [0; 6];
        (owed[late], owed[5]) = (100, 100);
        for (customer, expected) in answer.customers.iter().zip(&sorted) {
            assert_eq!(shown(customer), (*expected, owed));
        }
        let page_token = answer.next_page_token;
        let behind = ask(&app, Query { page_token, ..query }).await.unwrap();
        assert_eq!(shown(&behind.customers[0]).0, sorted[1000]);
    }
}
