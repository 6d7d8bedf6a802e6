//! The rows of the two subledgers: what is owed, and what is credit. Append-only; dated as the events that tell of them.

use chrono::NaiveDate;
use ids::{CustomerId, InvoiceId};
use money::Money;
use uuid::Uuid;

use super::{Invoice, Source};

/// A change of what is owed on an invoice.
#[derive(Debug, Clone)]
pub(crate) struct ReceivableMovement {
    pub(crate) invoice_id: InvoiceId,
    pub(crate) customer_id: CustomerId,
    pub(crate) kind: MovementKind,
    pub(crate) document_id: Uuid,
    /// Whose money it is that pays.
    pub(crate) source: Option<Source>,
    pub(crate) day: NaiveDate,
    /// Above 0 when it is owed.
    pub(crate) amount: Money,
}

/// A change of a customer's credit.
#[derive(Debug, Clone)]
pub(crate) struct CreditMovement {
    pub(crate) customer_id: CustomerId,
    pub(crate) kind: MovementKind,
    pub(crate) document_id: Uuid,
    pub(crate) source: Source,
    pub(crate) day: NaiveDate,
    /// Above 0 when there is more credit.
    pub(crate) amount: Money,
}

/// What moves. Only receivables know invoices, voids and write-offs, only credit knows refunds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "varchar", rename_all = "snake_case")]
pub(crate) enum MovementKind {
    Invoice,
    Void,
    Payment,
    Allocation,
    Reversal,
    CreditNote,
    WriteOff,
    Refund,
}

impl ReceivableMovement {
    /// Without money.
    pub(crate) fn of(
        invoice: &Invoice,
        kind: MovementKind,
        document_id: Uuid,
        day: NaiveDate,
        amount: Money,
    ) -> Self {
        let (invoice_id, customer_id) = (invoice.id, invoice.customer_id);
        Self { invoice_id, customer_id, kind, document_id, source: None, day, amount }
    }

    pub(crate) fn by(self, source: Source) -> Self {
        Self { source: Some(source), ..self }
    }
}

impl std::fmt::Display for MovementKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Invoice => "invoice",
            Self::Void => "void",
            Self::Payment => "payment",
            Self::Allocation => "allocation",
            Self::Reversal => "reversal",
            Self::CreditNote => "credit_note",
            Self::WriteOff => "write_off",
            Self::Refund => "refund",
        })
    }
}
