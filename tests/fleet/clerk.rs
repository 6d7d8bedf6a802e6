//! Somebody who works in a shop, and does at random all that can be done there.

use std::{collections::BTreeMap, fmt::Debug, future::Future};

use prost_types::{Struct, Value, value::Kind};
use proto::{
    billing::v1 as billing,
    hr::v1::{
        self as hr, hr_service_client::HrServiceClient,
        payroll_service_client::PayrollServiceClient,
    },
    inventory::v1 as inventory,
    ledger::v1::{self as ledger, ledger_service_client::LedgerServiceClient},
    orders::v1 as orders,
};
use testkit::Dice;
use tonic::{Code, Response, Status};
use uuid::Uuid;

use crate::world::{World, money};

pub(crate) const SKUS: [&str; 4] = ["TEA", "CUP", "POT", "JAM"];
const STEPS: usize = 250;

/// Asks a service, as [`Clerk::ask`] does.
macro_rules! ask {
    ($clerk:expr, $what:literal, $client:expr, $method:ident, $request:expr) => {{
        let client = $client;
        let call = |request| {
            let mut client = client.clone();
            async move { client.$method(request).await }
        };
        $clerk.ask($what, $request, call).await
    }};
}

/// One of those who work in the shop.
pub(crate) struct Clerk<'a> {
    /// Also of the people whose wages this clerk runs.
    name: &'static str,
    world: &'a World,
    dice: Dice,
    customers: &'a [String],
    orders: Vec<String>,
    payments: Vec<String>,
    runs: Vec<String>,
    /// Those of the runs that were approved and not taken back.
    approved: Vec<String>,
    journals: Vec<String>,
    /// How often each thing was done, and how often the state forbade it.
    pub(crate) tally: BTreeMap<&'static str, (u32, u32)>,
}

impl<'a> Clerk<'a> {
    pub(crate) fn new(
        name: &'static str,
        world: &'a World,
        customers: &'a [String],
        seed: u64,
    ) -> Self {
        Self {
            name,
            world,
            dice: Dice::new(seed),
            customers,
            orders: Vec::new(),
            payments: Vec::new(),
            runs: Vec::new(),
            approved: Vec::new(),
            journals: Vec::new(),
            tally: BTreeMap::new(),
        }
    }

    pub(crate) async fn work(&mut self) {
        for _ in 0..STEPS {
            match self.dice.roll(29) {
                0..5 => self.sell().await,
                5..8 => self.ship().await,
                8..10 => self.cancel().await,
                10..12 => self.take_goods_back().await,
                12 => self.hold_or_release().await,
                13..15 => self.take_stock().await,
                15 => self.adjust_stock().await,
                16..19 => self.be_paid().await,
                19 => self.use_credit().await,
                20 => self.have_a_payment_bounce().await,
                21..23 => self.give_up_an_invoice().await,
                23..28 => self.pay_people().await,
                _ => self.book_by_hand().await,
            }
        }
    }

