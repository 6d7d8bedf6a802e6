//! What the folder must hold, worked out from the logs in Postgres by other means than the consumer's: every event is looked at again
//! for every value.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Days, NaiveDate, NaiveTime, SecondsFormat, TimeDelta, TimeZone, Utc};
use manifest::Manifest;
use serde_json::Value;
use sqlx::AssertSqlSafe;

use crate::{
    folder::{Tables, amount},
    shop::Shop,
};

const LONDON: chrono_tz::Tz = chrono_tz::Europe::London;

struct Logged {
    event_type: String,
    time: DateTime<Utc>,
    data: Value,
}

/// The tables at the positions of a manifest, on the day on which it was written.
pub(crate) async fn tables(shop: &Shop, manifest: &Manifest) -> Tables {
    let up_to = |source: &str| manifest.positions.get(source).map_or(0, |at| at.log_id);
    let orders = logged(shop, "orders", up_to("orders")).await;
    let inventory = logged(shop, "inventory", up_to("inventory")).await;
    let billing = logged(shop, "billing", up_to("billing")).await;
    let (open, customers) = open_invoices(&billing);
    let open_lines = open
        .iter()
        .map(|(id, (due, owed))| format!("{id}|{}|{due}|{}", customers[id], amount(*owed)));
    let tables = [
        ("sales_by_hour", sales(&orders)),
        ("stock_snapshot", stock(&inventory)),
        ("open_invoices", open_lines.collect()),
        ("ar_ageing", ageing(&billing, day_of(manifest.written_at))),
    ];
    let there = tables.into_iter().filter(|(_, lines)| !lines.is_empty());
    there
        .map(|(table, mut lines)| {
            lines.sort();
            (table.to_owned(), lines)
        })
        .collect()
}

async fn logged(shop: &Shop, source: &str, up_to: i64) -> Vec<Logged> {
    let statement =
        format!("select event_type, payload from {source}.events_log where id <= $1 order by id");
    let rows: Vec<(String, Value)> =
        sqlx::query_as(AssertSqlSafe(statement)).bind(up_to).fetch_all(&shop.admin).await.unwrap();
    let logged = |(event_type, mut payload): (String, Value)| Logged {
        event_type,
        time: payload["time"].as_str().unwrap().parse().unwrap(),
        data: payload["data"].take(),
    };
    rows.into_iter().map(logged).collect()
}

fn sales(log: &[Logged]) -> Vec<String> {
    let mut hours: BTreeMap<String, (i64, i64)> = BTreeMap::new();
    for event in log {
        let (orders, worth) = match event.event_type.as_str() {
            "order.placed" => (1, hundredths(&event.data["total"])),
            "order.cancelled" if event.data["placeTime"].is_string() => {
                (-1, -hundredths(&event.data["total"]))
            }
            "order.part_cancelled" => (0, -hundredths(&event.data["amount"])),
            _ => continue,
        };
        let placed: DateTime<Utc> = event.data["placeTime"].as_str().unwrap().parse().unwrap();
        let hour = hours.entry(placed.format("%Y-%m-%dT%H:00:00.000000Z").to_string()).or_default();
        hour.0 += worth;
        hour.1 += orders;
    }
    let hours = hours.into_iter().filter(|(_, (_, count))| *count != 0);
    hours.map(|(hour, (total, count))| format!("{hour}|{}|{count}", amount(total))).collect()
}

fn stock(log: &[Logged]) -> Vec<String> {
    let mut levels: BTreeMap<&str, String> = BTreeMap::new();
    for event in log {
        let time = event.time.to_rfc3339_opts(SecondsFormat::Micros, true);
        if event.event_type == "product.created" {
            let sku = event.data["sku"].as_str().unwrap();
            levels.entry(sku).or_insert_with(|| format!("{sku}|0|0|{time}"));
        }
        for level in event.data["levels"].as_array().into_iter().flatten() {
            let sku = level["sku"].as_str().unwrap();
            let number = |name: &str| level[name].as_i64().unwrap_or(0);
            let line = format!("{sku}|{}|{}|{time}", number("onHand"), number("reserved"));
            levels.insert(sku, line);
        }
    }
    levels.into_values().collect()
}

type Open<'a> = BTreeMap<&'a str, (NaiveDate, i64)>;

