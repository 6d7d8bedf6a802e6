use ids::{CreditNoteId, CustomerId, InvoiceId, OrderId, PaymentId, RefundId};
use log::{ApplyError, RequestError};
use money::Money;
use rpc::Refusal;
use tonic::{Code, Status};
use uuid::Uuid;

/// Everything that billing-svc can refuse, in the words of the trade.
#[derive(Debug, thiserror::Error)]
pub enum BillingError {
    #[error("invoice {0} does not exist")]
    InvoiceNotFound(InvoiceId),
    #[error("order {0} has no invoice")]
    OrderNotInvoiced(OrderId),
    #[error("payment {0} does not exist")]
    PaymentNotFound(PaymentId),
    #[error("credit note {0} does not exist")]
    CreditNoteNotFound(CreditNoteId),
    #[error("refund {0} does not exist")]
    RefundNotFound(RefundId),
    #[error("payment {payment_id} has the same reference, but another amount, invoice or order")]
    PaymentDiffers { payment_id: PaymentId },
    #[error(
        "payment {payment_id} has the same reference and was reversed: money that came again has another one"
    )]
    PaymentReversed { payment_id: PaymentId },
    #[error("refund {refund_id} has the same reference, but another amount")]
    RefundDiffers { refund_id: RefundId },
    #[error("money cannot be received in the future")]
    ReceivedInFuture,
    #[error("invoice {invoice_id} is {from} and cannot become {to}")]
    InvoiceState { invoice_id: InvoiceId, from: String, to: &'static str },
    #[error("something of invoice {0} was paid, credited or written off: issue a credit note")]
    CreditNoteNeeded(InvoiceId),
    #[error("no more than {available} of invoice {invoice_id} can be credited")]
    OverCredit { invoice_id: InvoiceId, available: Money },
    #[error("between {least} and {most} of this credit note can be tax")]
    TaxNotLeft { least: Money, most: Money },
    #[error("the customer has {available} of credit")]
    CreditShort { customer_id: CustomerId, available: Money },
    #[error(
        "the customer has {available} of credit to pay with; the rest of {refundable} is of payments that have paid more than 1000 invoices: it can only be refunded, see RefundCredit"
    )]
    CreditSpread { customer_id: CustomerId, available: Money, refundable: Money },
    #[error("{residual} is owed on invoice {invoice_id}")]
    OverAllocation { invoice_id: InvoiceId, residual: Money },
    #[error("customer {0} owes nothing")]
    NothingOwed(CustomerId),
    #[error("the terms of customer {0} have changed since they were read")]
    StaleEtag(CustomerId),
    #[error("request_id {0} was used for another request")]
    RequestIdUsed(Uuid),
    #[error("the database cannot be used now")]
    Database(#[source] sqlx::Error),
    #[error("internal")]
    Internal(#[source] sqlx::Error),
}

impl Refusal for BillingError {
    fn code(&self) -> Code {
        match self {
            Self::InvoiceNotFound(_)
            | Self::OrderNotInvoiced(_)
            | Self::PaymentNotFound(_)
            | Self::CreditNoteNotFound(_)
            | Self::RefundNotFound(_) => Code::NotFound,
            Self::PaymentDiffers { .. }
            | Self::PaymentReversed { .. }
            | Self::RefundDiffers { .. }
            | Self::RequestIdUsed(_) => Code::AlreadyExists,
            Self::ReceivedInFuture => Code::InvalidArgument,
            Self::InvoiceState { .. }
            | Self::CreditNoteNeeded(_)
            | Self::OverCredit { .. }
            | Self::TaxNotLeft { .. }
            | Self::CreditShort { .. }
            | Self::CreditSpread { .. }
            | Self::OverAllocation { .. }
            | Self::NothingOwed(_) => Code::FailedPrecondition,
            Self::StaleEtag(_) => Code::Aborted,
            Self::Database(_) => Code::Unavailable,
            Self::Internal(_) => Code::Internal,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::InvoiceNotFound(_) | Self::OrderNotInvoiced(_) => "INVOICE_NOT_FOUND",
            Self::PaymentNotFound(_) => "PAYMENT_NOT_FOUND",
            Self::CreditNoteNotFound(_) => "CREDIT_NOTE_NOT_FOUND",
            Self::RefundNotFound(_) => "REFUND_NOT_FOUND",
            Self::PaymentDiffers { .. } => "PAYMENT_DIFFERS",
            Self::PaymentReversed { .. } => "PAYMENT_REVERSED",
            Self::RefundDiffers { .. } => "REFUND_DIFFERS",
            Self::ReceivedInFuture => "INVALID_REQUEST",
            Self::InvoiceState { .. } => "INVOICE_STATE",
            Self::CreditNoteNeeded(_) => "CREDIT_NOTE_NEEDED",
            Self::OverCredit { .. } => "OVER_CREDIT",
            Self::TaxNotLeft { .. } => "TAX_NOT_LEFT",
            Self::CreditShort { .. } => "CREDIT_SHORT",
            Self::CreditSpread { .. } => "CREDIT_SPREAD",
            Self::OverAllocation { .. } => "OVER_ALLOCATION",
            Self::NothingOwed(_) => "NOTHING_OWED",
            Self::StaleEtag(_) => "ETAG_STALE",
            Self::RequestIdUsed(_) => "REQUEST_ID_USED",
            Self::Database(_) => "DATABASE_UNAVAILABLE",
            Self::Internal(_) => "INTERNAL",
        }
    }

    fn metadata(&self) -> Vec<(String, String)> {
        type Fact<'a> = (&'static str, &'a dyn std::fmt::Display);
        let facts: Vec<Fact<'_>> = match self {
            Self::InvoiceNotFound(id) | Self::CreditNoteNeeded(id) => vec![("invoice_id", id)],
            Self::OrderNotInvoiced(id) => vec![("order_id", id)],
            Self::PaymentNotFound(id)
            | Self::PaymentDiffers { payment_id: id }
            | Self::PaymentReversed { payment_id: id } => vec![("payment_id", id)],
            Self::CreditNoteNotFound(id) => vec![("credit_note_id", id)],
            Self::RefundNotFound(id) | Self::RefundDiffers { refund_id: id } => {
                vec![("refund_id", id)]
            }
            Self::InvoiceState { invoice_id, from, to } => {
                vec![("invoice_id", invoice_id), ("from", from), ("to", to)]
            }
            Self::OverCredit { invoice_id, available } => {
                vec![("invoice_id", invoice_id), ("available", available)]
            }
            Self::TaxNotLeft { least, most } => vec![("least", least), ("most", most)],
            Self::CreditShort { customer_id, available } => {
                vec![("customer_id", customer_id), ("available", available)]
            }
            Self::CreditSpread { customer_id, available, refundable } => vec![
                ("customer_id", customer_id),
                ("available", available),
                ("refundable", refundable),
            ],
            Self::OverAllocation { invoice_id, residual } => {
                vec![("invoice_id", invoice_id), ("residual", residual)]
            }
            Self::NothingOwed(id) | Self::StaleEtag(id) => vec![("customer_id", id)],
            Self::RequestIdUsed(id) => vec![("request_id", id)],
            Self::ReceivedInFuture | Self::Database(_) | Self::Internal(_) => Vec::new(),
        };
        facts.into_iter().map(|(name, fact)| (name.to_owned(), fact.to_string())).collect()
    }

    fn fields(&self) -> Vec<(String, String)> {
        match self {
            Self::ReceivedInFuture => vec![("receive_time".to_owned(), self.to_string())],
            Self::InvoiceNotFound(_)
            | Self::OrderNotInvoiced(_)
            | Self::PaymentNotFound(_)
            | Self::CreditNoteNotFound(_)
            | Self::RefundNotFound(_)
            | Self::PaymentDiffers { .. }
            | Self::PaymentReversed { .. }
            | Self::RefundDiffers { .. }
            | Self::InvoiceState { .. }
            | Self::CreditNoteNeeded(_)
            | Self::OverCredit { .. }
            | Self::TaxNotLeft { .. }
            | Self::CreditShort { .. }
            | Self::CreditSpread { .. }
            | Self::OverAllocation { .. }
            | Self::NothingOwed(_)
            | Self::StaleEtag(_)
            | Self::RequestIdUsed(_)
            | Self::Database(_)
            | Self::Internal(_) => Vec::new(),
        }
    }
}

impl From<sqlx::Error> for BillingError {
    fn from(error: sqlx::Error) -> Self {
        if pg::is_away(&error) { Self::Database(error) } else { Self::Internal(error) }
    }
}

impl From<RequestError> for BillingError {
    fn from(error: RequestError) -> Self {
        match error {
            RequestError::Used(id) => Self::RequestIdUsed(id),
            RequestError::Database(error) => error.into(),
        }
    }
}

impl From<BillingError> for ApplyError {
    fn from(error: BillingError) -> Self {
        match error {
            BillingError::Database(error) | BillingError::Internal(error) => error.into(),
            refusal => Self::Refused(refusal.to_string()),
        }
    }
}

impl From<BillingError> for Status {
    fn from(error: BillingError) -> Self {
        rpc::status(&error)
    }
}
