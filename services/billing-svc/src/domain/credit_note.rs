//! Taking an invoice back, whole or in part.
//!
//! What is still owed falls first. When goods come back or are given up, then comes what was written off: it is lost already, and nobody gets it.
//! The rest had been paid, and is the customer's credit.

use chrono::{DateTime, Utc};
use ids::{CreditNoteId, CustomerId, InvoiceId};
use money::Money;

use super::{Invoice, InvoiceStatus, Move, left, sum};

/// Takes an invoice back, or a part of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CreditNote {
    pub(crate) id: CreditNoteId,
    pub(crate) number: String,
    pub(crate) invoice_id: InvoiceId,
    pub(crate) customer_id: CustomerId,
    pub(crate) amount: Money,
    pub(crate) tax_amount: Money,
    /// What had been paid: the customer's credit.
    pub(crate) credited: Money,
    /// What of that is not used yet.
    pub(crate) unallocated: Money,
    pub(crate) reason: String,
    pub(crate) issued_at: DateTime<Utc>,
}

/// A part of what was sold, gross, with its tax.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Part {
    pub(crate) amount: Money,
    pub(crate) tax: Money,
}

/// What taking a part of an invoice back does to it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Reduction {
    /// No longer owed.
    pub(crate) lowered: Money,
    /// Had been written off.
    pub(crate) absorbed: Money,
    /// Had been paid.
    pub(crate) credited: Money,
    /// The part of what is on the credit note that is tax.
    pub(crate) tax: Money,
}

impl Reduction {
    /// What is on the credit note; 0 when there is none.
    pub(crate) fn noted(&self) -> Money {
        sum(self.lowered, self.credited)
    }
}

impl CreditNote {
    /// What had not been paid: no longer owed.
    pub(crate) fn residual(&self) -> Money {
        left(self.amount, self.credited)
    }
}

impl Invoice {
    /// What was not taken back yet.
    pub(crate) fn left_to_take_back(&self) -> Money {
        if self.status == InvoiceStatus::Voided {
            return Money::ZERO;
        }
        left(left(self.amount, self.noted_amount), self.absorbed_amount)
    }

    /// What a credit note can be for: what was not taken back yet and is not lost.
    pub(crate) fn left_to_credit(&self) -> Money {
        left(self.left_to_take_back(), self.lost())
    }

    /// What was written off and was not taken back yet.
    pub(crate) fn lost(&self) -> Money {
        left(self.written_off_amount, self.absorbed_amount)
    }

    /// All that was not taken back yet.
    pub(crate) fn rest(&self) -> Part {
        Part { amount: self.left_to_take_back(), tax: left(self.tax_amount, self.noted_tax_amount) }
    }

    /// The least and the most of a credit note that can be tax: neither its tax nor its net may be more than what is left of the invoice's.
    pub(crate) fn tax_bounds(&self, noted: Money) -> (Money, Money) {
        let tax_left = left(self.tax_amount, self.noted_tax_amount);
        let net = left(self.amount, self.tax_amount);
        let net_left = left(net, left(self.noted_amount, self.noted_tax_amount));
        let least = if noted > net_left { left(noted, net_left) } else { Money::ZERO };
        (least, tax_left.min(noted))
    }

    /// What taking an amount back does, which is taxed as `like` is: no more of it than was not taken back yet. At most `lost` of it is what was
    /// written off.
    pub(crate) fn reduction(&self, like: Part, amount: Money, lost: Money) -> Reduction {
        let amount = amount.min(self.left_to_take_back());
        let lowered = amount.min(self.residual());
        let rest = left(amount, lowered);
        let absorbed = rest.min(lost);
        let credited = left(rest, absorbed);
        let noted = sum(lowered, credited);
        let (least, most) = self.tax_bounds(noted);
        Reduction { lowered, absorbed, credited, tax: like.tax_of(noted).max(least).min(most) }
    }

    /// The invoice after a reduction: its credit note, if there is one, is an event of the invoice. One of which all is taken back is voided,
    /// unless it was written off; another one on which nothing is owed any more is paid. Even of one that is taken back something is owed when money
    /// that it gave back was spent, and had bounced.
    pub(crate) fn reduced(mut self, by: &Reduction, whole: bool, at: DateTime<Utc>) -> Self {
        self.absorbed_amount = sum(self.absorbed_amount, by.absorbed);
        if by.noted().is_zero() {
            return self;
        }
        self.credited_amount = sum(self.credited_amount, by.lowered);
        self.noted_amount = sum(self.noted_amount, by.noted());
        self.noted_tax_amount = sum(self.noted_tax_amount, by.tax);
        let closed = whole && self.residual().is_zero();
        let voided = if closed { self.clone().after(Move::TakeBack) } else { None };
        match voided {
            Some(voided) => voided,
            None => Self { version: self.version + 1, ..self }.settled(at),
        }
    }
}

impl Part {
    /// As much of an amount as of the part is tax, half a penny up.
    fn tax_of(&self, amount: Money) -> Money {
        let [of, tax, whole] = [amount, self.tax, self.amount].map(Money::hundredths);
        if whole == 0 {
            return Money::ZERO;
        }
        Money::from_hundredths((2 * of * tax + whole) / (2 * whole)).unwrap_or(Money::ZERO)
    }
}
