use ids::InvoiceId;
use log::Event;
use proto::events::v1::{
    CreditNoteIssued, InvoiceIssued, InvoicePaid, InvoiceVoided, PaymentReceived,
};

use crate::domain::{Fact, OpenInvoice};

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
        "payment.received" => {
            let data: PaymentReceived = event.data()?;
            let left = data.allocations.iter().map(|part| {
                let residual = rpc::from_money(part.residual.as_ref())?;
                anyhow::Ok((part.invoice_id.parse()?, residual.into()))
            });
            Some(Fact::PaymentReceived(left.collect::<Result<_, _>>()?))
        }
        "invoice.paid" => closed(&event.data::<InvoicePaid>()?.invoice_id)?,
        "invoice.voided" => closed(&event.data::<InvoiceVoided>()?.invoice_id)?,
        "credit_note.issued" => closed(&event.data::<CreditNoteIssued>()?.invoice_id)?,
        _ => None,
    })
}

fn closed(invoice_id: &str) -> anyhow::Result<Option<Fact>> {
    let id: InvoiceId = invoice_id.parse()?;
    Ok(Some(Fact::InvoiceClosed(id)))
}
