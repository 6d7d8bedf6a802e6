//! What the other services tell, as the tests say it.

use log::{Cause, NewEvent};
use proto::events::v1::{
    CreditAllocated, CreditNoteIssued, InvoiceIssued, InvoiceVoided, InvoiceWrittenOff,
    PaymentAllocated, PaymentReceived, PaymentReversed, PayrollApproved, PayrollPaid,
    PayrollReversed, RefundIssued, StockChanged,
};

use crate::app::{money, new_id};

pub(crate) fn issued(invoice: &str, gross: &str, tax: &str, date: &str) -> NewEvent {
    let data = InvoiceIssued {
        invoice_id: invoice.to_owned(),
        amount: money(gross),
        tax: money(tax),
        issue_date: date.to_owned(),
        ..Default::default()
    };
    NewEvent::new("invoice.issued", invoice, 1, &data, &Cause::of_call())
}

pub(crate) fn voided(invoice: &str, gross: &str, tax: &str, date: &str) -> NewEvent {
    let data = InvoiceVoided {
        invoice_id: invoice.to_owned(),
        amount: money(gross),
        tax: money(tax),
        void_date: date.to_owned(),
        ..Default::default()
    };
    NewEvent::new("invoice.voided", invoice, 2, &data, &Cause::of_call())
}

/// Takes an invoice back of which all but the residual was paid.
pub(crate) fn credited(
    invoice: &str,
    gross: &str,
    tax: &str,
    residual: &str,
    date: &str,
) -> NewEvent {
    let data = CreditNoteIssued {
        credit_note_id: new_id(),
        invoice_id: invoice.to_owned(),
        amount: money(gross),
        tax: money(tax),
        residual: money(residual),
        issue_date: date.to_owned(),
        ..Default::default()
    };
    NewEvent::new("credit_note.issued", invoice, 2, &data, &Cause::of_call())
}

/// Money of which each invoice named got a part; `unallocated` is the rest.
pub(crate) fn paid(
    payment: &str,
    amount: &str,
    allocations: &[(&str, &str)],
    unallocated: &str,
    date: &str,
) -> NewEvent {
    let data = PaymentReceived {
        payment_id: payment.to_owned(),
        amount: money(amount),
        allocations: shares(allocations),
        unallocated: money(unallocated),
        receive_date: date.to_owned(),
        ..Default::default()
    };
    NewEvent::new("payment.received", payment, 1, &data, &Cause::of_call())
}

/// What became of a payment is taken back.
pub(crate) fn bounced(
    payment: &str,
    amount: &str,
    allocations: &[(&str, &str)],
    unallocated: &str,
    date: &str,
) -> NewEvent {
    let data = PaymentReversed {
        payment_id: payment.to_owned(),
        amount: money(amount),
        allocations: shares(allocations),
        unallocated: money(unallocated),
        reverse_date: date.to_owned(),
        ..Default::default()
    };
    NewEvent::new("payment.reversed", payment, 2, &data, &Cause::of_call())
}

/// A customer's credit pays invoices.
pub(crate) fn allocated(amount: &str, allocations: &[(&str, &str)], date: &str) -> NewEvent {
    let allocation_id = new_id();
    let data = CreditAllocated {
        allocation_id: allocation_id.clone(),
        amount: money(amount),
        allocations: shares(allocations),
        allocate_date: date.to_owned(),
        ..Default::default()
    };
    NewEvent::new("credit.allocated", allocation_id, 1, &data, &Cause::of_call())
}

pub(crate) fn written_off(invoice: &str, amount: &str, date: &str) -> NewEvent {
    let data = InvoiceWrittenOff {
        invoice_id: invoice.to_owned(),
        amount: money(amount),
        write_off_date: date.to_owned(),
        ..Default::default()
    };
    NewEvent::new("invoice.written_off", invoice, 3, &data, &Cause::of_call())
}

