//! What the dashboard and the reports ask, each beside the same question as SQL on the services' own tables.
//!
//! Each round asks of other days, so that no answer is a repetition. SQL is as somebody would write it who knows the tables and their indexes.

use chrono::{Datelike, Days, NaiveDate};
use proto::analytics::v1::{
    GetArAgeingRequest, GetStockSnapshotRequest, GetTopProductsRequest, GetTrialBalanceRequest,
    Period, QueryArAgeingByCustomerRequest, QueryLowStockRequest, QuerySalesByHourRequest,
    QuerySalesByPeriodRequest, QuerySalesBySkuRequest, Rank,
};

use crate::{
    asking::{Ask, Panel},
    calendar::{ZONE, start_of},
    copying::time,
    trade::DAYS,
};

/// What is asked in a round, by what it is called.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) name: &'static str,
    pub(crate) ask: Ask,
    pub(crate) sql: String,
}

/// Days from the first up to and including the last.
#[derive(Debug, Clone, Copy)]
struct Span(NaiveDate, NaiveDate);

impl Span {
    fn texts(self) -> (String, String) {
        (self.0.to_string(), self.1.to_string())
    }

    /// In SQL, of orders that count.
    fn placed(self) -> String {
        format!(
            "o.placed_at >= '{}' and o.placed_at < '{}' and o.status in ('placed', 'shipped', 'completed')",
            time(start_of(self.0)),
            time(start_of(self.1 + Days::new(1)))
        )
    }
}

/// Of a round, from 0 on. `today` is the day of the newest ageing, `skus` are some that there are.
pub(crate) fn of_round(
    round: usize,
    last_day: NaiveDate,
    today: NaiveDate,
    skus: &[String],
) -> Vec<Question> {
    // Of the last ten months: what a month before them is compared with is there, too.
    let back = u64::try_from(round).unwrap_or(0) * 37 % (DAYS - 65);
    let day = last_day - Days::new(back);
    let month = day.with_day(1).unwrap_or(day);
    let month_end = (month + chrono::Months::new(1)).pred_opt().unwrap_or(day).min(last_day);
    let week = day - Days::new(day.weekday().num_days_from_monday().into());
    let year = Span(last_day - Days::new(DAYS - 1), last_day);
    let (day, week, month) = (Span(day, day), Span(week, day), Span(month, month_end));
    let mut all = vec![
        hours("sales of a day by hour", day),
        hours("sales of a month by hour", month),
        periods("sales of a month by day", month, Period::Day, "day"),
        periods("sales of the year by week", year, Period::Week, "week"),
        periods("sales of the year by month", year, Period::Month, "month"),
        skus_sold("SKUs of a day", day),
        skus_sold("SKUs of a week", week),
        skus_sold("SKUs of a month", month),
        skus_sold("SKUs of the year", year),
        top("top products of a day", day, Rank::Amount),
        top("top products of a week", week, Rank::Amount),
        top("top products of a month", month, Rank::Amount),
        top("top products of the year", year, Rank::Amount),
        top("top products of the year by quantity", year, Rank::Quantity),
        stock_now("stock now, 1,000 SKUs", &[]),
        stock_now("stock now, 20 SKUs", skus),
        stock_of("stock of a past day, 20 SKUs", day.0, skus),
        low_stock("low on stock, 1,000 SKUs"),
        ageing("receivables now", None, today),
        ageing("receivables of a past day", Some(day.0), today),
        ageing_by_customer("receivables by customer", None, today),
        ageing_by_customer("receivables by customer of a past day", Some(day.0), today),
        trial_balance("trial balance now", None),
        trial_balance("trial balance of a past day", Some(day.0)),
    ];
    all.extend(panels(day.0));
    all
}

fn hours(name: &'static str, span: Span) -> Question {
    let ask = Ask::Hours(QuerySalesByHourRequest {
        start_time: Some(rpc::to_time(start_of(span.0))),
        end_time: Some(rpc::to_time(start_of(span.1 + Days::new(1)))),
        ..Default::default()
    });
    let sql = format!(
        "select concat_ws('|', to_char(hour, 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), amount, count)
         from (select date_trunc('hour', o.placed_at at time zone 'UTC') as hour, sum(o.total_amount) as amount, count(*) as count
               from orders.orders o where {} group by 1 order by 1 limit 1000) s",
        span.placed()
    );
    Question { name, ask, sql }
}

