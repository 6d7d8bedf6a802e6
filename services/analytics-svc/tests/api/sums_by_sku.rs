//! Sales by SKU from the sums of days and months say what the lines themselves say: random lines, about the nights on which the clocks change
//! and the ends of months, asked about random days. The lines are asked by SQL.

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike, Days, NaiveDate, TimeDelta, Utc};
use chrono_tz::Tz;
use duckdb::{Connection, params};
use manifest::{
    Materialized,
    tables::{ORDER_FACTS, SALES_BY_SKU_DAY, SALES_BY_SKU_MONTH, Table},
};
use proptest::{
    prelude::*,
    sample::select,
    strategy::ValueTree,
    test_runner::{Config, TestRunner},
};
use proto::analytics::v1 as pb;

use crate::{
    app::{App, amount},
    rows::{Column, ids},
};

const SKUS: [&str; 6] = ["CUP", "JAR", "MUG", "POT", "TEA/1.5", "mug"];
const LINES: usize = 900;
const QUESTIONS: usize = 40;
/// Rows of a file of sums.
const ROWS: usize = 50;

#[derive(Debug, Clone, Copy)]
struct Line {
    placed_at: DateTime<Utc>,
    sku: &'static str,
    ordered: i32,
    cancelled: i32,
    shipped: i32,
    returned: i32,
    price: i64,
}

/// Ordered and kept, shipped, returned, amount in pence, lines.
type Sums = [i64; 5];

impl Line {
    fn sums(&self) -> Sums {
        let kept = i64::from(self.ordered - self.cancelled);
        let rest = [self.shipped, self.returned].map(i64::from);
        [kept, rest[0], rest[1], kept * self.price, i64::from(kept > 0)]
    }
}

fn line() -> impl Strategy<Value = Line> {
    // Midnights and hours that come twice or never, in London and in Auckland; and any other time.
    let near = select(vec![
        "2026-03-29T00:00:00Z",
        "2026-03-31T23:00:00Z",
        "2026-04-04T14:00:00Z",
        "2026-09-26T14:00:00Z",
        "2026-09-30T11:00:00Z",
        "2026-10-25T00:00:00Z",
        "2026-10-31T11:00:00Z",
        "2026-11-01T00:00:00Z",
    ]);
    let near = (near, -3_i64..=3, select(vec![-1_i64, 0, 1, 1_800_000_000]));
    let near = near.prop_map(|(at, hours, micros)| {
        at.parse::<DateTime<Utc>>().unwrap()
            + TimeDelta::hours(hours)
            + TimeDelta::microseconds(micros)
    });
    let any = (0_i64..300 * 86_400).prop_map(|seconds| {
        "2026-02-03T00:00:00Z".parse::<DateTime<Utc>>().unwrap() + TimeDelta::seconds(seconds)
    });
    let placed_at = prop_oneof![near, any];
    (placed_at, select(SKUS.to_vec()), 1..=9_i32, 0..=9_i32, 0..=9_i32, 1..=5_000_i64).prop_map(
        |(placed_at, sku, ordered, cancelled, shipped, price)| {
            let cancelled = cancelled.min(ordered);
            let shipped = shipped.min(ordered - cancelled);
            Line { placed_at, sku, ordered, cancelled, shipped, returned: shipped / 3, price }
        },
    )
}

fn facts(app: &App, lines: &[Line]) -> Materialized {
    let each: Vec<u128> = (1..=lines.len() as u128).collect();
    let int = |of: fn(&Line) -> i32| Column::Int(lines.iter().map(of).collect());
    let long = |of: fn(&Line) -> i64| Column::Long(lines.iter().map(of).collect());
    app.olap.rows(
        ORDER_FACTS,
        vec![
            ids(&each),
            ids(&each),
            ids(&each),
            Column::Text(lines.iter().map(|line| line.sku).collect()),
            int(|line| line.ordered),
            int(|line| line.cancelled),
            int(|line| line.shipped),
            int(|line| line.returned),
            long(|line| line.price),
            Column::Rates(vec![None; lines.len()]),
            long(|line| line.sums()[3]),
            long(|line| line.placed_at.timestamp_micros()),
            Column::Flag(lines.iter().map(|line| line.ordered == line.cancelled).collect()),
        ],
    )
}

