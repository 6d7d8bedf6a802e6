use ids::{OrderId, ReturnId, ShipmentId};
use log::RequestError;
use rpc::Refusal;
use tonic::{Code, Status};
use uuid::Uuid;

use crate::domain::{Below, Short};

/// How many SKUs one refusal names: all details of a refusal travel in one header, which clients bound (8 KiB is usual).
const NAMED_MAX: usize = 50;

/// Everything that inventory-svc can refuse, in the words of the trade.
#[derive(Debug, thiserror::Error)]
pub enum InventoryError {
    #[error("product {0} does not exist")]
    ProductNotFound(String),
    #[error("product {0} exists already")]
    ProductExists(String),
    /// Each with its place in the request.
    #[error("products exist already with other contents: {}", first_of(.0, |(_, sku)| sku.clone()))]
    ProductsDiffer(Vec<(usize, String)>),
    /// `list` is the field of the request that they stand in, each with its place in it.
    #[error("not in the catalogue: {}", first_of(skus, |(_, sku)| sku.clone()))]
    UnknownSkus { list: &'static str, skus: Vec<(usize, String)> },
    #[error("these products are too large together: ask for fewer")]
    AnswerTooLarge,
    #[error("too little stock: {}", first_of(&.0.0, |short| format!("{} ({short})", short.sku)))]
    Short(Shortage),
    #[error("not sold any more: {}", first_of(.0, Clone::clone))]
    ProductArchived(Vec<String>),
    #[error("of {sku} {on_hand} are on hand and {reserved} reserved")]
    ProductInStock { sku: String, on_hand: i32, reserved: i32 },
    #[error("{0} has changed since it was read")]
    StaleEtag(String),
    #[error("less would be left than is reserved: {}", first_of(&.0.0, |below| format!("{} ({below})", below.sku)))]
    BelowReserved(Shortfall),
    /// Each with how many movements it has had by now.
    #[error("goods came or left since they were counted: {}", first_of(.0, |(sku, _)| sku.clone()))]
    ItemsMoved(Vec<(String, i64)>),
    #[error("{0} would be worth more than can be counted")]
    ValueOutOfRange(String),
    #[error("order {0} has no reservation")]
    ReservationNotFound(OrderId),
    #[error("order {0} has a reservation with other lines")]
    ReservationDiffers(OrderId),
    #[error("the reservation of order {0} was released")]
    ReservationReleased(OrderId),
    #[error("all that was reserved for order {0} has been shipped")]
    ReservationShipped(OrderId),
    #[error("order {0} is placed: ship, cancel or return the order")]
    OrderPlaced(OrderId),
    #[error("{qty} of {sku} left for order {order_id}, for which {open} were still reserved")]
    OverShipment { order_id: OrderId, sku: String, qty: i32, open: i32 },
    #[error("the reservation of order {0} has no time limit any more")]
    ReservationNotHeld(OrderId),
    #[error(
        "{qty} of {sku} are to be released for order {order_id}, for which {open} are still reserved"
    )]
    OverRelease { order_id: OrderId, sku: String, qty: i32, open: i32 },
    #[error(
        "{qty} of {sku} came back from order {order_id}, of which {out} had left and not come back"
    )]
    OverReturn { order_id: OrderId, sku: String, qty: i32, out: i32 },
    #[error("shipment {0} has left with other contents")]
    ShipmentDiffers(ShipmentId),
    #[error("return {0} has come with other contents")]
    ReturnDiffers(ReturnId),
    #[error("more would be on hand of {0} than can be counted")]
    TooMany(String),
    #[error("request_id {0} was used for another request")]
    RequestIdUsed(Uuid),
    #[error("too many reservations are waiting")]
    Full,
    #[error("the service is stopping")]
    Stopping,
    #[error("the database cannot be used now")]
    Database(#[source] sqlx::Error),
    #[error("internal")]
    Internal(#[source] sqlx::Error),
}

/// Each SKU that is short.
#[derive(Debug)]
pub struct Shortage(pub(crate) Vec<Short>);

/// Each SKU of which less would be left than is reserved.
#[derive(Debug)]
pub struct Shortfall(pub(crate) Vec<Below>);

/// The first few.
fn first_of<T>(all: &[T], show: impl Fn(&T) -> String) -> String {
    let shown: Vec<String> = all.iter().take(5).map(show).collect();
    let more = all.len() - shown.len();
    let shown = shown.join(", ");
    if more > 0 { format!("{shown} and {more} more") } else { shown }
}

impl std::fmt::Display for Short {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "requested {}, available {}", self.requested, self.available)
    }
}

