//! What the service can be told to do: one file per verb, one transaction per command; reservations commit in groups.

mod create_products;
mod update_product;
mod archive_product;
mod update_item;
mod receive_stock;
mod adjust_stock;
mod count_stock;
mod reserve_stock;
mod confirm_reservation;
mod extend_reservation;
mod commit_reservation;
mod release_reservation;
mod return_stock;
mod sweep_reservations;
mod tell;

pub(crate) use adjust_stock::{AdjustStock, adjust_stock};
pub(crate) use archive_product::{ArchiveProduct, archive_product};
pub(crate) use commit_reservation::{CommitReservation, commit_reservation};
pub(crate) use confirm_reservation::confirm_reservation;
pub(crate) use count_stock::{Count, CountStock, count_stock};
pub(crate) use create_products::{CreateProducts, create_product, create_products};
pub(crate) use extend_reservation::extend_reservation;
pub(crate) use receive_stock::{Receipt, ReceiveStock, receive_delivery, receive_stock};
pub(crate) use release_reservation::{release_lines, release_reservation};
pub(crate) use reserve_stock::{Good, Reservations, Reserve, reserve_all};
pub(crate) use return_stock::{ReturnStock, return_stock};
pub use sweep_reservations::Sweeper;
pub(crate) use tell::{Told, item_events, promised, returned, shipped};
pub(crate) use update_item::{UpdateItem, update_item};
pub(crate) use update_product::{UpdateProduct, update_product};

use ids::OrderId;
use log::{Cause, RequestKey};

/// Who asks for something about an order's reservation, in which request.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) request_key: Option<RequestKey>,
    pub(crate) cause: Cause,
    pub(crate) order_id: OrderId,
}
