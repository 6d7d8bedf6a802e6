use chrono::{DateTime, Utc};
use ids::{CustomerId, InvoiceId, OrderId, PaymentId};
use log::{Cause, Log, NewEvent, RequestKey};
use money::Money;
use proto::events::v1::PaymentReceived;
use sqlx::PgConnection;

use crate::{
    BillingError, commands,
    domain::{
        self, Allocation, Calendar, CreditMovement, Invoice, MovementKind, Payment,
        ReceivableMovement, Shares, Source,
    },
    store::{self, payments::Whereabouts},
};

/// Invoices that one payment is shared out over; what is left is credit. An event names each, and has a limit, too.
pub(super) const ALLOCATIONS_MAX: i64 = 1000;

#[derive(Debug)]
pub(crate) struct RecordPayment {
    pub(crate) request_key: Option<RequestKey>,
    pub(crate) cause: Cause,
    pub(crate) customer_id: CustomerId,
    pub(crate) external_reference: String,
    pub(crate) amount: Money,
    /// The invoice that it is for; none to pay whatever is due first.
    pub(crate) named_invoice_id: Option<InvoiceId>,
    /// The order whose invoice it is for, whether or not that is there yet.
    pub(crate) named_order_id: Option<OrderId>,
    /// None for now.
    pub(crate) received_at: Option<DateTime<Utc>>,
}

/// At most eleven statements. Locks the customer's open invoices, or the named one, by (due date, id); before, for a named order, the
/// customer's account: whoever issues the order's invoice does so, too, and so either finds the other's work.
#[tracing::instrument(name = "billing.record_payment", skip_all)]
pub(crate) async fn record_payment(
    log: &Log,
    calendar: &Calendar,
    command: &RecordPayment,
) -> Result<(Payment, Whereabouts), BillingError> {
    if let Some(recorded) = try_record(log, calendar, command).await? {
        return Ok(recorded);
    }
    // An equal one was recorded meanwhile, and now it is there to be found.
    let found = try_record(log, calendar, command).await?;
    found.ok_or_else(|| sqlx::Error::RowNotFound.into())
}

/// None when a payment with this reference was recorded meanwhile.
async fn try_record(
    log: &Log,
    calendar: &Calendar,
    command: &RecordPayment,
) -> Result<Option<(Payment, Whereabouts)>, BillingError> {
    let mut tx = log.begin().await?;
    if command.named_order_id.is_some() {
        store::accounts::lock(&mut tx, command.customer_id).await?;
    }
    let reference = command.external_reference.as_str();
    let earlier =
        store::payments::find_by_reference(&mut tx, command.customer_id, reference).await?;
    let id = earlier.as_ref().map_or_else(PaymentId::generate, |earlier| earlier.id);
    let request_key = command.request_key.as_ref();
    let answered = log::answered(&mut tx, store::SCHEMA, request_key, id).await?;
    if let Some(earlier) = earlier {
        if !command.is_for(&earlier) {
            return Err(BillingError::PaymentDiffers { payment_id: earlier.id });
        }
        if earlier.reversed_at.is_some() && answered.is_none() {
            return Err(BillingError::PaymentReversed { payment_id: earlier.id });
        }
        let where_it_is = store::payments::whereabouts(&mut tx, id).await?;
        log.commit(tx).await?;
        return Ok(Some((earlier, where_it_is)));
    }
    if answered.is_some() {
        return Ok(None);
    }
    let now = store::now(&mut tx).await?;
    let received_at = command.received_at.unwrap_or(now);
    if received_at > now {
        return Err(BillingError::ReceivedInFuture);
    }

    let (customer_id, named) = (command.customer_id, command.named_invoice_id);
    let (order_id, most) = (command.named_order_id, ALLOCATIONS_MAX);
    let open = store::invoices::lock_open(&mut tx, customer_id, named, order_id, most).await?;
    let shares = domain::allocate(command.amount, open, received_at);
    let payment = command.payment(id, shares.left, received_at);
    if !store::payments::insert(&mut tx, &payment).await? {
        return Ok(None);
    }
    book(&mut tx, &payment, &shares, calendar).await?;
    let invoices: Vec<&Invoice> = shares.paid.iter().map(|(invoice, _)| invoice).collect();
    store::invoices::update(&mut tx, &invoices).await?;
    log.append(&mut tx, &news(&payment, &shares, calendar, &command.cause)).await?;
    log.commit(tx).await?;
    let allocations = shares
        .paid
        .into_iter()
        .map(|(invoice, amount)| Allocation { invoice_id: invoice.id, amount });
    let where_it_is = Whereabouts { allocations: allocations.collect(), refunded: Money::ZERO };
    Ok(Some((payment, where_it_is)))
}

/// What invoices are owed less, and what is credit.
async fn book(
    tx: &mut PgConnection,
    payment: &Payment,
    shares: &Shares,
    calendar: &Calendar,
) -> sqlx::Result<()> {
    let (kind, day) = (MovementKind::Payment, calendar.day_of(payment.received_at));
    let (document_id, source) = (payment.id.0, Source::Payment(payment.id));
    let paid = shares.paid.iter().map(|(invoice, amount)| {
        let less = commands::less(*amount);
        ReceivableMovement::of(invoice, kind, document_id, day, less).by(source)
    });
    store::movements::insert_receivables(tx, &paid.collect::<Vec<_>>()).await?;
    let (customer_id, amount) = (payment.customer_id, payment.unallocated);
    let credit = CreditMovement { customer_id, kind, document_id, source, day, amount };
    store::movements::insert_credits(tx, &[credit]).await
}

impl RecordPayment {
    fn payment(&self, id: PaymentId, unallocated: Money, received_at: DateTime<Utc>) -> Payment {
        Payment {
            id,
            customer_id: self.customer_id,
            external_reference: self.external_reference.clone(),
            amount: self.amount,
            unallocated,
            named_invoice_id: self.named_invoice_id,
            named_order_id: self.named_order_id,
            received_at,
            reversed_at: None,
            reversal_reason: String::new(),
            version: 1,
        }
    }

    /// Whether this is the payment that was recorded under the reference. When it came is not compared: unset means now, each time.
    fn is_for(&self, payment: &Payment) -> bool {
        self.amount == payment.amount
            && self.named_invoice_id == payment.named_invoice_id
            && self.named_order_id == payment.named_order_id
    }
}

fn news(payment: &Payment, shares: &Shares, calendar: &Calendar, cause: &Cause) -> Vec<NewEvent> {
    let data = PaymentReceived {
        payment_id: payment.id.to_string(),
        customer_id: payment.customer_id.to_string(),
        amount: Some(rpc::to_money(payment.amount)),
        allocations: shares.paid.iter().map(commands::told).collect(),
        unallocated: Some(rpc::to_money(payment.unallocated)),
        receive_date: rpc::to_date(calendar.day_of(payment.received_at)),
    };
    let received = NewEvent::new("payment.received", payment.id, payment.version, &data, cause);
    std::iter::once(received).chain(commands::all_paid(&shares.paid, cause)).collect()
}