impl std::fmt::Display for Below {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "on hand {}, reserved {}, change {}", self.on_hand, self.reserved, self.change)
    }
}

impl Refusal for InventoryError {
    fn code(&self) -> Code {
        match self {
            Self::ProductNotFound(_) | Self::ReservationNotFound(_) => Code::NotFound,
            Self::ProductExists(_)
            | Self::ProductsDiffer(_)
            | Self::ReservationDiffers(_)
            | Self::ShipmentDiffers(_)
            | Self::ReturnDiffers(_)
            | Self::RequestIdUsed(_) => Code::AlreadyExists,
            Self::UnknownSkus { .. } | Self::AnswerTooLarge => Code::InvalidArgument,
            Self::ProductArchived(_)
            | Self::ProductInStock { .. }
            | Self::Short(_)
            | Self::BelowReserved(_)
            | Self::ReservationReleased(_)
            | Self::ReservationShipped(_)
            | Self::ReservationNotHeld(_)
            | Self::OrderPlaced(_)
            | Self::OverShipment { .. }
            | Self::OverRelease { .. }
            | Self::OverReturn { .. }
            | Self::TooMany(_)
            | Self::ValueOutOfRange(_) => Code::FailedPrecondition,
            Self::StaleEtag(_) | Self::ItemsMoved(_) => Code::Aborted,
            Self::Full => Code::ResourceExhausted,
            Self::Stopping | Self::Database(_) => Code::Unavailable,
            Self::Internal(_) => Code::Internal,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::ProductNotFound(_) => "PRODUCT_NOT_FOUND",
            Self::ProductExists(_) | Self::ProductsDiffer(_) => "PRODUCT_EXISTS",
            Self::UnknownSkus { .. } | Self::AnswerTooLarge => "INVALID_REQUEST",
            Self::ProductArchived(_) => "PRODUCT_ARCHIVED",
            Self::ProductInStock { .. } => "PRODUCT_IN_STOCK",
            Self::StaleEtag(_) => "ETAG_STALE",
            Self::Short(_) => "STOCK_SHORT",
            Self::BelowReserved(_) => "BELOW_RESERVED",
            Self::ItemsMoved(_) => "ITEM_MOVED",
            Self::ValueOutOfRange(_) => "VALUE_OUT_OF_RANGE",
            Self::ReservationNotFound(_) => "RESERVATION_NOT_FOUND",
            Self::ReservationDiffers(_) => "RESERVATION_DIFFERS",
            Self::ReservationReleased(_) => "RESERVATION_RELEASED",
            Self::ReservationShipped(_) => "RESERVATION_SHIPPED",
            Self::ReservationNotHeld(_) => "RESERVATION_NOT_HELD",
            Self::OrderPlaced(_) => "ORDER_PLACED",
            Self::OverShipment { .. } => "OVER_SHIPMENT",
            Self::OverRelease { .. } => "OVER_RELEASE",
            Self::OverReturn { .. } => "OVER_RETURN",
            Self::ShipmentDiffers(_) => "SHIPMENT_EXISTS",
            Self::ReturnDiffers(_) => "RETURN_EXISTS",
            Self::TooMany(_) => "TOO_MANY_ON_HAND",
            Self::RequestIdUsed(_) => "REQUEST_ID_USED",
            Self::Full => "TOO_MANY_RESERVATIONS",
            Self::Stopping => "STOPPING",
            Self::Database(_) => "DATABASE_UNAVAILABLE",
            Self::Internal(_) => "INTERNAL",
        }
    }

