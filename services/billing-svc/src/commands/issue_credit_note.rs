use chrono::{DateTime, Utc};
use ids::{CreditNoteId, InvoiceId};
use log::{Cause, Log, NewEvent, RequestKey};
use money::Money;
use proto::events::v1::CreditNoteIssued;
use sqlx::PgConnection;

use crate::{
    BillingError, commands,
    domain::{
        Calendar, CreditMovement, CreditNote, Invoice, InvoiceStatus, MovementKind, Part,
        ReceivableMovement, Reduction, Source,
    },
    store,
};

#[derive(Debug)]
pub(crate) struct IssueCreditNote {
    pub(crate) request_key: Option<RequestKey>,
    pub(crate) cause: Cause,
    pub(crate) invoice_id: InvoiceId,
    /// Gross.
    pub(crate) amount: Money,
    /// The part of `amount` that is tax; none for as much of it as of the invoice.
    pub(crate) tax: Option<Money>,
    pub(crate) reason: String,
}

/// A credit note with its invoice as it is afterwards.
#[derive(Debug)]
pub(super) struct Noted {
    pub(super) note: CreditNote,
    pub(super) invoice: Invoice,
    /// The invoice's version at the credit note; higher still when it was paid by it.
    pub(super) version: i32,
}

/// Locks the invoice.
#[tracing::instrument(name = "billing.issue_credit_note", skip_all, fields(invoice.id = %command.invoice_id))]
pub(crate) async fn issue_credit_note(
    log: &Log,
    calendar: &Calendar,
    command: IssueCreditNote,
) -> Result<CreditNote, BillingError> {
    let mut tx = log.begin().await?;
    let id = CreditNoteId::generate();
    let request_key = command.request_key.as_ref();
    if let Some(earlier) = log::answered(&mut tx, store::SCHEMA, request_key, id).await? {
        let id = earlier.parse().map_err(|_| sqlx::Error::RowNotFound)?;
        return store::credit_notes::get(&mut tx, id).await;
    }
    let before = store::invoices::lock_one(&mut tx, command.invoice_id).await?;
    let available = before.left_to_credit();
    if command.amount > available {
        return Err(BillingError::OverCredit { invoice_id: before.id, available });
    }
    let by = command.reduction(&before)?;
    let at = store::now(&mut tx).await?;
    let mut noted = [Noted::new(before, id, &by, false, command.reason, at)];
    number(&mut tx, &mut noted).await?;
    book(&mut tx, calendar, &noted).await?;
    let [noted] = noted;
    store::invoices::update(&mut tx, &[&noted.invoice]).await?;
    log.append(&mut tx, &noted.news(calendar, &command.cause)).await?;
    log.commit(tx).await?;
    Ok(noted.note)
}

impl IssueCreditNote {
    fn reduction(&self, invoice: &Invoice) -> Result<Reduction, BillingError> {
        let (amount, whole) = (self.amount, invoice.amount);
        let Some(tax) = self.tax else {
            let like = Part { amount: whole, tax: invoice.tax_amount };
            return Ok(invoice.reduction(like, amount, Money::ZERO));
        };
        let (least, most) = invoice.tax_bounds(amount);
        if !(least..=most).contains(&tax) {
            return Err(BillingError::TaxNotLeft { least, most });
        }
        Ok(invoice.reduction(Part { amount, tax }, amount, Money::ZERO))
    }
}

impl Noted {
    /// Its number is still to be taken.
    pub(super) fn new(
        before: Invoice,
        id: CreditNoteId,
        by: &Reduction,
        whole: bool,
        reason: String,
        at: DateTime<Utc>,
    ) -> Self {
        let note = CreditNote {
            id,
            number: String::new(),
            invoice_id: before.id,
            customer_id: before.customer_id,
            amount: by.noted(),
            tax_amount: by.tax,
            credited: by.credited,
            unallocated: by.credited,
            reason,
            issued_at: at,
        };
        let version = before.version + 1;
        Self { note, invoice: before.reduced(by, whole, at), version }
    }

    pub(super) fn news(&self, calendar: &Calendar, cause: &Cause) -> Vec<NewEvent> {
        let (note, invoice) = (&self.note, &self.invoice);
        let data = CreditNoteIssued {
            credit_note_id: note.id.to_string(),
            number: note.number.clone(),
            invoice_id: note.invoice_id.to_string(),
            customer_id: note.customer_id.to_string(),
            amount: Some(rpc::to_money(note.amount)),
            tax: Some(rpc::to_money(note.tax_amount)),
            residual: Some(rpc::to_money(note.residual())),
            issue_date: rpc::to_date(calendar.day_of(note.issued_at)),
            invoice_residual: Some(rpc::to_money(invoice.residual())),
            order_id: invoice.order_id.to_string(),
        };
        let issued = NewEvent::new("credit_note.issued", invoice.id, self.version, &data, cause);
        let settled = invoice.version > self.version && invoice.status == InvoiceStatus::Paid;
        std::iter::once(issued).chain(settled.then(|| commands::paid(invoice, cause))).collect()
    }
}

/// Gives credit notes their numbers, in their order. The invoices are locked.
pub(super) async fn number(tx: &mut PgConnection, noted: &mut [Noted]) -> sqlx::Result<()> {
    let numbers = store::numbers::take(tx, "CRN", noted.len()).await?;
    noted.iter_mut().zip(numbers).for_each(|(noted, number)| noted.note.number = number);
    Ok(())
}

/// Keeps credit notes, what is owed less by them, and what is credit now. Three statements however many.
pub(super) async fn book(
    tx: &mut PgConnection,
    calendar: &Calendar,
    noted: &[Noted],
) -> sqlx::Result<()> {
    let notes: Vec<CreditNote> = noted.iter().map(|noted| noted.note.clone()).collect();
    store::credit_notes::insert(tx, &notes).await?;
    let kind = MovementKind::CreditNote;
    let less_owed = noted.iter().map(|Noted { note, invoice, .. }| {
        let (day, less) = (calendar.day_of(note.issued_at), commands::less(note.residual()));
        ReceivableMovement::of(invoice, kind, note.id.0, day, less)
    });
    store::movements::insert_receivables(tx, &less_owed.collect::<Vec<_>>()).await?;
    let credit = notes.iter().map(|note| CreditMovement {
        customer_id: note.customer_id,
        kind,
        document_id: note.id.0,
        source: Source::CreditNote(note.id),
        day: calendar.day_of(note.issued_at),
        amount: note.credited,
    });
    store::movements::insert_credits(tx, &credit.collect::<Vec<_>>()).await
}
