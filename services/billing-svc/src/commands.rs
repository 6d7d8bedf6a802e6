//! What the service can be told to do: one file per verb, one transaction per command. Those that consumers tell run in the consumer's.

mod allocate_credit;
mod issue_credit_note;
mod issue_invoices;
mod record_payment;
mod refund_credit;
mod reverse_payment;
mod set_payment_terms;
mod sweep_overdue;
mod take_back_invoices;
mod void_invoice;
mod write_off_invoice;

pub(crate) use allocate_credit::{AllocateCredit, CreditAllocation, Wanted, allocate_credit};
pub(crate) use issue_credit_note::{IssueCreditNote, issue_credit_note};
pub(crate) use issue_invoices::{PlacedOrder, issue_invoices};
pub(crate) use record_payment::{RecordPayment, record_payment};
pub(crate) use refund_credit::{RefundCredit, refund_credit};
pub(crate) use reverse_payment::{ReversePayment, reverse_payment};
pub(crate) use set_payment_terms::{SetPaymentTerms, set_payment_terms};
pub use sweep_overdue::Sweeper;
pub(crate) use take_back_invoices::{GivenUp, What, take_back_invoices};
pub(crate) use void_invoice::void_invoice;
pub(crate) use write_off_invoice::write_off_invoice;

use ids::InvoiceId;
use log::{Cause, NewEvent, RequestKey};
use money::Money;
use proto::events::v1::{InvoicePaid, InvoiceVoided, PaymentAllocated};

use crate::domain::{Calendar, Invoice, InvoiceStatus};

/// Ends an invoice by hand.
#[derive(Debug)]
pub(crate) struct CloseInvoice {
    pub(crate) request_key: Option<RequestKey>,
    pub(crate) cause: Cause,
    pub(crate) id: InvoiceId,
    pub(crate) reason: String,
}

/// Nothing is owed on an invoice any more: its payment, its credit note, or its amount of 0, says so.
fn paid(invoice: &Invoice, cause: &Cause) -> NewEvent {
    let data =
        InvoicePaid { invoice_id: invoice.id.to_string(), order_id: invoice.order_id.to_string() };
    NewEvent::new("invoice.paid", invoice.id, invoice.version, &data, cause)
}

/// Those of these invoices that have just been paid in full.
fn all_paid(shares: &[(Invoice, Money)], cause: &Cause) -> Vec<NewEvent> {
    let settled = shares.iter().filter(|(invoice, _)| invoice.status == InvoiceStatus::Paid);
    settled.map(|(invoice, _)| paid(invoice, cause)).collect()
}

fn voided(
    invoice: &Invoice,
    calendar: &Calendar,
    at: chrono::DateTime<chrono::Utc>,
    cause: &Cause,
) -> NewEvent {
    let data = InvoiceVoided {
        invoice_id: invoice.id.to_string(),
        order_id: invoice.order_id.to_string(),
        amount: Some(rpc::to_money(invoice.amount)),
        tax: Some(rpc::to_money(invoice.tax_amount)),
        void_date: rpc::to_date(calendar.day_of(at)),
    };
    NewEvent::new("invoice.voided", invoice.id, invoice.version, &data, cause)
}

/// An invoice as it is after so much of it was paid, or is owed again.
fn told((invoice, amount): &(Invoice, Money)) -> PaymentAllocated {
    PaymentAllocated {
        invoice_id: invoice.id.to_string(),
        amount: Some(rpc::to_money(*amount)),
        residual: Some(rpc::to_money(invoice.residual())),
        due_date: String::new(),
    }
}

/// What is taken away, as movements have it.
fn less(amount: Money) -> Money {
    Money::ZERO.checked_sub(amount).unwrap_or(Money::ZERO)
}
