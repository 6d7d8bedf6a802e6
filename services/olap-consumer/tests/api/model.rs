//! What the folder must hold, worked out from the logs in Postgres by other means than the consumer's: every event is looked at again
//! for every value.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{
    DateTime, Datelike, Days, NaiveDate, NaiveTime, SecondsFormat, TimeDelta, TimeZone, Utc,
};
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
    let ledger = logged(shop, "ledger", up_to("ledger")).await;
    let (open, customers) = open_invoices(&billing);
    let open_lines = open
        .iter()
        .map(|(id, (due, owed))| format!("{id}|{}|{due}|{}", customers[id], amount(*owed)));
    let lines = order_lines(&orders);
    let tables = [
        ("sales_by_hour", sales(&orders)),
        ("sales_by_sku_day", sales_by_sku(&lines, |day| day)),
        ("sales_by_sku_month", sales_by_sku(&lines, |day| day.with_day(1).unwrap())),
        ("order_facts", lines),
        ("stock_snapshot", stock(&inventory)),
        ("stock_by_day", stock_by_day(&inventory)),
        ("trial_balance", trial_balance(&ledger)),
        ("open_invoices", open_lines.collect()),
        ("ar_ageing", ageing(&billing, day_of(manifest.written_at))),
        ("receivables_by_day", receivables_by_day(&billing)),
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

fn order_lines(log: &[Logged]) -> Vec<String> {
    let lines = |event: &'_ Logged| event.data["lines"].as_array().cloned().unwrap_or_default();
    let number = |of: &Value, name: &str| of[name].as_i64().unwrap_or(0);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    // How much of which line was moved by which kind of event.
    let mut moved: BTreeMap<(&str, String), i64> = BTreeMap::new();
    for event in log.iter().filter(|event| event.event_type != "order.placed") {
        for line in lines(event) {
            let key = (event.event_type.as_str(), text(&line["lineId"]));
            *moved.entry(key).or_default() += number(&line, "quantity");
        }
    }
    let cancelled = log.iter().filter(|event| event.event_type == "order.cancelled");
    let cancelled: BTreeSet<String> = cancelled.map(|event| text(&event.data["orderId"])).collect();
    let mut rows = Vec::new();
    for placed in log.iter().filter(|event| event.event_type == "order.placed") {
        let order = text(&placed.data["orderId"]);
        for line in lines(placed) {
            let id = text(&line["lineId"]);
            let by = |kind| moved.get(&(kind, id.clone())).copied().unwrap_or(0);
            let quantity = number(&line, "quantity");
            let all = cancelled.contains(&order);
            let given_up = if all { quantity } else { by("order.part_cancelled") };
            let price = hundredths(&line["unitPrice"]);
            let time: DateTime<Utc> = placed.data["placeTime"].as_str().unwrap().parse().unwrap();
            let tax_rate = if line["taxRate"].is_string() { "0.2000" } else { "-" };
            let values = [
                order.clone(),
                id.clone(),
                text(&placed.data["customerId"]),
                text(&line["sku"]),
                quantity.to_string(),
                given_up.to_string(),
                by("order.shipped").to_string(),
                by("order.returned").to_string(),
                amount(price),
                tax_rate.to_owned(),
                amount((quantity - given_up) * price),
                time.to_rfc3339_opts(SecondsFormat::Micros, true),
                all.to_string(),
            ];
            rows.push(values.join("|"));
        }
    }
    rows
}

/// The lines of `order_facts`, summed up by SKU and what a business day is a part of.
fn sales_by_sku(lines: &[String], period: fn(NaiveDate) -> NaiveDate) -> Vec<String> {
    let mut sums: BTreeMap<(NaiveDate, &str), [i64; 5]> = BTreeMap::new();
    for line in lines {
        let values: Vec<&str> = line.split('|').collect();
        let number = |column: usize| values[column].parse::<i64>().unwrap();
        let kept = number(4) - number(5);
        let (whole, parts) = values[10].split_once('.').unwrap();
        let amount = format!("{whole}{parts}").parse().unwrap();
        let day = day_of(values[11].parse().unwrap());
        let sum = sums.entry((period(day), values[3])).or_default();
        let line = [kept, number(6), number(7), amount, i64::from(kept > 0)];
        sum.iter_mut().zip(line).for_each(|(sum, of)| *sum += of);
    }
    let sums = sums.into_iter().filter(|(_, sum)| *sum != [0; 5]);
    let line = |((day, sku), sum): ((NaiveDate, &str), [i64; 5])| {
        let [kept, shipped, returned, worth, count] = sum;
        format!("{day}|{sku}|{kept}|{shipped}|{returned}|{}|{count}", amount(worth))
    };
    sums.map(line).collect()
}

fn trial_balance(log: &[Logged]) -> Vec<String> {
    let mut sums: BTreeMap<(String, String), (i64, i64)> = BTreeMap::new();
    for Logged { data, .. } in log {
        let day = data["effectiveDate"].as_str().unwrap();
        let mut post = |account: &str, debit: i64, credit: i64| {
            let sum = sums.entry((account.to_owned(), day.to_owned())).or_default();
            *sum = (sum.0 + debit, sum.1 + credit);
        };
        let Some(lines) = data["lines"].as_array() else {
            let all = hundredths(&data["amount"]);
            post("", all, all);
            continue;
        };
        for line in lines {
            let side =
                |name: &str| if line[name].is_object() { hundredths(&line[name]) } else { 0 };
            post(line["account"].as_str().unwrap(), side("debit"), side("credit"));
        }
    }
    let line = |((account, day), (debit, credit)): ((String, String), (i64, i64))| {
        format!("{account}|{day}|{}|{}", amount(debit), amount(credit))
    };
    sums.into_iter().map(line).collect()
}

/// Each level that was the last of its SKU before the first event of a later day.
fn stock_by_day(log: &[Logged]) -> Vec<String> {
    let mut rows: BTreeMap<(NaiveDate, String), String> = BTreeMap::new();
    let (mut known, mut day) = (BTreeSet::<&str>::new(), NaiveDate::MIN);
    for event in log {
        let counts = event.data["levels"].is_array()
            || event.data["sku"].as_str().is_some_and(|sku| !known.contains(sku));
        if !counts {
            continue;
        }
        let before = day;
        day = day.max(day_of(event.time));
        if before.with_day(1) != day.with_day(1) {
            // The last of each SKU, again on the last day of the month.
            let mut again = Vec::new();
            for sku in &known {
                let (_, line) = rows.iter().rfind(|((_, of), _)| of == sku).unwrap();
                let (level, _) = line.rsplit_once('|').unwrap();
                again.push(((before, (*sku).to_owned()), format!("{level}|{before}")));
            }
            rows.extend(again);
        }
        let time = event.time.to_rfc3339_opts(SecondsFormat::Micros, true);
        let mut set = |sku: &str, on_hand: i64, reserved: i64| {
            let line = format!("{sku}|{on_hand}|{reserved}|{time}|{day}");
            rows.insert((day, sku.to_owned()), line);
        };
        if let Some(sku) = event.data["sku"].as_str()
            && known.insert(sku)
        {
            set(sku, 0, 0);
        }
        for level in event.data["levels"].as_array().into_iter().flatten() {
            let sku = level["sku"].as_str().unwrap();
            known.insert(sku);
            let number = |name: &str| level[name].as_i64().unwrap_or(0);
            set(sku, number("onHand"), number("reserved"));
        }
    }
    rows.into_values().collect()
}

fn stock(log: &[Logged]) -> Vec<String> {
    let mut levels: BTreeMap<&str, String> = BTreeMap::new();
    let (mut points, mut archived) = (BTreeMap::new(), BTreeSet::new());
    for event in log {
        let time = event.time.to_rfc3339_opts(SecondsFormat::Micros, true);
        let number = |of: &Value, name: &str| of[name].as_i64().unwrap_or(0);
        if let Some(sku) = event.data["sku"].as_str() {
            levels.entry(sku).or_insert_with(|| format!("{sku}|0|0|{time}"));
            match event.event_type.as_str() {
                "stock.reorder_point_set" => {
                    points.insert(sku, number(&event.data, "reorderPoint"));
                }
                "product.archived" => _ = archived.insert(sku),
                "product.restored" => _ = archived.remove(sku),
                _ => (),
            }
        }
        for level in event.data["levels"].as_array().into_iter().flatten() {
            let sku = level["sku"].as_str().unwrap();
            let (on_hand, reserved) = (number(level, "onHand"), number(level, "reserved"));
            levels.insert(sku, format!("{sku}|{on_hand}|{reserved}|{time}"));
            points.insert(sku, number(level, "reorderPoint"));
        }
    }
    let line = |(sku, level)| {
        let point = points.get(sku).copied().unwrap_or(0);
        format!("{level}|{point}|{}", archived.contains(sku))
    };
    levels.into_iter().map(line).collect()
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

/// What a customer owes of a due date at the end of a day, less what it was at that of the day before.
fn receivables_by_day(log: &[Logged]) -> Vec<String> {
    let relevant = log.iter().filter(|event| event.event_type != "invoice.overdue");
    let days: BTreeSet<NaiveDate> = relevant.map(|event| day_of(event.time)).collect();
    let (mut before, mut rows) = (BTreeMap::new(), Vec::new());
    for day in days {
        let is_later =
            |event: &Logged| event.event_type != "invoice.overdue" && day_of(event.time) > day;
        let (open, customers) = open_invoices(log.split(is_later).next().unwrap());
        let mut owed: BTreeMap<(&str, NaiveDate), i64> = BTreeMap::new();
        for (id, (due, residual)) in open {
            *owed.entry((customers[id], due)).or_default() += residual;
        }
        let mut more: BTreeMap<(&str, NaiveDate), i64> = owed.clone();
        before.iter().for_each(|(key, owed)| *more.entry(*key).or_default() -= owed);
        for ((customer, due), more) in more.into_iter().filter(|(_, more)| *more != 0) {
            rows.push(format!("{day}|{customer}|{due}|{}", amount(more)));
        }
        before = owed;
    }
    rows
}

fn hundredths(money: &Value) -> i64 {
    let text = money["amount"].as_str().unwrap();
    let (whole, parts) = text.split_once('.').unwrap();
    assert_eq!((parts.len(), &money["currencyCode"]), (2, &Value::from("GBP")));
    whole.parse::<i64>().unwrap() * 100 + parts.parse::<i64>().unwrap()
}

pub(crate) fn day_of(time: DateTime<Utc>) -> NaiveDate {
    time.with_timezone(&LONDON).date_naive()
}

fn start_of(day: NaiveDate) -> DateTime<Utc> {
    LONDON.from_local_datetime(&day.and_time(NaiveTime::MIN)).unwrap().to_utc()
}
