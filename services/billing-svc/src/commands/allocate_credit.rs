use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, Utc};
use ids::{CreditAllocationId, CustomerId, InvoiceId};
use log::{Cause, Log, NewEvent, RequestKey};
use money::Money;
use proto::events::v1::CreditAllocated;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    BillingError, commands,
    commands::record_payment::ALLOCATIONS_MAX,
    domain::{
        self, Allocation, Calendar, CreditMovement, Draw, Invoice, MovementKind, ReceivableMovement,
    },
    store,
};

/// Invoices that a payment may have paid to pay more: were it reversed, one event tells them all.
const SPREAD_MAX: Option<i64> = Some(ALLOCATIONS_MAX);

#[derive(Debug)]
pub(crate) struct AllocateCredit {
    pub(crate) request_key: Option<RequestKey>,
    pub(crate) cause: Cause,
    pub(crate) customer_id: CustomerId,
    pub(crate) wanted: Wanted,
}

/// What is to be paid.
#[derive(Debug)]
pub(crate) enum Wanted {
    /// Each of these so much.
    Invoices(Vec<Allocation>),
    /// Whatever is due first; at most so much, if given.
    OldestDue(Option<Money>),
}

/// Credit that paid invoices.
#[derive(Debug)]
pub(crate) struct CreditAllocation {
    pub(crate) id: CreditAllocationId,
    pub(crate) customer_id: CustomerId,
    pub(crate) allocations: Vec<Allocation>,
    /// Their sum.
    pub(crate) amount: Money,
    pub(crate) day: NaiveDate,
}

/// At most thirteen statements. Locks the customer's account, then the invoices by (due date, id).
#[tracing::instrument(name = "billing.allocate_credit", skip_all)]
pub(crate) async fn allocate_credit(
    log: &Log,
    calendar: &Calendar,
    command: &AllocateCredit,
) -> Result<CreditAllocation, BillingError> {
    let mut tx = log.begin().await?;
    let (customer_id, id) = (command.customer_id, CreditAllocationId::generate());
    store::accounts::lock(&mut tx, customer_id).await?;
    let request_key = command.request_key.as_ref();
    if let Some(earlier) = log::answered(&mut tx, store::SCHEMA, request_key, id).await? {
        let id = earlier.parse().map_err(|_| sqlx::Error::RowNotFound)?;
        let (day, allocations) = store::movements::allocation(&mut tx, id).await?;
        let amount = sum(allocations.iter().map(|part| part.amount));
        return Ok(CreditAllocation { id, customer_id, allocations, amount, day });
    }
    let now = store::now(&mut tx).await?;
    let mut credits = store::credits::of_customer(&mut tx, customer_id, SPREAD_MAX).await?;
    let available = domain::available(&credits);
    let paid = command.share_out(&mut tx, available, now).await;
    let paid = match paid {
        Err(BillingError::CreditShort { .. }) => {
            return Err(short(&mut tx, customer_id, available).await?);
        }
        paid => paid?,
    };

    let uses: Vec<(Option<InvoiceId>, Money)> =
        paid.iter().map(|(invoice, amount)| (Some(invoice.id), *amount)).collect();
    let draws = domain::draw(&mut credits, &uses);
    let done = CreditAllocation::new(id, customer_id, &paid, calendar.day_of(now));
    let mut booking = Booking::default();
    booking.pay(&done, &paid, draws);
    booking.keep(&mut tx).await?;
    store::invoices::update(&mut tx, &paid.iter().map(|(invoice, _)| invoice).collect::<Vec<_>>())
        .await?;
    log.append(&mut tx, &news(&done, &paid, &command.cause)).await?;
    log.commit(tx).await?;
    Ok(done)
}

impl AllocateCredit {
    /// Each invoice that is paid, as it is afterwards, with what it gets.
    async fn share_out(
        &self,
        tx: &mut PgConnection,
        available: Money,
        now: DateTime<Utc>,
    ) -> Result<Vec<(Invoice, Money)>, BillingError> {
        let customer_id = self.customer_id;
        match &self.wanted {
            Wanted::Invoices(wanted) => self.pay(tx, wanted, available, now).await,
            Wanted::OldestDue(most) => {
                if available.is_zero() {
                    return Err(BillingError::CreditShort { customer_id, available });
                }
                let most_invoices = ALLOCATIONS_MAX;
                let open =
                    store::invoices::lock_open(tx, customer_id, None, None, most_invoices).await?;
                if open.is_empty() {
                    return Err(BillingError::NothingOwed(customer_id));
                }
                let amount = most.map_or(available, |most| most.min(available));
                Ok(domain::allocate(amount, open, now).paid)
            }
        }
    }

