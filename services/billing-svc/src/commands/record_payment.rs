use chrono::{DateTime, Utc};
use ids::{CustomerId, InvoiceId, PaymentId};
use log::{Cause, Log, NewEvent, RequestKey};
use money::Money;
use proto::events::v1::{PaymentAllocated, PaymentReceived};

use crate::{
    BillingError, commands,
    domain::{self, Allocation, Calendar, Invoice, InvoiceStatus, Payment, Shares},
    store,
};

/// Invoices that one payment is shared out over; what is left is credit. An event names each, and has a limit, too.
const ALLOCATIONS_MAX: i64 = 1000;

#[derive(Debug)]
pub(crate) struct RecordPayment {
    pub(crate) request_key: Option<RequestKey>,
    pub(crate) cause: Cause,
    pub(crate) customer_id: CustomerId,
    pub(crate) external_reference: String,
    pub(crate) amount: Money,
    /// The invoice that it is for; none to pay whatever is due first.
    pub(crate) named_invoice_id: Option<InvoiceId>,
    /// None for now.
    pub(crate) received_at: Option<DateTime<Utc>>,
}

/// Eight statements. Locks the customer's open invoices, or the named one, by (due date, id).
#[tracing::instrument(name = "billing.record_payment", skip_all)]
pub(crate) async fn record_payment(
    log: &Log,
    calendar: &Calendar,
    command: &RecordPayment,
) -> Result<(Payment, Vec<Allocation>), BillingError> {
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
) -> Result<Option<(Payment, Vec<Allocation>)>, BillingError> {
    let mut tx = log.begin().await?;
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
        let allocations = store::payments::allocations(&mut tx, id).await?;
        log.commit(tx).await?;
        return Ok(Some((earlier, allocations)));
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
    let open = store::invoices::lock_open(&mut tx, customer_id, named, ALLOCATIONS_MAX).await?;
    let shares = domain::allocate(command.amount, open, received_at);
    let payment = command.payment(id, shares.left, received_at);
    if !store::payments::insert(&mut tx, &payment).await? {
        return Ok(None);
    }
    let allocations: Vec<Allocation> = shares
        .paid
        .iter()
        .map(|(invoice, amount)| Allocation { invoice_id: invoice.id, amount: *amount })
        .collect();
    store::payments::insert_allocations(&mut tx, id, &allocations).await?;
    let invoices: Vec<&Invoice> = shares.paid.iter().map(|(invoice, _)| invoice).collect();
    store::invoices::update(&mut tx, &invoices).await?;
    log.append(&mut tx, &news(&payment, &shares, calendar, &command.cause)).await?;
    log.commit(tx).await?;
    Ok(Some((payment, allocations)))
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
            received_at,
        }
    }

    /// Whether this is the payment that was recorded under the reference. When it came is not compared: unset means now, each time.
    fn is_for(&self, payment: &Payment) -> bool {
        self.amount == payment.amount && self.named_invoice_id == payment.named_invoice_id
    }
}

fn news(payment: &Payment, shares: &Shares, calendar: &Calendar, cause: &Cause) -> Vec<NewEvent> {
    let allocations = shares.paid.iter().map(|(invoice, amount)| PaymentAllocated {
        invoice_id: invoice.id.to_string(),
        amount: Some(rpc::to_money(*amount)),
        residual: Some(rpc::to_money(invoice.residual())),
    });
    let data = PaymentReceived {
        payment_id: payment.id.to_string(),
        customer_id: payment.customer_id.to_string(),
        amount: Some(rpc::to_money(payment.amount)),
        allocations: allocations.collect(),
        unallocated: Some(rpc::to_money(payment.unallocated)),
        receive_date: rpc::to_date(calendar.day_of(payment.received_at)),
    };
    let settled = shares.paid.iter().filter(|(invoice, _)| invoice.status == InvoiceStatus::Paid);
    std::iter::once(NewEvent::new("payment.received", payment.id, 1, &data, cause))
        .chain(settled.map(|(invoice, _)| commands::paid(invoice, cause)))
        .collect()
}
