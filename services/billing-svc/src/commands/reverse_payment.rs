//! A payment bounced, or was never made. It can always be recorded, whatever became of the money.
//!
//! What the payment had paid is owed again. Where a credit note of such an invoice gave the money back and the credit is not used yet, that credit
//! goes instead. What the payment left over goes; what of it had been refunded makes the customer's credit smaller, below 0 if need be.

use chrono::{DateTime, NaiveDate, Utc};
use ids::{InvoiceId, PaymentId};
use log::{Cause, Log, NewEvent, RequestKey};
use money::Money;
use proto::events::v1::{InvoiceReopened, PaymentAllocated, PaymentReversed};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    BillingError, commands,
    domain::{
        self, Calendar, Credit, CreditMovement, Draw, Invoice, MovementKind, Payment,
        ReceivableMovement, Source,
    },
    store::{self, payments::Whereabouts},
};

#[derive(Debug)]
pub(crate) struct ReversePayment {
    pub(crate) request_key: Option<RequestKey>,
    pub(crate) cause: Cause,
    pub(crate) id: PaymentId,
    pub(crate) reason: String,
}

/// What reversing a payment does.
struct Unwound {
    /// Each invoice of which something is owed again, as it is afterwards, with how much.
    owed: Vec<(Invoice, Money)>,
    /// Those of them that had been closed.
    reopened: Vec<Invoice>,
    /// What of its money was the customer's credit.
    credit: Money,
    draws: Vec<Draw>,
    receivables: Vec<ReceivableMovement>,
    credits: Vec<CreditMovement>,
}

/// At most sixteen statements. Locks the customer's account, then the invoices by (due date, id).
#[tracing::instrument(name = "billing.reverse_payment", skip_all, fields(payment.id = %command.id))]
pub(crate) async fn reverse_payment(
    log: &Log,
    calendar: &Calendar,
    command: ReversePayment,
) -> Result<(Payment, Whereabouts), BillingError> {
    let mut tx = log.begin().await?;
    let id = command.id;
    let customer_id = store::payments::get(&mut tx, id).await?.customer_id;
    store::accounts::lock(&mut tx, customer_id).await?;
    log::answered(&mut tx, store::SCHEMA, command.request_key.as_ref(), id).await?;
    let payment = store::payments::get(&mut tx, id).await?;
    let where_it_is = store::payments::whereabouts(&mut tx, id).await?;
    if payment.reversed_at.is_some() {
        log.commit(tx).await?;
        return Ok((payment, where_it_is));
    }
    let now = store::now(&mut tx).await?;
    let day = calendar.day_of(now);
    let unwound = unwind(&mut tx, &payment, &where_it_is, day).await?;

    let owed_back = commands::less(where_it_is.refunded);
    if !store::payments::reverse(&mut tx, id, owed_back, &command.reason, now).await? {
        return Err(sqlx::Error::RowNotFound.into());
    }
    store::credits::take(&mut tx, &unwound.draws).await?;
    store::movements::insert_receivables(&mut tx, &unwound.receivables).await?;
    store::movements::insert_credits(&mut tx, &unwound.credits).await?;
    let invoices: Vec<&Invoice> = unwound.owed.iter().map(|(invoice, _)| invoice).collect();
    store::invoices::update(&mut tx, &invoices).await?;
    let payment = reversed(payment, owed_back, command.reason, now);
    log.append(&mut tx, &news(&payment, &unwound, day, &command.cause)).await?;
    log.commit(tx).await?;
    let allocations = Vec::new();
    Ok((payment, Whereabouts { allocations, ..where_it_is }))
}