fn periods(name: &'static str, span: Span, period: Period, word: &str) -> Question {
    let (start_date, end_date) = span.texts();
    let ask = Ask::Periods(QuerySalesByPeriodRequest {
        period: period.into(),
        start_date,
        end_date,
        ..Default::default()
    });
    // A week or a month that begins earlier is counted, and named, from its own first day on.
    let sql = format!(
        "select concat_ws('|', start::date, amount, count)
         from (select date_trunc('{word}', o.placed_at at time zone '{}') as start, sum(o.total_amount) as amount, count(*) as count
               from orders.orders o where {} group by 1 order by 1 limit 1000) s",
        ZONE.name(),
        span.placed()
    );
    Question { name, ask, sql }
}

fn sold(span: Span, order: &str, limit: u32) -> String {
    format!(
        "select concat_ws('|', sku, kept, shipped, returned, amount, lines)
         from (select i.sku, sum(i.qty - i.cancelled_qty) as kept, sum(i.shipped_qty) as shipped, sum(i.returned_qty) as returned,
                      sum((i.qty - i.cancelled_qty) * i.price) as amount,
                      count(*) filter (where i.qty > i.cancelled_qty) as lines
               from orders.orders o join orders.order_items i on i.order_id = o.id
               where {} group by i.sku having sum(i.qty - i.cancelled_qty) > 0 order by {order} limit {limit}) s",
        span.placed()
    )
}

fn skus_sold(name: &'static str, span: Span) -> Question {
    let (start_date, end_date) = span.texts();
    let ask = Ask::Skus(QuerySalesBySkuRequest { start_date, end_date, ..Default::default() });
    Question { name, ask, sql: sold(span, "i.sku collate \"C\"", 1000) }
}

fn top(name: &'static str, span: Span, rank: Rank) -> Question {
    let (start_date, end_date) = span.texts();
    let by = if rank == Rank::Quantity { "kept" } else { "amount" };
    let rank = rank.into();
    let ask = Ask::Top(GetTopProductsRequest { start_date, end_date, rank, ..Default::default() });
    Question { name, ask, sql: sold(span, &format!("{by} desc, i.sku collate \"C\""), 10) }
}

fn stock_now(name: &'static str, skus: &[String]) -> Question {
    let ask = Ask::Stock(GetStockSnapshotRequest { skus: skus.to_vec(), ..Default::default() });
    let some =
        if skus.is_empty() { String::new() } else { format!("where sku in ({})", quoted(skus)) };
    let sql = format!(
        "select concat_ws('|', sku, qty_on_hand, reserved_qty) from inventory.inventory_items {some}
         order by sku collate \"C\" limit 1000"
    );
    Question { name, ask, sql }
}

fn low_stock(name: &'static str) -> Question {
    let sql = "select concat_ws('|', sku, qty_on_hand, reserved_qty, reorder_point) from inventory.inventory_items
         where low and (not archived or qty_on_hand > 0) order by sku collate \"C\" limit 1000";
    let ask = Ask::LowStock(QueryLowStockRequest::default());
    Question { name, ask, sql: sql.to_owned() }
}

