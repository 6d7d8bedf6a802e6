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
    let paid = command.share_out(&mut tx, available, now).await?;

    let uses: Vec<(Option<InvoiceId>, Money)> =
        paid.iter().map(|(invoice, amount)| (Some(invoice.id), *amount)).collect();
    let draws = domain::draw(&mut credits, &uses);
    let day = calendar.day_of(now);
    book(&mut tx, id, customer_id, &paid, &draws, day).await?;
    store::invoices::update(&mut tx, &paid.iter().map(|(invoice, _)| invoice).collect::<Vec<_>>())
        .await?;
    let amount = sum(paid.iter().map(|(_, amount)| *amount));
    let part = |(invoice, amount): &(Invoice, Money)| Allocation {
        invoice_id: invoice.id,
        amount: *amount,
    };
    let allocations = paid.iter().map(part).collect();
    let done = CreditAllocation { id, customer_id, allocations, amount, day };
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
        match &self.wanted {
            Wanted::Invoices(wanted) => self.pay(tx, wanted, available, now).await,
            Wanted::OldestDue(most) => {
                if available.is_zero() {
                    return Err(BillingError::CreditShort { available });
                }
                let customer_id = self.customer_id;
                let open =
                    store::invoices::lock_open(tx, customer_id, None, ALLOCATIONS_MAX).await?;
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
                return Err(BillingError::CreditShort { available });
            }
            left = left.checked_sub(amount).unwrap_or(Money::ZERO);
            paid.push((invoice.with_payment(amount, now), amount));
        }
        Ok(paid)
    }
}

async fn book(
    tx: &mut PgConnection,
    id: CreditAllocationId,
    customer_id: CustomerId,
    paid: &[(Invoice, Money)],
    draws: &[Draw],
    day: NaiveDate,
) -> sqlx::Result<()> {
    let (kind, document_id) = (MovementKind::Allocation, id.0);
    let invoices: HashMap<InvoiceId, &Invoice> =
        paid.iter().map(|(invoice, _)| (invoice.id, invoice)).collect();
    let less_owed = draws.iter().filter_map(|draw| {
        let invoice = invoices.get(&draw.invoice_id?)?;
        let less = commands::less(draw.amount);
        Some(ReceivableMovement::of(invoice, kind, document_id, day, less).by(draw.source))
    });
    store::movements::insert_receivables(tx, &less_owed.collect::<Vec<_>>()).await?;
    let less_credit = draws.iter().map(|draw| CreditMovement {
        customer_id,
        kind,
        document_id,
        source: draw.source,
        day,
        amount: commands::less(draw.amount),
    });
    store::movements::insert_credits(tx, &less_credit.collect::<Vec<_>>()).await?;
    store::credits::take(tx, draws).await
}

fn news(done: &CreditAllocation, paid: &[(Invoice, Money)], cause: &Cause) -> Vec<NewEvent> {
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
