use ids::{CustomerId, OrderId, OrderItemId};
use log::RequestError;
use money::MoneyError;
use rpc::Refusal;
use tonic::{Code, Status};
use uuid::Uuid;

use crate::domain::{Move, OrderStatus};

/// Everything that orders-svc can refuse, in the words of the trade.
#[derive(Debug, thiserror::Error)]
pub enum OrdersError {
    #[error("customer {0} does not exist")]
    CustomerNotFound(CustomerId),
    #[error("the e-mail address is that of customer {customer_id}")]
    EmailTaken { customer_id: CustomerId },
    #[error("order {0} does not exist")]
    OrderNotFound(OrderId),
    #[error("customer {0} of the order does not exist")]
    UnknownCustomer(CustomerId),
    #[error("order {id} is {status}, so it cannot be {what}")]
    State { id: OrderId, status: OrderStatus, what: Move },
    #[error("line {index} of the shipment is not one of the order")]
    UnknownLine { index: usize },
    #[error("more is to be shipped than is open")]
    OverShipment(Vec<(OrderItemId, i32, i32)>),
    #[error("an order cannot be placed in the future")]
    PlacedInFuture,
    #[error("order {0} was changed by another caller meanwhile")]
    Changed(OrderId),
    #[error("the order's amount is too large")]
    Amount(#[from] MoneyError),
    #[error("request_id {0} was used for another request")]
    RequestIdUsed(Uuid),
    /// inventory-svc has refused, with its reasons.
    #[error("{}", .0.message())]
    Stock(Box<Status>),
    #[error("inventory-svc cannot be asked now")]
    InventoryAway(#[source] Box<Status>),
    #[error("too many orders are waiting")]
    Full,
    #[error("the service is stopping")]
    Stopping,
    #[error("the database cannot be used now")]
    Database(#[source] sqlx::Error),
    #[error("internal")]
    Internal(#[source] sqlx::Error),
}

impl Refusal for OrdersError {
    fn code(&self) -> Code {
        match self {
            Self::CustomerNotFound(_) | Self::OrderNotFound(_) => Code::NotFound,
            Self::EmailTaken { .. } | Self::RequestIdUsed(_) => Code::AlreadyExists,
            Self::UnknownCustomer(_)
            | Self::UnknownLine { .. }
            | Self::PlacedInFuture
            | Self::Amount(_) => Code::InvalidArgument,
            Self::State { .. } | Self::OverShipment(_) => Code::FailedPrecondition,
            Self::Changed(_) => Code::Aborted,
            Self::Stock(status) => status.code(),
            Self::Full => Code::ResourceExhausted,
            Self::InventoryAway(_) | Self::Stopping | Self::Database(_) => Code::Unavailable,
            Self::Internal(_) => Code::Internal,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::CustomerNotFound(_) => "CUSTOMER_NOT_FOUND",
            Self::EmailTaken { .. } => "EMAIL_TAKEN",
            Self::OrderNotFound(_) => "ORDER_NOT_FOUND",
            Self::UnknownCustomer(_)
            | Self::UnknownLine { .. }
            | Self::PlacedInFuture
            | Self::Amount(_) => "INVALID_REQUEST",
            Self::State { .. } => "ORDER_STATE",
            Self::OverShipment(_) => "OVER_SHIPMENT",
            Self::Changed(_) => "ORDER_CHANGED",
            Self::RequestIdUsed(_) => "REQUEST_ID_USED",
            Self::Stock(_) => "STOCK",
            Self::InventoryAway(_) => "INVENTORY_UNAVAILABLE",
            Self::Full => "TOO_MANY_ORDERS",
            Self::Stopping => "STOPPING",
            Self::Database(_) => "DATABASE_UNAVAILABLE",
            Self::Internal(_) => "INTERNAL",
        }
    }

    fn metadata(&self) -> Vec<(String, String)> {
        let fact = |name: &str, value: String| (name.to_owned(), value);
        match self {
            Self::CustomerNotFound(id) | Self::EmailTaken { customer_id: id } => {
                vec![fact("customer_id", id.to_string())]
            }
            Self::OrderNotFound(id) | Self::Changed(id) => vec![fact("order_id", id.to_string())],
            Self::State { id, status, what } => vec![
                fact("order_id", id.to_string()),
                fact("from", status.to_string()),
                fact("to", what.to_string()),
            ],
            Self::OverShipment(over) => over
                .iter()
                .map(|(id, qty, open)| {
                    fact(&id.to_string(), format!("requested {qty}, open {open}"))
                })
                .collect(),
            Self::RequestIdUsed(id) => vec![fact("request_id", id.to_string())],
            Self::UnknownCustomer(_)
            | Self::UnknownLine { .. }
            | Self::PlacedInFuture
            | Self::Amount(_)
            | Self::Stock(_)
            | Self::InventoryAway(_)
            | Self::Full
            | Self::Stopping
            | Self::Database(_)
            | Self::Internal(_) => Vec::new(),
        }
    }

    fn fields(&self) -> Vec<(String, String)> {
        let field = match self {
            Self::UnknownCustomer(_) => "customer_id".to_owned(),
            Self::UnknownLine { index } => format!("lines[{index}].line_id"),
            Self::PlacedInFuture => "place_time".to_owned(),
            Self::Amount(_) => "lines".to_owned(),
            _ => return Vec::new(),
        };
        vec![(field, self.to_string())]
    }
}

impl From<sqlx::Error> for OrdersError {
    fn from(error: sqlx::Error) -> Self {
        if pg::is_away(&error) { Self::Database(error) } else { Self::Internal(error) }
    }
}

impl From<RequestError> for OrdersError {
    fn from(error: RequestError) -> Self {
        match error {
            RequestError::Used(id) => Self::RequestIdUsed(id),
            RequestError::Database(error) => error.into(),
        }
    }
}

impl From<batch::BatchError<sqlx::Error>> for OrdersError {
    fn from(error: batch::BatchError<sqlx::Error>) -> Self {
        match error {
            batch::BatchError::Full => Self::Full,
            batch::BatchError::Stopping => Self::Stopping,
            batch::BatchError::Failed(error) => error.into(),
        }
    }
}

impl From<OrdersError> for Status {
    fn from(error: OrdersError) -> Self {
        match error {
            // Its details name each SKU already.
            OrdersError::Stock(status) => *status,
            error => rpc::status(&error),
        }
    }
}
