//! A database of the first release, as `0002_subledgers.sql` finds it.

use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool};
use testkit::TestDb;

use crate::books;

const FIRST_RELEASE: [&str; 2] = [
    include_str!("../../../../migrations/log/0001_event_log.sql"),
    include_str!("../../../../migrations/billing/0001_billing.sql"),
];
const UPGRADE: &str = include_str!("../../../../migrations/billing/0002_subledgers.sql");

/// One of each: open, paid and overpaid, voided, credited, free, overdue and paid in part; and one that was issued in the last hour of a UTC day.
const TRADE: &str = "
create function uid(n int) returns uuid language sql as $$ select ('00000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid $$;
create function gbp(amount numeric) returns jsonb language sql as
  $$ select jsonb_build_object('amount', amount::numeric(14, 2)::text, 'currencyCode', 'GBP') $$;
create function told(what text, about uuid, nth int, data jsonb) returns void language sql as
  $$ insert into billing.events_log (event_type, source, payload)
     values (what, 'billing', jsonb_build_object('id', gen_random_uuid(), 'subject', about, 'version', nth, 'data', data)) $$;
insert into billing.invoices
  (id, order_id, amount, status, issued_at, due_date, paid_at, number, customer_id, tax_amount, paid_amount, version)
values
  (uid(1), uid(101), 10, 'issued', '2026-10-01 12:00Z', '2026-10-31', null, 'INV-000001', uid(7), 1, 0, 1),
  (uid(2), uid(102), 12, 'paid', '2026-10-02 12:00Z', '2026-11-01', '2026-10-20 23:30Z', 'INV-000002', uid(7), 2, 12, 2),
  (uid(3), uid(103), 5, 'voided', '2026-10-03 12:00Z', '2026-11-02', null, 'INV-000003', uid(7), 0, 0, 2),
  (uid(4), uid(104), 20, 'voided', '2026-10-04 12:00Z', '2026-11-03', null, 'INV-000004', uid(8), 3, 8, 2),
  (uid(5), uid(105), 0, 'paid', '2026-10-05 12:00Z', '2026-11-04', '2026-10-05 12:00Z', 'INV-000005', uid(8), 0, 0, 2),
  (uid(6), uid(106), 30, 'overdue', '2026-08-31 23:30Z', '2026-10-01', null, 'INV-000006', uid(8), 5, 4, 2);
update billing.number_series set next_number = case series when 'INV' then 7 else 2 end;
insert into billing.payments (id, customer_id, external_reference, amount, unallocated, received_at, recorded_at) values
  (uid(21), uid(7), 'over', 15, 3, '2026-10-20 23:30Z', '2026-10-21 10:00Z'),
  (uid(22), uid(8), 'part', 12, 0, '2026-10-21 12:00Z', '2026-10-21 12:00Z');
insert into billing.payment_allocations (payment_id, invoice_id, amount) values
  (uid(21), uid(2), 12), (uid(22), uid(4), 8), (uid(22), uid(6), 4);
insert into billing.credit_notes (id, number, invoice_id, amount, tax_amount, credited, issued_at) values
  (uid(31), 'CRN-000001', uid(4), 20, 3, 8, '2026-10-24 23:30Z');
select told('invoice.issued', i.id, 1, jsonb_build_object('invoiceId', i.id, 'amount', gbp(i.amount), 'issueDate', d.day))
from billing.invoices i join (values (1, '2026-10-01'), (2, '2026-10-02'), (3, '2026-10-03'), (4, '2026-10-04'), (5, '2026-10-05'),
                                     (6, '2026-09-01')) d (n, day) on i.id = uid(d.n);
select told('payment.received', uid(21), 1, jsonb_build_object('paymentId', uid(21), 'amount', gbp(15), 'unallocated', gbp(3),
  'receiveDate', '2026-10-21', 'allocations', jsonb_build_array(
    jsonb_build_object('invoiceId', uid(2), 'amount', gbp(12), 'residual', gbp(0)))));
select told('invoice.paid', uid(2), 2, '{}');
select told('invoice.paid', uid(5), 2, '{}');
select told('invoice.overdue', uid(6), 2, '{}');
select told('invoice.voided', uid(3), 2, jsonb_build_object('invoiceId', uid(3), 'amount', gbp(5), 'voidDate', '2026-10-22'));
select told('payment.received', uid(22), 1, jsonb_build_object('paymentId', uid(22), 'amount', gbp(12), 'unallocated', gbp(0),
  'receiveDate', '2026-10-21', 'allocations', jsonb_build_array(
    jsonb_build_object('invoiceId', uid(4), 'amount', gbp(8), 'residual', gbp(12)),
    jsonb_build_object('invoiceId', uid(6), 'amount', gbp(4), 'residual', gbp(26)))));
select told('credit_note.issued', uid(4), 2, jsonb_build_object('creditNoteId', uid(31), 'amount', gbp(20), 'residual', gbp(12),
  'issueDate', '2026-10-25'));
drop function told, gbp, uid;";

#[tokio::test]
async fn what_happened_before_the_subledgers_is_in_them_on_the_days_of_its_events() {
    let database = TestDb::start().await;
    let name = format!("{}_old", database.name);
    database.admin(&format!("create database {name}")).await;
    let url = database.admin_url().replace(&database.name, &name);
    let mut db = PgConnection::connect(&url).await.unwrap();
    let before = "create schema billing; set search_path to billing";
    for sql in [before, FIRST_RELEASE[0], FIRST_RELEASE[1], TRADE] {
        sqlx::raw_sql(sql).execute(&mut db).await.unwrap();
    }
    let mut tx = db.begin().await.unwrap();
    sqlx::raw_sql(UPGRADE).execute(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();

    let pool = PgPool::connect(&url).await.unwrap();
    books::check(&pool).await;
    let days = "select effective_date::text, kind, amount::text from billing.receivable_movements order by id";
    let days: Vec<(String, String, String)> = sqlx::query_as(days).fetch_all(&pool).await.unwrap();
    let of =
        |day: &str, kind: &str, amount: &str| (day.to_owned(), kind.to_owned(), amount.to_owned());
    assert_eq!(
        days,
        [
            of("2026-10-01", "invoice", "10.00"),
            of("2026-10-02", "invoice", "12.00"),
            of("2026-10-03", "invoice", "5.00"),
            of("2026-10-04", "invoice", "20.00"),
            of("2026-09-01", "invoice", "30.00"),
            of("2026-10-21", "payment", "-12.00"),
            of("2026-10-22", "void", "-5.00"),
            of("2026-10-21", "payment", "-8.00"),
            of("2026-10-21", "payment", "-4.00"),
            of("2026-10-25", "credit_note", "-12.00"),
        ]
    );
    let credit: Vec<(String, String, String)> = sqlx::query_as(
        "select effective_date::text, kind, amount::text from billing.credit_movements order by id",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    assert_eq!(
        credit,
        [of("2026-10-21", "payment", "3.00"), of("2026-10-25", "credit_note", "8.00")]
    );

    for table in ["receivable_movements", "credit_movements"] {
        for change in [
            format!("update billing.{table} set amount = 1"),
            format!("delete from billing.{table}"),
        ] {
            let refused = sqlx::raw_sql(AssertSqlSafe(change)).execute(&pool).await.unwrap_err();
            assert!(refused.to_string().contains("is append-only"), "{refused}");
        }
    }
    pool.close().await;
    db.close().await.unwrap();
    database.admin(&format!("drop database {name} with (force)")).await;
}