    async fn pay(
        &self,
        tx: &mut PgConnection,
        wanted: &[Allocation],
        available: Money,
        now: DateTime<Utc>,
    ) -> Result<Vec<(Invoice, Money)>, BillingError> {
        let ids: Vec<Uuid> = wanted.iter().map(|part| part.invoice_id.0).collect();
        let amounts: HashMap<InvoiceId, Money> =
            wanted.iter().map(|part| (part.invoice_id, part.amount)).collect();
        let mut invoices = store::invoices::lock(tx, &ids).await?;
        invoices.retain(|invoice| invoice.customer_id == self.customer_id);
        let known = |id: &InvoiceId| invoices.iter().any(|invoice| invoice.id == *id);
        if let Some(unknown) = wanted.iter().map(|part| part.invoice_id).find(|id| !known(id)) {
            return Err(BillingError::InvoiceNotFound(unknown));
        }
        let (mut left, mut paid) = (available, Vec::with_capacity(invoices.len()));
        for invoice in invoices {
            let amount = amounts.get(&invoice.id).copied().unwrap_or(Money::ZERO);
            let (invoice_id, residual) = (invoice.id, invoice.residual());
            if amount > residual {
                return Err(BillingError::OverAllocation { invoice_id, residual });
            }
            if amount > left {
                let customer_id = self.customer_id;
                return Err(BillingError::CreditShort { customer_id, available });
            }
            left = left.checked_sub(amount).unwrap_or(Money::ZERO);
            paid.push((invoice.with_payment(amount, now), amount));
        }
        Ok(paid)
    }
}

/// Why there is not enough: there is no more, or the rest can only be refunded.
async fn short(
    tx: &mut PgConnection,
    customer_id: CustomerId,
    available: Money,
) -> Result<BillingError, BillingError> {
    let all = store::credits::of_customer(tx, customer_id, None).await?;
    let refundable = domain::available(&all);
    Ok(if refundable > available {
        BillingError::CreditSpread { customer_id, available, refundable }
    } else {
        BillingError::CreditShort { customer_id, available }
    })
}

impl CreditAllocation {
    pub(super) fn new(
        id: CreditAllocationId,
        customer_id: CustomerId,
        paid: &[(Invoice, Money)],
        day: NaiveDate,
    ) -> Self {
        let amount = sum(paid.iter().map(|(_, amount)| *amount));
        let part = |(invoice, amount): &(Invoice, Money)| Allocation {
            invoice_id: invoice.id,
            amount: *amount,
        };
        Self { id, customer_id, allocations: paid.iter().map(part).collect(), amount, day }
    }
}

/// What credit that pays does to both subledgers and to its sources.
#[derive(Debug, Default)]
pub(super) struct Booking {
    pub(super) receivables: Vec<ReceivableMovement>,
    credits: Vec<CreditMovement>,
    draws: Vec<Draw>,
}

impl Booking {
    pub(super) fn pay(
        &mut self,
        done: &CreditAllocation,
        paid: &[(Invoice, Money)],
        draws: Vec<Draw>,
    ) {
        let (kind, document_id, day) = (MovementKind::Allocation, done.id.0, done.day);
        let invoices: HashMap<InvoiceId, &Invoice> =
            paid.iter().map(|(invoice, _)| (invoice.id, invoice)).collect();
        self.receivables.extend(draws.iter().filter_map(|draw| {
            let invoice = invoices.get(&draw.invoice_id?)?;
            let less = commands::less(draw.amount);
            Some(ReceivableMovement::of(invoice, kind, document_id, day, less).by(draw.source))
        }));
        self.credits.extend(draws.iter().map(|draw| CreditMovement {
            customer_id: done.customer_id,
            kind,
            document_id,
            source: draw.source,
            day,
            amount: commands::less(draw.amount),
        }));
        self.draws.extend(draws);
    }

    /// Four statements however much it is.
    pub(super) async fn keep(&self, tx: &mut PgConnection) -> sqlx::Result<()> {
        store::movements::insert_receivables(tx, &self.receivables).await?;
        store::movements::insert_credits(tx, &self.credits).await?;
        store::credits::take(tx, &self.draws).await
    }
}

pub(super) fn news(
    done: &CreditAllocation,
    paid: &[(Invoice, Money)],
    cause: &Cause,
) -> Vec<NewEvent> {
    let data = CreditAllocated {
        allocation_id: done.id.to_string(),
        customer_id: done.customer_id.to_string(),
        allocations: paid.iter().map(commands::told).collect(),
        amount: Some(rpc::to_money(done.amount)),
        allocate_date: rpc::to_date(done.day),
    };
    let allocated = NewEvent::new("credit.allocated", done.id, 1, &data, cause);
    std::iter::once(allocated).chain(commands::all_paid(paid, cause)).collect()
}

/// Of parts of the customer's credit, which is in range.
fn sum(mut amounts: impl Iterator<Item = Money>) -> Money {
    amounts.try_fold(Money::ZERO, Money::checked_add).unwrap_or(Money::MAX)
}
