use std::collections::{BTreeMap, BTreeSet};

use ids::{OrderId, ShipmentId};
use log::{Apply, ApplyError, Cause, Event, Log};
use proto::events::v1::OrderShipped;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{InventoryError, commands::stock_event, domain::ReservationState, store};

/// What becomes of orders: placed ones confirm their reservation, shipped ones take goods off the shelf, others give them back.
#[derive(Debug, Clone)]
pub(crate) struct OrderFates {
    pub(crate) log: Log,
}

#[derive(Debug)]
enum Fate {
    Placed,
    Shipped { shipment_id: ShipmentId, goods: BTreeMap<String, i32> },
    Over,
}

impl Apply for OrderFates {
    const TYPES: &'static [&'static str] =
        &["order.placed", "order.shipped", "order.cancelled", "order.deleted"];

    /// Two statements when all were placed, eleven whatever happened. Locks as every command does.
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
        let mut book = store::book::lock(tx, &chosen(|_| true), &moving).await?;
        let mut left = self.known_shipments(tx, &fates).await?;

        let mut news = Vec::new();
        for (event, (id, fate)) in events.iter().zip(&fates) {
            let cause = Cause::of_event(event);
            match fate {
                Fate::Placed => book.confirm(*id).map_err(refused)?,
                Fate::Shipped { shipment_id, goods } => {
                    if left.insert(*shipment_id) {
                        let shipped = book.ship(*id, *shipment_id, goods).map_err(refused)?;
                        let shipment = Some(*shipment_id);
                        news.push(stock_event("stock.shipped", *id, shipment, shipped, &cause));
                    }
                }
                Fate::Over => match book.release(*id) {
                    Ok(None) | Err(InventoryError::ReservationShipped(_)) => (),
                    Ok(Some(freed)) => {
                        news.push(stock_event("stock.released", *id, None, freed, &cause));
                    }
                    Err(refusal) => return Err(refused(refusal)),
                },
            }
        }
        store::book::save(tx, &book).await?;
        self.log.append(tx, &news).await?;
        Ok(())
    }
}

impl OrderFates {
    async fn known_shipments(
        &self,
        tx: &mut PgConnection,
        fates: &[(OrderId, Fate)],
    ) -> sqlx::Result<BTreeSet<ShipmentId>> {
        let shipments: Vec<Uuid> = fates
            .iter()
            .filter_map(|(_, fate)| match fate {
                Fate::Shipped { shipment_id, .. } => Some(shipment_id.0),
                Fate::Placed | Fate::Over => None,
            })
            .collect();
        if shipments.is_empty() {
            return Ok(BTreeSet::new());
        }
        Ok(store::movements::known_shipments(tx, &shipments).await?.into_iter().collect())
    }
}

fn read(event: &Event) -> Result<(OrderId, Fate), ApplyError> {
    let order_id = event.subject.parse().map_err(refused)?;
    let fate = match event.event_type.as_str() {
        "order.placed" => Fate::Placed,
        "order.shipped" => {
            let data: OrderShipped = event.data()?;
            let mut goods: BTreeMap<String, i32> = BTreeMap::new();
            for line in data.lines {
                let qty = goods.entry(line.sku).or_default();
                *qty = qty.saturating_add(line.quantity);
            }
            Fate::Shipped { shipment_id: data.shipment_id.parse().map_err(refused)?, goods }
        }
        _ => Fate::Over,
    };
    Ok((order_id, fate))
}

fn refused(error: impl std::fmt::Display) -> ApplyError {
    ApplyError::Refused(error.to_string())
}