async fn unwind(
    tx: &mut PgConnection,
    payment: &Payment,
    where_it_is: &Whereabouts,
    day: NaiveDate,
) -> Result<Unwound, BillingError> {
    let ids: Vec<Uuid> = where_it_is.allocations.iter().map(|part| part.invoice_id.0).collect();
    let invoices = store::invoices::lock(tx, &ids).await?;
    let gave_back = store::credits::of_invoices(tx, &ids).await?;
    let (kind, document_id, customer_id) =
        (MovementKind::Reversal, payment.id.0, payment.customer_id);
    let credit_goes = |source, amount| {
        let amount = commands::less(amount);
        CreditMovement { customer_id, kind, document_id, source, day, amount }
    };
    let own = payment.unallocated.checked_add(where_it_is.refunded);
    let own = own.map_err(|_| sqlx::Error::RowNotFound)?;
    let mut all = Unwound {
        owed: Vec::with_capacity(ids.len()),
        reopened: Vec::new(),
        credit: own,
        draws: Vec::new(),
        receivables: Vec::with_capacity(ids.len()),
        credits: vec![credit_goes(Source::Payment(payment.id), own)],
    };
    for before in invoices {
        let paid = where_it_is.paid(before.id);
        let of = |amount| ReceivableMovement::of(&before, kind, document_id, day, amount);
        all.receivables.push(of(paid).by(Source::Payment(payment.id)));
        let mut credits: Vec<Credit> = gave_back
            .iter()
            .filter(|(invoice_id, _)| *invoice_id == before.id.0)
            .map(|(_, credit)| credit.clone())
            .collect();
        let mut owed = paid;
        for draw in domain::draw(&mut credits, &[(Some(before.id), paid)]) {
            owed = owed.checked_sub(draw.amount).unwrap_or(Money::ZERO);
            all.credit = all.credit.checked_add(draw.amount).unwrap_or(Money::MAX);
            all.receivables.push(of(commands::less(draw.amount)).by(draw.source));
            all.credits.push(credit_goes(draw.source, draw.amount));
            all.draws.push(draw);
        }
        if owed.is_zero() {
            continue;
        }
        let version = before.version;
        let after = before.without_payment(owed);
        if after.version > version {
            all.reopened.push(after.clone());
        }
        all.owed.push((after, owed));
    }
    Ok(all)
}

fn reversed(
    payment: Payment,
    unallocated: Money,
    reversal_reason: String,
    now: DateTime<Utc>,
) -> Payment {
    let version = payment.version + 1;
    Payment { unallocated, reversal_reason, reversed_at: Some(now), version, ..payment }
}

fn news(payment: &Payment, unwound: &Unwound, day: NaiveDate, cause: &Cause) -> Vec<NewEvent> {
    let data = PaymentReversed {
        payment_id: payment.id.to_string(),
        customer_id: payment.customer_id.to_string(),
        amount: Some(rpc::to_money(payment.amount)),
        allocations: unwound.owed.iter().map(owed_again).collect(),
        unallocated: Some(rpc::to_money(unwound.credit)),
        reverse_date: rpc::to_date(day),
    };
    let reversed = NewEvent::new("payment.reversed", payment.id, payment.version, &data, cause);
    std::iter::once(reversed)
        .chain(unwound.reopened.iter().map(|invoice| reopened(invoice, cause)))
        .collect()
}

/// Whoever has forgotten the invoice when nothing was owed on it hears when it was due.
fn owed_again(part: &(Invoice, Money)) -> PaymentAllocated {
    PaymentAllocated { due_date: rpc::to_date(part.0.due_date), ..commands::told(part) }
}

fn reopened(invoice: &Invoice, cause: &Cause) -> NewEvent {
    let data = InvoiceReopened {
        invoice_id: invoice.id.to_string(),
        order_id: invoice.order_id.to_string(),
        residual: Some(rpc::to_money(invoice.residual())),
    };
    NewEvent::new("invoice.reopened", invoice.id, invoice.version, &data, cause)
}

impl Whereabouts {
    fn paid(&self, invoice_id: InvoiceId) -> Money {
        let part = self.allocations.iter().find(|part| part.invoice_id == invoice_id);
        part.map_or(Money::ZERO, |part| part.amount)
    }
}
