//! `verify.sql` itself: each of its invariants notices when it is broken.

use proto::{
    hr::v1::{
        ApprovePayrollRunRequest, CreateEmployeeRequest, CreatePayrollRunRequest,
        PayPayrollRunRequest, PayrollRun, ReversePayrollRunRequest,
        hr_service_client::HrServiceClient, payroll_service_client::PayrollServiceClient,
    },
    inventory::v1::ReceiveStockRequest,
    ledger::v1::{
        NewJournal, NewLine, PostJournalRequest, ReverseJournalRequest,
        ledger_service_client::LedgerServiceClient,
    },
    orders::v1::{Order, ReturnDisposition, ReturnOrderLine, ReturnOrderRequest},
};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::world::{World, money};

/// What is done to the tables, and which invariant must say so.
const FAULTS: [(&str, &str); 44] = [
    ("update orders.orders set total_amount = total_amount + 0.01", "sum of its lines"),
    ("delete from orders.order_items", "that was placed has lines"),
    (
        "update inventory.inventory_items set reserved_qty = reserved_qty + 1",
        "what open reservations hold",
    ),
    ("update inventory.inventory_items set qty_on_hand = qty_on_hand + 1", "sum of all movements"),
    ("update inventory.inventory_items set value = value + 0.01", "sum of all movements"),
    (
        "update inventory.inventory_items set movement_count = movement_count + 1",
        "sum of all movements",
    ),
    ("update inventory.reservations set state = 'released'", "as its order is"),
    ("update inventory.reservation_items set qty = qty + 1", "has all its stock"),
    ("delete from inventory.stock_movements where reason = 'shipment'", "what orders shipped"),
    ("delete from inventory.stock_movements where reason = 'return'", "what orders took back"),
    ("update orders.return_items set restock = not restock", "what orders took back"),
    (
        "update orders.orders set returned_amount = returned_amount - 0.01 where returned_amount > 0",
        "sum of its returns",
    ),
    ("delete from orders.return_items", "sum of its returns"),
    ("delete from billing.invoices", "has one invoice"),
    (
        "update billing.invoices set amount = amount + 0.01, paid_amount = paid_amount + 0.01",
        "has one invoice",
    ),
    ("update orders.orders set status = 'cancelled' where status = 'completed'", "are taken back"),
    ("delete from billing.order_reductions", "taken off its invoice"),
    ("update orders.orders set paid = not paid", "paid when its invoice is"),
    (
        "update orders.orders set status = 'shipped' where status = 'completed'",
        "stands as its lines do",
    ),
    (
        "update ledger.ledger_entries e set account = '8100' from ledger.journals j
         where j.id = e.journal_id and j.reverses_journal_id is not null and e.debit > 0",
        "is its mirror",
    ),
    (
        "delete from billing.receivable_movements where kind = 'payment'",
        "invoice is the sum of its movements",
    ),
    (
        "update billing.payments set unallocated = unallocated + 0.01",
        "what it paid, what of it is credit",
    ),
    (
        "update billing.credit_notes set unallocated = unallocated - 0.01 where unallocated > 0",
        "left of a credit note",
    ),
    ("update billing.credit_notes set amount = amount + 0.01", "sum of its credit notes"),
    ("update billing.number_series set next_number = next_number + 1", "no number"),
    (
        "update ledger.ledger_entries set debit = debit + 0.01 where debit > 0",
        "each journal balances",
    ),
    ("delete from ledger.journals where event_type = 'invoice.issued'", "has one journal"),
    ("delete from ledger.journals where event_type = 'stock.shipped'", "has one journal"),
    ("delete from ledger.journals where event_type = 'payroll.approved'", "has one journal"),
    ("delete from ledger.journals where event_type = 'payroll.repaid'", "has one journal"),
    (
        "delete from ledger.events_log where event_type = 'journal.posted'",
        "by hand tells of itself",
    ),
    ("update ledger.account_days set debit = debit + 0.01", "sums of an account's days"),
    (
        "delete from ledger.ledger_entries where account = '1100' and credit > 0",
        "open invoices owe",
    ),
    (
        "update ledger.journals set effective_date = effective_date - 1 where event_type = 'payment.received'",
        "owed on each day",
    ),
    ("update ledger.ledger_entries set account = '2110' where account = '4000'", "account 2110"),
    ("update ledger.ledger_entries set account = '1001' where account = '4000'", "account 1001"),
    ("update ledger.ledger_entries set account = '2220' where account = '4000'", "account 2220"),
    ("delete from hr.payslips", "sum of its payslips"),
    ("update hr.payroll_runs set journal_id = null", "the journals that book it"),
    ("update hr.payroll_runs set repayment_journal_id = null", "the journals that book it"),
    (
        "update hr.payroll_runs set status = 'reversed', reversed_on = '2026-11-01'",
        "its mirror come to nothing",
    ),
    ("delete from orders.events_log where event_type = 'order.placed'", "versions of an aggregate"),
    ("update billing.invoices set version = version + 1", "newest event"),
    ("update ledger.consumer_positions set log_id = log_id - 1", "all that was published"),
];

