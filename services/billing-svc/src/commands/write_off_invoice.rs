use chrono::NaiveDate;
use log::{Cause, Log, NewEvent};
use money::Money;
use proto::events::v1::InvoiceWrittenOff;

use crate::{
    BillingError,
    commands::{self, CloseInvoice},
    domain::{Calendar, Invoice, InvoiceStatus, MovementKind, ReceivableMovement},
    store,
};

/// Locks the invoice.
#[tracing::instrument(name = "billing.write_off_invoice", skip_all, fields(invoice.id = %command.id))]
pub(crate) async fn write_off_invoice(
    log: &Log,
    calendar: &Calendar,
    command: CloseInvoice,
) -> Result<Invoice, BillingError> {
    let mut tx = log.begin().await?;
    let request_key = command.request_key.as_ref();
    let again = log::answered(&mut tx, store::SCHEMA, request_key, command.id).await?.is_some();
    let before = store::invoices::lock_one(&mut tx, command.id).await?;
    // An answered request closes nothing that was opened again since, by a payment that bounced.
    if again || before.status == InvoiceStatus::WrittenOff {
        log.commit(tx).await?;
        return Ok(before);
    }
    let (invoice_id, from, amount) = (before.id, before.status.to_string(), before.residual());
    let refusal = BillingError::InvoiceState { invoice_id, from, to: "written_off" };
    let after = before.written_off(command.reason).ok_or(refusal)?;
    let day = calendar.day_of(store::now(&mut tx).await?);
    store::invoices::update(&mut tx, &[&after]).await?;
    let less = commands::less(amount);
    let gone = ReceivableMovement::of(&after, MovementKind::WriteOff, after.id.0, day, less);
    store::movements::insert_receivables(&mut tx, &[gone]).await?;
    log.append(&mut tx, &[told(&after, amount, day, &command.cause)]).await?;
    log.commit(tx).await?;
    Ok(after)
}

fn told(invoice: &Invoice, amount: Money, day: NaiveDate, cause: &Cause) -> NewEvent {
    let data = InvoiceWrittenOff {
        invoice_id: invoice.id.to_string(),
        order_id: invoice.order_id.to_string(),
        customer_id: invoice.customer_id.to_string(),
        amount: Some(rpc::to_money(amount)),
        write_off_date: rpc::to_date(day),
    };
    NewEvent::new("invoice.written_off", invoice.id, invoice.version, &data, cause)
}