    /// Asks, and now and then asks the same again. The state may forbid it; whatever else is said is a fault.
    async fn ask<R, T, F>(
        &mut self,
        what: &'static str,
        request: R,
        call: impl Fn(R) -> F,
    ) -> Option<T>
    where
        R: Clone + Debug,
        T: Debug,
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let mut answer = call(request.clone()).await;
        if self.dice.roll(4) == 0 {
            let again = call(request.clone()).await;
            // A refusal is not remembered: what was short may be there now.
            assert!(answer.is_err() || again.is_ok(), "{what} twice, then {again:?}");
            answer = again;
        }
        let (done, refused) = self.tally.entry(what).or_default();
        match answer {
            Ok(answer) => {
                *done += 1;
                Some(answer.into_inner())
            }
            Err(status) if status.code() == Code::FailedPrecondition => {
                *refused += 1;
                None
            }
            Err(status) => panic!("{what}: {status:?} to {request:?}"),
        }
    }

    fn customer(&self) -> String {
        self.dice.pick(self.customers).unwrap().clone()
    }

    async fn order(&self) -> Option<orders::Order> {
        let order_id = self.dice.pick(&self.orders)?.clone();
        let request = orders::GetOrderRequest { order_id };
        self.world.orders().get_order(request).await.unwrap().into_inner().order
    }

    /// An invoice of one of the clerk's orders, if it is there already.
    async fn invoice(&self) -> Option<billing::Invoice> {
        let order_id = self.dice.pick(&self.orders)?.clone();
        let request = billing::GetInvoiceRequest { order_id, ..Default::default() };
        self.world.billing().get_invoice(request).await.ok()?.into_inner().invoice
    }

    async fn sell(&mut self) {
        let lines = (0..=self.dice.roll(3)).map(|_| orders::CreateOrderLine {
            sku: (*self.dice.pick(&SKUS).unwrap()).to_owned(),
            quantity: 1 + self.dice.roll(5),
            tax_rate: (*self.dice.pick(&["", "0.05", "0.20"]).unwrap()).to_owned(),
            ..Default::default()
        });
        let request = orders::CreateOrderRequest {
            request_id: new_id(),
            customer_id: self.customer(),
            lines: lines.collect(),
            place: self.dice.roll(8) > 0,
            ..Default::default()
        };
        let client = self.world.orders();
        let sold = ask!(self, "sell", client, create_order, request);
        self.orders.extend(sold.map(|answer| answer.order.unwrap().order_id));
    }

    async fn ship(&mut self) {
        let Some(order) = self.order().await else { return };
        let mut lines = Vec::new();
        if self.dice.roll(2) == 0 {
            for line in &order.lines {
                let open = line.quantity - line.shipped_quantity - line.cancelled_quantity;
                if open > 0 && self.dice.roll(2) == 0 {
                    let (line_id, quantity) = (line.line_id.clone(), 1 + self.dice.roll(open));
                    lines.push(orders::ShipOrderLine { line_id, quantity });
                }
            }
        }
        let request =
            orders::ShipOrderRequest { request_id: new_id(), order_id: order.order_id, lines };
        let client = self.world.orders();
        ask!(self, "ship", client, ship_order, request);
    }

    async fn cancel(&mut self) {
        let Some(order_id) = self.dice.pick(&self.orders).cloned() else { return };
        let reason = "no longer wanted".to_owned();
        let request = orders::CancelOrderRequest { request_id: new_id(), order_id, reason };
        let client = self.world.orders();
        ask!(self, "cancel", client, cancel_order, request);
    }

    async fn take_goods_back(&mut self) {
        let Some(order) = self.order().await else { return };
        let mut lines = Vec::new();
        for line in &order.lines {
            let out = line.shipped_quantity - line.returned_quantity;
            if out > 0 {
                let disposition = if self.dice.roll(3) == 0 {
                    orders::ReturnDisposition::Scrap
                } else {
                    orders::ReturnDisposition::Restock
                };
                lines.push(orders::ReturnOrderLine {
                    line_id: line.line_id.clone(),
                    quantity: 1 + self.dice.roll(out),
                    disposition: disposition.into(),
                });
            }
        }
        if lines.is_empty() {
            return;
        }
        let request = orders::ReturnOrderRequest {
            request_id: new_id(),
            order_id: order.order_id,
            lines,
            reason: "broken".to_owned(),
        };
        let client = self.world.orders();
        ask!(self, "take back", client, return_order, request);
    }

    async fn hold_or_release(&mut self) {
        let Some(order_id) = self.dice.pick(&self.orders).cloned() else { return };
        let client = self.world.orders();
        if self.dice.roll(2) == 0 {
            let request = orders::HoldOrderRequest {
                request_id: new_id(),
                order_id,
                reason: "ask first".to_owned(),
            };
            ask!(self, "hold", client, hold_order, request);
        } else {
            let request = orders::ReleaseOrderRequest { request_id: new_id(), order_id };
            ask!(self, "let go on", client, release_order, request);
        }
    }

    async fn take_stock(&mut self) {
        let unit_cost = *self.dice.pick(&["", "1.1111", "0.333", "7"]).unwrap();
        let request = inventory::ReceiveStockRequest {
            request_id: new_id(),
            sku: (*self.dice.pick(&SKUS).unwrap()).to_owned(),
            quantity: 1 + self.dice.roll(15),
            unit_cost: unit_cost.to_owned(),
            ..Default::default()
        };
        let client = self.world.inventory();
        ask!(self, "receive", client, receive_stock, request);
    }

    async fn adjust_stock(&mut self) {
        let sku = (*self.dice.pick(&SKUS).unwrap()).to_owned();
        let change = self.dice.roll(3) + 1;
        let (reason, quantity_change) = if self.dice.roll(3) == 0 {
            (inventory::AdjustmentReason::Found, change)
        } else {
            (inventory::AdjustmentReason::Damaged, -change)
        };
        let request = inventory::AdjustStockRequest {
            request_id: new_id(),
            reason: reason.into(),
            lines: vec![inventory::AdjustStockLine { sku, quantity_change }],
        };
        let client = self.world.inventory();
        ask!(self, "adjust", client, adjust_stock, request);
    }

    /// For an invoice, for an order whose invoice may not be there yet, or for whatever is due.
    async fn be_paid(&mut self) {
        let mut request = billing::RecordPaymentRequest {
            request_id: new_id(),
            customer_id: self.customer(),
            external_reference: new_id(),
            amount: money(&format!("{}.{:02}", self.dice.roll(40), 1 + self.dice.roll(99))),
            ..Default::default()
        };
        match self.dice.roll(3) {
            0 => {
                if let Some(invoice) = self.invoice().await {
                    request.customer_id = invoice.customer_id;
                    request.invoice_id = invoice.invoice_id;
                }
            }
            1 => {
                self.sell().await;
                if let Some(order_id) = self.orders.last() {
                    let ask = orders::GetOrderRequest { order_id: order_id.clone() };
                    let order = self.world.orders().get_order(ask).await.unwrap().into_inner();
                    let order = order.order.unwrap();
                    request.customer_id = order.customer_id;
                    request.order_id = order.order_id;
                }
            }
            _ => (),
        }
        let paid = ask!(self, "be paid", self.world.billing(), record_payment, request);
        self.payments.extend(paid.map(|answer| answer.payment.unwrap().payment_id));
    }

    async fn use_credit(&mut self) {
        let client = self.world.billing();
        if self.dice.roll(2) == 0 {
            let request = billing::AllocateCreditRequest {
                request_id: new_id(),
                customer_id: self.customer(),
                ..Default::default()
            };
            ask!(self, "allocate credit", client, allocate_credit, request);
        } else {
            let request = billing::RefundCreditRequest {
                request_id: new_id(),
                customer_id: self.customer(),
                amount: money(&format!("{}.50", self.dice.roll(5))),
                external_reference: new_id(),
            };
            ask!(self, "refund", client, refund_credit, request);
        }
    }

    async fn have_a_payment_bounce(&mut self) {
        let Some(payment_id) = self.dice.take(&mut self.payments) else { return };
        let request = billing::ReversePaymentRequest {
            request_id: new_id(),
            payment_id,
            reason: "bounced".to_owned(),
        };
        let client = self.world.billing();
        ask!(self, "bounce", client, reverse_payment, request);
    }

    /// Mostly one on which something is owed.
    async fn give_up_an_invoice(&mut self) {
        let mut invoice = self.invoice().await;
        for _ in 0..9 {
            if invoice.as_ref().is_some_and(|invoice| {
                invoice.residual.as_ref().is_some_and(|left| left.amount != "0.00")
            }) {
                break;
            }
            invoice = self.invoice().await;
        }
        let Some(invoice) = invoice else { return };
        let (request_id, reason) = (new_id(), "a mistake".to_owned());
        // One of which something was paid or credited is not voided.
        let untouched = invoice.residual == invoice.amount;
        let invoice_id = invoice.invoice_id;
        let client = self.world.billing();
        match self.dice.roll(6) {
            0..3 if untouched => {
                let request = billing::VoidInvoiceRequest { request_id, invoice_id, reason };
                ask!(self, "void", client, void_invoice, request);
            }
            0..4 => {
                let request = billing::WriteOffInvoiceRequest { request_id, invoice_id, reason };
                ask!(self, "write off", client, write_off_invoice, request);
            }
            _ => {
                let amount = money(&format!("{}.{:02}", self.dice.roll(3), 1 + self.dice.roll(99)));
                let request = billing::IssueCreditNoteRequest {
                    request_id,
                    invoice_id,
                    amount,
                    reason,
                    ..Default::default()
                };
                ask!(self, "credit", client, issue_credit_note, request);
            }
        }
    }

    /// Month by month.
    async fn pay_people(&mut self) {
        let payroll = PayrollServiceClient::new(self.world.client("hr-svc"));
        match self.dice.roll(6) {
            0 => self.hire().await,
            1..3 => {
                let request = hr::CreatePayrollRunRequest {
                    request_id: new_id(),
                    period: format!("2026-{:02}", 1 + self.dice.roll(10)),
                    payroll_group: self.name.to_owned(),
                    ..Default::default()
                };
                let run = ask!(self, "run payroll", payroll, create_payroll_run, request);
                self.runs.extend(run.map(|answer| answer.payroll_run.unwrap().payroll_run_id));
            }
            3..5 => {
                let Some(payroll_run_id) = self.dice.pick(&self.runs).cloned() else { return };
                let request = hr::GetPayrollRunRequest { payroll_run_id: payroll_run_id.clone() };
                let found = payroll.clone().get_payroll_run(request).await.unwrap().into_inner();
                let request = hr::ApprovePayrollRunRequest {
                    request_id: new_id(),
                    payroll_run_id: payroll_run_id.clone(),
                    etag: found.payroll_run.unwrap().etag,
                };
                let done =
                    ask!(self, "approve payroll", payroll.clone(), approve_payroll_run, request);
                if done.is_some() && !self.approved.contains(&payroll_run_id) {
                    self.approved.push(payroll_run_id.clone());
                }
                if self.dice.roll(2) == 0 {
                    return;
                }
                let request = hr::PayPayrollRunRequest {
                    request_id: new_id(),
                    payroll_run_id,
                    ..Default::default()
                };
                ask!(self, "pay wages", payroll, pay_payroll_run, request);
            }
            _ => {
                let Some(payroll_run_id) = self.dice.take(&mut self.approved) else { return };
                let request = hr::ReversePayrollRunRequest {
                    request_id: new_id(),
                    payroll_run_id,
                    ..Default::default()
                };
                ask!(self, "take wages back", payroll, reverse_payroll_run, request);
            }
        }
    }

    async fn hire(&mut self) {
        let pence = |value: u32| Value { kind: Some(Kind::NumberValue(value.into())) };
        let inputs = [
            ("paye_pence", self.dice.roll(9_000)),
            ("employee_ni_pence", self.dice.roll(5_000)),
            ("employee_pension_pence", self.dice.roll(4_000)),
            ("employer_ni_pence", self.dice.roll(6_000)),
            ("employer_pension_pence", self.dice.roll(3_000)),
        ];
        let fields = inputs.map(|(key, value)| (key.to_owned(), pence(value))).into();
        let request = hr::CreateEmployeeRequest {
            request_id: new_id(),
            name: "Di".to_owned(),
            email: format!("{}@example.com", new_id()),
            role: "baker".to_owned(),
            salary_pence: 600_000 + self.dice.roll(3_000_000_i64),
            payroll_meta: Some(Struct { fields }),
            payroll_group: self.name.to_owned(),
            hire_date: "2026-01-01".to_owned(),
        };
        ask!(
            self,
            "hire",
            HrServiceClient::new(self.world.client("hr-svc")),
            create_employee,
            request
        );
    }

    async fn book_by_hand(&mut self) {
        let books = LedgerServiceClient::new(self.world.client("ledger-svc"));
        if self.dice.roll(3) == 0 {
            let Some(journal_id) = self.dice.take(&mut self.journals) else { return };
            let request = ledger::ReverseJournalRequest {
                request_id: new_id(),
                journal_id,
                ..Default::default()
            };
            ask!(self, "reverse a journal", books, reverse_journal, request);
            return;
        }
        let amount = money(&format!("{}.{:02}", self.dice.roll(900), 1 + self.dice.roll(99)));
        let line = |account: &str, debit, credit| ledger::NewLine {
            account: account.to_owned(),
            debit,
            credit,
        };
        let journal = ledger::NewJournal {
            effective_date: "2026-11-01".to_owned(),
            description: "rent, paid out of a pocket".to_owned(),
            lines: vec![line("7400", amount.clone(), None), line("3100", None, amount)],
            ..Default::default()
        };
        let request = ledger::PostJournalRequest {
            request_id: new_id(),
            journal: Some(journal),
            ..Default::default()
        };
        let posted = ask!(self, "post a journal", books, post_journal, request);
        self.journals.extend(posted.map(|answer| answer.journal.unwrap().journal_id));
    }
}

fn new_id() -> String {
    Uuid::now_v7().to_string()
}
