//! Invoices, payments, credit, and the rules that they obey. Pure: values in, values out.

mod calendar;
mod credit;
mod credit_note;
mod movement;
#[cfg(test)]
mod tests;

pub use calendar::Calendar;
pub(crate) use credit::{Credit, Draw, Refund, Source, available, draw};
pub(crate) use credit_note::{CreditNote, Part, Reduction};
pub(crate) use movement::{CreditMovement, MovementKind, ReceivableMovement};

use chrono::{DateTime, NaiveDate, Utc};
use ids::{CustomerId, InvoiceId, OrderId, PaymentId};
use money::Money;

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Invoice {
    pub(crate) id: InvoiceId,
    pub(crate) number: String,
    pub(crate) order_id: OrderId,
    pub(crate) customer_id: CustomerId,
    /// Gross.
    pub(crate) amount: Money,
    /// The part of `amount` that is tax.
    pub(crate) tax_amount: Money,
    /// What payments and credit have paid of it, also what a credit note gave back afterwards.
    pub(crate) paid_amount: Money,
    /// Not owed any more without having been paid: voided, or taken back by credit notes.
    pub(crate) credited_amount: Money,
    /// What was given up.
    pub(crate) written_off_amount: Money,
    /// What credit notes took back in all: of what was owed, and of what had been paid.
    pub(crate) noted_amount: Money,
    pub(crate) noted_tax_amount: Money,
    /// What was given up or came back of what had been written off: nobody owes it, and nobody gets it back.
    pub(crate) absorbed_amount: Money,
    pub(crate) status: InvoiceStatus,
    pub(crate) issued_at: DateTime<Utc>,
    pub(crate) due_date: NaiveDate,
    pub(crate) paid_at: Option<DateTime<Utc>>,
    /// Why it was voided or written off by hand.
    pub(crate) close_reason: String,
    /// Moves with each event of the invoice: a part payment is an event of the payment only.
    pub(crate) version: i32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "varchar", rename_all = "snake_case")]
pub(crate) enum InvoiceStatus {
    Issued,
    Paid,
    Overdue,
    Voided,
    WrittenOff,
}

/// What can happen to an invoice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Move {
    /// Nothing is owed any more.
    PayRest,
    FallOverdue,
    /// All of it is taken back.
    TakeBack,
    WriteOff,
    /// What had paid it is taken back.
    Reopen,
}

/// The whole state machine: what is not here does not happen.
const MOVES: [(InvoiceStatus, Move, InvoiceStatus); 11] = [
    (InvoiceStatus::Issued, Move::PayRest, InvoiceStatus::Paid),
    (InvoiceStatus::Overdue, Move::PayRest, InvoiceStatus::Paid),
    (InvoiceStatus::Issued, Move::FallOverdue, InvoiceStatus::Overdue),
    (InvoiceStatus::Issued, Move::TakeBack, InvoiceStatus::Voided),
    (InvoiceStatus::Overdue, Move::TakeBack, InvoiceStatus::Voided),
    (InvoiceStatus::Paid, Move::TakeBack, InvoiceStatus::Voided),
    (InvoiceStatus::Issued, Move::WriteOff, InvoiceStatus::WrittenOff),
    (InvoiceStatus::Overdue, Move::WriteOff, InvoiceStatus::WrittenOff),
    (InvoiceStatus::Paid, Move::Reopen, InvoiceStatus::Issued),
    (InvoiceStatus::Voided, Move::Reopen, InvoiceStatus::Issued),
    (InvoiceStatus::WrittenOff, Move::Reopen, InvoiceStatus::Issued),
];

/// Money received.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Payment {
    pub(crate) id: PaymentId,
    pub(crate) customer_id: CustomerId,
    pub(crate) external_reference: String,
    pub(crate) amount: Money,
    /// The part that is the customer's credit. Below 0 when it was reversed after some of it had been refunded.
    pub(crate) unallocated: Money,
    /// The invoice that the payer named, whether or not it could take the money.
    pub(crate) named_invoice_id: Option<InvoiceId>,
    /// The order that the payer named instead: its invoice may come later.
    pub(crate) named_order_id: Option<OrderId>,
    pub(crate) received_at: DateTime<Utc>,
    pub(crate) reversed_at: Option<DateTime<Utc>>,
    pub(crate) reversal_reason: String,
    pub(crate) version: i32,
}

