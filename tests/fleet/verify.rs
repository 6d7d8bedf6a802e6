//! `verify.sql` itself: each of its invariants notices when it is broken.

use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::world::World;

/// What is done to the tables, and which invariant must say so.
const FAULTS: [(&str, &str); 22] = [
    ("update orders.orders set total_amount = total_amount + 0.01", "sum of its lines"),
    ("delete from orders.order_items", "that was placed has lines"),
    (
        "update inventory.inventory_items set reserved_qty = reserved_qty + 1",
        "what open reservations hold",
    ),
    ("update inventory.inventory_items set qty_on_hand = qty_on_hand + 1", "sum of all movements"),
    ("update inventory.reservations set state = 'released'", "as its order is"),
    ("update inventory.reservation_items set qty = qty + 1", "has all its stock"),
    ("delete from inventory.stock_movements where reason = 'shipment'", "what orders shipped"),
    ("delete from billing.invoices", "has one invoice"),
    (
        "update billing.invoices set amount = amount + 0.01, paid_amount = paid_amount + 0.01",
        "has one invoice",
    ),
    ("update billing.invoices set status = 'voided'", "cancelled orders, and no others"),
    ("update orders.orders set paid = not paid", "paid when its invoice is"),
    ("update orders.orders set status = 'shipped' where status = 'completed'", "shipped and paid"),
    ("update billing.payment_allocations set amount = amount + 0.01", "sum of its allocations"),
    (
        "update billing.payments set unallocated = unallocated + 0.01",
        "its allocations and what of it is credit",
    ),
    ("update billing.number_series set next_number = next_number + 1", "no number"),
    (
        "update ledger.ledger_entries set debit = debit + 0.01 where debit > 0",
        "each journal balances",
    ),
    ("delete from ledger.journals where event_type = 'invoice.issued'", "has one journal"),
    ("delete from ledger.ledger_entries where account = '1100' and credit > 0", "account 1100"),
    ("update ledger.ledger_entries set account = '2110' where account = '4000'", "account 2110"),
    ("delete from orders.events_log where event_type = 'order.placed'", "versions of an aggregate"),
    ("update billing.invoices set version = version + 1", "newest event"),
    ("update ledger.consumer_positions set log_id = log_id - 1", "all that was published"),
];

#[tokio::test]
async fn each_invariant_notices_its_own_fault() {
    let world = World::start().await;
    world.product("TEA", "2.50", 10).await;
    let customer = world.customer().await;
    world.sell_ship_and_pay(&customer, "TEA", "12.00").await;
    world.verify().await;

    let mut db = PgConnection::connect(&world.database.admin_url()).await.unwrap();
    // Neither triggers nor foreign keys stop a fault.
    sqlx::query("set session_replication_role = replica").execute(&mut db).await.unwrap();
    let check = include_str!("../verify.sql");
    for (fault, wanted) in FAULTS {
        let mut tx = db.begin().await.unwrap();
        let changed = sqlx::query(AssertSqlSafe(fault)).execute(&mut *tx).await.unwrap();
        assert!(changed.rows_affected() > 0, "nothing to break: {fault}");
        let rows: Vec<(String, i64, Option<String>)> =
            sqlx::query_as(check).fetch_all(&mut *tx).await.unwrap();
        tx.rollback().await.unwrap();
        let noticed = rows.iter().any(|(what, broken, _)| *broken > 0 && what.contains(wanted));
        assert!(noticed, "{fault} is not noticed by {wanted:?}");
    }
    // And one that only a dead letter can show.
    let letter =
        "insert into hr.dead_letters (id, source, log_id, subject, event_type, payload, error)
                  values (gen_random_uuid(), 'ledger', 1, 's', 't', '{}', 'planted')";
    sqlx::query(letter).execute(&mut db).await.unwrap();
    assert!(world.broken().await.iter().any(|what| what.contains("nothing was put aside")));
}
