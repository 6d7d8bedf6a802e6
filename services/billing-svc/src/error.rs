use ids::{InvoiceId, OrderId, PaymentId};
use log::{ApplyError, RequestError};
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
    #[error("payment {payment_id} has the same reference, but another amount or invoice")]
    PaymentDiffers { payment_id: PaymentId },
    #[error("money cannot be received in the future")]
    ReceivedInFuture,
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
            Self::InvoiceNotFound(_) | Self::OrderNotInvoiced(_) | Self::PaymentNotFound(_) => {
                Code::NotFound
            }
            Self::PaymentDiffers { .. } | Self::RequestIdUsed(_) => Code::AlreadyExists,
            Self::ReceivedInFuture => Code::InvalidArgument,
            Self::Database(_) => Code::Unavailable,
            Self::Internal(_) => Code::Internal,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::InvoiceNotFound(_) | Self::OrderNotInvoiced(_) => "INVOICE_NOT_FOUND",
            Self::PaymentNotFound(_) => "PAYMENT_NOT_FOUND",
            Self::PaymentDiffers { .. } => "PAYMENT_DIFFERS",
            Self::ReceivedInFuture => "INVALID_REQUEST",
            Self::RequestIdUsed(_) => "REQUEST_ID_USED",
            Self::Database(_) => "DATABASE_UNAVAILABLE",
            Self::Internal(_) => "INTERNAL",
        }
    }

    fn metadata(&self) -> Vec<(String, String)> {
        let fact = |name: &str, id: &dyn std::fmt::Display| vec![(name.to_owned(), id.to_string())];
        match self {
            Self::InvoiceNotFound(id) => fact("invoice_id", id),
            Self::OrderNotInvoiced(id) => fact("order_id", id),
            Self::PaymentNotFound(id) | Self::PaymentDiffers { payment_id: id } => {
                fact("payment_id", id)
            }
            Self::RequestIdUsed(id) => fact("request_id", id),
            Self::ReceivedInFuture | Self::Database(_) | Self::Internal(_) => Vec::new(),
        }
    }

    fn fields(&self) -> Vec<(String, String)> {
        match self {
            Self::ReceivedInFuture => vec![("receive_time".to_owned(), self.to_string())],
            Self::InvoiceNotFound(_)
            | Self::OrderNotInvoiced(_)
            | Self::PaymentNotFound(_)
            | Self::PaymentDiffers { .. }
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
