use ids::{CustomerId, OrderId, OrderItemId};
use log::RequestError;
use money::MoneyError;
use rpc::Refusal;
use tonic::{Code, Status};
use uuid::Uuid;

use crate::domain::{Move, OrderStatus};

/// How many lines one refusal names: all details of a refusal travel in one header, which clients bound (8 KiB is usual).
const NAMED_MAX: usize = 50;

/// Everything that orders-svc can refuse, in the words of the trade.
#[derive(Debug, thiserror::Error)]
pub enum OrdersError {
    #[error("customer {0} does not exist")]
    CustomerNotFound(CustomerId),
    #[error("the e-mail address is that of customer {customer_id}")]
    EmailTaken { customer_id: CustomerId },
    #[error("customer {0} is archived, so nothing new is sold to them")]
    CustomerArchived(CustomerId),
    #[error("order {0} does not exist")]
    OrderNotFound(OrderId),
    #[error("customer {0} of the order does not exist")]
    UnknownCustomer(CustomerId),
    #[error("order {id} is {status}, so it cannot be {what}")]
    State { id: OrderId, status: OrderStatus, what: Move },
    #[error("order {0} is held, so it can be neither placed nor shipped")]
    Held(OrderId),
    /// Each by its place in the request.
    #[error("there are lines that are not of the order")]
    UnknownLines(Vec<usize>),
    #[error("more is to be shipped than is open")]
    OverShipment(Vec<(OrderItemId, i32, i32)>),
    #[error("more is to be returned than was shipped and has not come back")]
    OverReturn(Vec<(OrderItemId, i32, i32)>),
    #[error("an order cannot be placed in the future")]
    PlacedInFuture,
    #[error("order {0} was changed by another caller meanwhile")]
    Changed(OrderId),
    #[error("it has changed since it was read: its etag is {0} now")]
    EtagStale(String),
    #[error("the stock reserved for order {0} was not held any more when it was to be placed")]
    ReservationRanOut(OrderId),
    #[error("the order's amount is too large")]
    Amount(#[from] MoneyError),
    /// The field that asks for them.
    #[error("these are too large together: ask for fewer")]
    AnswerTooLarge(&'static str),
    #[error("request_id {0} was used for another request")]
    RequestIdUsed(Uuid),
    /// inventory-svc has refused, with its reasons.
    #[error("{}", .0.message())]
    Stock(Box<Status>),
    #[error("inventory-svc cannot be asked now")]
    InventoryAway(#[source] Box<Status>),
    #[error("inventory-svc did not answer in time")]
    InventoryLate(#[source] Box<Status>),
    #[error("too many orders are waiting")]
    Full,
    #[error("too many orders are being watched")]
    TooManyWatches,
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
            | Self::UnknownLines(_)
            | Self::PlacedInFuture
            | Self::AnswerTooLarge(_)
            | Self::Amount(_) => Code::InvalidArgument,
            Self::State { .. }
            | Self::Held(_)
            | Self::CustomerArchived(_)
            | Self::OverShipment(_)
            | Self::OverReturn(_) => Code::FailedPrecondition,
            Self::Changed(_) | Self::EtagStale(_) | Self::ReservationRanOut(_) => Code::Aborted,
            Self::Stock(status) => status.code(),
            Self::Full | Self::TooManyWatches => Code::ResourceExhausted,
            Self::InventoryLate(_) => Code::DeadlineExceeded,
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
            | Self::UnknownLines(_)
            | Self::PlacedInFuture
            | Self::AnswerTooLarge(_)
            | Self::Amount(_) => "INVALID_REQUEST",
            Self::State { .. } => "ORDER_STATE",
            Self::Held(_) => "ORDER_HELD",
            Self::CustomerArchived(_) => "CUSTOMER_ARCHIVED",
            Self::OverShipment(_) => "OVER_SHIPMENT",
            Self::OverReturn(_) => "OVER_RETURN",
            Self::Changed(_) => "ORDER_CHANGED",
            Self::EtagStale(_) => "ETAG_STALE",
            Self::ReservationRanOut(_) => "RESERVATION_RAN_OUT",
            Self::RequestIdUsed(_) => "REQUEST_ID_USED",
            Self::Stock(_) => "STOCK",
            Self::InventoryLate(_) => "DEADLINE_EXCEEDED",
            Self::InventoryAway(_) => "INVENTORY_UNAVAILABLE",
            Self::Full => "TOO_MANY_ORDERS",
            Self::TooManyWatches => "TOO_MANY_WATCHES",
            Self::Stopping => "STOPPING",
            Self::Database(_) => "DATABASE_UNAVAILABLE",
            Self::Internal(_) => "INTERNAL",
        }
    }

    fn metadata(&self) -> Vec<(String, String)> {
        let fact = |name: &str, value: String| (name.to_owned(), value);
        match self {
            Self::CustomerNotFound(id)
            | Self::CustomerArchived(id)
            | Self::EmailTaken { customer_id: id } => {
                vec![fact("customer_id", id.to_string())]
            }
            Self::OrderNotFound(id)
            | Self::Held(id)
            | Self::Changed(id)
            | Self::ReservationRanOut(id) => {
                vec![fact("order_id", id.to_string())]
            }
            Self::EtagStale(now) => vec![fact("etag", now.clone())],
            Self::State { id, status, what } => vec![
                fact("order_id", id.to_string()),
                fact("from", status.to_string()),
                fact("to", what.to_string()),
            ],
            Self::OverShipment(over) => over
                .iter()
                .take(NAMED_MAX)
                .map(|(id, qty, open)| {
                    fact(&id.to_string(), format!("requested {qty}, open {open}"))
                })
                .collect(),
            Self::OverReturn(over) => over
                .iter()
                .take(NAMED_MAX)
                .map(|(id, qty, out)| {
                    fact(&id.to_string(), format!("requested {qty}, returnable {out}"))
                })
                .collect(),
            Self::RequestIdUsed(id) => vec![fact("request_id", id.to_string())],
            Self::UnknownCustomer(_)
            | Self::UnknownLines(_)
            | Self::PlacedInFuture
            | Self::AnswerTooLarge(_)
            | Self::Amount(_)
            | Self::Stock(_)
            | Self::InventoryAway(_)
            | Self::InventoryLate(_)
            | Self::Full
            | Self::TooManyWatches
            | Self::Stopping
            | Self::Database(_)
            | Self::Internal(_) => Vec::new(),
        }
    }

    fn fields(&self) -> Vec<(String, String)> {
        let field = match self {
            Self::UnknownLines(places) => {
                let why = "is not a line of the order";
                let field = |place: &usize| (format!("lines[{place}].line_id"), why.to_owned());
                return places.iter().take(NAMED_MAX).map(field).collect();
            }
            Self::UnknownCustomer(_) => "customer_id",
            Self::PlacedInFuture => "place_time",
            Self::Amount(_) => "lines",
            Self::AnswerTooLarge(field) => field,
            _ => return Vec::new(),
        };
        vec![(field.to_owned(), self.to_string())]
    }
}

impl OrdersError {
    /// Whether the same command would be refused again, as long as nothing else changes.
    pub(crate) fn is_final(&self) -> bool {
        matches!(
            self.code(),
            Code::InvalidArgument | Code::FailedPrecondition | Code::AlreadyExists
        )
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