/// What is owed after these events, and whose invoice each is.
fn open_invoices(log: &[Logged]) -> (Open<'_>, BTreeMap<&str, &str>) {
    let (mut open, mut customers) = (Open::new(), BTreeMap::new());
    for Logged { event_type, data, .. } in log {
        match event_type.as_str() {
            "invoice.issued" => {
                let id = data["invoiceId"].as_str().unwrap();
                let due = data["dueDate"].as_str().unwrap().parse().unwrap();
                open.insert(id, (due, hundredths(&data["amount"])));
                customers.insert(id, data["customerId"].as_str().unwrap());
            }
            "payment.received" | "credit.allocated" => {
                for part in data["allocations"].as_array().into_iter().flatten() {
                    let id = part["invoiceId"].as_str().unwrap();
                    open.get_mut(id).unwrap().1 -= hundredths(&part["amount"]);
                }
            }
            "payment.reversed" => {
                for part in data["allocations"].as_array().into_iter().flatten() {
                    if let Some(invoice) = open.get_mut(part["invoiceId"].as_str().unwrap()) {
                        invoice.1 += hundredths(&part["amount"]);
                    }
                }
            }
            "credit_note.issued" if data["invoiceResidual"].is_object() => {
                let owed = hundredths(&data["invoiceResidual"]);
                let id = data["invoiceId"].as_str().unwrap();
                open.get_mut(id).unwrap().1 = owed;
                if owed == 0 {
                    open.remove(id);
                }
            }
            "invoice.voided" | "credit_note.issued" | "invoice.written_off" => {
                open.remove(data["invoiceId"].as_str().unwrap());
            }
            _ => (),
        }
    }
    open.retain(|_, (_, owed)| *owed != 0);
    (open, customers)
}

/// A day ends with the first event of a later one, or with the calendar.
fn ageing(log: &[Logged], today: NaiveDate) -> Vec<String> {
    let relevant: Vec<usize> =
        (0..log.len()).filter(|at| log[*at].event_type != "invoice.overdue").collect();
    let (Some(first), Some(newest)) = (
        relevant.first().map(|at| day_of(log[*at].time)),
        relevant.iter().map(|at| log[*at].time).max(),
    ) else {
        return Vec::new();
    };
    let last = today.max(day_of(newest));
    let days: BTreeSet<NaiveDate> = first.iter_days().take_while(|day| *day <= last).collect();
    let line = |day: NaiveDate| {
        let ends = relevant.iter().find(|at| day_of(log[**at].time) > day);
        let (open, _) = open_invoices(&log[..ends.copied().unwrap_or(log.len())]);
        let late = |from: i64, to: i64| -> i64 {
            let owed = open.values().map(|(due, owed)| ((day - *due).num_days(), *owed));
            owed.filter(|(late, _)| (from..=to).contains(late)).map(|(_, owed)| owed).sum()
        };
        let as_of = match day {
            day if day < last => start_of(day + Days::new(1)) - TimeDelta::microseconds(1),
            day if day == day_of(newest) => newest,
            day => start_of(day),
        };
        format!(
            "{}|{}|{}|{}|{}|{}|{}",
            amount(late(1, 30)),
            amount(late(31, 60)),
            amount(late(61, 90)),
            amount(late(i64::MIN, i64::MAX)),
            as_of.to_rfc3339_opts(SecondsFormat::Micros, true),
            amount(late(i64::MIN, 0)),
            amount(late(91, i64::MAX)),
        )
    };
    days.into_iter().map(line).collect()
}

fn hundredths(money: &Value) -> i64 {
    let text = money["amount"].as_str().unwrap();
    let (whole, parts) = text.split_once('.').unwrap();
    assert_eq!((parts.len(), &money["currencyCode"]), (2, &Value::from("GBP")));
    whole.parse::<i64>().unwrap() * 100 + parts.parse::<i64>().unwrap()
}

fn day_of(time: DateTime<Utc>) -> NaiveDate {
    time.with_timezone(&LONDON).date_naive()
}

fn start_of(day: NaiveDate) -> DateTime<Utc> {
    LONDON.from_local_datetime(&day.and_time(NaiveTime::MIN)).unwrap().to_utc()
}
