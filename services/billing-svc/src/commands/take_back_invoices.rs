use std::collections::HashMap;

use chrono::{DateTime, Utc};
use ids::{CreditNoteId, OrderId};
use log::{Cause, NewEvent};
use proto::events::v1::{CreditNoteIssued, InvoiceVoided};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    BillingError,
    domain::{Calendar, CreditNote, Invoice, Move},
    store,
};

/// An order that had been placed and is to be paid for no more.
#[derive(Debug, Clone)]
pub(crate) struct CancelledOrder {
    pub(crate) order_id: OrderId,
    pub(crate) cancelled_at: DateTime<Utc>,
    pub(crate) cause: Cause,
}

/// Takes the orders' invoices back: one for which no money came is voided, another gets a credit note, which makes that money the customer's
/// credit. One that was taken back before stays as it is. Four statements however many; locks invoices by (due date, id).
pub(crate) async fn take_back_invoices(
    tx: &mut PgConnection,
    calendar: &Calendar,
    orders: &[CancelledOrder],
) -> Result<Vec<NewEvent>, BillingError> {
    if orders.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<Uuid> = orders.iter().map(|order| order.order_id.0).collect();
    let locked = store::invoices::lock_of_orders(tx, &ids).await?;
    let mut invoices: HashMap<OrderId, Invoice> =
        locked.into_iter().map(|invoice| (invoice.order_id, invoice)).collect();
    let mut voided = Vec::with_capacity(orders.len());
    for order in orders {
        let invoice = invoices.get_mut(&order.order_id);
        let invoice = invoice.ok_or(BillingError::OrderNotInvoiced(order.order_id))?;
        if let Some(after) = invoice.clone().after(Move::TakeBack) {
            *invoice = after.clone();
            voided.push((after, order));
        }
    }
    let paid_count = voided.iter().filter(|(invoice, _)| invoice.paid_amount.is_positive()).count();
    let mut numbers = store::numbers::take(tx, "CRN", paid_count).await?;

    let (mut notes, mut news) = (Vec::with_capacity(paid_count), Vec::with_capacity(voided.len()));
    for (invoice, order) in &voided {
        let number = if invoice.paid_amount.is_positive() { numbers.next() } else { None };
        let note = number.map(|number| {
            invoice.credit_note(CreditNoteId::generate(), number, order.cancelled_at)
        });
        news.push(match &note {
            Some(note) => credited(note, invoice, calendar, &order.cause),
            None => taken_back(invoice, calendar, order),
        });
        notes.extend(note);
    }
    let rows: Vec<&Invoice> = voided.iter().map(|(invoice, _)| invoice).collect();
    store::invoices::update(tx, &rows).await?;
    store::credit_notes::insert(tx, &notes).await?;
    Ok(news)
}

fn taken_back(invoice: &Invoice, calendar: &Calendar, order: &CancelledOrder) -> NewEvent {
    let data = InvoiceVoided {
        invoice_id: invoice.id.to_string(),
        order_id: invoice.order_id.to_string(),
        amount: Some(rpc::to_money(invoice.amount)),
        tax: Some(rpc::to_money(invoice.tax_amount)),
        void_date: rpc::to_date(calendar.day_of(order.cancelled_at)),
    };
    NewEvent::new("invoice.voided", invoice.id, invoice.version, &data, &order.cause)
}

/// An event of the invoice, whose end it is.
fn credited(note: &CreditNote, invoice: &Invoice, calendar: &Calendar, cause: &Cause) -> NewEvent {
    let data = CreditNoteIssued {
        credit_note_id: note.id.to_string(),
        number: note.number.clone(),
        invoice_id: note.invoice_id.to_string(),
        customer_id: note.customer_id.to_string(),
        amount: Some(rpc::to_money(note.amount)),
        tax: Some(rpc::to_money(note.tax_amount)),
        residual: Some(rpc::to_money(note.residual())),
        issue_date: rpc::to_date(calendar.day_of(note.issued_at)),
    };
    NewEvent::new("credit_note.issued", invoice.id, invoice.version, &data, cause)
}