    fn metadata(&self) -> Vec<(String, String)> {
        let fact = |name: &str, value: String| vec![(name.to_owned(), value)];
        match self {
            Self::ProductNotFound(sku)
            | Self::ProductExists(sku)
            | Self::StaleEtag(sku)
            | Self::TooMany(sku)
            | Self::ValueOutOfRange(sku) => fact("sku", sku.clone()),
            Self::ProductInStock { sku, on_hand, reserved } => vec![
                ("sku".to_owned(), sku.clone()),
                ("on_hand".to_owned(), on_hand.to_string()),
                ("reserved".to_owned(), reserved.to_string()),
            ],
            Self::ProductArchived(skus) => {
                let named = skus.iter().take(NAMED_MAX);
                named.map(|sku| (sku.clone(), "archived".to_owned())).collect()
            }
            Self::BelowReserved(shortfall) => {
                let named = shortfall.0.iter().take(NAMED_MAX);
                named.map(|below| (below.sku.clone(), below.to_string())).collect()
            }
            Self::ItemsMoved(items) => {
                let named = items.iter().take(NAMED_MAX);
                named.map(|(sku, count)| (sku.clone(), format!("movement_count {count}"))).collect()
            }
            Self::Short(shortage) => {
                let named = shortage.0.iter().take(NAMED_MAX);
                named.map(|short| (short.sku.clone(), short.to_string())).collect()
            }
            Self::OverShipment { order_id, sku, qty, open }
            | Self::OverRelease { order_id, sku, qty, open }
            | Self::OverReturn { order_id, sku, qty, out: open } => vec![
                ("order_id".to_owned(), order_id.to_string()),
                ("sku".to_owned(), sku.clone()),
                ("requested".to_owned(), qty.to_string()),
                ("open".to_owned(), open.to_string()),
            ],
            Self::ReservationNotFound(id)
            | Self::ReservationDiffers(id)
            | Self::ReservationReleased(id)
            | Self::ReservationShipped(id)
            | Self::ReservationNotHeld(id)
            | Self::OrderPlaced(id) => fact("order_id", id.to_string()),
            Self::ShipmentDiffers(id) => fact("shipment_id", id.to_string()),
            Self::ReturnDiffers(id) => fact("return_id", id.to_string()),
            Self::RequestIdUsed(id) => fact("request_id", id.to_string()),
            Self::ProductsDiffer(_)
            | Self::UnknownSkus { .. }
            | Self::AnswerTooLarge
            | Self::Full
            | Self::Stopping
            | Self::Database(_)
            | Self::Internal(_) => Vec::new(),
        }
    }

    fn fields(&self) -> Vec<(String, String)> {
        let (list, skus, what) = match self {
            Self::ProductsDiffer(skus) => ("requests", skus, "exists with other contents"),
            Self::UnknownSkus { list, skus } => (*list, skus, "is not in the catalogue"),
            Self::AnswerTooLarge => return vec![("skus".to_owned(), self.to_string())],
            _ => return Vec::new(),
        };
        let field = |(place, sku): &(usize, String)| {
            (format!("{list}[{place}].sku"), format!("{sku} {what}"))
        };
        skus.iter().take(NAMED_MAX).map(field).collect()
    }
}

impl From<sqlx::Error> for InventoryError {
    fn from(error: sqlx::Error) -> Self {
        if pg::is_away(&error) { Self::Database(error) } else { Self::Internal(error) }
    }
}

impl From<RequestError> for InventoryError {
    fn from(error: RequestError) -> Self {
        match error {
            RequestError::Used(id) => Self::RequestIdUsed(id),
            RequestError::Database(error) => error.into(),
        }
    }
}

impl From<batch::BatchError<sqlx::Error>> for InventoryError {
    fn from(error: batch::BatchError<sqlx::Error>) -> Self {
        match error {
            batch::BatchError::Full => Self::Full,
            batch::BatchError::Stopping => Self::Stopping,
            batch::BatchError::Failed(error) => error.into(),
        }
    }
}

impl From<InventoryError> for Status {
    fn from(error: InventoryError) -> Self {
        rpc::status(&error)
    }
}
