//! Invoices, payments and the rules that they obey. Pure: values in, values out.

#[cfg(test)]
mod tests;

use chrono::{DateTime, Days, NaiveDate, Utc};
use chrono_tz::Tz;
use ids::{CreditNoteId, CustomerId, InvoiceId, OrderId, PaymentId};
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
    /// What payments have paid of it, also when it was taken back afterwards.
    pub(crate) paid_amount: Money,
    pub(crate) status: InvoiceStatus,
    pub(crate) issued_at: DateTime<Utc>,
    pub(crate) due_date: NaiveDate,
    pub(crate) paid_at: Option<DateTime<Utc>>,
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
}

/// What can happen to an invoice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Move {
    PayRest,
    FallOverdue,
    TakeBack,
}

/// The whole state machine: what is not here does not happen.
const MOVES: [(InvoiceStatus, Move, InvoiceStatus); 6] = [
    (InvoiceStatus::Issued, Move::PayRest, InvoiceStatus::Paid),
    (InvoiceStatus::Overdue, Move::PayRest, InvoiceStatus::Paid),
    (InvoiceStatus::Issued, Move::FallOverdue, InvoiceStatus::Overdue),
    (InvoiceStatus::Issued, Move::TakeBack, InvoiceStatus::Voided),
    (InvoiceStatus::Overdue, Move::TakeBack, InvoiceStatus::Voided),
    (InvoiceStatus::Paid, Move::TakeBack, InvoiceStatus::Voided),
];

/// Money received.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Payment {
    pub(crate) id: PaymentId,
    pub(crate) customer_id: CustomerId,
    pub(crate) external_reference: String,
    pub(crate) amount: Money,
    /// The part that paid no invoice.
    pub(crate) unallocated: Money,
    /// The invoice that the payer named, whether or not it could take the money.
    pub(crate) named_invoice_id: Option<InvoiceId>,
    pub(crate) received_at: DateTime<Utc>,
}

/// The part of a payment that went to one invoice.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Allocation {
    pub(crate) invoice_id: InvoiceId,
    pub(crate) amount: Money,
}

/// Takes an invoice back for which money had come.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CreditNote {
    pub(crate) id: CreditNoteId,
    pub(crate) number: String,
    pub(crate) invoice_id: InvoiceId,
    pub(crate) customer_id: CustomerId,
    pub(crate) amount: Money,
    pub(crate) tax_amount: Money,
    /// What had been paid: the customer's credit now.
    pub(crate) credited: Money,
    pub(crate) issued_at: DateTime<Utc>,
}

impl Invoice {
    /// What is still owed.
    pub(crate) fn residual(&self) -> Money {
        match self.status {
            InvoiceStatus::Voided => Money::ZERO,
            InvoiceStatus::Issued | InvoiceStatus::Overdue | InvoiceStatus::Paid => {
                left(self.amount, self.paid_amount)
            }
        }
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

    /// The credit note that takes the invoice back: what was paid of it is credit now.
    pub(crate) fn credit_note(
        &self,
        id: CreditNoteId,
        number: String,
        issued_at: DateTime<Utc>,
    ) -> CreditNote {
        CreditNote {
            id,
            number,
            invoice_id: self.id,
            customer_id: self.customer_id,
            amount: self.amount,
            tax_amount: self.tax_amount,
            credited: self.paid_amount,
            issued_at,
        }
    }

    /// With more of it paid: at most what is owed. Paid in full, it is `paid`.
    fn with_payment(mut self, amount: Money, received_at: DateTime<Utc>) -> Self {
        self.paid_amount = left(self.amount, left(self.residual(), amount));
        if !self.residual().is_zero() {
            return self;
        }
        self.paid_at = Some(received_at);
        self.clone().after(Move::PayRest).unwrap_or(self)
    }
}

impl CreditNote {
    /// What had not been paid: no longer owed.
    pub(crate) fn residual(&self) -> Money {
        left(self.amount, self.credited)
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

/// The days of the business: where it is, and how long its customers have to pay.
#[derive(Debug, Clone, Copy)]
pub struct Calendar {
    zone: Tz,
    terms: Days,
}

impl Calendar {
    #[must_use]
    pub fn new(zone: Tz, terms_days: u16) -> Self {
        Self { zone, terms: Days::new(terms_days.into()) }
    }

    /// The business day of a point in time.
    #[must_use]
    pub fn day_of(&self, time: DateTime<Utc>) -> NaiveDate {
        time.with_timezone(&self.zone).date_naive()
    }

    /// The last day to pay what is issued on a day.
    #[must_use]
    pub fn due_date(&self, issue_date: NaiveDate) -> NaiveDate {
        issue_date.checked_add_days(self.terms).unwrap_or(issue_date)
    }
}

impl std::fmt::Display for InvoiceStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Issued => "issued",
            Self::Paid => "paid",
            Self::Overdue => "overdue",
            Self::Voided => "voided",
        })
    }
}
