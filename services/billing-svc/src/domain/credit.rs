//! A customer's credit: what payments left over, and what credit notes gave back. Each penny of it knows what it came of.

use chrono::{DateTime, Utc};
use ids::{CreditNoteId, CustomerId, InvoiceId, PaymentId, RefundId};
use money::Money;

use super::{left, sum};

/// What credit came of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    Payment(PaymentId),
    CreditNote(CreditNoteId),
}

/// What is left of one source of credit. Below 0 of a payment that bounced after some of it had been refunded.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Credit {
    pub(crate) source: Source,
    pub(crate) left: Money,
}

/// A use of credit: a part of one source, for an invoice or, without one, to be paid back.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Draw {
    pub(crate) source: Source,
    pub(crate) invoice_id: Option<InvoiceId>,
    pub(crate) amount: Money,
}

/// Credit that was paid back.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Refund {
    pub(crate) id: RefundId,
    pub(crate) customer_id: CustomerId,
    pub(crate) external_reference: String,
    pub(crate) amount: Money,
    pub(crate) refunded_at: DateTime<Utc>,
}

impl Source {
    pub(crate) fn payment_id(self) -> Option<PaymentId> {
        match self {
            Self::Payment(id) => Some(id),
            Self::CreditNote(_) => None,
        }
    }

    pub(crate) fn credit_note_id(self) -> Option<CreditNoteId> {
        match self {
            Self::Payment(_) => None,
            Self::CreditNote(id) => Some(id),
        }
    }
}

/// What can be used of all credit: what has to be owed back first is taken off.
pub(crate) fn available(credits: &[Credit]) -> Money {
    let owed_back = credits.iter().filter(|credit| credit.left.is_negative());
    let owed_back = owed_back.fold(Money::ZERO, |all, credit| left(all, credit.left));
    let there = credits.iter().filter(|credit| credit.left.is_positive());
    let there = there.fold(Money::ZERO, |all, credit| sum(all, credit.left));
    if there > owed_back { left(there, owed_back) } else { Money::ZERO }
}

/// Takes credit for each use in turn, from the first source that has any: at most what is [`available`].
pub(crate) fn draw(credits: &mut [Credit], uses: &[(Option<InvoiceId>, Money)]) -> Vec<Draw> {
    let mut draws = Vec::with_capacity(uses.len());
    let mut sources = credits.iter_mut().filter(|credit| credit.left.is_positive());
    let mut source = sources.next();
    for &(invoice_id, amount) in uses {
        let mut wanted = amount;
        while let Some(credit) = source.as_deref_mut().filter(|_| wanted.is_positive()) {
            let amount = wanted.min(credit.left);
            if amount.is_positive() {
                draws.push(Draw { source: credit.source, invoice_id, amount });
                credit.left = left(credit.left, amount);
                wanted = left(wanted, amount);
            }
            if credit.left.is_zero() {
                source = sources.next();
            }
        }
    }
    draws
}
