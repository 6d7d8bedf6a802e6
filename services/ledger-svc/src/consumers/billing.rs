use std::fmt::Display;

use chrono::NaiveDate;
use ids::JournalId;
use log::{Apply, ApplyError, Cause, Event, Log, NewEvent};
use money::Money;
use proto::{
    common::v1 as pb,
    events::v1::{CreditNoteIssued, InvoiceIssued, InvoiceVoided, JournalPosted, PaymentReceived},
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    domain::{self, Fact, Journal},
    store,
};

const SOURCE: &str = "billing";

/// What billing-svc tells is booked: a journal for each event that moves money.
#[derive(Debug, Clone)]
pub(crate) struct BillingBooks {
    pub(crate) log: Log,
}

impl Apply for BillingBooks {
    const TYPES: &'static [&'static str] =
        &["invoice.issued", "invoice.voided", "credit_note.issued", "payment.received"];

    /// Three statements however many.
    async fn apply(&self, tx: &mut PgConnection, events: &[Event]) -> Result<(), ApplyError> {
        let mut journals = Vec::with_capacity(events.len());
        for event in events {
            let journal = journal(event)?;
            if !journal.lines.is_empty() {
                journals.push((journal, Cause::of_event(event)));
            }
        }
        let heads: Vec<&Journal> = journals.iter().map(|(journal, _)| journal).collect();
        let new = store::journals::insert(tx, &heads).await?;
        journals.retain(|(journal, _)| new.contains(&journal.id));

        let posted: Vec<&Journal> = journals.iter().map(|(journal, _)| journal).collect();
        store::entries::insert(tx, &posted).await?;
        let news: Vec<NewEvent> = journals
            .iter()
            .map(|(journal, cause)| told(journal, cause))
            .collect::<Result<_, _>>()?;
        self.log.append(tx, &news).await?;
        Ok(())
    }
}

fn journal(event: &Event) -> Result<Journal, ApplyError> {
    let (fact, effective_date) = read(event)?;
    Ok(Journal {
        id: JournalId::generate(),
        source: SOURCE,
        source_event_id: event.id,
        event_type: event.event_type.clone(),
        effective_date,
        lines: domain::book(&fact).map_err(refused)?,
    })
}

fn read(event: &Event) -> Result<(Fact, NaiveDate), ApplyError> {
    Ok(match event.event_type.as_str() {
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
        "credit_note.issued" => {
            let data: CreditNoteIssued = event.data()?;
            let invoice_id = read_id(&data.invoice_id)?;
            let (gross, tax) = (amount(data.amount.as_ref())?, amount(data.tax.as_ref())?);
            let residual = amount(data.residual.as_ref())?;
            (Fact::CreditNoteIssued { invoice_id, gross, tax, residual }, day(&data.issue_date)?)
        }
        "payment.received" => {
            let data: PaymentReceived = event.data()?;
            let mut allocations = Vec::with_capacity(data.allocations.len());
            for part in &data.allocations {
                allocations.push((read_id(&part.invoice_id)?, amount(part.amount.as_ref())?));
            }
            let fact = Fact::PaymentReceived {
                payment_id: read_id(&data.payment_id)?,
                amount: amount(data.amount.as_ref())?,
                allocations,
                unallocated: amount(data.unallocated.as_ref())?,
            };
            (fact, day(&data.receive_date)?)
        }
        other => return Err(refused(format!("{other} is not booked"))),
    })
}

/// A journal refers to the document of its first line.
fn told(journal: &Journal, cause: &Cause) -> Result<NewEvent, ApplyError> {
    let first = journal.lines.first().ok_or_else(|| refused("a journal without lines"))?;
    let debit = domain::sum(&journal.lines, |line| line.debit).map_err(refused)?;
    let data = JournalPosted {
        journal_id: journal.id.to_string(),
        source_event_id: journal.source_event_id.to_string(),
        ref_type: first.ref_type.to_string(),
        ref_id: first.ref_id.to_string(),
        effective_date: rpc::to_date(journal.effective_date),
        amount: Some(rpc::to_money(debit)),
    };
    Ok(NewEvent::new("journal.posted", journal.id, 1, &data, cause))
}

fn read_id(text: &str) -> Result<Uuid, ApplyError> {
    text.parse().map_err(refused)
}

fn day(text: &str) -> Result<NaiveDate, ApplyError> {
    rpc::from_date(text).map_err(refused)
}

fn amount(money: Option<&pb::Money>) -> Result<Money, ApplyError> {
    rpc::from_money(money).map_err(refused)
}

fn refused(why: impl Display) -> ApplyError {
    ApplyError::Refused(why.to_string())
}