/// A table of sums as olap-consumer keeps it: most in files that do not overlap, some beside in another one, which may take away.
fn sums(
    app: &App,
    table: Table,
    lines: &[Line],
    key: impl Fn(&Line) -> NaiveDate,
) -> Vec<Materialized> {
    let (mut whole, mut beside) = (BTreeMap::new(), BTreeMap::new());
    for (at, line) in lines.iter().enumerate() {
        let key = (key(line), line.sku);
        let add = |to: &mut BTreeMap<_, Sums>, sign: i64| {
            let row = to.entry(key).or_default();
            row.iter_mut().zip(line.sums()).for_each(|(sum, of)| *sum += sign * of);
        };
        // Every tenth line came late, and what came twice is taken back.
        add(if at % 10 == 0 { &mut beside } else { &mut whole }, 1);
        if at % 17 == 0 {
            add(&mut whole, 1);
            add(&mut beside, -1);
        }
    }
    let write = |rows: &[((NaiveDate, &'static str), Sums)]| {
        let long = |at: usize| Column::Long(rows.iter().map(|(_, sums)| sums[at]).collect());
        let lines = rows.iter().map(|(_, sums)| i32::try_from(sums[4]).unwrap());
        let columns = vec![
            Column::Int(rows.iter().map(|((day, _), _)| day.to_epoch_days()).collect()),
            Column::Text(rows.iter().map(|((_, sku), _)| *sku).collect()),
            long(0),
            long(1),
            long(2),
            long(3),
            Column::Int(lines.collect()),
        ];
        let (first, last) = (rows[0].0.0.to_string(), rows[rows.len() - 1].0.0.to_string());
        Materialized { range: Some((first, last)), ..app.olap.rows(table, columns) }
    };
    let whole: Vec<_> = whole.into_iter().collect();
    let beside: Vec<_> = beside.into_iter().collect();
    whole.chunks(ROWS).chain([beside.as_slice()]).map(write).collect()
}

/// As `sku kept shipped returned amount lines`.
fn shown(skus: &[pb::SkuSales]) -> Vec<String> {
    let skus = skus.iter().map(|of| {
        let sold = amount(of.total_amount.as_ref());
        let (kept, shipped, returned) = (of.quantity, of.shipped_quantity, of.returned_quantity);
        format!("{} {kept} {shipped} {returned} {sold} {}", of.sku, of.line_count)
    });
    skus.collect()
}

/// The same from the lines.
fn counted(
    db: &Connection,
    zone: Tz,
    (first, last): (NaiveDate, NaiveDate),
    order: &str,
) -> Vec<String> {
    let mut statement = db
        .prepare(&format!(
            "select concat_ws(' ', sku, kept, sum(shipped_quantity), sum(returned_quantity), sum(amount),
                    count(*) filter (where quantity > cancelled_quantity))
             from (select *, sum(quantity - cancelled_quantity) over (partition by sku) as kept from facts
                   where (placed_at at time zone $1)::date between $2::varchar::date and $3::varchar::date)
             group by sku, kept having kept > 0 order by {order}"
        ))
        .unwrap();
    let days = [first, last].map(|day| day.to_string());
    let rows = statement.query_map(params![zone.name(), days[0], days[1]], |row| row.get(0));
    rows.unwrap().collect::<Result<_, _>>().unwrap()
}

async fn all_pages(app: &App, days: &[String; 2]) -> Vec<String> {
    let mut query = pb::QuerySalesBySkuRequest {
        start_date: days[0].clone(),
        end_date: days[1].clone(),
        page_size: 4,
        ..Default::default()
    };
    let mut skus = Vec::new();
    loop {
        let page = app.client.clone().query_sales_by_sku(query.clone()).await.unwrap().into_inner();
        skus.extend(shown(&page.skus));
        query.page_token = page.next_page_token;
        if query.page_token.is_empty() {
            return skus;
        }
    }
}

async fn top(app: &App, days: &[String; 2], rank: pb::Rank) -> Vec<String> {
    let query = pb::GetTopProductsRequest {
        start_date: days[0].clone(),
        end_date: days[1].clone(),
        rank: rank.into(),
        ..Default::default()
    };
    shown(&app.client.clone().get_top_products(query).await.unwrap().into_inner().skus)
}

async fn sums_say_what_lines_say(zone: Tz) {
    let mut runner = TestRunner::new(Config::default());
    let lines = prop::collection::vec(line(), LINES).new_tree(&mut runner).unwrap().current();
    let app = App::start_with(&["--time-zone", zone.name()]).await;
    let day = |line: &Line| line.placed_at.with_timezone(&zone).date_naive();
    let by_day = sums(&app, SALES_BY_SKU_DAY, &lines, day);
    let by_month = sums(&app, SALES_BY_SKU_MONTH, &lines, |line| day(line).with_day(1).unwrap());
    app.olap.publish(1, [by_day, by_month].concat());

    let facts = facts(&app, &lines);
    let path = app.olap.folder.join(&facts.path).display().to_string().replace('\'', "''");
    let db = Connection::open_in_memory().unwrap();
    db.execute_batch(&format!("create table facts as from read_parquet('{path}')")).unwrap();

    let first = "2026-01-20".parse::<NaiveDate>().unwrap();
    let spans = (0_u64..330, prop_oneof![0_u64..40, 0_u64..330]);
    for turn in 0..QUESTIONS {
        let (start, length) = spans.new_tree(&mut runner).unwrap().current();
        let span = (first + Days::new(start), first + Days::new(start + length));
        let mut days = [span.0, span.1].map(|day| day.to_string());
        // One that is not said goes as far as there are lines.
        let from = if turn % 5 == 1 {
            std::mem::take(&mut days[0]);
            first
        } else {
            span.0
        };
        let until = if turn % 5 == 2 {
            std::mem::take(&mut days[1]);
            first + Days::new(900)
        } else {
            span.1
        };
        let wanted = counted(&db, zone, (from, until), "sku");
        assert_eq!(all_pages(&app, &days).await, wanted, "{days:?} {lines:?}");
        let best = counted(&db, zone, (from, until), "sum(amount) desc, sku");
        assert_eq!(top(&app, &days, pb::Rank::Amount).await, best, "{days:?} {lines:?}");
        let most = counted(&db, zone, (from, until), "kept desc, sku");
        assert_eq!(top(&app, &days, pb::Rank::Quantity).await, most, "{days:?} {lines:?}");
    }

    // What an older olap-consumer wrote has the lines only.
    app.olap.publish(2, vec![facts]);
    let all = [String::new(), String::new()];
    let wanted = counted(&db, zone, (first, first + Days::new(900)), "sku");
    assert!(wanted.len() == SKUS.len());
    assert_eq!(all_pages(&app, &all).await, wanted);
    let days = ["2026-03-29".to_owned(), "2026-04-05".to_owned()];
    let span = (days[0].parse().unwrap(), days[1].parse().unwrap());
    assert_eq!(all_pages(&app, &days).await, counted(&db, zone, span, "sku"));
}

#[tokio::test]
async fn sums_by_sku_say_what_the_lines_say_in_london() {
    sums_say_what_lines_say(chrono_tz::Europe::London).await;
}

#[tokio::test]
async fn sums_by_sku_say_what_the_lines_say_in_auckland() {
    sums_say_what_lines_say(chrono_tz::Pacific::Auckland).await;
}
