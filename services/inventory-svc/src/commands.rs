//! What the service can be told to do: one file per verb, one transaction per command; reservations commit in groups.

mod create_products;
mod receive_stock;
mod reserve_stock;
mod release_reservation;
mod sweep_reservations;

pub(crate) use create_products::{CreateProducts, create_product, create_products};
pub(crate) use receive_stock::{Receipt, ReceiveStock, receive_delivery, receive_stock};
pub(crate) use release_reservation::release_reservation;
pub(crate) use reserve_stock::{Good, Reservations, Reserve, reserve_all};
pub use sweep_reservations::Sweeper;

use ids::{OrderId, ShipmentId};
use log::{Cause, NewEvent};
use proto::events::v1::{StockChanged, StockLevelChanged};

use crate::domain::{LevelChange, News};

/// `stock.reserved`, `stock.released` or `stock.shipped`.
pub(crate) fn stock_event(
    event_type: &'static str,
    order_id: OrderId,
    shipment_id: Option<ShipmentId>,
    news: News,
    cause: &Cause,
) -> NewEvent {
    let data = StockChanged {
        order_id: order_id.to_string(),
        shipment_id: shipment_id.map(|id| id.to_string()).unwrap_or_default(),
        levels: show(news.levels),
    };
    NewEvent::new(event_type, order_id, news.version, &data, cause)
}

fn show(levels: Vec<LevelChange>) -> Vec<StockLevelChanged> {
    let level = |level: LevelChange| StockLevelChanged {
        sku: level.sku,
        quantity: level.qty,
        on_hand: level.on_hand,
        reserved: level.reserved,
        reorder_point: level.reorder_point,
    };
    levels.into_iter().map(level).collect()
}