/// No table of the services has it: it is found in inventory-svc's log, by its events of the days before.
fn stock_of(name: &'static str, day: NaiveDate, skus: &[String]) -> Question {
    let ask = Ask::Stock(GetStockSnapshotRequest {
        as_of_date: day.to_string(),
        skus: skus.to_vec(),
        ..Default::default()
    });
    let sql = format!(
        "select concat_ws('|', sku, on_hand, reserved)
         from (select distinct on (sku collate \"C\") level->>'sku' as sku, coalesce((level->>'onHand')::int, 0) as on_hand,
                      coalesce((level->>'reserved')::int, 0) as reserved
               from inventory.events_log e, jsonb_array_elements(e.payload->'data'->'levels') level
               cross join lateral (select level->>'sku' as sku) named
               where e.recorded_at < '{}' and e.event_type like 'stock.%' and sku in ({})
               order by sku collate \"C\", e.id desc) s",
        time(start_of(day + Days::new(1))),
        quoted(skus)
    );
    Question { name, ask, sql }
}

fn quoted(skus: &[String]) -> String {
    let quoted: Vec<String> =
        skus.iter().map(|sku| format!("'{}'", sku.replace('\'', "''"))).collect();
    quoted.join(", ")
}

/// What is owed of `amount`, by how late it is on a day.
fn buckets(amount: &str, day: NaiveDate) -> String {
    let late = format!("date '{day}' - i.due_date");
    let owed = |when: String| format!("coalesce(sum({amount}) filter (where {when}), 0.00)");
    [
        owed(format!("{late} <= 0")),
        owed(format!("{late} between 1 and 30")),
        owed(format!("{late} between 31 and 60")),
        owed(format!("{late} between 61 and 90")),
        owed(format!("{late} > 90")),
        format!("coalesce(sum({amount}), 0.00)"),
    ]
    .join(", ")
}

fn ageing_sql(day: Option<NaiveDate>, today: NaiveDate) -> String {
    match day {
        None => format!(
            "select concat_ws('|', {}) from billing.invoices i where i.residual > 0",
            buckets("i.residual", today)
        ),
        Some(day) => format!(
            "select concat_ws('|', {}) from billing.receivable_movements m join billing.invoices i on i.id = m.invoice_id
             where m.effective_date <= '{day}'",
            buckets("m.amount", day)
        ),
    }
}

fn ageing(name: &'static str, day: Option<NaiveDate>, today: NaiveDate) -> Question {
    let as_of_date = day.map(|day| day.to_string()).unwrap_or_default();
    let ask = Ask::Ageing(GetArAgeingRequest { as_of_date, ..Default::default() });
    Question { name, ask, sql: ageing_sql(day, today) }
}

fn ageing_by_customer(name: &'static str, day: Option<NaiveDate>, today: NaiveDate) -> Question {
    let as_of_date = day.map(|day| day.to_string()).unwrap_or_default();
    let ask =
        Ask::AgeingByCustomer(QueryArAgeingByCustomerRequest { as_of_date, ..Default::default() });
    let sql = match day {
        None => format!(
            "select concat_ws('|', i.customer_id, {}) from billing.invoices i where i.residual > 0
             group by i.customer_id order by i.customer_id limit 1000",
            buckets("i.residual", today)
        ),
        Some(day) => format!(
            "select concat_ws('|', m.customer_id, {}) from billing.receivable_movements m join billing.invoices i on i.id = m.invoice_id
             where m.effective_date <= '{day}'
             group by m.customer_id having sum(m.amount) > 0 order by m.customer_id limit 1000",
            buckets("m.amount", day)
        ),
    };
    Question { name, ask, sql }
}

fn trial_balance(name: &'static str, day: Option<NaiveDate>) -> Question {
    let as_of_date = day.map(|day| day.to_string()).unwrap_or_default();
    let ask = Ask::TrialBalance(GetTrialBalanceRequest { as_of_date, ..Default::default() });
    let up_to = day.map(|day| {
        format!("join ledger.journals j on j.id = e.journal_id where j.effective_date <= '{day}'")
    });
    let sql = format!(
        "select concat_ws('|', e.account, sum(e.debit), sum(e.credit)) from ledger.ledger_entries e {}
         group by e.account order by e.account collate \"C\"",
        up_to.unwrap_or_default()
    );
    Question { name, ask, sql }
}

fn panels(day: NaiveDate) -> [Question; 4] {
    let of = |panel| Ask::Panel(panel, day.to_string());
    let days = Span(day - Days::new(30), day);
    let sales = format!(
        "select concat_ws('|', d.day::date, coalesce(s.amount, 0.00), coalesce(s.count, 0))
         from generate_series(date '{}', date '{}', interval '1 day') d (day)
         left join (select (o.placed_at at time zone '{}')::date as day, sum(o.total_amount) as amount, count(*) as count
                    from orders.orders o where {} group by 1) s on s.day = d.day order by d.day",
        days.0,
        days.1,
        ZONE.name(),
        days.placed()
    );
    let low = "select concat_ws('|', i.sku, i.qty_on_hand - i.reserved_qty, i.reorder_point)
         from inventory.inventory_items i join inventory.products p on p.sku = i.sku where i.low
         order by i.qty_on_hand - i.reserved_qty - i.reorder_point, i.qty_on_hand - i.reserved_qty, i.sku collate \"C\" limit 10";
    let newest = format!(
        "select concat_ws('|', id, status, paid::text, total_amount) from orders.orders
         where placed_at < '{}' order by placed_at desc, id desc limit 8",
        time(start_of(day + Days::new(1)))
    );
    [
        Question { name: "panel: sales", ask: of(Panel::Sales), sql: sales },
        Question {
            name: "panel: receivables",
            ask: of(Panel::Receivables),
            sql: ageing_sql(Some(day), day),
        },
        Question { name: "panel: stock", ask: of(Panel::Stock), sql: low.to_owned() },
        Question { name: "panel: orders", ask: of(Panel::Orders), sql: newest },
    ]
}