#[tokio::test]
async fn each_invariant_notices_its_own_fault() {
    let world = World::start().await;
    world.product("TEA", "2.50", 10).await;
    world.receive("TEA", 2, "1.10").await;
    let customer = world.customer().await;
    let sold = world.sell_ship_and_pay(&customer, "TEA", "12.00").await;
    world.take_back(&sold, 1).await;
    world.run_payroll().await;
    world.post_by_hand().await;
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

impl World {
    /// Goods that cost something.
    async fn receive(&self, sku: &str, quantity: i32, unit_cost: &str) {
        let request = ReceiveStockRequest {
            sku: sku.to_owned(),
            quantity,
            unit_cost: unit_cost.to_owned(),
            ..Default::default()
        };
        self.inventory().receive_stock(request).await.unwrap();
    }

    /// Some of the order's first line, which are worth nothing any more.
    async fn take_back(&self, order: &Order, quantity: i32) {
        let line = ReturnOrderLine {
            line_id: order.lines[0].line_id.clone(),
            quantity,
            disposition: ReturnDisposition::Scrap.into(),
        };
        let request = ReturnOrderRequest {
            order_id: order.order_id.clone(),
            lines: vec![line],
            ..Default::default()
        };
        self.orders().return_order(request).await.unwrap();
    }

    /// Somebody's wages: those of a month are approved and not paid, those of another were paid and taken back.
    async fn run_payroll(&self) {
        let request = CreateEmployeeRequest {
            name: "Di".to_owned(),
            email: "di@example.com".to_owned(),
            role: "baker".to_owned(),
            salary_pence: 2_400_000,
            hire_date: "2026-01-01".to_owned(),
            ..Default::default()
        };
        let mut people = HrServiceClient::new(self.client("hr-svc"));
        people.create_employee(request).await.unwrap();
        self.approve_payroll("2026-10").await;
        let payroll_run_id = self.approve_payroll("2026-09").await.payroll_run_id;
        let mut payroll = PayrollServiceClient::new(self.client("hr-svc"));
        let pay =
            PayPayrollRunRequest { payroll_run_id: payroll_run_id.clone(), ..Default::default() };
        payroll.pay_payroll_run(pay).await.unwrap();
        let reverse = ReversePayrollRunRequest { payroll_run_id, ..Default::default() };
        payroll.reverse_payroll_run(reverse).await.unwrap();
    }

    async fn approve_payroll(&self, period: &str) -> PayrollRun {
        let request = CreatePayrollRunRequest { period: period.to_owned(), ..Default::default() };
        let mut payroll = PayrollServiceClient::new(self.client("hr-svc"));
        let run = payroll.create_payroll_run(request).await.unwrap().into_inner();
        let run = run.payroll_run.unwrap();
        let request = ApprovePayrollRunRequest {
            payroll_run_id: run.payroll_run_id,
            etag: run.etag,
            ..Default::default()
        };
        payroll.approve_payroll_run(request).await.unwrap().into_inner().payroll_run.unwrap()
    }

    /// And take it back.
    async fn post_by_hand(&self) {
        let mut books = LedgerServiceClient::new(self.client("ledger-svc"));
        let posted = books.post_journal(till_money()).await.unwrap().into_inner();
        let request = ReverseJournalRequest {
            journal_id: posted.journal.unwrap().journal_id,
            ..Default::default()
        };
        books.reverse_journal(request).await.unwrap();
    }
}

/// What was in the till.
pub(crate) fn till_money() -> PostJournalRequest {
    let line =
        |account: &str, debit, credit| NewLine { account: account.to_owned(), debit, credit };
    let journal = NewJournal {
        effective_date: "2026-11-01".to_owned(),
        description: "what was in the till".to_owned(),
        lines: vec![line("1200", money("50.00"), None), line("3200", None, money("50.00"))],
        ..Default::default()
    };
    PostJournalRequest { journal: Some(journal), ..Default::default() }
}
