use log::{Apply, ApplyError, Event, Log};
use money::Money;
use proto::events::v1::{
    CreditAllocated, CreditNoteIssued, InvoiceIssued, InvoiceVoided, InvoiceWrittenOff,
    PaymentAllocated, PaymentReceived, PaymentReversed, RefundIssued,
};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Told, amount, book, day, not_booked, read_id};
use crate::domain::{Fact, Paid};

const SOURCE: &str = "billing";

/// Invoices, credit notes and payments.
#[derive(Debug, Clone)]
pub(crate) struct BillingBooks {
    pub(crate) log: Log,
}

impl Apply for BillingBooks {
    const TYPES: &'static [&'static str] = &[
        "invoice.issued",
        "invoice.voided",
        "invoice.written_off",
        "credit_note.issued",
        "payment.received",
        "payment.reversed",
        "credit.allocated",
        "refund.issued",
    ];

    async fn apply(&self, tx: &mut PgConnection, events: &[Event]) -> Result<(), ApplyError> {
        book(tx, &self.log, SOURCE, events, read).await
    }
}

fn read(event: &Event) -> Result<Told, ApplyError> {
    Ok(Some(match event.event_type.as_str() {
        "invoice.issued" => {
            let data: InvoiceIssued = event.data()?;
            let invoice_id = read_id(&data.invoice_id)?;
            let (gross, tax) = (amount(data.amount.as_ref())?, amount(data.tax.as_ref())?);
            (Fact::InvoiceIssued { invoice_id, gross, tax }, day(&data.issue_date)?)
        }
        "invoice.voided" => {
            let data: InvoiceVoided = event.data()?;
            let invoice_id = read_id(&data.invoice_id)?;
            let (gross, tax) = (amount(data.amount.as_ref())?, amount(data.tax.as_ref())?);
            (Fact::InvoiceVoided { invoice_id, gross, tax }, day(&data.void_date)?)
        }
        "invoice.written_off" => {
            let data: InvoiceWrittenOff = event.data()?;
            let invoice_id = read_id(&data.invoice_id)?;
            let amount = amount(data.amount.as_ref())?;
            (Fact::InvoiceWrittenOff { invoice_id, amount }, day(&data.write_off_date)?)
        }
        "credit_note.issued" => {
            let data: CreditNoteIssued = event.data()?;
            let invoice_id = read_id(&data.invoice_id)?;
            let (gross, tax) = (amount(data.amount.as_ref())?, amount(data.tax.as_ref())?);
            let residual = amount(data.residual.as_ref())?;
            (Fact::CreditNoteIssued { invoice_id, gross, tax, residual }, day(&data.issue_date)?)
        }
        "payment.received" => {
            let data: PaymentReceived = event.data()?;
            let paid = Paid {
                payment_id: read_id(&data.payment_id)?,
                amount: amount(data.amount.as_ref())?,
                allocations: shares(&data.allocations)?,
                unallocated: amount(data.unallocated.as_ref())?,
            };
            (Fact::PaymentReceived(paid), day(&data.receive_date)?)
        }
        "payment.reversed" => {
            let data: PaymentReversed = event.data()?;
            let paid = Paid {
                payment_id: read_id(&data.payment_id)?,
                amount: amount(data.amount.as_ref())?,
                allocations: shares(&data.allocations)?,
                unallocated: amount(data.unallocated.as_ref())?,
            };
            (Fact::PaymentReversed(paid), day(&data.reverse_date)?)
        }
        "credit.allocated" => {
            let data: CreditAllocated = event.data()?;
            let (amount, allocations) = (amount(data.amount.as_ref())?, shares(&data.allocations)?);
            (Fact::CreditAllocated { amount, allocations }, day(&data.allocate_date)?)
        }
        "refund.issued" => {
            let data: RefundIssued = event.data()?;
            let refund_id = read_id(&data.refund_id)?;
            let amount = amount(data.amount.as_ref())?;
            (Fact::RefundIssued { refund_id, amount }, day(&data.refund_date)?)
        }
        _ => return Err(not_booked(event)),
    }))
}

/// Invoices with what each got.
fn shares(allocations: &[PaymentAllocated]) -> Result<Vec<(Uuid, Money)>, ApplyError> {
    let share =
        |part: &PaymentAllocated| Ok((read_id(&part.invoice_id)?, amount(part.amount.as_ref())?));
    allocations.iter().map(share).collect()
}
