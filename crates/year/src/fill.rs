//! Fills a migrated database with a year of trade, as if the services had written it.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::Context;
use chrono::NaiveDate;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use testkit::Dice;
use tokio::task::spawn_blocking;
use uuid::Uuid;

use crate::{
    books::Books,
    copying::Rows,
    events::{EventLog, Logged},
    receivables::Receivables,
    shape::Shape,
    shop::{Lived, Shop, Tables},
    trade::Year,
};

const CUSTOMERS: &str = "orders.customers (id, name, email, created_at)";
const ORDERS: &str = "orders.orders (id, customer_id, status, total_amount, created_at, placed_at, paid, version, returned_amount)";
const ORDER_ITEMS: &str = "orders.order_items (id, order_id, sku, qty, price, line_no, shipped_qty, cancelled_qty, returned_qty)";
const PRODUCTS: &str = "inventory.products (sku, name, description, price, created_at, updated_at)";
const INVENTORY_ITEMS: &str = "inventory.inventory_items (sku, qty_on_hand, reserved_qty, reorder_point, updated_at, reorder_told, version)";
const INVOICES: &str = "billing.invoices (id, order_id, amount, status, issued_at, due_date, paid_at, number, customer_id, paid_amount, version, credited_amount, noted_amount)";
const PAYMENTS: &str = "billing.payments (id, customer_id, external_reference, amount, unallocated, received_at, recorded_at)";
const MOVEMENTS: &str = "billing.receivable_movements (id, invoice_id, customer_id, kind, document_id, payment_id, effective_date, amount, created_at)";
const NOTES: &str = "billing.credit_notes (id, number, invoice_id, amount, credited, issued_at, customer_id, unallocated)";
const JOURNALS: &str = "ledger.journals (id, source, source_event_id, event_type, ref_type, ref_id, effective_date, posted_at)";
const ENTRIES: &str =
    "ledger.ledger_entries (id, account, debit, credit, ref_type, ref_id, created_at, journal_id)";
const LOGS: [&str; 4] = [
    "orders.events_log (id, event_type, source, payload, recorded_at)",
    "inventory.events_log (id, event_type, source, payload, recorded_at)",
    "billing.events_log (id, event_type, source, payload, recorded_at)",
    "ledger.events_log (id, event_type, source, payload, recorded_at)",
];
/// What each service has heard from whom, by the time that the year is over.
const HEARD: [(&str, &str); 6] = [
    ("orders", "billing"),
    ("inventory", "orders"),
    ("billing", "orders"),
    ("ledger", "billing"),
    ("ledger", "inventory"),
    ("hr", "ledger"),
];
const LIFE_SEED: u64 = 7;
const TELL_EVERY: Duration = Duration::from_secs(15);

/// Gives what came of it.
pub(crate) async fn fill(
    url: &str,
    data: &Path,
    lines: usize,
    last_day: NaiveDate,
) -> anyhow::Result<Lived> {
    let mut db = PgConnection::connect(url).await?;
    let indexes = drop_indexes(&mut db).await?;
    // Nobody wants them after a power cut, and they are most of all bytes.
    for table in LOGS.iter().filter_map(|log| log.split(' ').next()) {
        execute(&mut db, &format!("alter table {table} set unlogged")).await?;
    }
    let shape = Shape::read(data)?;
    let mut copying = Vec::new();
    let mut rows = |target| {
        let (rows, copy) = Rows::start(url, target);
        copying.push(copy);
        rows
    };
    let tables = Tables {
        customers: rows(CUSTOMERS),
        orders: rows(ORDERS),
        order_items: rows(ORDER_ITEMS),
        products: rows(PRODUCTS),
        inventory_items: rows(INVENTORY_ITEMS),
    };
    let [orders, inventory, billing, ledger] = LOGS;
    let orders = EventLog::new("orders", rows(orders));
    let inventory = EventLog::new("inventory", rows(inventory));
    let billing = EventLog::new("billing", rows(billing));
    let ledger = EventLog::new("ledger", rows(ledger));
    let (journals, entries) = (rows(JOURNALS), rows(ENTRIES));
    let (invoices, payments, movements, notes) =
        (rows(INVOICES), rows(PAYMENTS), rows(MOVEMENTS), rows(NOTES));
    let living = spawn_blocking(move || {
        let year = Year::draw(&shape, lines, last_day);
        let dice = Dice::new(LIFE_SEED);
        let books = Books { log: ledger, dice: dice.clone(), journals, entries };
        let receivables = Receivables {
            log: billing,
            books,
            dice: dice.clone(),
            invoices,
            payments,
            movements,
            notes,
            invoice_count: 0,
            note_count: 0,
            movement_count: 0,
        };
        let shop = Shop::open(&shape, &year, tables, (orders, inventory), receivables, &dice)?;
        let end = year.end;
        let (began, mut told) = (Instant::now(), TELL_EVERY);
        shop.live(year, end, |done| {
            if began.elapsed() > told {
                told += TELL_EVERY;
                eprintln!("  {done} of {lines} lines after {} s", began.elapsed().as_secs());
            }
        })
    });
    let lived = living.await?;
    // Whoever cannot hand rows over learns why from the one who copies them.
    for copy in copying {
        copy.await??;
    }
    let lived = lived?;
    for index in &indexes {
        execute(&mut db, index).await?;
    }
    settle(&mut db, &lived).await?;
    db.close().await?;
    Ok(lived)
}

