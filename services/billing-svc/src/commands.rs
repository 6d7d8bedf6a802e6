//! What the service can be told to do: one file per verb, one transaction per command. Those that consumers tell run in the consumer's.

mod issue_invoices;
mod record_payment;
mod sweep_overdue;
mod take_back_invoices;

pub(crate) use issue_invoices::{PlacedOrder, issue_invoices};
pub(crate) use record_payment::{RecordPayment, record_payment};
pub use sweep_overdue::Sweeper;
pub(crate) use take_back_invoices::{CancelledOrder, take_back_invoices};

use log::{Cause, NewEvent};
use proto::events::v1::InvoicePaid;

use crate::domain::Invoice;

/// Nothing is owed on an invoice any more: its payment, or its amount of 0, says so.
fn paid(invoice: &Invoice, cause: &Cause) -> NewEvent {
    let data =
        InvoicePaid { invoice_id: invoice.id.to_string(), order_id: invoice.order_id.to_string() };
    NewEvent::new("invoice.paid", invoice.id, invoice.version, &data, cause)
}