/// The part of a payment, or of a customer's credit, that went to one invoice.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Allocation {
    pub(crate) invoice_id: InvoiceId,
    pub(crate) amount: Money,
}

impl Invoice {
    /// What is still owed.
    pub(crate) fn residual(&self) -> Money {
        let paid = left(self.amount, self.paid_amount);
        left(left(paid, self.credited_amount), self.written_off_amount)
    }

    /// The invoice after a move, one version later; none when the move is not possible.
    pub(crate) fn after(mut self, what: Move) -> Option<Self> {
        let (_, _, to) = MOVES.iter().find(|(from, by, _)| *from == self.status && *by == what)?;
        self.status = *to;
        self.version += 1;
        Some(self)
    }

    /// How it stands on a day: it is overdue from the day after its due date on, whether or not the sweep has been there.
    pub(crate) fn status_on(&self, today: NaiveDate) -> InvoiceStatus {
        match self.status {
            InvoiceStatus::Issued if self.due_date < today => InvoiceStatus::Overdue,
            status => status,
        }
    }

    /// Whether nothing but issuing and falling overdue has happened to it, so that it can be taken back as if it had never been.
    pub(crate) fn is_untouched(&self) -> bool {
        let moved = [self.paid_amount, self.noted_amount, self.written_off_amount];
        moved.into_iter().all(Money::is_zero)
    }

    /// Taken back as a whole, without a credit note; none when it is closed.
    pub(crate) fn voided(self, reason: String) -> Option<Self> {
        let voided = self.after(Move::TakeBack)?;
        Some(Self { credited_amount: voided.amount, close_reason: reason, ..voided })
    }

    /// With what is still owed given up; none when nothing is.
    pub(crate) fn written_off(self, reason: String) -> Option<Self> {
        let residual = self.residual();
        let given_up = self.after(Move::WriteOff)?;
        let written_off_amount = sum(given_up.written_off_amount, residual);
        Some(Self { written_off_amount, close_reason: reason, ..given_up })
    }

    /// With more of it paid: at most what is owed. Paid in full, it is `paid`.
    pub(crate) fn with_payment(mut self, amount: Money, received_at: DateTime<Utc>) -> Self {
        self.paid_amount = sum(self.paid_amount, amount.min(self.residual()));
        self.settled(received_at)
    }

    /// With less of it paid, when what paid it is taken back: it is open again.
    pub(crate) fn without_payment(mut self, amount: Money) -> Self {
        self.paid_amount = left(self.paid_amount, amount);
        if self.residual().is_zero() {
            return self;
        }
        match self.clone().after(Move::Reopen) {
            Some(open) => Self { paid_at: None, close_reason: String::new(), ..open },
            None => self,
        }
    }

    /// `paid`, if nothing is owed on an open one any more.
    fn settled(self, at: DateTime<Utc>) -> Self {
        if !self.residual().is_zero() {
            return self;
        }
        match self.clone().after(Move::PayRest) {
            Some(paid) => Self { paid_at: Some(at), ..paid },
            None => self,
        }
    }
}

/// What payment does to invoices.
#[derive(Debug, Default)]
pub(crate) struct Shares {
    /// Each invoice that got something, as it is afterwards, with what it got.
    pub(crate) paid: Vec<(Invoice, Money)>,
    pub(crate) left: Money,
}

/// Shares money out over open invoices in their order, each up to what is owed on it.
pub(crate) fn allocate(amount: Money, open: Vec<Invoice>, received_at: DateTime<Utc>) -> Shares {
    let mut shares = Shares { paid: Vec::new(), left: amount };
    for invoice in open {
        let share = invoice.residual().min(shares.left);
        if share.is_positive() {
            shares.left = left(shares.left, share);
            shares.paid.push((invoice.with_payment(share, received_at), share));
        }
    }
    shares
}

/// The difference of two amounts of which the second is never the larger.
fn left(of: Money, taken: Money) -> Money {
    of.checked_sub(taken).unwrap_or(Money::ZERO)
}

/// The sum of two parts of an amount that is in range.
fn sum(one: Money, other: Money) -> Money {
    one.checked_add(other).unwrap_or(Money::MAX)
}

impl std::fmt::Display for InvoiceStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Issued => "issued",
            Self::Paid => "paid",
            Self::Overdue => "overdue",
            Self::Voided => "voided",
            Self::WrittenOff => "written_off",
        })
    }
}