pub(crate) fn refunded(refund: &str, amount: &str, date: &str) -> NewEvent {
    let data = RefundIssued {
        refund_id: refund.to_owned(),
        amount: money(amount),
        refund_date: date.to_owned(),
        ..Default::default()
    };
    NewEvent::new("refund.issued", refund, 1, &data, &Cause::of_call())
}

fn shares(allocations: &[(&str, &str)]) -> Vec<PaymentAllocated> {
    let share = |(invoice, amount): &(&str, &str)| PaymentAllocated {
        invoice_id: (*invoice).to_owned(),
        amount: money(amount),
        ..Default::default()
    };
    allocations.iter().map(share).collect()
}

/// `order` or `document` may be "".
pub(crate) fn stock(
    event_type: &'static str,
    order: &str,
    document: &str,
    cost: &str,
    date: &str,
) -> NewEvent {
    let data = StockChanged {
        order_id: order.to_owned(),
        document_id: document.to_owned(),
        cost: money(cost),
        effective_date: date.to_owned(),
        ..Default::default()
    };
    stock_event(event_type, &data)
}

pub(crate) fn found(document: &str, cost: &str, date: &str) -> NewEvent {
    let data = StockChanged {
        document_id: document.to_owned(),
        cost: money(cost),
        gain: true,
        effective_date: date.to_owned(),
        ..Default::default()
    };
    stock_event("stock.adjusted", &data)
}

pub(crate) fn stock_event(event_type: &'static str, data: &StockChanged) -> NewEvent {
    NewEvent::new(event_type, new_id(), 1, data, &Cause::of_call())
}

/// Gross, PAYE, employee's and employer's National Insurance, employee's and employer's pension, in pence.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pay(pub(crate) [i64; 6]);

impl Pay {
    pub(crate) fn net(self) -> i64 {
        let [gross, paye, employee_ni, _, employee_pension, _] = self.0;
        gross - paye - employee_ni - employee_pension
    }

    pub(crate) fn approved(self, run: &str, date: &str) -> PayrollApproved {
        let [gross, paye, employee_ni, employer_ni, employee_pension, employer_pension] =
            self.0.map(|pence| money(&amount(pence)));
        PayrollApproved {
            payroll_run_id: run.to_owned(),
            period: date[..7].to_owned(),
            group: "monthly".to_owned(),
            payslip_count: 2,
            gross,
            paye,
            employee_ni,
            employee_pension,
            employer_ni,
            employer_pension,
            net: money(&amount(self.net())),
            effective_date: date.to_owned(),
        }
    }

    fn paid(self, run: &str, date: &str) -> PayrollPaid {
        PayrollPaid {
            payroll_run_id: run.to_owned(),
            net: money(&amount(self.net())),
            pay_date: date.to_owned(),
        }
    }
}

pub(crate) fn amount(pence: i64) -> String {
    format!("{}.{:02}", pence / 100, pence % 100)
}

pub(crate) fn approved(run: &str, pay: Pay, date: &str) -> NewEvent {
    let data = pay.approved(run, date);
    NewEvent::new("payroll.approved", run, 2, &data, &Cause::of_call())
}

pub(crate) fn paid_out(run: &str, pay: Pay, date: &str) -> NewEvent {
    NewEvent::new("payroll.paid", run, 3, &pay.paid(run, date), &Cause::of_call())
}

/// The net wages of a run that was taken back came back.
pub(crate) fn repaid(run: &str, pay: Pay, date: &str) -> NewEvent {
    NewEvent::new("payroll.repaid", run, 5, &pay.paid(run, date), &Cause::of_call())
}

pub(crate) fn taken_back(run: &str, pay: Pay, was_paid: bool, date: &str) -> NewEvent {
    let data = PayrollReversed {
        payroll_run_id: run.to_owned(),
        reversal_id: new_id(),
        approved: Some(pay.approved(run, date)),
        was_paid,
    };
    NewEvent::new("payroll.reversed", run, 4, &data, &Cause::of_call())
}
