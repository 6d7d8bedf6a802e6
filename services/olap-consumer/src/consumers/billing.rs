use ids::InvoiceId;
use log::Event;
use proto::events::v1::{
    CreditAllocated, CreditNoteIssued, InvoiceIssued, InvoicePaid, InvoiceVoided,
    InvoiceWrittenOff, PaymentAllocated, PaymentReceived, PaymentReversed,
};

use crate::domain::{Amount, Fact, OpenInvoice};

pub(super) fn read(event: &Event) -> anyhow::Result<Option<Fact>> {
    Ok(match event.event_type.as_str() {
        "invoice.issued" => {
            let data: InvoiceIssued = event.data()?;
            let invoice = OpenInvoice {
                customer_id: data.customer_id.parse()?,
                due_date: data.due_date.parse()?,
                residual: rpc::from_money(data.amount.as_ref())?.into(),
            };
            Some(Fact::InvoiceIssued(data.invoice_id.parse()?, invoice))
        }
        "payment.received" => reduced(&event.data::<PaymentReceived>()?.allocations)?,
        "credit.allocated" => reduced(&event.data::<CreditAllocated>()?.allocations)?,
        "credit_note.issued" => credited(&event.data()?)?,
        "payment.reversed" => owed_again(&event.data()?)?,
        "invoice.paid" => closed(&event.data::<InvoicePaid>()?.invoice_id)?,
        "invoice.voided" => closed(&event.data::<InvoiceVoided>()?.invoice_id)?,
        "invoice.written_off" => closed(&event.data::<InvoiceWrittenOff>()?.invoice_id)?,
        _ => None,
    })
}

fn reduced(allocations: &[PaymentAllocated]) -> anyhow::Result<Option<Fact>> {
    let left = allocations.iter().map(|part| {
        let residual = rpc::from_money(part.residual.as_ref())?;
        anyhow::Ok((part.invoice_id.parse()?, residual.into()))
    });
    Ok(Some(Fact::InvoicesReduced(left.collect::<Result<_, _>>()?)))
}

/// A note that does not say what is still owed took back the whole invoice.
fn credited(note: &CreditNoteIssued) -> anyhow::Result<Option<Fact>> {
    let residual: Amount = match &note.invoice_residual {
        Some(residual) => rpc::from_money(Some(residual))?.into(),
        None => Amount::ZERO,
    };
    if residual == Amount::ZERO {
        return closed(&note.invoice_id);
    }
    Ok(Some(Fact::InvoicesReduced(vec![(note.invoice_id.parse()?, residual)])))
}

/// Money for an invoice that was taken back meanwhile is not owed again.
fn owed_again(payment: &PaymentReversed) -> anyhow::Result<Option<Fact>> {
    let mut owed = Vec::with_capacity(payment.allocations.len());
    for part in &payment.allocations {
        let residual: Amount = rpc::from_money(part.residual.as_ref())?.into();
        if residual > Amount::ZERO {
            let invoice = OpenInvoice {
                customer_id: payment.customer_id.parse()?,
                due_date: part.due_date.parse()?,
                residual,
            };
            owed.push((part.invoice_id.parse()?, invoice));
        }
    }
    Ok(Some(Fact::InvoicesOwedAgain(owed)))
}

fn closed(invoice_id: &str) -> anyhow::Result<Option<Fact>> {
    let id: InvoiceId = invoice_id.parse()?;
    Ok(Some(Fact::InvoiceClosed(id)))
}
