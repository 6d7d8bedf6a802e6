use std::collections::HashMap;

use chrono::{DateTime, Utc};
use ids::{CreditNoteId, InvoiceId, OrderId};
use log::{Cause, NewEvent};
use money::Money;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    BillingError,
    commands::{
        self,
        issue_credit_note::{self, Noted},
    },
    domain::{Calendar, Invoice, MovementKind, Part, ReceivableMovement},
    store,
};

/// An order that had been placed, of which something is to be paid for no more.
#[derive(Debug, Clone)]
pub(crate) struct GivenUp {
    pub(crate) order_id: OrderId,
    pub(crate) at: DateTime<Utc>,
    pub(crate) cause: Cause,
    pub(crate) what: What,
}

#[derive(Debug, Clone)]
pub(crate) enum What {
    /// All that was not taken back yet.
    All,
    /// By a key of its own: with the same key again it counts no more.
    Part { key: Uuid, part: Part, reason: &'static str },
}

/// What becomes of an invoice, with the event that is to blame.
enum Step<'a> {
    Void(Invoice, &'a GivenUp),
    Note(Noted, &'a Cause),
}

/// Takes the orders' invoices back, whole or in part: one to which nothing has happened is voided with its order, another gets a credit note,
/// which makes what had been paid the customer's credit. What was taken back before, by hand too, is not taken back again. Eight statements
/// however many; locks invoices by (due date, id).
pub(crate) async fn take_back_invoices(
    tx: &mut PgConnection,
    calendar: &Calendar,
    orders: &[GivenUp],
) -> Result<Vec<NewEvent>, BillingError> {
    if orders.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<Uuid> = orders.iter().map(|order| order.order_id.0).collect();
    let locked = store::invoices::lock_of_orders(tx, &ids).await?;
    let mut invoices: HashMap<OrderId, Invoice> =
        locked.into_iter().map(|invoice| (invoice.order_id, invoice)).collect();
    let (mut parts, mut steps) = (Vec::new(), Vec::with_capacity(orders.len()));
    for order in orders {
        let invoice = invoices.get(&order.order_id);
        let invoice = invoice.ok_or(BillingError::OrderNotInvoiced(order.order_id))?;
        if let What::Part { key, part, .. } = &order.what {
            parts.push((*key, invoice.id, part.amount));
        }
    }
    let mut new = store::invoices::insert_reductions(tx, &parts).await?;
    let mut touched: HashMap<InvoiceId, Invoice> = HashMap::with_capacity(invoices.len());
    for order in orders {
        let Some(before) = invoices.get(&order.order_id).cloned() else { continue };
        let after = match &order.what {
            What::Part { key, .. } if !new.remove(key) => continue,
            What::Part { part, reason, .. } => {
                take_back(before, *part, part.amount, false, reason, order, &mut steps)
            }
            What::All if before.is_untouched() => match before.voided(String::new()) {
                Some(voided) => {
                    steps.push(Step::Void(voided.clone(), order));
                    voided
                }
                None => continue,
            },
            What::All => {
                let rest = before.rest();
                take_back(before, rest, rest.amount, true, "order cancelled", order, &mut steps)
            }
        };
        touched.insert(after.id, after.clone());
        invoices.insert(order.order_id, after);
    }
    store::invoices::update(tx, &touched.values().collect::<Vec<_>>()).await?;
    keep(tx, calendar, steps).await.map_err(Into::into)
}

/// The invoice afterwards; its credit note, if there is one, is a step.
fn take_back<'a>(
    before: Invoice,
    like: Part,
    amount: Money,
    whole: bool,
    reason: &str,
    order: &'a GivenUp,
    steps: &mut Vec<Step<'a>>,
) -> Invoice {
    let by = before.reduction(like, amount, before.lost());
    let id = CreditNoteId::generate();
    let noted = Noted::new(before, id, &by, whole, reason.to_owned(), order.at);
    let after = noted.invoice.clone();
    if noted.note.amount.is_positive() {
        steps.push(Step::Note(noted, &order.cause));
    }
    after
}

/// Numbers and keeps the credit notes, and moves what is not owed any more. Gives the events in the order of the steps.
async fn keep(
    tx: &mut PgConnection,
    calendar: &Calendar,
    steps: Vec<Step<'_>>,
) -> sqlx::Result<Vec<NewEvent>> {
    let (mut gone, mut notes, mut causes) = (Vec::new(), Vec::new(), Vec::new());
    let mut news = Vec::with_capacity(steps.len());
    for step in steps {
        match step {
            Step::Void(invoice, order) => {
                let (day, less) = (calendar.day_of(order.at), commands::less(invoice.amount));
                let (kind, id) = (MovementKind::Void, invoice.id.0);
                gone.push(ReceivableMovement::of(&invoice, kind, id, day, less));
                news.push(commands::voided(&invoice, calendar, order.at, &order.cause));
            }
            Step::Note(noted, cause) => {
                notes.push(noted);
                causes.push(cause);
            }
        }
    }
    store::movements::insert_receivables(tx, &gone).await?;
    issue_credit_note::number(tx, &mut notes).await?;
    issue_credit_note::book(tx, calendar, &notes).await?;
    for (noted, cause) in notes.iter().zip(causes) {
        news.extend(noted.news(calendar, cause));
    }
    Ok(news)
}
