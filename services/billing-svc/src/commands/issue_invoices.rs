use std::collections::HashMap;

use chrono::{DateTime, Utc};
use ids::{CreditAllocationId, CustomerId, InvoiceId, OrderId};
use log::{Cause, NewEvent};
use money::Money;
use proto::events::v1::InvoiceIssued;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    commands::{
        self,
        allocate_credit::{self, Booking, CreditAllocation},
    },
    domain::{
        self, Calendar, Credit, Invoice, InvoiceStatus, Move, MovementKind, ReceivableMovement,
    },
    store,
};

/// An order that wants its invoice.
#[derive(Debug, Clone)]
pub(crate) struct PlacedOrder {
    pub(crate) order_id: OrderId,
    pub(crate) customer_id: CustomerId,
    pub(crate) total: Money,
    pub(crate) tax: Money,
    pub(crate) placed_at: DateTime<Utc>,
    pub(crate) cause: Cause,
}

/// Issues an invoice for each order that has none. What is left of payments that came for these orders before pays them at once. Ten
/// statements however many; nobody else issues meanwhile, since the caller holds the consumer's position. Locks the customers' accounts.
pub(crate) async fn issue_invoices(
    tx: &mut PgConnection,
    calendar: &Calendar,
    orders: Vec<PlacedOrder>,
) -> sqlx::Result<Vec<NewEvent>> {
    if orders.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<Uuid> = orders.iter().map(|order| order.order_id.0).collect();
    let mut invoiced = store::invoices::invoiced(tx, &ids).await?;
    let new: Vec<PlacedOrder> =
        orders.into_iter().filter(|order| invoiced.insert(order.order_id.0)).collect();
    let (ids, customers): (Vec<Uuid>, Vec<Uuid>) =
        new.iter().map(|order| (order.order_id.0, order.customer_id.0)).unzip();
    let terms = store::accounts::lock_all(tx, &customers).await?;
    let mut waiting = store::credits::waiting(tx, &ids, &customers).await?;
    let now = store::now(tx).await?;
    let numbers = store::numbers::take(tx, "INV", new.len()).await?;

    let (mut invoices, mut news) = (Vec::with_capacity(new.len()), Vec::with_capacity(new.len()));
    let mut booking = Booking::default();
    for (order, number) in new.into_iter().zip(numbers) {
        let invoice = invoice(&order, number, calendar, &terms);
        news.push(issued(&invoice, calendar, &order.cause));
        let day = calendar.day_of(invoice.issued_at);
        let (kind, amount) = (MovementKind::Invoice, invoice.amount);
        let owed = ReceivableMovement::of(&invoice, kind, invoice.id.0, day, amount);
        booking.receivables.push(owed);
        // Nothing to wait for: it is paid as it is issued.
        let nothing = invoice.residual().is_zero();
        let settled = if nothing { invoice.clone().after(Move::PayRest) } else { None };
        invoices.push(match (settled, waiting.remove(&order.order_id.0)) {
            (Some(settled), _) => {
                news.push(commands::paid(&settled, &order.cause));
                Invoice { paid_at: Some(settled.issued_at), ..settled }
            }
            (None, Some(credits)) => {
                let (paid, told) = pay(invoice, credits, calendar, now, &order.cause, &mut booking);
                news.extend(told);
                paid
            }
            (None, None) => invoice,
        });
    }
    store::invoices::insert(tx, &invoices).await?;
    booking.keep(tx).await?;
    Ok(news)
}

/// Pays an invoice with what has waited for it: the invoice afterwards, and the events.
fn pay(
    invoice: Invoice,
    mut credits: Vec<Credit>,
    calendar: &Calendar,
    now: DateTime<Utc>,
    cause: &Cause,
    booking: &mut Booking,
) -> (Invoice, Vec<NewEvent>) {
    let (id, customer_id) = (CreditAllocationId::generate(), invoice.customer_id);
    let amount = domain::available(&credits).min(invoice.residual());
    let draws = domain::draw(&mut credits, &[(Some(invoice.id), amount)]);
    let paid = (invoice.with_payment(amount, now), amount);
    let parts = std::slice::from_ref(&paid);
    let done = CreditAllocation::new(id, customer_id, parts, calendar.day_of(now));
    booking.pay(&done, parts, draws);
    let news = allocate_credit::news(&done, parts, cause);
    (paid.0, news)
}

/// Dated by the order: an imported one has an old invoice.
fn invoice(
    order: &PlacedOrder,
    number: String,
    calendar: &Calendar,
    terms: &HashMap<Uuid, u16>,
) -> Invoice {
    let own_terms = terms.get(&order.customer_id.0).copied();
    Invoice {
        id: InvoiceId::generate(),
        number,
        order_id: order.order_id,
        customer_id: order.customer_id,
        amount: order.total,
        tax_amount: order.tax,
        paid_amount: Money::ZERO,
        credited_amount: Money::ZERO,
        written_off_amount: Money::ZERO,
        noted_amount: Money::ZERO,
        noted_tax_amount: Money::ZERO,
        absorbed_amount: Money::ZERO,
        status: InvoiceStatus::Issued,
        issued_at: order.placed_at,
        due_date: calendar.due_date(calendar.day_of(order.placed_at), own_terms),
        paid_at: None,
        close_reason: String::new(),
        version: 1,
    }
}

fn issued(invoice: &Invoice, calendar: &Calendar, cause: &Cause) -> NewEvent {
    let data = InvoiceIssued {
        invoice_id: invoice.id.to_string(),
        number: invoice.number.clone(),
        order_id: invoice.order_id.to_string(),
        customer_id: invoice.customer_id.to_string(),
        amount: Some(rpc::to_money(invoice.amount)),
        tax: Some(rpc::to_money(invoice.tax_amount)),
        issue_time: Some(invoice.issued_at.into()),
        issue_date: rpc::to_date(calendar.day_of(invoice.issued_at)),
        due_date: rpc::to_date(invoice.due_date),
    };
    NewEvent::new("invoice.issued", invoice.id, invoice.version, &data, cause)
}