/// What an earlier run has filled it with, and what came after.
pub(crate) async fn found(db: &mut PgConnection) -> anyhow::Result<Option<Lived>> {
    let count =
        "select (select count(*) from orders.orders), (select count(*) from orders.order_items)";
    let (orders, lines): (i64, i64) = sqlx::query_as(count).fetch_one(&mut *db).await?;
    if orders == 0 {
        return Ok(None);
    }
    let mut newest = Vec::new();
    for source in ["orders", "inventory", "billing", "ledger"] {
        let last = format!(
            "select id, (payload->>'id')::uuid, event_type, payload::text
             from {source}.events_log order by id desc limit 1"
        );
        let last: (i64, Uuid, String, String) =
            sqlx::query_as(AssertSqlSafe(last)).fetch_one(&mut *db).await?;
        let (sequence, id, event_type, payload) = last;
        newest.push(Logged { source, sequence, id, event_type, payload });
    }
    Ok(Some(Lived { orders: orders.unsigned_abs(), lines: lines.unsigned_abs(), newest }))
}

/// Drops the indexes that nothing depends on, of the tables that are filled: to be made again when they are. Gives how.
async fn drop_indexes(db: &mut PgConnection) -> anyhow::Result<Vec<String>> {
    let found: Vec<(String, String)> = sqlx::query_as(
        "select format('drop index %I.%I', n.nspname, i.relname), pg_get_indexdef(i.oid)
         from pg_index x join pg_class i on i.oid = x.indexrelid join pg_namespace n on n.oid = i.relnamespace
         where n.nspname in ('orders', 'inventory', 'billing', 'ledger')
           and not exists (select from pg_constraint c where c.conindid = i.oid)
         order by i.oid",
    )
    .fetch_all(&mut *db)
    .await?;
    for (drop, _) in &found {
        execute(db, drop).await?;
    }
    Ok(found.into_iter().map(|(_, make)| make).collect())
}

/// What follows from the rows, and how far each service has come.
async fn settle(db: &mut PgConnection, lived: &Lived) -> anyhow::Result<()> {
    execute(db, "set session_replication_role = replica").await?;
    let mut statements = vec![
        "insert into ledger.account_days (account, day, debit, credit)
         select e.account, j.effective_date, sum(e.debit), sum(e.credit)
         from ledger.ledger_entries e join ledger.journals j on j.id = e.journal_id group by 1, 2"
            .to_owned(),
        "select setval(pg_get_serial_sequence('billing.receivable_movements', 'id'), max(id))
         from billing.receivable_movements"
            .to_owned(),
        "update billing.number_series set next_number = 1 + case series
           when 'INV' then (select count(*) from billing.invoices)
           else (select count(*) from billing.credit_notes) end"
            .to_owned(),
    ];
    for newest in &lived.newest {
        let (source, sequence) = (newest.source, newest.sequence);
        statements.push(format!("select setval('{source}.events_log_id_seq', {sequence})"));
        for (listener, _) in HEARD.iter().filter(|(_, heard)| *heard == source) {
            // Each stream holds its newest event only: see `streams`.
            statements.push(format!(
                "insert into {listener}.consumer_positions (source, stream_sequence, log_id, event_id)
                 values ('{source}', 1, {sequence}, '{}')",
                newest.id
            ));
        }
    }
    statements.push("vacuum (analyze)".to_owned());
    for statement in &statements {
        execute(db, statement).await?;
    }
    Ok(())
}

async fn execute(db: &mut PgConnection, statement: &str) -> anyhow::Result<()> {
    let done = sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(db).await;
    done.with_context(|| statement.to_owned())?;
    Ok(())
}
