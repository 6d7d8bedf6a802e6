use std::collections::{BTreeMap, BTreeSet};

use ids::{OrderId, ReturnId, ShipmentId};
use log::{Apply, ApplyError, Cause, Event, Log, NewEvent};
use proto::events::v1::{OrderReturned, OrderShipped};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    InventoryError,
    commands::{Told, promised, returned, shipped},
    domain::{Book, By, Calendar, Goods, ReservationState, TakenBack},
    store,
};

/// What becomes of orders: placed ones confirm their reservation, shipped ones take goods off the shelf, others give them back, and some
/// goods come back.
#[derive(Debug, Clone)]
pub(crate) struct OrderFates {
    pub(crate) log: Log,
    pub(crate) calendar: Calendar,
}

#[derive(Debug)]
enum Fate {
    Placed,
    Shipped {
        shipment_id: ShipmentId,
        goods: Goods,
    },
    /// What was left open is given up.
    PartOver,
    Returned {
        return_id: ReturnId,
        goods: BTreeMap<String, TakenBack>,
    },
    Over,
}

impl Fate {
    /// The shipment or return that moves goods.
    fn document(&self) -> Option<Uuid> {
        match self {
            Self::Shipped { shipment_id, .. } => Some(shipment_id.0),
            Self::Returned { return_id, .. } => Some(return_id.0),
            Self::Placed | Self::PartOver | Self::Over => None,
        }
    }
}

impl Apply for OrderFates {
    const TYPES: &'static [&'static str] = &[
        "order.placed",
        "order.shipped",
        "order.part_cancelled",
        "order.returned",
        "order.cancelled",
        "order.deleted",
    ];

    /// Two statements when all were placed, ten whatever happened. Locks as every command does.
    async fn apply(&self, tx: &mut PgConnection, events: &[Event]) -> Result<(), ApplyError> {
        let fates = events.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let chosen = |wanted: fn(&Fate) -> bool| -> BTreeSet<OrderId> {
            fates.iter().filter(|(_, fate)| wanted(fate)).map(|(id, _)| *id).collect()
        };
        let over: Vec<Uuid> =
            chosen(|fate| matches!(fate, Fate::Over)).into_iter().map(|id| id.0).collect();
        if !over.is_empty() {
            // They refuse a reservation that comes late, also where nothing was reserved.
            store::reservations::insert(tx, &over, ReservationState::Released, 0).await?;
        }
        let moving = chosen(|fate| !matches!(fate, Fate::Placed));
        let documents: Vec<Uuid> = fates.iter().filter_map(|(_, fate)| fate.document()).collect();
        let mut book = store::book::lock(tx, &chosen(|_| true), &moving, &documents).await?;
        let mut news = Vec::new();
        for (event, (id, fate)) in events.iter().zip(&fates) {
            let cause = Cause::of_event(event);
            news.extend(self.meet(&mut book, *id, fate, &cause).map_err(refused)?);
        }
        store::book::save(tx, &book).await?;
        self.log.append(tx, &news).await?;
        Ok(())
    }
}

impl OrderFates {
    fn meet(
        &self,
        book: &mut Book,
        id: OrderId,
        fate: &Fate,
        cause: &Cause,
    ) -> Result<Vec<NewEvent>, InventoryError> {
        let told = Told { calendar: &self.calendar, cause };
        let news = match fate {
            Fate::Placed => book.confirm(id, By::Order).map(|_| None)?,
            Fate::Shipped { shipment_id, goods } => book
                .ship(id, *shipment_id, Some(goods), By::Order)?
                .map(|news| shipped(id, *shipment_id, news, book, told)),
            Fate::Returned { return_id, goods } => book
                .take_back(id, *return_id, goods, By::Order)?
                .map(|news| returned(id, *return_id, news, book, told)),
            Fate::PartOver | Fate::Over => match book.release(id, By::Order) {
                Err(InventoryError::ReservationShipped(_)) => None,
                freed => freed?.map(|news| promised("stock.released", id, news, book, cause)),
            },
        };
        Ok(news.unwrap_or_default())
    }
}

fn read(event: &Event) -> Result<(OrderId, Fate), ApplyError> {
    let order_id = event.subject.parse().map_err(refused)?;
    let fate = match event.event_type.as_str() {
        "order.placed" => Fate::Placed,
        "order.shipped" => {
            let data: OrderShipped = event.data()?;
            let mut goods = Goods::new();
            for line in data.lines {
                let qty = goods.entry(line.sku).or_default();
                *qty = qty.saturating_add(line.quantity);
            }
            Fate::Shipped { shipment_id: data.shipment_id.parse().map_err(refused)?, goods }
        }
        "order.part_cancelled" => Fate::PartOver,
        "order.returned" => {
            let data: OrderReturned = event.data()?;
            let mut goods: BTreeMap<String, TakenBack> = BTreeMap::new();
            for line in data.lines {
                goods.entry(line.sku).or_default().add(line.quantity, line.restock);
            }
            Fate::Returned { return_id: data.return_id.parse().map_err(refused)?, goods }
        }
        "order.cancelled" | "order.deleted" => Fate::Over,
        other => return Err(ApplyError::Refused(format!("{other} is no fate of an order"))),
    };
    Ok((order_id, fate))
}

fn refused(error: impl std::fmt::Display) -> ApplyError {
    ApplyError::Refused(error.to_string())
}
