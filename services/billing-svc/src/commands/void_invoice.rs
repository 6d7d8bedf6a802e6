use log::Log;

use crate::{
    BillingError,
    commands::{self, CloseInvoice},
    domain::{Calendar, Invoice, InvoiceStatus, MovementKind, ReceivableMovement},
    store,
};

/// Locks the invoice.
#[tracing::instrument(name = "billing.void_invoice", skip_all, fields(invoice.id = %command.id))]
pub(crate) async fn void_invoice(
    log: &Log,
    calendar: &Calendar,
    command: CloseInvoice,
) -> Result<Invoice, BillingError> {
    let mut tx = log.begin().await?;
    let request_key = command.request_key.as_ref();
    let again = log::answered(&mut tx, store::SCHEMA, request_key, command.id).await?.is_some();
    let before = store::invoices::lock_one(&mut tx, command.id).await?;
    // An answered request closes nothing that was opened again since, by a payment that bounced.
    if again || before.status == InvoiceStatus::Voided {
        log.commit(tx).await?;
        return Ok(before);
    }
    let (invoice_id, from) = (before.id, before.status.to_string());
    let refusal = BillingError::InvoiceState { invoice_id, from, to: "voided" };
    if before.status == InvoiceStatus::WrittenOff {
        return Err(refusal);
    }
    if !before.is_untouched() {
        return Err(BillingError::CreditNoteNeeded(invoice_id));
    }
    let voided = before.voided(command.reason).ok_or(refusal)?;
    let now = store::now(&mut tx).await?;
    store::invoices::update(&mut tx, &[&voided]).await?;
    let (day, less) = (calendar.day_of(now), commands::less(voided.amount));
    let gone = ReceivableMovement::of(&voided, MovementKind::Void, voided.id.0, day, less);
    store::movements::insert_receivables(&mut tx, &[gone]).await?;
    log.append(&mut tx, &[commands::voided(&voided, calendar, now, &command.cause)]).await?;
    log.commit(tx).await?;
    Ok(voided)
}
